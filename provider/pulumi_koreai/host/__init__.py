"""A host for any Python `pulumi.dynamic` provider, and what a provider's methods can ask it for.

    contract.py    what a provider's author uses: `current_call`, `Call`, `Cancelled`, `PartialFailure`
    diff.py        `DetailedDiff` and `DiffKind`, the answer of a `diff` that names its properties
    server.py      the engine's calls, answered by the providers
    call.py        one call: its waits, its cancellation, what it says
    threads.py     a thread for each call
    log.py         lines to the engine: the status column and the diagnostics
    stack.py       what the state of the stack has, for what a provider can't know from the calls of one command
    errors.py      what the user is told when a provider's method raises
    __main__.py    the process: hand-shake, signals, the end
    loading.py     imports, without looking for garbage
    leaving.py     the end of a process that the engine has no more use for
    program.py     the engine's other process, the program, when the engine has given its update up
    stock.py       exceptions under the stock host
    inline.py      `ProjectSettings`, for an inline program of the Automation API to be served by this host

Importing this package costs next to nothing: what needs the Pulumi SDK is imported when it is used.
"""

from typing import TYPE_CHECKING, Any

from .contract import Call, Cancelled, PartialFailure, current_call

if TYPE_CHECKING:
    from .diff import DetailedDiff, DiffKind
    from .inline import ProjectSettings

__all__ = ["Call", "Cancelled", "DetailedDiff", "DiffKind", "PartialFailure", "ProjectSettings", "current_call"]


def __getattr__(name: str) -> Any:
    if name in ("DetailedDiff", "DiffKind"):
        from . import diff  # noqa: PLC0415 - it imports the SDK

        return getattr(diff, name)
    if name == "ProjectSettings":
        from . import inline  # noqa: PLC0415 - likewise

        return inline.ProjectSettings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
