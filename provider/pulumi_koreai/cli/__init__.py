"""`koreai`: one program. A command is a line of `COMMANDS` and a module of its name here, with a function `command`.

The module is imported when its command is asked for: `koreai --help` pays for no other. `command` is a typer function,
thin: it takes the options, calls a plain function of a room below and returns the exit status. `MORE` of the module is
what its help has below the options: examples first.

    output       how reports and errors are shown
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

COMMANDS: Final = {
    "init": "Write the files of a project. Overwrites nothing.",
    "check": "List all the errors of stack files, as file:line:column.",
    "preview": "Show what `up` would do. Sends nothing.",
    "up": "Bring a stack to what is declared, and report on it.",
    "drift": "Look whether a stack is as declared.",
    "status": "Show each model's state, and the job under way.",
    "adopt": "Write entries for models that are already deployed.",
    "report": "Say what a preview or a run means to the models.",
    "doctor": "Find out what is missing, and what to do about it.",
    "schema": "Print the JSON Schema of stack files, for editors.",
    "emulator": "Serve the platform's API for models on this machine.",
}
"""Each command with what it does, in the order of the help."""

_MORE: Final = "`koreai COMMAND --help` says more, with examples."


class _Command(TyperCommand):
    """A command whose help ends with its own lines, as they are."""

    more = ""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # Any: typer keeps these types to itself
        super().format_help(ctx, formatter)
        formatter.write(f"\n{self.more}")


class _Program(TyperGroup):
    """Finds a command's module when the command is asked for."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, stub, rest = super().resolve_command(ctx, args)
        return name, _loaded(name) if name and stub else stub, rest


def _loaded(name: str) -> TyperCommand:
    module = import_module(f"{__name__}.{name}")
    single = _app()
    single.command(name, cls=_Command, help=COMMANDS[name])(module.command)
    command = get_command(single)
    assert isinstance(command, _Command)
    command.more = module.MORE
    return command


def _app(cls: type[TyperGroup] | None = None) -> typer.Typer:
    return typer.Typer(
        cls=cls,
        add_completion=cls is not None,
        rich_markup_mode=None,  # rich's help takes twice the start-up, and would fold the examples
        pretty_exceptions_enable=False,  # they would show what a variable holds: a key, say
        context_settings={"help_option_names": ["--help", "-h"]},
    )


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - it takes as long as all else

        typer.echo(f"koreai {version('pulumi-koreai')}")
        raise typer.Exit


def _stub() -> None:
    """Stand in for a command, in the help and among the names."""


def program() -> TyperGroup:
    """The program, as typer has it."""
    app = _app(_Program)

    @app.callback(help="Language model deployments on the AI for Process platform, as Pulumi resources.", epilog=_MORE)
    def options(
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        del version

    for name, what in COMMANDS.items():
        app.command(name, help=what)(_stub)
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns its exit status."""
    args = [*(sys.argv[1:] if arguments is None else arguments)]
    try:
        status = program().main(args, prog_name="koreai", standalone_mode=False)
    except typer.TyperException as error:  # the command line is wrong
        asked = f"koreai {args[0]}" if args and args[0] in COMMANDS else "koreai"
        typer.echo(f"error: {' '.join(error.format_message().split())} (`{asked} --help` says more)", err=True)
        return error.exit_code
    return status if isinstance(status, int) else 0
