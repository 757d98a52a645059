"""`koreai`: one program. Each subcommand is the `main` of a module, imported when it is asked for."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

# Subcommand: the module whose `main(arguments)` it is, and what it does.
_COMMANDS: Final = {
    "check": ("stackfile.check", "list all the faults of stack files, as file:line:column"),
    "adopt": ("stackfile.adopt", "write an entry for a model that is already deployed"),
    "schema": ("stackfile.schema", "print the JSON Schema of stack files, for editors"),
    "preview": ("pipeline.commands", "show what `up` would do, in a pull request's comment or on the terminal"),
    "up": ("pipeline.commands", "bring a stack up and report on it"),
    "drift": ("pipeline.commands", "refresh a stack and compare it with what is declared"),
    "report": ("report.command", "say what a preview's or a run's output means to the models"),
}
_SHARED: Final = ("pipeline.commands",)  # modules whose `main` takes the subcommand's name too
_USAGE: Final = 2


def _usage() -> str:
    lines = [f"  {name:<10} {what}" for name, (_, what) in _COMMANDS.items()]
    return "\n".join(["usage: koreai COMMAND …", "", *lines, "", "`koreai COMMAND --help` says more, with examples."])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand. Returns its exit status."""
    name, *rest = [*(sys.argv[1:] if arguments is None else arguments)] or [""]
    if name in ("-h", "--help"):
        print(_usage())
        return 0
    if name not in _COMMANDS:
        print(f"koreai: {f'unknown command {name!r}' if name else 'which command?'}\n{_usage()}", file=sys.stderr)
        return _USAGE
    module = _COMMANDS[name][0]
    status: int = import_module(f"pulumi_koreai.{module}").main([name, *rest] if module in _SHARED else rest)
    return status


if __name__ == "__main__":
    sys.exit(main())
