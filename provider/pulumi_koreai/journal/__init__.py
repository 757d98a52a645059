"""What was sent for each model, on disk: no death of a process loses a job that was begun.

A state says what a command recorded at its end. A journal says what was sent meanwhile, so the next call for a model,
in any process that finds the file, knows of a job of which the state knows nothing. It is told which job to ask for;
how that job ended only the platform tells.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from .calls import Attempt, CallTrace, Kind, Line
from .file import Journal, Journals, Trouble, TroubleKind

__all__ = [
    "JOURNAL_ENV",
    "Attempt",
    "CallTrace",
    "Journal",
    "Journals",
    "Kind",
    "Line",
    "Trouble",
    "TroubleKind",
    "journal_folder",
]

JOURNAL_ENV: Final = "KOREAI_JOURNAL"
"""Names the folder of the journals."""


def journal_folder(environment: Callable[[str], str | None]) -> Path:
    """The folder of the journals: the one that the environment names, else one in the working directory.

    Args:
        environment: the text of a variable.
    """
    return Path(environment(JOURNAL_ENV) or ".koreai").absolute()
