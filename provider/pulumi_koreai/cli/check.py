"""`koreai check`."""

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from ..base.status import ExitStatus
from ..stackfile.check import CheckedFiles, check_files
from ..stackfile.project import Project, ProjectError, is_file
from .output import as_json, give_up
from .stacks import known_stacks

MORE: Final = """
Examples:
  koreai check                                  all stacks of the project in this folder
  koreai check prod                             one of them
  koreai check --since origin/main stacks/*.yaml

It needs no engine and no key. Exit status: 0 without an error; 1 with one; 2 when a file or the revision can't be read.
"""
_FILES: Final = (".yaml", ".yml")


def command(
    stacks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STACK|FILE",
            help="Names of stacks, or files as stacks/Pulumi.prod.yaml; all stacks of the project by default.",
            autocompletion=known_stacks,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="REVISION",
            help="Of git, as origin/main: also find models that have moved from one file to another since then.",
        ),
    ] = None,
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="Of the errors.")] = "text",
) -> ExitStatus:
    """Check them."""
    try:
        checked = check_files(_files(stacks or []), since)
    except ProjectError as error:
        return give_up(error, ExitStatus.USAGE)
    typer.echo(as_json(_data(checked)) if form == "json" else "".join(f"{line}\n" for line in checked.lines), nl=False)
    for line in checked.remarks:
        typer.echo(line, err=True)
    if checked.unreadable:
        return ExitStatus.USAGE
    return ExitStatus.FAILED if checked.faults else ExitStatus.DONE


def _files(names: list[str]) -> list[str]:
    """The files that are meant.

    Raises:
        ProjectError: a name is neither a file's nor a stack's.
    """
    if not names:
        project = Project.read()
        if not (files := project.stack_files()):
            raise ProjectError(f"no stack's file in {project.stack_folder}. Make one with `pulumi stack init`.")
        return list(map(str, files))
    given = {name: name.endswith(_FILES) or is_file(Path(name)) for name in names}
    return [name if given[name] else str(Project.read().stack_file(name)) for name in names]


def _data(checked: CheckedFiles) -> list[dict[str, object]]:
    return [
        {"file": file, "line": finding.place.line, "column": finding.place.column, "error": finding.text}
        for file, finding in checked.faults
    ]
