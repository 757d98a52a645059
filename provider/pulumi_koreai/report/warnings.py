"""What a reviewer must not overlook in a preview: a few rules, each with its reason and the models it is about."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from . import markdown
from .changes import Change, ChangeKind

EIGHT_GPUS: Final = ("g5.48xlarge", "g4dn.metal")
"""The device types with eight GPUs a replica; the others have one or four (AWS's pages of the G4 and G5 instances)."""

_PRODUCTION: Final = re.compile(r"(?:^|[\W\d_])prod(?:uction)?(?:$|[\W\d_])", re.IGNORECASE)
_MORE: Final = 2
_MORE_REPLICAS: Final = 10
_MANY_CUT_OFF: Final = 3


@dataclass(frozen=True)
class _Rule:
    """A warning about single models.

    Attributes:
        what: what happens, after the number of models.
        why: the reason to look at it.
        about: what to add to a model's name, "" for nothing; None where the rule does not speak of it.
    """

    what: str
    why: str
    about: Callable[[Change], str | None]


def is_production(stack: str) -> bool:
    """Whether a stack's name has the word `prod` or `production` in it."""
    return bool(_PRODUCTION.search(stack))


def warnings(stack: str, changes: Sequence[Change]) -> list[str]:
    """The warnings, the gravest first, each one line of Markdown. At most ten, however many models there are."""
    found: list[str] = []
    for rule in _rules(stack):
        about = [markdown.code(change.name) + more for change in changes if (more := rule.about(change)) is not None]
        if about:
            counted = markdown.counted(len(about), "model")
            found.append(f"**{counted} {rule.what}**: {markdown.listed(about)}. {rule.why}")
    return [*found, *_of_all(changes)]


def _rules(stack: str) -> Iterator[_Rule]:
    if is_production(stack):
        yield _Rule(
            "undeployed in a production stack",
            "Whoever calls it gets no answer from then on.",
            lambda change: "" if change.kind is ChangeKind.UNDEPLOYED else None,
        )
    yield _Rule(
        "no longer managed, and running on",
        "Nobody undeploys it by this stack any more, and it costs what it did.",
        lambda change: "" if change.unmanaged else None,
    )
    yield _Rule("no longer protected", "A later slip can delete it.", lambda change: "" if change.unprotected else None)
    yield _Rule(
        "put on hardware of eight GPUs a replica",
        "It is the largest there is: check the cost, and that the account has the quota.",
        _more_of_the_largest,
    )
    yield _Rule(
        "with `minReplicas` lowered", "Fewer replicas are ready when callers come all at once.", _fewer_at_least
    )
    yield _Rule("with `maxReplicas` halved or less", "It can't grow as far under load as it could.", _fewer_at_most)


def _of_all(changes: Sequence[Change]) -> Iterator[str]:
    running = sum(change.before is not None for change in changes)
    cut = sum(change.cuts_off and change.before is not None for change in changes)
    if cut >= _MANY_CUT_OFF and cut > running / 2:
        yield (
            f"**Callers of {cut} of the {running} running models are cut off in one run.** Consider several pull"
            " requests, or `updateStrategy: redeploy`."
        )
    old = sum(change.before.high or 0 for change in changes if change.before)
    new = sum(change.after.high or 0 for change in changes if change.after)
    if old and new > _MORE * old and new - old >= _MORE_REPLICAS:
        yield f"**The stack may grow to {new} replicas, from {old}.** That is what it may cost at most."


def _more_of_the_largest(change: Change) -> str | None:
    before, after = change.before, change.after
    if change.kind is None or after is None or after.device_type not in EIGHT_GPUS:
        return None
    if before and before.device_type == after.device_type and (after.high or 0) <= (before.high or 0):
        return None
    upto = f", up to {markdown.counted(after.high, 'replica')}" if after.high else ""
    return f" ({markdown.code(after.device_type)}{upto})"


def _fewer_at_least(change: Change) -> str | None:
    if change.before and change.after and (old := change.before.low) and (new := change.after.low) and new < old:
        return f" ({old} → {new})"
    return None


def _fewer_at_most(change: Change) -> str | None:
    if change.before and change.after and (old := change.before.high) and (new := change.after.high) and 2 * new <= old:
        return f" ({old} → {new})"
    return None
