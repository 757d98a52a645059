"""What the user is told when a provider's method raises: one message, its causes, no traceback."""

import builtins
import sys
import traceback
from importlib import metadata

# Exceptions that people raise with a message made for a reader. Of any other built-in one the message alone is a
# riddle (`KeyError: 'foo'`) and most likely a slip in the provider's code: it is named, and so is the line.
_SPOKEN = {Exception, RuntimeError, ValueError, NotImplementedError}


def _is_slip(error: BaseException) -> bool:
    kind = type(error)
    built_in = getattr(builtins, kind.__name__, None) is kind
    return built_in and kind not in _SPOKEN and not isinstance(error, (OSError, BaseExceptionGroup))


def describe(error: BaseException) -> str:
    """The message of an exception with its notes and its explicit causes, a line each.

    What was merely being handled when it was raised (`__context__`) is left out: its author didn't choose to show it.
    """
    said = _own(error)
    seen = {id(error)}
    cause = error.__cause__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        words = _own(cause)
        if words not in said:  # "can't deploy: no route" needs no "caused by: no route" below it
            said += f"\n  caused by: {words}"
        cause = cause.__cause__
    return said


def _own(error: BaseException) -> str:
    try:
        said = str(error)
    except Exception as broken:  # noqa: BLE001 - a broken __str__ must not hide that something failed
        said = f"(its message can't be shown: {broken!r})"
    if not said or _is_slip(error):
        said = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if isinstance(error, BaseExceptionGroup):
        said += "".join(f"\n  - {describe(one)}" for one in error.exceptions)
    return "\n".join([said, *getattr(error, "__notes__", ())])


def of_provider(error: BaseException, doing: str) -> str:
    """What the user reads of an exception from a provider's method `doing`."""
    said = describe(error)
    if _is_slip(error) and (frames := traceback.extract_tb(error.__traceback__)):
        said += f"\n  in {doing}, {frames[-1].filename}:{frames[-1].lineno}; --debug shows the whole traceback"
    return said


def of_ours(error: BaseException, whose: str = "this provider") -> str:
    """What the user reads of a fault of this package itself: everything there is, and whom to tell.

    Args:
        error: what was raised.
        whose: the part of the package whose fault it is.
    """
    name = __name__.partition(".")[0].replace("_", "-")
    try:
        about = metadata.metadata(name)
        links = dict(link.split(", ", 1) for link in about.get_all("Project-URL") or ())
        whom = f"{name} {about['Version']}" + (f" at {links['Issues']}" if "Issues" in links else "")
    except metadata.PackageNotFoundError:
        whom = name
    return f"a fault of {whose}, not of the program: please report it to {whom}\n{whole(error)}"


def of_pickle(error: BaseException) -> str:
    """What the user reads when a provider can't be unpickled."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return (
            f"the resource's provider can't be loaded: there is no module {error.name!r} in {sys.prefix}\n"
            "  Its state names that module. Install the package that has it there, or run in the program's folder."
        )
    return (
        f"the resource's provider can't be loaded by Python {sys.version.split()[0]}: {describe(error)}\n"
        "  Its state holds the class by name, or with its bytecode if the program itself defines it: keep the name, or"
        " use the Python version that it was deployed with."
    )


def whole(error: BaseException) -> str:
    """The traceback, causes included."""
    return "".join(traceback.format_exception(error))
