"""The rules as a pure function: what brings a model from what is recorded to what is declared."""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, Literal

from ..api.declared import DeployRequest

UNKNOWN_STATUS: Final = "UNKNOWN"
"""The last status of an attempt of which it is not known whether the platform took it, or how it ended."""

UNCONFIRMED_STATUS: Final = "UNCONFIRMED"
"""The same, of which the user was not told yet: it is told once, before anything is sent that may cut callers off."""

PARAMETERS_UNKNOWN: Final = DeployRequest.model_construct()  # type: ignore[call-arg] # that is the point
"""In the place of the parameters of a deploy of which nobody knows them. They equal nothing that can be declared."""

Strategy = Literal["undeploy-first", "redeploy"]
Operation = Literal["create", "update", "delete"]
"""What an engine asks of a resource."""


class ModelState(StrEnum):
    """What is known of a model on the platform."""

    DEPLOYED = "deployed"
    UNDEPLOYED = "undeployed"
    DEPLOYING = "deploying"
    UNDEPLOYING = "undeploying"
    FAILED = "failed"


@dataclass(frozen=True)
class Record:
    """What a stack remembers of a model.

    Attributes:
        state: what is known of it.
        request: the parameters of the last deploy that was sent, or taken over; None when there was none.
        job_id: the last dock job, "" when there was none or its id is not known.
        last_action: `DEPLOY`, `UNDEPLOY`, or "" before the first.
        last_status: the job's last status; `UNKNOWN` when it can't be told, `UNCONFIRMED` when the user has not been
            told that; "" before the first.
        last_job_seconds: how long the last job took; 0 when it was not watched from its start to its end.
    """

    state: ModelState
    request: DeployRequest | None = None
    job_id: str = ""
    last_action: str = ""
    last_status: str = ""
    last_job_seconds: float = 0.0

    @property
    def under_way(self) -> bool:
        """Whether a job may still be running that can be asked for."""
        return self.state in (ModelState.DEPLOYING, ModelState.UNDEPLOYING) and bool(self.job_id)


@dataclass(frozen=True)
class Goal:
    """What is declared.

    Attributes:
        request: deployed with these parameters; None: undeployed.
        strategy: what to do when other parameters are running.
        adopt: take over what runs, as it is declared, without a request: a model that is new to the stack, or one
            whose last attempt ended nobody knows how.
    """

    request: DeployRequest | None
    strategy: Strategy = "undeploy-first"
    adopt: bool = False


class Step(Enum):
    """One thing to do."""

    RESUME = "wait for the job that is under way"
    ADOPT = "adopt what is running, without a request"
    ASK = "stop, as how the last deploy ended is not known"
    DEPLOY = "deploy"
    UNDEPLOY = "undeploy"


def next_step(record: Record | None, goal: Goal) -> Step | None:
    """The rules: the next thing to do to bring `record` to `goal`, None when it is there.

    Args:
        record: None for a model that the stack does not know yet.
        goal: what is declared.
    """
    if record is None:
        if goal.request is None:
            return Step.UNDEPLOY
        return Step.ADOPT if goal.adopt else Step.DEPLOY
    if record.under_way:
        return Step.RESUME
    if goal.request is None:
        return None if record.state is ModelState.UNDEPLOYED else Step.UNDEPLOY
    if record.state is ModelState.UNDEPLOYED:
        return Step.DEPLOY
    if record.state is ModelState.DEPLOYED and record.request == goal.request:
        return None
    if record.state is not ModelState.DEPLOYED:
        if goal.adopt and record.last_status in (UNKNOWN_STATUS, UNCONFIRMED_STATUS):
            return Step.ADOPT
        if record.last_status == UNCONFIRMED_STATUS:
            return Step.ASK
        if record.last_action == "DEPLOY" and record.last_status == "FAILED":
            return Step.DEPLOY
    return Step.DEPLOY if goal.strategy == "redeploy" else Step.UNDEPLOY


def steps_ahead(record: Record | None, goal: Goal) -> list[Step]:
    """The steps that lie ahead if every job ends well: what a preview can say. Sends nothing."""
    steps: list[Step] = []
    while (step := next_step(record, goal)) is not None:
        steps.append(step)
        request = record.request if record else None
        match step:
            case Step.RESUME if record and record.state is ModelState.DEPLOYING:
                record = Record(ModelState.DEPLOYED, request)
            case Step.RESUME | Step.UNDEPLOY:
                record = Record(ModelState.UNDEPLOYED, request)
            case Step.DEPLOY | Step.ADOPT:
                record = Record(ModelState.DEPLOYED, goal.request)
            case Step.ASK:
                break
    return steps
