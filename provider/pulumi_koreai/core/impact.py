"""What lies ahead for a model and for those who call it, as facts: for a preview, a refresh, a report, a diff.

True whenever it is read: in a preview, while an update begins, and after a refresh. The sentences are `renderer`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from ..base.progress import JobVerb
from .rules import UNCONFIRMED_STATUS, UNKNOWN_STATUS, Goal, ModelState, Record, Step, steps_ahead


class Why(Enum):
    """Why the recorded state is not the declared one."""

    UNDER_WAY = "a job had not ended when it was last seen"
    OUTCOME_UNKNOWN = "how the last attempt ended is not known"
    FAILED = "the last job failed"
    NOT_FINISHED = "the last update ended before the model was as declared"
    CREATION_CUT_SHORT = "the creation ended before its job did, which has ended well since"


@dataclass(frozen=True)
class Unfinished:
    """Why the recorded state is not the declared one, and of which job that is known.

    Attributes:
        why: the reason.
        verb: what the last job, or request, was to do.
        job_id: the job, "" where none is known.
        state: what is recorded of the model.
    """

    why: Why
    verb: JobVerb
    job_id: str
    state: ModelState

    @classmethod
    def of(cls, record: Record) -> "Unfinished":
        """The reason that a record gives, for a model that is not as declared."""
        verb: JobVerb = "undeploy" if record.last_action == "UNDEPLOY" else "deploy"
        if record.under_way:
            why = Why.UNDER_WAY
        elif record.last_status in (UNKNOWN_STATUS, UNCONFIRMED_STATUS):
            why = Why.OUTCOME_UNKNOWN
        else:
            why = Why.FAILED if record.state is ModelState.FAILED else Why.NOT_FINISHED
        return cls(why, verb, record.job_id, record.state)


class CutOff(Enum):
    """Whether those who call the model get no answers, by what lies ahead."""

    NEVER = 0
    UNTIL_DEPLOYED = 1
    FOR_GOOD = 2


class Order(Enum):
    """What an engine does first where it replaces a resource, which has its model deployed and undeployed."""

    NEW_FIRST = "creates the new one, then deletes the old one"
    OLD_FIRST = "deletes the old one, then creates the new one"
    OLD_GONE = "creates the new one; an earlier run has deleted the old one"
    OPEN = "what the user's options say, which are not known here; unless they do, the new one comes first"


@dataclass(frozen=True)
class Replacement:
    """A resource that takes the place of the one that has this model.

    Attributes:
        model_id: its model, None where that is not known yet.
        step: what is done to its model.
        order: which of the two comes first.
        renews: whether its model is the same.
    """

    model_id: str | None
    step: Step
    order: Order = Order.NEW_FIRST
    renews: bool = False


@dataclass(frozen=True)
class Impact:
    """What brings a model from what is recorded to what is declared, and what its callers notice.

    Attributes:
        steps: what is done to the model, a job that is waited on included, if every job ends well.
        unfinished: why the recorded state is not the one that was declared; None where it is.
        running: whether the model is deployed now; None where that is not known.
        last_deploy_seconds: how long its last deploy took; 0 where that is not known.
        replacement: what takes its place. The steps are those to this model, for a resource with another one as well.
    """

    steps: tuple[Step, ...]
    unfinished: Unfinished | None
    running: bool | None
    last_deploy_seconds: float = 0.0
    replacement: Replacement | None = None

    @classmethod
    def ahead(cls, record: Record, goal: Goal, *, settled: bool) -> "Impact":
        """Of an update.

        Args:
            record: what is recorded.
            goal: what is declared.
            settled: whether what is recorded is what was declared before.
        """
        return cls._of(record, steps_ahead(record, goal), settled=settled)

    @classmethod
    def of_retiring(cls, record: Record) -> "Impact":
        """Of a deletion."""
        settled = record.state in (ModelState.DEPLOYED, ModelState.UNDEPLOYED)
        return cls._of(record, steps_ahead(record, Goal(None)), settled=settled)

    @classmethod
    def of_replacing(cls, record: Record, model_id: str | None, goal: Goal, order: Order = Order.NEW_FIRST) -> "Impact":
        """Of a replacement by a resource with another model id.

        Args:
            record: what is recorded of this one.
            model_id: the other one, None where it is not known yet.
            goal: what is declared of the other one.
            order: which of the two comes first.
        """
        (step,) = steps_ahead(None, goal)
        retiring = [] if order is Order.OLD_GONE else _retiring(record)
        return cls._of(record, retiring, settled=True, replacement=Replacement(model_id, step, order))

    @classmethod
    def of_renewing(cls, record: Record, goal: Goal, order: Order) -> "Impact":
        """Of a replacement by a resource with the same model id: the new one is not an update of what runs.

        Args:
            record: what is recorded.
            goal: what is declared.
            order: which of the two comes first. Deleted after the new one is there, the old one undeploys nothing.
        """
        (step,) = steps_ahead(None, goal)
        retiring = _retiring(record) if order is Order.OLD_FIRST else []
        if order is Order.OLD_GONE:
            record = replace(record, state=ModelState.UNDEPLOYED)
        replacement = Replacement(None, step, order, renews=True)
        return cls._of(record, [*retiring, step], settled=not record.under_way, replacement=replacement)

    @classmethod
    def undecided(cls, record: Record, *, settled: bool) -> "Impact":
        """Of a declaration that is known only in the run."""
        return cls._of(record, (), settled=settled)

    @classmethod
    def _of(
        cls, record: Record, steps: Sequence[Step], *, settled: bool, replacement: Replacement | None = None
    ) -> "Impact":
        running = {ModelState.DEPLOYED: True, ModelState.UNDEPLOYED: False, ModelState.UNDEPLOYING: False}
        deployed_well = (record.last_action, record.last_status) == ("DEPLOY", "SUCCESS")
        return cls(
            tuple(steps),
            None if settled else Unfinished.of(record),
            running.get(record.state),
            record.last_job_seconds if deployed_well else 0.0,
            replacement,
        )

    @property
    def sent(self) -> tuple[Step, ...]:
        """The steps without the waits for what was sent before."""
        return tuple(step for step in self.steps if step is not Step.RESUME)

    @property
    def cut_off(self) -> CutOff:
        """What its callers notice, if it has any now."""
        nothing_runs = self.running is False and self.replacement is not None and self.replacement.renews
        if Step.UNDEPLOY not in self.steps or nothing_runs:
            return CutOff.NEVER
        return CutOff.UNTIL_DEPLOYED if Step.DEPLOY in self.steps else CutOff.FOR_GOOD


def _retiring(record: Record) -> list[Step]:
    return [step for step in steps_ahead(record, Goal(None)) if step is not Step.RESUME]
