"""What a wheel says of itself."""

import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

from packaging.requirements import Requirement


def metadata(wheel: Path) -> Message:
    """Its METADATA."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def requirements(wheel: Path, *extras: str) -> set[str]:
    """The packages that it asks for by itself, with these extras."""
    asked = map(Requirement, metadata(wheel).get_all("Requires-Dist", ()))
    wanted = (one for one in asked if not one.marker or any(one.marker.evaluate({"extra": extra}) for extra in extras))
    return {one.name for one in wanted}
