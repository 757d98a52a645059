"""What a pipeline refuses to do: `--fail-on`."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from .changes import ChangeKind
from .preview import Preview


class FailOn(StrEnum):
    """What may be refused."""

    UNDEPLOY = "undeploy"
    REPLACE = "replace"
    CUT_OFF = "cut-off"
    WARNING = "warning"
    CHANGE = "change"


ABOUT: Final = {
    FailOn.UNDEPLOY: "a model is undeployed, and not deployed again, or may be: that is known only in the run",
    FailOn.REPLACE: "a model is replaced by another",
    FailOn.CUT_OFF: "callers are cut off, for a while or for good, or may be",
    FailOn.WARNING: "the report has a warning",
    FailOn.CHANGE: "anything changes, resources that are no models included",
}
"""What each of them refuses."""


def is_refused(preview: Preview, fail_on: Sequence[FailOn]) -> bool:
    """Whether a preview has any of what is to be refused."""
    return any(_has(preview, what) for what in fail_on)


def _has(preview: Preview, what: FailOn) -> bool:
    def any_is(kind: ChangeKind) -> bool:
        return any(change.kind is kind for change in preview.changing)

    match what:
        case FailOn.UNDEPLOY:
            return any_is(ChangeKind.UNDEPLOYED) or any(change.may_undeploy for change in preview.changing)
        case FailOn.REPLACE:
            return any_is(ChangeKind.REPLACED)
        case FailOn.CUT_OFF:
            return any(change.cuts_off or change.may_cut_off for change in preview.changing)
        case FailOn.WARNING:
            return bool(preview.warnings)
        case FailOn.CHANGE:
            return preview.anything
