"""Which resource has a model, before a run and after it: by the engine's steps and the options that they carry."""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final

from ..core.impact import Order
from .engine_json import SECRET, UNKNOWN_VALUE, EngineStep

_DELETING: Final = ("delete", "delete-replaced", "replace")


class Fate(Enum):
    """What becomes of a model that a resource of the stack lets go of."""

    ENDS = "it is undeployed, as no other resource of the stack has it"
    MAY_END = "likewise, but a resource may have it of which the preview does not tell enough"
    HELD = "another resource has it, so it is not undeployed"
    RETAINED = "it goes on as it is, by an option of the user's, and no resource has it"
    ENDED = "an earlier run has undeployed it"


class Custody:
    """Who has which model. A model is known by its id, where the preview shows it."""

    def __init__(self, steps: Sequence[EngineStep], *, whole: bool) -> None:
        """Go through the steps.

        Args:
            steps: those of the models, without what is left out of the run.
            whole: whether each resource of the stack has a step among all of them.
        """
        self._before: dict[str, list[EngineStep]] = {}
        self._after: dict[str, list[EngineStep]] = {}
        self._deleted = {step.urn for step in steps if step.op in _DELETING}
        self._unclear: list[EngineStep] = []
        self._whole = whole
        for step in steps:
            if (id_ := old_id(step)) and not _is_over(step):
                self._before.setdefault(id_, []).append(step)
            if not _keeps_or_gets_one(step):
                continue
            if id_ := new_id(step):
                self._after.setdefault(id_, []).append(step)
            else:
                self._unclear.append(step)
        self._counted_before = {
            id_: next((one for one in sharing if _keeps_or_gets_one(one) and new_id(one) == id_), sharing[0])
            for id_, sharing in self._before.items()
        }
        self._counted_after = {
            id_: next((one for one in sharing if one.op != "same"), sharing[0]) for id_, sharing in self._after.items()
        }

    def fate(self, step: EngineStep) -> Fate:
        """What becomes of the model that a step's resource has had."""
        id_ = old_id(step)
        if _is_over(step):
            return Fate.ENDED
        if any(other is not step for other in self._after.get(id_ or "", ())):
            return Fate.HELD
        if step.old and (step.old.retain_on_delete or step.old.deleted_with in self._deleted):
            return Fate.RETAINED
        clear = self._whole and id_ and not any(other is not step for other in self._unclear)
        return Fate.ENDS if clear else Fate.MAY_END

    def others_before(self, step: EngineStep) -> Iterator[EngineStep]:
        """The steps of the other resources that have had the model of a step's new state."""
        return (other for other in self._before.get(new_id(step) or "", ()) if other.urn != step.urn)

    def others_after(self, step: EngineStep) -> Iterator[EngineStep]:
        """The steps of the other resources that will have the model of a step's old state."""
        return (other for other in self._after.get(old_id(step) or "", ()) if other is not step)

    def counts_before(self, step: EngineStep) -> bool:
        """Whether what runs now is counted with a step: once, with the resource that keeps the model, if one does."""
        return not _is_over(step) and self._counted_before.get(old_id(step) or "", step) is step

    def counts_after(self, step: EngineStep) -> bool:
        """Whether what will run is counted with a step: once, with the resource for which something is sent."""
        return self._counted_after.get(new_id(step) or "", step) is step


def old_id(step: EngineStep) -> str | None:
    """The model that a step's resource has had; None where there was none, or the preview does not show it."""
    if step.old is None:
        return None
    recorded = step.old.outputs.get("model_id")
    return recorded if isinstance(recorded, str) and recorded != SECRET else step.old.id or None


def new_id(step: EngineStep) -> str | None:
    """The model that a step's resource will have, likewise."""
    if step.new is None:
        return None
    declared = step.new.inputs.get("model_id")
    if declared == SECRET and step.old and "model_id" not in (step.detailed_diff or {}):
        return old_id(step)
    return declared if isinstance(declared, str) and declared not in (SECRET, UNKNOWN_VALUE) else None


def _keeps_or_gets_one(step: EngineStep) -> bool:
    leftover = step.op == "same" and step.old is not None and step.old.delete
    return step.new is not None and not leftover


def _is_over(step: EngineStep) -> bool:
    """Whether the engine has deleted the resource's object already, to replace it."""
    return step.op == "remove-pending-replace" or (step.op == "replace" and step.order is Order.OLD_GONE)
