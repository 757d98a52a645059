"""What was sent for each model, on disk: no death of a process loses a job that was begun.

A state says what a command recorded at its end. A journal says what was sent meanwhile, so the next call for a model,
in any process that finds the file, knows of a job of which the state knows nothing. It is told which job to ask for;
how that job ended only the platform tells.
"""

from typing import Final

from .calls import Attempt, CallTrace, Kind, Line
from .file import Journal, Journals, Trouble, TroubleKind

__all__ = [
    "FOLDER",
    "JOURNAL_ENV",
    "Attempt",
    "CallTrace",
    "Journal",
    "Journals",
    "Kind",
    "Line",
    "Trouble",
    "TroubleKind",
]

JOURNAL_ENV: Final = "KOREAI_JOURNAL"
"""Names the folder of the journals."""
FOLDER: Final = ".koreai"
"""That folder, in the project's own, where the environment names none."""
