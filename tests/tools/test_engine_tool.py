"""`tools/engine.py` on machines made of small scripts: what is on the PATH, an installer, a `go`. No network."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock
import pytest

import engine

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "engine.py"
OLDEST = str(engine.OLDEST.version)
NEWEST = str(engine.NEWEST.version)
PINS = pytest.mark.parametrize("pin", [engine.OLDEST, engine.NEWEST], ids=["oldest", "newest"])

# Stands for the SDK in the installer's process; where the machine's folder holds `installer`, it installs that version.
AUTOMATION = """
import pathlib, subprocess
class PulumiCommand:
    @classmethod
    def install(cls, root, version):
        machine = pathlib.Path(__file__).parents[2]
        with open(machine / "calls", "a") as calls:
            print(f"installer {version}", file=calls)
        if not (machine / "installer").exists():
            raise OSError("<urlopen error [Errno -2] Name or service not known>")
        bin = pathlib.Path(root, "bin")
        bin.mkdir()
        for name in "pulumi", "pulumi-language-python":
            (bin / name).write_text((machine / "installer").read_text())
            (bin / name).chmod(0o755)
"""

# A `go` that says its version, "builds" a program that says the version it was told to say, and has the SDK's sources.
GO = """#!/bin/sh
echo "go $*" >>"$MACHINE/calls"
out= version= last=
for argument; do
    [ "$last" = -o ] && out=$argument
    case $argument in *.Version=v*) version=${argument##*=v} ;; esac
    last=$argument
done
case $1 in
env) echo go1.26.8 ;;
list) echo "$MACHINE/sdk" ;;
build)
    program=$out/${last##*/}
    printf '#!/bin/sh\\necho v%s\\n' "$version" >"$program"
    chmod +x "$program"
    DURING
    ;;
esac
"""


@dataclass
class Machine:
    """A home folder, a PATH with what a test puts there, and the record of what was called."""

    folder: Path
    said: list[str] = field(default_factory=list)

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def env(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder / "home"),
            "MACHINE": str(self.folder),
            "PATH": str(self.bin),
            "PYTHONPATH": str(self.folder / "sdk-stand-in"),
        }

    @property
    def cache(self) -> Path:
        return self.folder / "home" / ".cache" / "pulumi-koreai" / "engine"

    @property
    def calls(self) -> list[str]:
        record = self.folder / "calls"
        return record.read_text().splitlines() if record.exists() else []

    def script(self, path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def has_pulumi(self, version: str, folder: str = "bin", language_host: bool = True) -> Path:
        if language_host:
            self.script(self.folder / folder / "pulumi-language-python", "#!/bin/sh\n")
        return self.script(self.folder / folder / "pulumi", f"#!/bin/sh\necho v{version}\n")

    def has_installer(self, version: str = NEWEST) -> None:
        (self.folder / "installer").write_text(f"#!/bin/sh\necho v{version}\n")

    def has_go(self, during_build: str = ":", text: str = GO) -> None:
        self.script(self.bin / "go", text.replace("DURING", during_build))

    def obtain(self, exactly: engine.Pin | None = None) -> engine.Engine:
        return engine.obtain(self.env, self.said.append, exactly=exactly)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The tool as a program of its own."""
        pipe = subprocess.PIPE
        env = {**self.env, "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen([sys.executable, str(TOOL), *arguments], env=env, stdout=pipe, stderr=pipe, text=True)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def left_half_done(self) -> list[Path]:
        return list(self.cache.glob("*.part"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.bin.mkdir()
    for program in "chmod", "rm", "sleep", "touch":
        found = shutil.which(program)
        assert found
        (made.bin / program).symlink_to(found)
    made.script(tmp_path / "sdk-stand-in" / "pulumi" / "__init__.py", "")
    made.script(tmp_path / "sdk-stand-in" / "pulumi" / "automation.py", AUTOMATION)
    for script in "cmd/pulumi-language-python-exec", "dist/pulumi-analyzer-policy-python":
        made.script(tmp_path / "sdk" / "python" / script, "#!/bin/sh\n")
    made.script(tmp_path / "sdk" / "python" / "dist" / "pulumi-resource-pulumi-python", "#!/bin/sh\n")
    return made


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


# The order


@pytest.mark.parametrize("version", [OLDEST, "3.272.1", NEWEST, f"{NEWEST}-dev.1+abc"])
def test_a_recent_engine_on_the_path_is_used_and_nothing_else_is_tried(machine: Machine, version: str) -> None:
    machine.has_installer()
    machine.has_go()
    pulumi = machine.has_pulumi(version)
    assert machine.obtain() == engine.Engine(None, version, f"{pulumi} on the PATH")
    assert machine.calls == []
    assert machine.said == []
    assert not machine.cache.exists()


@pytest.mark.parametrize("version", [str(engine.NEWEST.version.bump_patch()), "3.999.0-dev.1+abc"])
def test_a_newer_engine_on_the_path_than_was_tested_is_used_and_one_line_says_so(
    machine: Machine, version: str
) -> None:
    pulumi = machine.has_pulumi(version)
    assert machine.obtain() == engine.Engine(None, version, f"{pulumi} on the PATH")
    assert machine.said == [f"engine: {pulumi} is {version}; the newest that this project is tested with is {NEWEST}."]


def test_a_wanted_version_is_made_whatever_the_path_has(machine: Machine) -> None:
    machine.has_pulumi(NEWEST)
    machine.has_installer(OLDEST)
    got = machine.obtain(engine.OLDEST)
    assert got.folder is not None
    assert got.folder.is_relative_to(machine.cache)
    assert got.version == OLDEST
    assert machine.calls == [f"installer {OLDEST}"]


def test_the_language_host_may_lie_beside_what_a_link_on_the_path_points_to(machine: Machine) -> None:
    pulumi = machine.has_pulumi("3.230.0", folder="opt")
    (machine.bin / "pulumi").symlink_to(pulumi)
    assert machine.obtain().folder is None


@pytest.mark.parametrize(
    "version, language_host, reason",
    [
        ("3.219.9", True, "is 3.219.9; 3.220.0 or later is needed, below 4.0.0."),
        ("4.0.0", True, "is 4.0.0; 3.220.0 or later is needed, below 4.0.0."),
        ("3.230.0", False, "there is no `pulumi-language-python` beside it or on the PATH."),
        ("of sorts", True, "says 'vof sorts', which is no version."),
    ],
    ids=["too old", "too new", "without its language host", "without a version"],
)
def test_an_engine_on_the_path_that_will_not_do_is_passed_over(
    machine: Machine, version: str, language_host: bool, reason: str
) -> None:
    machine.has_pulumi(version, language_host=language_host)
    with pytest.raises(engine.EngineError) as failure:
        machine.obtain()
    assert reason in str(failure.value)
    machine.has_installer()
    assert machine.obtain().version == NEWEST


def test_the_installer_comes_before_go(machine: Machine) -> None:
    machine.has_installer()
    machine.has_go()
    got = machine.obtain()
    assert got.folder is not None
    assert got.folder.is_relative_to(machine.cache)
    assert got.source.startswith("from the official installer")
    assert machine.calls == [f"installer {NEWEST}"]


@PINS
def test_go_modules_come_last_and_make_a_whole_engine(machine: Machine, pin: engine.Pin) -> None:
    machine.has_go()
    got = machine.obtain(pin)
    assert got.folder is not None
    assert sorted(file.name for file in got.folder.iterdir()) == [
        "pulumi",
        "pulumi-analyzer-policy-python",
        "pulumi-language-python",
        "pulumi-language-python-exec",
        "pulumi-resource-pulumi-python",
    ]
    assert all(os.access(file, os.X_OK) for file in got.folder.iterdir())
    assert got.version == str(pin.version)
    assert machine.calls[0] == f"installer {pin.version}"
    builds = [call for call in machine.calls if call.startswith("go build")]
    assert len(builds) == 2
    assert all("-mod=readonly" in build for build in builds), "the pinned modules are taken as they are"


def test_an_installed_engine_of_another_version_than_asked_for_is_not_taken(machine: Machine) -> None:
    machine.has_installer("3.100.0")
    machine.has_go()
    assert machine.obtain().source.startswith("built from Go modules")
    assert f"engine: the official installer: it made 3.100.0 in the place of {NEWEST}." in machine.said


# The message where nothing works


def test_where_nothing_works_one_message_says_what_was_tried_and_what_to_do(machine: Machine) -> None:
    status, out, err = machine.run()
    assert status == 1
    assert out == ""
    assert "Traceback" not in err
    both = "`pulumi` and `pulumi-language-python`"
    message = err[err.index("error: no Pulumi engine") :].splitlines()
    assert message == [
        "error: no Pulumi engine could be obtained. What was tried, in this order:",
        "  - the PATH: no `pulumi` there.",
        "  - the official installer: <urlopen error [Errno -2] Name or service not known>",
        "  - Go modules: no `go` on the PATH.",
        "Do one of these and run the command again:",
        f"  - install Pulumi {OLDEST} or later (www.pulumi.com/docs/install) and have its {both} on the PATH;",
        f"  - install Go {engine.NEWEST.go} or later, which builds the engine from its sources;",
        "  - let this machine reach the network, where that is what failed above.",
    ]
    assert machine.left_half_done() == []


@pytest.mark.parametrize(
    "go, reason",
    [
        (
            "#!/bin/sh\necho go1.22.4\n",
            f"the `go` on the PATH is go1.22.4; Go {engine.NEWEST.go} or later is needed.",
        ),
        (
            "#!/bin/sh\necho 'go: go.mod requires go >= 1.24.7 (running go 1.23.1; GOTOOLCHAIN=local)' >&2; exit 1\n",
            "go: go.mod requires go >= 1.24.7 (running go 1.23.1; GOTOOLCHAIN=local)",
        ),
        (GO.replace("DURING", "echo one >&2; echo 'a: dial tcp: no route to host' >&2; exit 1"), "no route to host"),
        (GO.replace("DURING", "exit 3"), "go ended with 3."),
        (GO.replace("DURING", 'rm "$program"'), "it came without pulumi, pulumi-language-python."),
    ],
    ids=["too old", "held to a version", "no network", "no reason", "nothing built"],
)
def test_what_go_says_is_in_the_message(machine: Machine, go: str, reason: str) -> None:
    machine.has_go(text=go)
    with pytest.raises(engine.EngineError) as failure:
        machine.obtain()
    assert reason in str(failure.value)
    assert machine.left_half_done() == []


def test_a_program_without_an_end_is_ended(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_QUERY_TIMEOUT_SECONDS", 2.0)
    machine.has_pulumi("3.230.0")
    machine.script(machine.bin / "pulumi", '#!/bin/sh\nsleep 600 & echo $! >"$MACHINE/child"; wait\n')
    with pytest.raises(engine.EngineError, match=r"the PATH: no end after 2 seconds\."):
        machine.obtain()
    child = int((machine.folder / "child").read_text())
    until(lambda: not alive(child))


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_cache_folder_that_can_not_be_made_is_named(machine: Machine) -> None:
    (machine.folder / "home").write_text("a file")
    with pytest.raises(engine.EngineError, match=r"(?s)the cache folder \S+ can't be used: .*XDG_CACHE_HOME=/a/folder"):
        machine.obtain()


# What was made is kept


def test_a_second_time_takes_what_the_first_one_made(machine: Machine) -> None:
    machine.has_go()
    first = machine.obtain()
    calls = machine.calls
    machine.has_installer()
    assert machine.obtain() == first
    assert machine.calls == calls, "neither the installer nor go is asked again"


def test_the_program_prints_the_folder_alone_on_stdout(machine: Machine) -> None:
    machine.has_go()
    status, out, err = machine.run()
    assert status == 0
    assert Path(out.removesuffix("\n")) == machine.obtain().folder
    assert f"engine: pulumi {NEWEST}, built from Go modules, in {out.strip()}" in err


def test_the_program_makes_the_oldest_engine_where_it_is_asked_to(machine: Machine) -> None:
    machine.has_go()
    machine.has_pulumi(NEWEST)
    status, out, err = machine.run("--oldest")
    assert status == 0
    assert Path(out.removesuffix("\n")) == machine.obtain(engine.OLDEST).folder
    assert f"engine: pulumi {OLDEST}, built from Go modules, in {out.strip()}" in err


def test_without_the_path_nothing_is_said_of_it(machine: Machine) -> None:
    machine.has_pulumi(NEWEST)
    status, out, err = machine.run("--oldest")
    assert (status, out) == (1, "")
    assert "the PATH:" not in err
    assert f"  - install Go {engine.OLDEST.go} or later, which builds the engine from its sources;\n" in err


def test_the_oldest_and_the_newest_are_kept_beside_each_other(machine: Machine) -> None:
    machine.has_go()
    oldest, newest = machine.obtain(engine.OLDEST), machine.obtain(engine.NEWEST)
    calls = machine.calls
    assert oldest.folder != newest.folder
    assert (machine.obtain(engine.OLDEST), machine.obtain()) == (oldest, newest)
    assert machine.calls == calls


def test_the_program_prints_nothing_on_stdout_for_an_engine_on_the_path(machine: Machine) -> None:
    pulumi = machine.has_pulumi("3.230.0")
    assert machine.run() == (0, "", f"engine: pulumi 3.230.0, {pulumi} on the PATH\n")


def test_the_cache_is_where_xdg_says_and_a_relative_folder_is_ignored(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has_go()
    elsewhere = machine.folder / "elsewhere"
    got = engine.obtain({**machine.env, "XDG_CACHE_HOME": str(elsewhere)}, machine.said.append)
    assert got.folder is not None
    assert got.folder.is_relative_to(elsewhere / "pulumi-koreai" / "engine")
    got = engine.obtain({**machine.env, "XDG_CACHE_HOME": "here"}, machine.said.append)
    assert got.folder is not None
    assert got.folder.is_relative_to(machine.cache)


def test_an_engine_in_the_cache_that_no_longer_works_is_made_again(machine: Machine) -> None:
    machine.has_go()
    first = machine.obtain()
    assert first.folder is not None
    (first.folder / "pulumi-language-python").unlink()
    assert machine.obtain() == first
    assert (first.folder / "pulumi-language-python").exists()


def test_other_modules_make_another_folder(machine: Machine, tmp_path: Path) -> None:
    machine.has_go()
    first = machine.obtain()
    changed = tmp_path / "changed"
    changed.mkdir()
    for name in "go.mod", "go.sum":
        text = (engine.NEWEST.module / name).read_text()
        (changed / name).write_text(text.replace(f"pkg/v3 v{NEWEST}", "pkg/v3 v3.299.0"))
    second = machine.obtain(engine.Pin(changed))
    assert second.version == "3.299.0"
    assert first.folder is not None
    assert first.folder.exists()


def test_a_go_mod_without_the_engine_is_named(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("go 1.24.7\n")
    with pytest.raises(engine.EngineError, match=r"go\.mod holds no match for .* Restore it from the repository\."):
        machine.obtain(engine.Pin(tmp_path))


# Interruptions and other processes


@pytest.mark.parametrize("wish", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_interrupted_it_leaves_nothing_half_done_and_no_process(machine: Machine, wish: signal.Signals) -> None:
    machine.has_go('echo $$ >"$MACHINE/building"; sleep 600')
    process = machine.start()
    building = machine.folder / "building"
    until(lambda: building.exists() and building.read_text().strip())
    assert machine.left_half_done() != []
    process.send_signal(wish)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + wish
    assert out == ""
    assert "Traceback" not in err
    assert machine.left_half_done() == []
    assert not alive(int(building.read_text()))
    machine.has_go()
    assert machine.obtain().version == NEWEST


def test_interrupted_while_a_program_is_being_started_it_ends_that_too(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    class Starting(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self.pid)
            signal.raise_signal(signal.SIGINT)

    machine.has_pulumi("3.230.0")
    machine.script(machine.bin / "pulumi", "#!/bin/sh\nexec sleep 600\n")
    monkeypatch.setattr(subprocess, "Popen", Starting)
    with pytest.raises(KeyboardInterrupt):
        machine.obtain()
    (process,) = started
    assert not alive(process)


def test_what_a_killed_process_left_is_removed_and_does_not_count(machine: Machine) -> None:
    machine.has_go('echo $$ >"$MACHINE/building"; sleep 600')
    process = machine.start()
    building = machine.folder / "building"
    until(lambda: building.exists() and building.read_text().strip())
    process.kill()
    process.communicate(timeout=30)
    os.killpg(int(building.read_text()), signal.SIGKILL)
    assert len(machine.left_half_done()) == 1
    machine.has_go()
    machine.obtain()
    assert machine.left_half_done() == []


def test_two_at_once_make_one_engine(machine: Machine) -> None:
    machine.has_go('touch "$MACHINE/building"; while [ ! -e "$MACHINE/go-on" ]; do sleep 0.02; done')
    first = machine.start()
    until((machine.folder / "building").exists)
    second = machine.start()
    assert second.stderr is not None
    waiting = second.stderr.readline()
    assert waiting.startswith("engine: waiting for another process that is getting it (")
    (machine.folder / "go-on").touch()
    answers = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert answers[0] == answers[1] != ""
    assert sum(call.startswith("go build") for call in machine.calls) == 2, "two programs, each built once"


def test_a_lock_file_without_an_owner_stops_nobody(machine: Machine) -> None:
    machine.has_go()
    machine.cache.mkdir(parents=True)
    (machine.cache / "lock").touch()
    machine.obtain()
    with filelock.FileLock(machine.cache / "lock", timeout=0):
        pass


# The environment


def test_the_virtual_environment_comes_first_and_the_engine_next() -> None:
    venv = str(Path(sys.executable).parent)
    built = engine.Engine(Path("/engine"), "3.220.0", "built")
    env = engine.environment(built, {"PATH": "/a:/b", "PYTHONHOME": "/python", "LANG": "C"})
    assert env == {"PATH": f"{venv}:/engine:/a:/b", "LANG": "C", "VIRTUAL_ENV": sys.prefix}
    on_path = engine.Engine(None, "3.220.0", "on the PATH")
    assert engine.environment(on_path, {"PATH": "/a"})["PATH"] == f"{venv}:/a"


@PINS
def test_the_sdk_of_the_modules_is_the_engine_s_own(pin: engine.Pin) -> None:
    """The scripts that go beside the engine are taken from the SDK's module."""
    text = (pin.module / "go.mod").read_text()
    versions = {line.split()[1] for line in text.splitlines() if "github.com/pulumi/pulumi/" in line and " v3." in line}
    assert versions == {f"v{pin.version}"}


def test_the_oldest_engine_is_as_old_as_the_oldest_sdk_that_is_allowed() -> None:
    assert re.search(rf"(?m)^pulumi=={re.escape(OLDEST)} ", (ROOT / "requirements-oldest.lock").read_text())
