"""The argument STACK: its help, and the names that a shell completes."""

from typing import Annotated

import typer

from ..stackfile.project import Project, ProjectError


def known_stacks(incomplete: str) -> list[str]:
    """The project's stacks, for the shell."""
    try:
        return [name for name in Project.read().stacks() if name.startswith(incomplete)]
    except ProjectError:
        return []


StackArgument = Annotated[
    str, typer.Argument(metavar="STACK", help="The stack's name, as `prod`.", autocompletion=known_stacks)
]
StackArguments = Annotated[
    list[str], typer.Argument(metavar="STACK", help="The stacks' names, as `prod`.", autocompletion=known_stacks)
]
SelectedStackArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="STACK", help="The stack's name, as `prod`; the selected one by default.", autocompletion=known_stacks
    ),
]
AllStacksArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="STACK",
        help="The stacks' names, as `prod`; all stacks of the project by default.",
        autocompletion=known_stacks,
    ),
]
StackOption = Annotated[
    str | None,
    typer.Option(metavar="STACK", help="Put the entries into its file (print them).", autocompletion=known_stacks),
]
