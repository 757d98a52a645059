"""Breaks the package one line at a time and runs the tests that are to see it.

`mutants.toml` lists the mutants: the line before and after, why it matters, and the tests, all of them in `make test`.
Everything happens in copies of the checkout. Exit status 1: a mutant survived, or the tests are red without one.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
# A test failed; or a module that is broken can't be imported. Not: no test was found, or a wrong name of one.
_RED: Final = (1, 2)
LIST: Final = Path(__file__).with_name("mutants.toml")


@dataclass(frozen=True)
class Mutant:
    """One way to break the code.

    Attributes:
        name: what it breaks.
        file: below `provider/pulumi_koreai`.
        old: the text that is broken; once in the file.
        new: what it is replaced by.
        why: what a user would lose.
        tests: files, or tests in them, that see it.
    """

    name: str
    file: str
    old: str
    new: str
    why: str
    tests: list[str]

    @property
    def path(self) -> Path:
        """The file, from the top of a checkout."""
        return Path("provider", "pulumi_koreai", self.file)

    def broken(self, source: str) -> str:
        """The file's text with the mutant in it.

        Raises:
            ValueError: the old text is not there once.
        """
        if source.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.file} has its text {source.count(self.old)} times, not once")
        return source.replace(self.old, self.new)


def listed() -> list[Mutant]:
    """All the mutants."""
    return [Mutant(name=name, **facts) for name, facts in tomllib.loads(LIST.read_text(encoding="utf-8")).items()]


@contextmanager
def copies(count: int) -> Iterator["Queue[Path]"]:
    """Copies of the checkout, uncommitted changes included."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    free: Queue[Path] = Queue()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        for number in range(count):
            copy = Path(folder, str(number))
            for file in files:
                if (ROOT / file).is_file():
                    (copy / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / file, copy / file)
            free.put(copy)
        yield free


def red(copy: Path, tests: Sequence[str]) -> str:
    """What the tests in a copy say when one fails; "" when all pass."""
    paths = [copy / "provider", copy, copy / "tools"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not nightly", *tests]
    ended = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, check=False)
    said = ended.stdout[-2000:] + ended.stderr[-500:]
    if ended.returncode not in (0, *_RED):
        raise RuntimeError(f"pytest ended with {ended.returncode}, so nothing was seen:\n{said}")
    return said if ended.returncode else ""


def survives(mutant: Mutant, free: "Queue[Path]") -> bool:
    """Whether no test sees the mutant. Prints the outcome."""
    copy = free.get()
    file, began = copy / mutant.path, time.monotonic()
    source = file.read_text(encoding="utf-8")
    try:
        file.write_text(mutant.broken(source), encoding="utf-8")
        seen = red(copy, mutant.tests)
    finally:
        file.write_text(source, encoding="utf-8")
        free.put(copy)
    print(
        f"{'killed  ' if seen else 'SURVIVED'} {time.monotonic() - began:5.1f} s  {mutant.file}: {mutant.name}",
        flush=True,
    )
    return not seen


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="mutants by a part of their name or file; all of them when left out")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="how many at once (%(default)s)")
    options = parser.parse_args(arguments)
    chosen = [
        one for one in listed() if not options.names or any(part in f"{one.file}: {one.name}" for part in options.names)
    ]
    with copies(options.jobs) as free:
        copy = free.get()
        if failed := red(copy, sorted({test for mutant in chosen for test in mutant.tests})):
            print(f"The tests are red without a mutant:\n{failed}")
            return 1
        free.put(copy)
        with ThreadPoolExecutor(options.jobs) as pool:
            survivors = list(pool.map(lambda mutant: survives(mutant, free), chosen))
    print(f"{len(chosen) - sum(survivors)} of {len(chosen)} mutants were seen")
    return 1 if any(survivors) or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
