"""How reports and errors are shown: as the terminal has it, as Markdown for a pipe, as JSON for a script."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Final, Literal

import typer

from ..base.status import ExitStatus
from ..pipeline.engine import say
from ..pipeline.stack import Outcome
from ..report.as_json import report_as_json

Format = Literal["terminal", "markdown", "json"]

FormatOption = Annotated[
    Format | None,
    typer.Option("--format", help="Of the report; by default as the terminal shows it, and Markdown in a pipe."),
]

STATUSES: Final = """\
Exit status: 0 done; 1 failed; 2 the command line is wrong, or a file can't be read; 3 it differs, or is refused.
"""


def show(markdown: str, data: Callable[[], object], chosen: Format | None) -> None:
    """Print a report.

    Args:
        markdown: the report.
        data: makes the same as JSON.
        chosen: how it is wanted; None: by where it goes.
    """
    match chosen or ("terminal" if sys.stdout.isatty() else "markdown"):
        case "json":
            say(as_json(data()), sys.stdout)
        case "markdown":
            say(markdown, sys.stdout)
        case "terminal":
            from ..report import terminal  # noqa: PLC0415 - rich is slow to import, and no pipeline needs it

            say(terminal.laid_out(markdown, sys.stdout), sys.stdout)


def shower(chosen: Format | None) -> Callable[[str, Sequence[Outcome]], None]:
    """What shows a pipeline's reports."""

    def show_outcomes(report: str, outcomes: Sequence[Outcome]) -> None:
        show(f"{report}\n", lambda: [_outcome(one) for one in outcomes], chosen)

    return show_outcomes


def _outcome(outcome: Outcome) -> dict[str, object]:
    found = outcome.digest or outcome.run
    return {
        "stack": outcome.stack,
        "failed": outcome.failed,
        "refused": outcome.refused,
        "changes": outcome.changes,
        "summary": outcome.summary,
        "report": report_as_json(found) if found else None,
    }


def as_json(data: object) -> str:
    """As a script reads it."""
    return json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n"


def give_up(error: object, status: ExitStatus = ExitStatus.FAILED) -> ExitStatus:
    """Say why something can't be done; the exit status."""
    typer.echo(f"error: {error}", err=True)
    return status
