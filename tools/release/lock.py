"""requirements.lock: which packages a set of roots needs, and as which files."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement


@dataclass(frozen=True)
class Entry:
    """A pinned package.

    Attributes:
        requirement: the pin, with its marker.
        hashes: `sha256:…` of each of its files.
        needed_by: whose need it is in the lock for.
    """

    requirement: Requirement
    hashes: tuple[str, ...]
    needed_by: frozenset[str]

    def __str__(self) -> str:
        return " \\\n    ".join([str(self.requirement), *(f"--hash={one}" for one in self.hashes)])


@dataclass(frozen=True)
class Lock:
    """A set of pinned packages; as text it is a requirements file with hashes.

    Attributes:
        entries: the packages; one with two versions, for different Pythons, is there twice.
    """

    entries: tuple[Entry, ...]

    @classmethod
    def read(cls, path: Path) -> "Lock":
        """What the file pins."""
        blocks = re.split(r"^(?=[^\s#])", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        return cls(tuple(_entry(block) for block in blocks))

    def of(self, roots: set[str]) -> "Lock":
        """The part for these packages and all that they need."""
        names = set(roots)
        while more := {one.requirement.name for one in self.entries if one.needed_by & names} - names:
            names |= more
        return Lock(tuple(one for one in self.entries if one.requirement.name in names))

    def where(self, environment: Mapping[str, str]) -> "Lock":
        """The part for one platform and Python, without the markers: pip reads those for the Python that it runs in."""
        kept = []
        for one in self.entries:
            requirement = Requirement(str(one.requirement))
            requirement.marker = None
            if one.requirement.marker is None or one.requirement.marker.evaluate(dict(environment)):
                kept.append(Entry(requirement, one.hashes, one.needed_by))
        return Lock(tuple(kept))

    def __str__(self) -> str:
        return "".join(f"{one}\n" for one in self.entries)


def _entry(block: str) -> Entry:
    return Entry(
        Requirement(block.partition("\\")[0].strip()),
        tuple(re.findall(r"--hash=(\S+)", block)),
        frozenset(re.findall(r"^    #(?: via|  ) (\S+)", block, re.MULTILINE)),
    )
