"""What is said of an entry out of an export: what was left out of it, and what is still to be filled in."""

from collections.abc import Iterable

from ..core.faults import DeclarationFault
from .adopt import Export


def remarks(export: Export, faults: Iterable[DeclarationFault], source: str) -> list[str]:
    """A line for each thing.

    Args:
        export: what was found.
        faults: what is missing in the entry, or wrong.
        source: what the export is called.
    """
    return [
        *(f"left out, as it is no parameter of a deployment: {path}" for path in export.not_known),
        *(f"left out, as {source} has several values for it: {path}" for path in export.unclear),
        *(f"to be filled in by hand: {fault}" for fault in faults),
    ]
