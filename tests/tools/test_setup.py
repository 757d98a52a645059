"""`tools/setup.sh` in a clone of its own with Pythons made of small scripts, and what the real set-up installed."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

USED = ["cat", "cksum", "cp", "dirname", "head", "ln", "mkdir", "mv", "readlink", "rm", "sleep", "touch", "tr"]

# Answers the questions of the script as a Python of `version` would, and records what it is asked to install.
PYTHON = """#!/bin/sh
case "$*" in
*version_info*) exit {too_old} ;;
*ensurepip*) exit {no_venv} ;;
--version) echo "Python 3.12.0" ;;
"-m venv .venv")
    mkdir -p .venv/bin
    cp "$0" .venv/bin/python
    ;;
"-m pip "*)
    echo "$*" >>"$CALLS"
    {during_pip}
    ;;
esac
"""


@dataclass
class Clone:
    """A copy of what the set-up reads, with a PATH of its own."""

    folder: Path
    bin: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def has_python(
        self, name: str = "python3", *, too_old: bool = False, no_venv: bool = False, during_pip: str = ":"
    ) -> Path:
        python = self.bin / name
        python.write_text(PYTHON.format(too_old=int(too_old), no_venv=int(no_venv), during_pip=during_pip))
        python.chmod(0o755)
        return python

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": str(self.bin), "CALLS": str(self.folder.parent / "calls")}

    def start(self, **env: str) -> subprocess.Popen[str]:
        script = str(self.folder / "tools" / "setup.sh")
        pipe = subprocess.PIPE
        whole = {**self.env, **env}
        process = subprocess.Popen(
            ["/bin/sh", script], env=whole, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )
        self.started.append(process)
        return process

    def run(self, **env: str) -> tuple[int, str]:
        """The exit status and stderr."""
        process = self.start(**env)
        _, err = process.communicate(timeout=60)
        return process.returncode, err

    @property
    def installs(self) -> list[str]:
        calls = self.folder.parent / "calls"
        return calls.read_text().splitlines() if calls.exists() else []


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Clone]:
    made = Clone(tmp_path / "a clone", tmp_path / "bin")
    (made.folder / "tools").mkdir(parents=True)
    for name in "tools/setup.sh", "requirements.lock", "pyproject.toml":
        shutil.copy(ROOT / name, made.folder / name)
    made.bin.mkdir()
    for program in USED:
        found = shutil.which(program)
        assert found
        (made.bin / program).symlink_to(found)
    yield made
    for process in made.started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


INSTALLS = [
    "-m pip install --quiet --require-hashes -r requirements.lock",
    "-m pip install --quiet --no-build-isolation --no-deps --editable .",
]


def test_the_first_time_installs_what_is_locked_and_the_second_nothing(clone: Clone) -> None:
    clone.has_python()
    status, err = clone.run()
    assert (status, err) == (0, "setting up .venv with Python 3.12.0 (a minute or so) ...\n")
    assert clone.installs == INSTALLS
    assert clone.run() == (0, "")
    assert clone.installs == INSTALLS
    assert not (clone.folder / ".venv.lock").is_symlink()


def test_a_changed_lock_begins_anew_and_a_changed_pyproject_installs_the_project_again(clone: Clone) -> None:
    clone.has_python()
    clone.run()
    with (clone.folder / "pyproject.toml").open("a") as file:
        file.write("\n")
    assert clone.run() == (0, "")
    assert clone.installs == [*INSTALLS, INSTALLS[1]]
    (clone.folder / ".venv" / "of the old lock").touch()
    with (clone.folder / "requirements.lock").open("a") as file:
        file.write("\n")
    assert clone.run()[0] == 0
    assert clone.installs == [*INSTALLS, INSTALLS[1], *INSTALLS]
    assert not (clone.folder / ".venv" / "of the old lock").exists()


def test_a_clone_that_was_moved_begins_anew(clone: Clone) -> None:
    clone.has_python()
    clone.run()
    moved = Clone(clone.folder.rename(clone.folder.with_name("moved")), clone.bin)
    assert moved.run()[0] == 0
    assert moved.installs == [*INSTALLS, *INSTALLS]


def test_a_venv_whose_python_is_gone_begins_anew(clone: Clone) -> None:
    clone.has_python()
    clone.run()
    (clone.folder / ".venv" / "bin" / "python").unlink()
    assert clone.run()[0] == 0
    assert clone.installs == [*INSTALLS, *INSTALLS]


def test_the_newest_python_is_taken_and_one_that_will_not_do_is_passed_over(clone: Clone) -> None:
    clone.has_python("python3.14", no_venv=True)
    clone.has_python("python3.13", too_old=True)  # as a version manager's stand-in that fails
    clone.has_python("python3.12")
    broken = clone.has_python("python3")
    broken.write_text("#!/bin/sh\nexit 9\n")
    assert clone.run()[0] == 0


@pytest.mark.parametrize(
    "too_old, no_venv, named, words",
    [
        (True, False, False, "no Python 3.11 or later on the PATH (tried python3.14 to python3.11 and python3)."),
        (False, True, False, "python3 comes without its venv and ensurepip modules. On Debian and Ubuntu: apt install"),
        (True, False, True, "is not a Python 3.11 or later that runs."),
        (False, True, True, "comes without its venv and ensurepip modules."),
    ],
    ids=["too old", "Debian's without venv", "named and too old", "named and without venv"],
)
def test_without_a_python_one_message_says_what_to_do(
    clone: Clone, too_old: bool, no_venv: bool, named: bool, words: str
) -> None:
    python = clone.has_python(too_old=too_old, no_venv=no_venv)
    status, err = clone.run(PYTHON=str(python)) if named else clone.run()
    assert status == 1
    assert words in err
    assert err.startswith("set-up failed: ")
    assert err.count("\n") == 1
    assert not (clone.folder / ".venv").exists()


def test_a_python_that_is_named_is_the_only_one_asked(clone: Clone) -> None:
    clone.has_python()
    status, err = clone.run(PYTHON="/no/python")
    assert (status, err) == (1, "set-up failed: PYTHON=/no/python is not a Python 3.11 or later that runs.\n")


def test_a_failed_install_is_not_believed_to_be_good(clone: Clone) -> None:
    clone.has_python(during_pip="echo no network >&2; exit 1")
    status, err = clone.run()
    assert status == 1
    assert "no network\nset-up failed: the locked packages could not be installed" in err
    clone.has_python()
    assert clone.run()[0] == 0
    assert clone.installs == [INSTALLS[0], *INSTALLS]


def test_an_interrupted_set_up_is_begun_again(clone: Clone) -> None:
    # One process, as pip is: a signal between a shell's fork and its child's exec would miss the child.
    clone.has_python(during_pip="exec sleep 600")
    process = clone.start()
    deadline = time.monotonic() + 30
    while not clone.installs:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # As a terminal does: to the whole group.
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not (clone.folder / ".venv.lock").is_symlink()
    clone.has_python()
    assert clone.run()[0] == 0
    assert clone.installs == [INSTALLS[0], *INSTALLS]


def test_two_at_once_set_up_once_and_a_killed_owner_stops_nobody(clone: Clone) -> None:
    clone.has_python(during_pip='while [ ! -e "$CALLS.go-on" ]; do sleep 0.02; done')
    first = clone.start()
    deadline = time.monotonic() + 30
    while not clone.installs:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    second = clone.start()
    assert second.stderr is not None
    assert second.stderr.readline() == f"waiting for another set-up of this clone (process {first.pid}) ...\n"
    Path(f"{clone.env['CALLS']}.go-on").touch()
    for process in first, second:
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert clone.installs == INSTALLS

    (clone.folder / ".venv" / ".ready").unlink()
    (clone.folder / ".venv.lock").symlink_to(str(first.pid))
    assert clone.run()[0] == 0


# What is locked and what the set-up of this very clone installed


RUN_TIME = ("pulumi", "requests", "pydantic", "aiohttp", "tf")


@pytest.mark.parametrize(
    "lock, wanted",
    [
        ("requirements.lock", (*RUN_TIME, "hatchling", "pytest", "ruff", "mypy")),
        ("requirements-oldest.lock", RUN_TIME),
    ],
)
def test_everything_locked_has_hashes_and_no_address(lock: str, wanted: tuple[str, ...]) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|--index|--find-links|@ file", text)
    names = re.findall(r"(?m)^([a-z0-9-]+)==", text)
    assert len(names) == len(re.findall(r"(?m)^[a-z0-9-]+==\S+.* \\\n    --hash=sha256:", text))
    assert set(wanted) <= set(names)


def test_the_oldest_packages_are_those_that_pyproject_allows() -> None:
    """A bound that no set of packages reaches would promise what nothing has tested."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    lock = (ROOT / "requirements-oldest.lock").read_text()
    for requirement in declared:
        name, bound = requirement.partition(",")[0].split(">=")
        # Where there is a second version it is for a newer Python, which the first was not made for.
        locked = re.search(rf"(?m)^{name}==(\S+)", lock)
        assert locked, requirement
        assert f"{locked[1]}.".startswith(f"{bound}."), f"{requirement}: {locked[1]}"


def test_the_language_host_is_told_that_the_package_is_no_plugin() -> None:
    """Else each command asks the network for a plugin of that name: seconds, and none of anyone's business."""
    beside_the_metadata = metadata.distribution("pulumi-koreai").locate_file("pulumi_koreai/pulumi-plugin.json")
    assert json.loads(Path(str(beside_the_metadata)).read_text()) == {"resource": False}
