"""`koreai adopt`."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from ..api.errors import ConfigError
from ..api.messages import clean
from ..base.progress import Note, Progress, formatted
from ..base.status import ExitStatus
from ..core.spec import FileSpec, descriptions, file_spelling
from ..pipeline.adoption import (
    Adoption,
    adopt,
    adoption_of,
    adoption_remarks,
    entries_yaml,
    settings_for_adoption,
)
from ..pipeline.project_engine import EngineFailed, ProjectEngine
from ..stackfile.adopt import CantInsert, NoExport, insert_into, read_export
from ..stackfile.project import Project, ProjectError
from ..stackfile.terms import PULUMI
from .output import give_up
from .stacks import StackOption

MORE: Final = """
Examples:
  koreai adopt cm-77… --stack prod
  koreai adopt cm-77… cm-88… >entries.yaml
  koreai adopt cm-77… --export deployconfig.json --name support-chat --stack prod
  unzip -p export.zip '*deployconfig.json' | koreai adopt cm-77… --export -

The platform is asked for the models' exports, which changes nothing, with the host and the key of the stack, else of
the one that is selected, else of KOREAI_HOST and KOREAI_API_KEY. With --export nothing is sent. Each entry has
`adopt: true`. Exit status: 0 done; 1 an export can't be had, or something has to be filled in by hand, and nothing is
put into a file; 2 the command line is wrong, or a file can't be used.
"""
_DESCRIBED: Final = descriptions(FileSpec, file_spelling)
_OF_ONE: Final = "--export, --name and --deployment-name are for one model alone"


def command(
    model_ids: Annotated[list[str], typer.Argument(metavar="MODEL_ID", help=_DESCRIBED["model_id"])],
    name: Annotated[
        str | None, typer.Option(help="The entry's name: that of the resource in the stack. (The deployment's.)")
    ] = None,
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
    """Write the entries."""
    wanted = list(dict.fromkeys(model_ids))
    if len(wanted) > 1 and (name or export or deployment_name):
        raise typer.BadParameter(_OF_ONE)
    try:
        file = Project.read().stack_file(stack) if stack else None
        if export:
            found = read_export(_text(export))
            adoptions = [adoption_of(found, wanted[0], name, deployment_name, model_type)]
        else:
            engine = ProjectEngine.find(Path())
            settings = settings_for_adoption(engine, stack, os.environ)
            with _progress() as line:
                adoptions = adopt(
                    settings,
                    wanted,
                    name=name,
                    deployment_name=deployment_name,
                    model_type=model_type,
                    reporter=line,
                )
    except ProjectError as error:
        return give_up(error, ExitStatus.USAGE)
    except OSError as error:
        return give_up(f"{clean(export or '')}: can't be opened: {error.strerror}", ExitStatus.USAGE)
    except (NoExport, UnicodeDecodeError) as error:
        return give_up(f"{clean(export or '')}: {error}", ExitStatus.USAGE)
    except ConfigError as error:
        return give_up(PULUMI.error(error))
    except EngineFailed as error:
        return give_up(error)
    return _written(adoptions, file)


def _written(adoptions: Sequence[Adoption], file: Path | None) -> ExitStatus:
    """Print the entries, or put them into the file where all of them can stand there as they are."""
    for line in adoption_remarks(adoptions):
        typer.echo(line, err=True)
    complete = all(one.complete for one in adoptions)
    if file is None or not complete:
        typer.echo(entries_yaml(adoptions), nl=False)
    if not complete:
        return ExitStatus.FAILED
    if file is not None:
        try:
            insert_into(file, {one.name: one.entry for one in adoptions})
        except CantInsert as error:
            return give_up(f"{file}: nothing was written: {error}", ExitStatus.USAGE)
    typer.echo("Compare it with the console: what is written must be what runs.", err=True)
    return ExitStatus.DONE


def _text(export: str) -> str:
    return sys.stdin.read() if export == "-" else Path(export).read_text(encoding="utf-8")


class _Line:
    """Reports on a line of the terminal; on nothing where there is no terminal."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show

    def progress(self, progress: Progress) -> None:
        self._show(formatted(progress))

    def note(self, note: Note) -> None:
        pass


@contextmanager
def _progress() -> Iterator[_Line]:
    """The line for the exports' progress."""
    from rich.console import Console  # noqa: PLC0415 - rich is slow to import
    from rich.text import Text  # noqa: PLC0415

    with Console(stderr=True).status("exporting") as status:
        yield _Line(lambda text: status.update(Text(text)))
