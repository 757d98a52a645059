"""The faults of a declaration as data, and the one place where they become words.

What finds a fault says where it is, what kind it is and what is known of it; what reports it needs no more than that:
a stack file's checker looks up the place of its path, Terraform takes the attribute, a log leaves out the value.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from types import NoneType
from typing import Final, assert_never

Path = tuple[str | int, ...]
"""Keys and indexes from the top of a declaration down, as the user wrote them."""

_SHOWN_MAX_CHARS: Final = 60


class _NoValue(Enum):
    ABSENT = "nothing"
    HIDDEN = "a value that is not shown (it may be secret)"


ABSENT: Final = _NoValue.ABSENT
"""Stands for a value where none was declared."""


class FaultKind(Enum):
    """What is wrong, and which data of a `DeclarationFault` go with it."""

    UNKNOWN_KEY = auto()
    """A key that is none: `nearest`, or else `names`, those that are."""
    MISSING = auto()
    """A key that is required: `expected`."""
    INVALID = auto()
    """A value that is not accepted: `got`, `expected`."""
    CONFLICT = auto()
    """A value that does not go with that of another key: `got`, `other`, `other_got`, `expected`."""
    SAME_MODEL = auto()
    """A model that another entry has: `got`, the model's id, and `other`, the entry's name."""
    NO_SUCH_ENTRY = auto()
    """A dependency on an entry that is not there: `got`, and `nearest`, or else `names`, those that are."""
    CYCLE = auto()
    """A dependency that leads back to its beginning: `names`, in this order."""
    MISNAMED = auto()
    """A key under another name than its own: `expected`, that name."""


@dataclass(frozen=True)
class DeclarationFault:
    """One thing that is wrong with a declaration.

    Attributes:
        path: where.
        kind: what is wrong; which of the following there are.
        got: the value that was declared.
        expected: what the field accepts.
        nearest: the known name that is most like the unknown one; "" when none is.
        names: of keys, or of entries.
        other: another key, or another entry, that it concerns.
        other_got: the value of that key; `ABSENT` where it has none.
    """

    path: Path
    kind: FaultKind
    got: object = field(default=ABSENT, repr=False)
    expected: str = ""
    nearest: str = ""
    names: tuple[str, ...] = ()
    other: str = ""
    other_got: object = field(default=ABSENT, repr=False)

    def __str__(self) -> str:
        text = words(self)
        return f"{written(self.path)}: {text}" if self.path else text

    def without_value(self) -> "DeclarationFault":
        """The same fault without the values that were declared, except numbers and the like."""
        if self.kind not in (FaultKind.INVALID, FaultKind.CONFLICT):
            return self
        return replace(self, got=_discreet(self.got), other_got=_discreet(self.other_got))


def words(fault: DeclarationFault) -> str:
    """What is wrong, without where."""
    names = ", ".join(map(fit, fault.names))
    match fault.kind:
        case FaultKind.UNKNOWN_KEY:
            return "unknown key; " + (
                f"did you mean {fit(fault.nearest)}?" if fault.nearest else f"known keys: {names}"
            )
        case FaultKind.MISSING:
            return f"missing; expected {fault.expected}"
        case FaultKind.INVALID:
            return f"got {_shown(fault.got)}; expected {fault.expected}"
        case FaultKind.CONFLICT:
            absent = fault.other_got is ABSENT
            beside = f"without {fault.other}" if absent else f"with {fault.other}: {_shown(fault.other_got)}"
            return f"got {_shown(fault.got)} {beside}; expected {fault.expected}"
        case FaultKind.SAME_MODEL:
            twin = f"{fit(str(fault.got))} is also the model of '{fit(fault.other)}'"
            return f"{twin}; a model has one deployment, so one entry"
        case FaultKind.NO_SUCH_ENTRY:
            known = f"did you mean {fit(fault.nearest)}?" if fault.nearest else f"entries: {names}"
            return f'there is no entry "{fit(str(fault.got))}" in this file; {known}'
        case FaultKind.CYCLE:
            return f"a cycle: {' → '.join(map(fit, fault.names))}"
        case FaultKind.MISNAMED:
            return f"this key is not read; rename it to {fault.expected}"
        case _:
            assert_never(fault.kind)


def written(path: Path) -> str:
    """A path as a message has it: `hyperParameters.stopSequence[1]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{fit(part)}" for part in path).removeprefix(".")


def fit(key: str) -> str:
    """A user's own word as a message can have it: short, and escaped where a terminal would not show it as it is."""
    text = key if key.isprintable() else json.dumps(key)[1:-1]
    return _cut(text)


def error_count(errors: int) -> str:
    """`1 error`, `3 errors`."""
    return f"{errors} error" + ("s" if errors != 1 else "")


def listing(where: str, faults: Sequence[tuple[str | None, DeclarationFault]]) -> str:
    """All the faults in one message, each on a line of its own.

    Args:
        where: what the faults are in.
        faults: each with the name of its model; None where it concerns all of them.
    """
    lines = (str(fault) if name is None else f"{fit(name)}: {fault}" for name, fault in faults)
    return f"{error_count(len(faults))} in {where}; nothing was changed:" + "".join(f"\n  {line}" for line in lines)


def _discreet(value: object) -> object:
    return value if isinstance(value, (bool, int, float, NoneType, _NoValue)) else _NoValue.HIDDEN


def _shown(value: object) -> str:
    if isinstance(value, _NoValue):
        return value.value
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # the engine knows no whole numbers: 600 comes back from it as 600.0
    text = f"a value of type {type(value).__name__}"
    for shown in (json.dumps, ascii):
        with suppress(TypeError, ValueError, RecursionError):
            text = shown(value)
            break
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_MAX_CHARS else text[: _SHOWN_MAX_CHARS - 1] + "…"
