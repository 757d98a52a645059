"""`koreai init`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from ..api.messages import clean
from ..base.status import ExitStatus
from ..pipeline.init import (
    DEV_STACK,
    CiSystem,
    InitError,
    InitOutcome,
    KeptFile,
    NameRefusedError,
    NewProject,
    init_project,
)
from ..pipeline.requirements import REQUIREMENTS_FILE, PackageError
from .output import give_up

MORE: Final = """
Examples:
  koreai init models
  koreai init --stack production --ci github --policy
  koreai init --package dist/pulumi_koreai-0.1.0-py3-none-any.whl

No file is overwritten: of one that is there and differs, it prints what it would have written. Exit status: 0 done; 1 a
file can't be read or written; 2 the command line is wrong.
"""
_MAX_LINES: Final = 40


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project's folder.")] = Path(),
    name: Annotated[str | None, typer.Option(help="The project's name; the folder's by default.")] = None,
    stack: Annotated[str, typer.Option(metavar="STACK", help="The first one; dev is for the emulator.")] = DEV_STACK,
    ci: Annotated[CiSystem, typer.Option(help="Whose pipelines are written.")] = "none",
    policy: Annotated[bool, typer.Option("--policy", help="Write the policy pack too.")] = False,
    package: Annotated[
        str | None,
        typer.Option(
            metavar="WHEEL|GIT",
            help="Where pulumi-koreai comes from, if not from pip's index: a wheel's file, or git+https://…@COMMIT.",
        ),
    ] = None,
) -> ExitStatus:
    """Write it."""
    try:
        outcome = init_project(NewProject(folder, name, stack, ci, policy, package))
    except PackageError as error:
        return give_up(f"--package: {error}", ExitStatus.USAGE)
    except NameRefusedError as error:
        return give_up(error, ExitStatus.USAGE)
    except InitError as error:
        return give_up(error)
    for line in _lines(outcome):
        typer.echo(line)
    return ExitStatus.DONE


def _lines(outcome: InitOutcome) -> Iterator[str]:
    yield from (f"wrote {path}" for path in outcome.written)
    for kept in outcome.kept:
        if kept.path != "Pulumi.yaml":
            yield from _kept(kept)
    if outcome.host:
        yield "Pulumi.yaml is there, and stays as it is. Add these lines, so that the engine finds this package's host:"
        yield from _indented(outcome.host)
    if outcome.no_hash and REQUIREMENTS_FILE in outcome.written:
        yield f"{REQUIREMENTS_FILE} has versions without hashes, which no pipeline takes: the index of pip gave none:"
        yield f"    {clean(str(outcome.no_hash))}"
        yield "Remove it and run this again, with the index within reach or with --package."
    if outcome.written:
        known = "README.md" in outcome.written
        yield "README.md has the next steps." if known else f"Next: koreai check {outcome.stack}"


def _kept(kept: KeptFile) -> Iterator[str]:
    if not kept.text:
        yield f"{kept.path} is there, differs, and stays as it is."
        return
    yield f"{kept.path} is there, and stays as it is. It would have been:"
    yield from _indented(kept.text)


def _indented(text: str) -> Iterator[str]:
    lines = text.splitlines()
    yield from (f"    {line}".rstrip() for line in lines[:_MAX_LINES])
    if len(lines) > _MAX_LINES:
        yield f"    … ({len(lines) - _MAX_LINES} more lines; in an empty folder it is written)"
