"""`koreai doctor`."""

import os
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from ..base.status import ExitStatus
from ..pipeline.diagnosis import findings_json, findings_lines, has_problem
from ..pipeline.doctor import diagnose
from .output import as_json
from .stacks import SelectedStackArgument

MORE: Final = """
Examples:
  koreai doctor
  koreai doctor prod --format json | jq '.[] | select(.verdict == "problem")'

It changes nothing: the platform is asked once, for a job that does not exist. Exit status: 0 a stack can be brought
up; 1 something has to be done before.
"""


def command(
    stack: SelectedStackArgument = None,
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="Of what is found.")] = "text",
) -> ExitStatus:
    """Look at all of it."""
    found = diagnose(Path(), os.environ, stack)
    lines = "".join(f"{line}\n" for line in findings_lines(found))
    typer.echo(as_json(findings_json(found)) if form == "json" else lines, nl=False)
    return ExitStatus.FAILED if has_problem(found) else ExitStatus.DONE
