"""Whether a tag, the version in pyproject.toml and the changelog agree."""

import re
import tomllib
from datetime import date
from pathlib import Path

from .errors import ReleaseError


def version(root: Path) -> str:
    """The version that pyproject.toml has."""
    project: dict[str, str] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["version"]


def notes(root: Path, tag: str) -> str:
    """The changelog's section for the tag `v<version>`.

    Raises:
        ReleaseError: the three don't agree: all that is wrong, a line each.
    """
    present = version(root)
    faults = []
    if tag != f"v{present}":
        faults.append(f"the tag is {tag!r}, and pyproject.toml has version {present}; expected the tag v{present}.")
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {re.escape(present)}(?: — (.*))?\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if section is None:
        faults.append(f"CHANGELOG.md has no section `## {present} — YYYY-MM-DD`; write it.")
    else:
        if not _is_date(section[1] or ""):
            faults.append(f"CHANGELOG.md dates {present} {section[1] or ''!r}; expected `## {present} — YYYY-MM-DD`.")
        if not section[2].strip():
            faults.append(f"CHANGELOG.md says nothing of {present}; write what a user notices.")
    if faults or section is None:
        raise ReleaseError("\n".join(["this is no release; nothing was built.", *(f"  {one}" for one in faults)]))
    return section[2].strip() + "\n"


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
