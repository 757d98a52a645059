"""`koreai adopt`."""

import sys
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from ..api.messages import clean
from ..base.status import ExitStatus
from ..core.spec import FileSpec, descriptions, file_spelling
from ..stackfile.adopt import CantInsert, Export, NoExport, as_yaml, entry_of, insert_into, read_export
from ..stackfile.project import Project, ProjectError
from .output import give_up
from .stacks import StackOption

MORE: Final = """
Examples:
  koreai adopt cm-77… --export deployconfig.json --name support-chat --stack prod
  unzip -p export.zip '*deployconfig.json' | koreai adopt cm-77… --export - --name support-chat

The entry has `adopt: true`. Without an export it is a form, with `null` where something has to be filled in. Exit
status: 0 done; 1 something has to be filled in by hand, and nothing is put into a file; 2 a file can't be used.
"""
_DESCRIBED: Final = descriptions(FileSpec, file_spelling)


def command(
    model_id: Annotated[str, typer.Argument(metavar="MODEL_ID", help=_DESCRIBED["model_id"])],
    name: Annotated[str, typer.Option(help="The entry's name: that of the resource in the stack.")],
    export: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The deployconfig.json of the model's export; - is the standard input."),
    ] = None,
    deployment_name: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"{_DESCRIBED['deployment_name']} (The export's.)")
    ] = None,
    model_type: Annotated[
        Literal["openSource", "fineTune"] | None, typer.Option(help=f"{_DESCRIBED['model_type']} (The export's.)")
    ] = None,
    stack: StackOption = None,
) -> ExitStatus:
    """Write the entry."""
    try:
        file = Project.read().stack_file(stack) if stack else None
        found = read_export(_text(export)) if export else Export()
    except ProjectError as error:
        return give_up(error, ExitStatus.USAGE)
    except OSError as error:
        return give_up(f"{clean(export or '')}: can't be opened: {error.strerror}", ExitStatus.USAGE)
    except (NoExport, UnicodeDecodeError) as error:
        return give_up(f"{clean(export or '')}: {error}", ExitStatus.USAGE)
    entry, faults = entry_of(found, model_id, deployment_name, model_type)
    remarks = [
        *(f"left out, as it is no parameter of a deployment: {path}" for path in found.not_known),
        *(f"left out, as the export has several values for it: {path}" for path in found.unclear),
        *(f"to be filled in by hand: {fault}" for fault in faults),
    ]
    for line in remarks:
        typer.echo(line, err=True)
    if faults or file is None:
        typer.echo(as_yaml(name, entry), nl=False)
    if faults:
        return ExitStatus.FAILED
    if file is not None:
        try:
            insert_into(file, name, entry)
        except CantInsert as error:
            return give_up(f"{file}: nothing was written: {error}", ExitStatus.USAGE)
    typer.echo("Compare it with the console: what is written must be what runs.", err=True)
    return ExitStatus.DONE


def _text(export: str) -> str:
    return sys.stdin.read() if export == "-" else Path(export).read_text(encoding="utf-8")
