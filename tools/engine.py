"""Obtains the `pulumi` engine with its Python language host, and says which and from where.

The Python package `pulumi` is only the SDK; the engine is a program of its own. In this order:

1. what is on the PATH, if it is recent enough;
2. what the official installer downloads, as the Automation API runs it;
3. the Go modules pinned in `tools/engine/`, built with `go build`.

The version of 2 and 3 is the newest that this project is tested with, or with `--oldest` the oldest that it allows, in
which case the PATH is not looked at.

What 2 or 3 made is kept by version in `${XDG_CACHE_HOME:-~/.cache}/pulumi-koreai/engine`, outside any clone.

Run as a program it prints on stdout the folder that must come first on the PATH (nothing, when the engine is
on the PATH already) and its progress on stderr; the exit status is 1 where there is no way to get an engine.
"""

import argparse
import contextlib
import functools
import hashlib
import os
import platform
import re
import shutil
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import filelock
from semver import Version

from commands import CommandError, Say, in_a_line, run

_MODULES: Final = Path(__file__).parent / "engine"
_HOST_MODULE: Final = _MODULES / "language-python"
_ENGINE_PACKAGE: Final = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_HOST_PACKAGE: Final = "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"
_SDK_MODULE: Final = "github.com/pulumi/pulumi/sdk/v3"
_VERSION_SYMBOL: Final = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
# Scripts that belong beside the engine, of the SDK that it and its language host are built with.
_SDK_SCRIPTS: Final = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")
_HOST_SCRIPTS: Final = ("python/dist/pulumi-analyzer-policy-python",)

_QUERY_TIMEOUT_SECONDS: Final = 60.0
# The download is some 150 MB.
_INSTALLER_TIMEOUT_SECONDS: Final = 600.0
# Over two minutes on two fast cores with a fast network.
_BUILD_TIMEOUT_SECONDS: Final = 3600.0

# Run in a process of its own, as neither the download nor the script that it runs has a time limit. The
# socket's is for the download of the script: a network that swallows packets then costs seconds.
_INSTALLER: Final = """
import socket, subprocess, sys
from pulumi.automation import PulumiCommand
from semver import VersionInfo
socket.setdefaulttimeout(20)
try:
    PulumiCommand.install(root=sys.argv[1], version=VersionInfo.parse(sys.argv[2]))
except subprocess.CalledProcessError as failure:
    sys.exit((failure.output or b"").decode(errors="replace") or str(failure))
except Exception as failure:
    sys.exit(str(failure))
"""


class EngineError(Exception):
    """There is no way to get an engine on this machine; the message says what was tried and what to do."""


@dataclass(frozen=True)
class Pin:
    """A version of the engine that this project is tested with, pinned by a Go module.

    Attributes:
        module: the folder of its `go.mod` and `go.sum`.
    """

    module: Path

    @property
    def version(self) -> Version:
        """Of the engine."""
        return Version.parse(self._match(r"/pulumi/pkg/v3 v(\S+)"))

    @property
    def go(self) -> str:
        """The version of Go that it needs."""
        return self._match(r"(?m)^go (\S+)$")

    def _match(self, pattern: str) -> str:
        file = self.module / "go.mod"
        found = re.search(pattern, file.read_text(encoding="utf-8"))
        if found is None:
            raise EngineError(f"{file} holds no match for {pattern!r}. Restore it from the repository.")
        return found[1]


OLDEST: Final = Pin(_MODULES / "oldest")
NEWEST: Final = Pin(_MODULES / "newest")


@dataclass(frozen=True)
class Engine:
    """An engine that can be used.

    Attributes:
        folder: holds `pulumi` and its language host, to come before the rest of the PATH; None when the PATH
            has them.
        version: of `pulumi`, without a `v`.
        source: where it is from, in words.
    """

    folder: Path | None
    version: str
    source: str


