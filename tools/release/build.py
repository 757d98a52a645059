"""Builds the wheel and the source distribution of a commit, twice, and compares."""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from .errors import ReleaseError

_SECONDS = 600.0  # for one command


def run(*command: str | Path, cwd: Path, epoch: int = 0) -> str:
    """What a command prints.

    Args:
        command: the program and its arguments.
        cwd: where it runs.
        epoch: SOURCE_DATE_EPOCH, in seconds.

    Raises:
        ReleaseError: it failed; with what it printed.
    """
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)} if epoch else None
    ended = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
        stdin=subprocess.DEVNULL,
    )
    if ended.returncode:
        said = (ended.stdout + ended.stderr).strip()
        raise ReleaseError(f"`{Path(command[0]).name} {' '.join(map(str, command[1:]))}` failed:\n{said}")
    return ended.stdout


def commit_time(root: Path) -> int:
    """When the present commit was made, in seconds since the epoch: the time of all that is built of it."""
    return int(run("git", "log", "-1", "--format=%ct", cwd=root))


def build(root: Path, into: Path) -> list[Path]:
    """The source distribution and the wheel of the present commit, checked, in the folder `into`.

    The second wheel is made of the source distribution, so that one comparison shows that a build depends on nothing
    but the commit, and that the source distribution is complete.

    Raises:
        ReleaseError: there are changes that are not committed, two builds differ, or a check has a complaint.
    """
    if changed := run("git", "status", "--porcelain", cwd=root).rstrip():
        raise ReleaseError(f"nothing was built: these changes are not committed. Commit or remove them:\n{changed}")
    epoch = commit_time(root)
    with tempfile.TemporaryDirectory() as scratch:
        first, second = Path(scratch, "first"), Path(scratch, "second")
        for folder in first, second:
            folder.mkdir()
            run("git", "archive", "--output", folder / "source.tar", "HEAD", cwd=root)
            _unpack(folder / "source.tar", folder / "source")
        _hatch("sdist", first / "source", first / "dist", epoch)
        _unpack(_hatch("sdist", second / "source", second / "dist", epoch), second / "sdist")
        (source,) = (second / "sdist").iterdir()
        _hatch("wheel", first / "source", first / "dist", epoch)
        _hatch("wheel", source, second / "dist", epoch)
        _compare(first / "dist", second / "dist")
        files = sorted((first / "dist").iterdir())
        _check(files, root)
        into.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copy(file, into / file.name)) for file in files]


def _unpack(archive: Path, into: Path) -> None:
    with tarfile.open(archive) as opened:
        opened.extractall(into, filter="data")


def _hatch(target: str, source: Path, into: Path, epoch: int) -> Path:
    before = set(into.iterdir()) if into.exists() else set()
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", into, cwd=source, epoch=epoch)
    (made,) = set(into.iterdir()) - before
    return made


def _compare(first: Path, second: Path) -> None:
    names = {path.name for folder in (first, second) for path in folder.iterdir()}
    for name in sorted(names):
        one, other = first / name, second / name
        if not (one.exists() and other.exists() and one.read_bytes() == other.read_bytes()):
            raise ReleaseError(
                f"two builds of {name} differ: nothing was kept. Find what it depends on beside the commit."
            )


def _check(files: list[Path], root: Path) -> None:
    tools = Path(sys.executable).parent
    run(tools / "twine", "check", "--strict", *files, cwd=root)
    wheels = [file for file in files if file.suffix == ".whl"]
    run(tools / "check-wheel-contents", "--no-config", *wheels, cwd=root)