def obtain(
    env: Mapping[str, str] = os.environ,
    say: Say = lambda line: print(line, file=sys.stderr),
    *,
    exactly: Pin | None = None,
) -> Engine:
    """The engine to use, fetched if need be; minutes the first time on a machine, a second later on.

    Args:
        env: what is looked at (`PATH`, `HOME`, `XDG_CACHE_HOME`) and what programs are run with.
        say: takes lines that tell of progress.
        exactly: the version that it has to be; None: what is on the PATH, or the newest.

    Raises:
        EngineError: none of the ways works.
    """
    # No question to a server, and no news about newer versions, from the programs run here.
    env = {**env, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    tried: list[str] = []
    if exactly is None:
        try:
            return _on_path(env, say)
        except CommandError as reason:
            tried.append(f"the PATH: {reason}")

    folder = _cache_folder(env)
    pin = exactly or NEWEST
    recipes = (_installer_recipe(pin, env), _go_recipe(pin, env))
    if cached := _cached(folder, recipes, env):
        return cached
    with _lock(folder, say):
        # Another process may have got it while this one waited.
        if cached := _cached(folder, recipes, env):
            return cached
        for recipe in recipes:
            try:
                return _make(recipe, folder, env, say)
            except CommandError as reason:
                say(f"engine: {recipe.way}: {reason}")
                tried.append(f"{recipe.way}: {reason}")
    raise EngineError(
        "no Pulumi engine could be obtained. What was tried, in this order:\n"
        + "".join(f"  - {line}\n" for line in tried)
        + "Do one of these and run the command again:\n"
        f"  - install Pulumi {OLDEST.version} or later (www.pulumi.com/docs/install) and have its `pulumi` and"
        " `pulumi-language-python` on the PATH;\n"
        f"  - install Go {pin.go} or later, which builds the engine from its sources;\n"
        "  - let this machine reach the network, where that is what failed above."
    )


def environment(engine: Engine, base: Mapping[str, str]) -> dict[str, str]:
    """`base` as a process needs it that runs `engine`: this virtual environment first, the engine next.

    The language host built from Go modules and the stock provider host run the `python3` that is first on the
    PATH, so the virtual environment is it, whatever the engine.
    """
    folders = [sysconfig.get_path("scripts"), str(engine.folder or ""), base.get("PATH", os.defpath)]
    env = {**base, "PATH": os.pathsep.join(filter(None, folders)), "VIRTUAL_ENV": sys.prefix}
    env.pop("PYTHONHOME", None)
    return env


# --------------------------------------------------------------------------------------------------- the ways


@dataclass(frozen=True)
class _Recipe:
    """A way to make an engine.

    Attributes:
        way: its name, for people.
        source: what is said of the engine that it made.
        version: of the engine that it makes.
        digest: of all that the result depends on besides the version.
        make: puts the programs into a folder that exists and is empty.
        bin: where in that folder they then are.
        programs: what has to be there.
    """

    way: str
    source: str
    version: str
    digest: str
    make: Callable[[Path, Say], None]
    bin: str
    programs: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of the folder in the cache."""
        return f"{self.version}-{self.digest[:12]}"

    def check(self, folder: Path, env: Mapping[str, str]) -> None:
        """Raises CommandError unless what was made in `folder` works."""
        programs = folder / self.bin
        missing = [program for program in self.programs if not os.access(programs / program, os.X_OK)]
        if missing:
            raise CommandError(f"it came without {', '.join(missing)}.")
        version = _version_of(programs / "pulumi", env)
        if str(version) != self.version:
            raise CommandError(f"it made {version} in the place of {self.version}.")

    def engine(self, folder: Path) -> Engine:
        return Engine(folder / self.bin, self.version, f"{self.source}, in {folder}")


def _on_path(env: Mapping[str, str], say: Say) -> Engine:
    found = shutil.which("pulumi", path=env.get("PATH", os.defpath))
    if found is None:
        raise CommandError("no `pulumi` there.")
    version = _version_of(Path(found), env)
    oldest, newest = OLDEST.version, NEWEST.version
    if not oldest <= version.finalize_version() < oldest.bump_major():
        raise CommandError(f"{found} is {version}; {oldest} or later is needed, below {oldest.bump_major()}.")
    beside = {Path(found).parent, Path(found).resolve().parent}
    search = os.pathsep.join([*map(str, beside), env.get("PATH", "")])
    if shutil.which("pulumi-language-python", path=search) is None:
        raise CommandError(f"{found} is {version}, but there is no `pulumi-language-python` beside it or on the PATH.")
    if version.finalize_version() > newest:
        say(f"engine: {found} is {version}; the newest that this project is tested with is {newest}.")
    return Engine(None, str(version), f"{found} on the PATH")


def _installer_recipe(pin: Pin, env: Mapping[str, str]) -> _Recipe:
    version = str(pin.version)

    def make(folder: Path, say: Say) -> None:
        run(
            [sys.executable, "-c", _INSTALLER, str(folder), version],
            env=env,
            timeout_seconds=_INSTALLER_TIMEOUT_SECONDS,
            say=say,
        )

    return _Recipe(
        way="the official installer",
        source="from the official installer",
        version=version,
        digest=_digest("installer"),
        make=make,
        bin="bin",
        programs=("pulumi", "pulumi-language-python"),
    )


def _go_recipe(pin: Pin, env: Mapping[str, str]) -> _Recipe:
    version = str(pin.version)
    flags = ["-mod=readonly", "-trimpath", "-ldflags", f"-s -w -X {_VERSION_SYMBOL}=v{version}"]
    # No C compiler is needed, and a workspace that the clone may lie in is no part of it.
    settings = {"CGO_ENABLED": "0", "GOWORK": "off"}
    files = [module / name for module in (pin.module, _HOST_MODULE) for name in ("go.mod", "go.sum")]
    digest = _digest(*flags, *settings, *_SDK_SCRIPTS, *_HOST_SCRIPTS, *(file.read_bytes() for file in files))

    def make(folder: Path, say: Say) -> None:
        if shutil.which("go", path=env.get("PATH", os.defpath)) is None:
            raise CommandError("no `go` on the PATH.")
        go = functools.partial(run, env={**env, **settings}, say=say)
        go_version = go(["go", "env", "GOVERSION"], cwd=pin.module, timeout_seconds=_BUILD_TIMEOUT_SECONDS)
        if _numbers(go_version) < _numbers(pin.go):
            raise CommandError(f"the `go` on the PATH is {go_version}; Go {pin.go} or later is needed.")
        for module, package in (pin.module, _ENGINE_PACKAGE), (_HOST_MODULE, _HOST_PACKAGE):
            say(f"engine: building {package.rpartition('/')[2]} with {go_version} ...")
            go(
                ["go", "build", *flags, "-o", f"{folder}/", package],
                cwd=module,
                timeout_seconds=_BUILD_TIMEOUT_SECONDS,
            )
        for module, scripts in (pin.module, _SDK_SCRIPTS), (_HOST_MODULE, _HOST_SCRIPTS):
            sdk = go(
                ["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", _SDK_MODULE],
                cwd=module,
                timeout_seconds=_QUERY_TIMEOUT_SECONDS,
            )
            for script in scripts:
                place = folder / Path(script).name
                shutil.copyfile(Path(sdk, script), place)
                place.chmod(0o755)

    return _Recipe(
        way="Go modules",
        source="built from Go modules",
        version=version,
        digest=digest,
        make=make,
        bin="",
        programs=(
            "pulumi",
            "pulumi-language-python",
            *(Path(script).name for script in (*_SDK_SCRIPTS, *_HOST_SCRIPTS)),
        ),
    )


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def _digest(*parts: str | bytes) -> str:
    # A home folder may be shared by machines of several kinds.
    whole = hashlib.sha256()
    for part in (platform.system(), platform.machine(), *parts):
        whole.update(hashlib.sha256(part.encode() if isinstance(part, str) else part).digest())
    return whole.hexdigest()


# -------------------------------------------------------------------------------------------------- the cache


def _cache_folder(env: Mapping[str, str]) -> Path:
    base = Path(env.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # the specification: a relative one is ignored
        try:
            base = Path(env.get("HOME") or Path.home(), ".cache")
        except RuntimeError:
            raise EngineError(
                "there is no folder to keep the engine in: neither HOME nor XDG_CACHE_HOME is set. Set one."
            ) from None
    return base.absolute() / "pulumi-koreai" / "engine"


def _cached(cache: Path, recipes: tuple[_Recipe, ...], env: Mapping[str, str]) -> Engine | None:
    for recipe in recipes:
        if (cache / recipe.name).is_dir():
            with contextlib.suppress(CommandError):
                recipe.check(cache / recipe.name, env)
                return recipe.engine(cache / recipe.name)
    return None


def _make(recipe: _Recipe, cache: Path, env: Mapping[str, str], say: Say) -> Engine:
    """Makes the engine beside its place and moves it there when it is known to work. Needs the lock."""
    place = cache / recipe.name
    try:
        # Left by processes that were killed; one that lives holds the lock.
        for left in cache.glob("*.part"):
            shutil.rmtree(left, ignore_errors=True)
        part = Path(tempfile.mkdtemp(prefix=f"{recipe.name}.", suffix=".part", dir=cache))
        try:
            part.chmod(0o755)
            say(f"engine: getting pulumi {recipe.version} by {recipe.way} ...")
            recipe.make(part, say)
            recipe.check(part, env)
            # One that is there doesn't work, or it would have been used.
            shutil.rmtree(place, ignore_errors=True)
            part.rename(place)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as failure:
        raise CommandError(in_a_line(str(failure))) from failure
    return recipe.engine(place)


@contextlib.contextmanager
def _lock(cache: Path, say: Say) -> Iterator[None]:
    """Held by the process that gets an engine; the operating system takes it from a process that dies."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(cache / "lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            say(f"engine: waiting for another process that is getting it ({lock.lock_file}) ...")
            lock.acquire()
    except (OSError, NotImplementedError) as failure:
        raise EngineError(
            f"the cache folder {cache} can't be used: {in_a_line(str(failure))}\n"
            "Make it writable, or name another one: XDG_CACHE_HOME=/a/folder"
        ) from failure
    try:
        yield
    finally:
        lock.release()


# -------------------------------------------------------------------------------------------------- processes


def _version_of(pulumi: Path, env: Mapping[str, str]) -> Version:
    said = run([str(pulumi), "version"], env=env, timeout_seconds=_QUERY_TIMEOUT_SECONDS)
    try:
        return Version.parse(said.removeprefix("v"))
    except ValueError:
        raise CommandError(f"`{pulumi} version` says {in_a_line(said)!r}, which is no version.") from None


def main() -> int:
    """The program. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--oldest", action="store_true", help="the oldest version that is allowed, whatever the PATH has"
    )
    options = parser.parse_args()

    def terminated(signum: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(128 + signum)

    for wish in signal.SIGTERM, signal.SIGHUP:
        signal.signal(wish, terminated)
    try:
        engine = obtain(exactly=OLDEST if options.oldest else None)
    except EngineError as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing is left half done.", file=sys.stderr)
        return 128 + signal.SIGINT
    print(f"engine: pulumi {engine.version}, {engine.source}", file=sys.stderr)
    if engine.folder:
        print(engine.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
