"""`koreai status`: what is recorded of each model, and how the jobs under way are. Needs no program, changes nothing.

The platform has no call that reads a deployment: what runs is what the state says of the last job, and the job itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from pulumi_koreai.api.dock_job import Action, DockJob
from pulumi_koreai.api.errors import AbsenceInDoubt, ApiError, ConfigError, KoreaiError, NotFound, WrongJob
from pulumi_koreai.base.clock import Clock, SystemClock
from pulumi_koreai.core import state
from pulumi_koreai.core.recovery import Owner
from pulumi_koreai.core.rules import ModelState
from pulumi_koreai.core.telling import action_of
from pulumi_koreai.host.stack import StackResource, resources_in
from pulumi_koreai.journal import CallTrace
from pulumi_koreai.pipeline.astray import StackJournal
from pulumi_koreai.pipeline.project_engine import EngineFailed, ProjectEngine
from pulumi_koreai.pipeline.stack_settings import ConfiguredSettings, OpenClient, open_client
from pulumi_koreai.stackfile.project import Project, ProjectError, short_name

if TYPE_CHECKING:
    from pulumi_koreai.api.client import Client

Declared = Literal["deployed", "undeployed"]

_ANSWER_SECONDS: Final = 15.0
# Of the one job; any other failure would be that of each look.
_OF_THE_JOB: Final = (NotFound, AbsenceInDoubt, WrongJob)


@dataclass(frozen=True)
class ModelStatus:
    """A model of a stack.

    Attributes:
        name: its resource.
        model_id: the model.
        declared: what the last `pulumi up` was to bring it to; None where the state does not say.
        recorded: what the state says of it; None where it only has a creation that never ended, or nothing.
        action: what its last job does; "" where there was none.
        job_id: that job; "" where there was none, or its id is not known.
        last_status: what the state says of that job.
        seconds: how long that job took; 0 where nobody watched it to its end.
        is_dying: it is replaced and still to be deleted.
        is_astray: it is of a run that ended before the state had it: out of the journal.
        host: of what is astray: the platform that it was sent to.
        job: the job as the platform has it now, where it was asked.
        trouble: why it was asked and not answered.
    """

    name: str
    model_id: str
    declared: Declared | None
    recorded: ModelState | None
    action: Action | Literal[""] = ""
    job_id: str = ""
    last_status: str = ""
    seconds: float = 0.0
    is_dying: bool = False
    is_astray: bool = False
    host: str = ""
    job: DockJob | None = None
    trouble: ApiError | None = None

    @property
    def under_way(self) -> bool:
        """Whether there is a job that may still run."""
        running = self.recorded in (ModelState.DEPLOYING, ModelState.UNDEPLOYING)
        return bool(self.job_id) and (running or self.is_astray)


@dataclass(frozen=True)
class StackStatus:
    """A stack.

    Attributes:
        stack: its name.
        models: its models, by the names of their resources.
        failure: why its state can't be read; None where it could be.
        unasked: why the platform was not asked for the jobs under way; None where it was, or there is none.
    """

    stack: str
    models: Sequence[ModelStatus] = field(default_factory=tuple)
    failure: EngineFailed | None = None
    unasked: KoreaiError | EngineFailed | None = None


def status(
    engine: ProjectEngine, stacks: Sequence[str] = (), *, client: OpenClient | None = None, clock: Clock | None = None
) -> list[StackStatus]:
    """How stacks are.

    Args:
        engine: the engine, in the project, which is in the working directory.
        stacks: their names; all stacks of the project when none is given.
        client: opens a client; the real one when not given.
        clock: time; the machine's when not given.

    Raises:
        EngineFailed: the stacks can't be listed.
    """
    try:
        project = Project.read().name
    except ProjectError:  # the engine needs none where the stack's full name is given, and says so where it does
        project = ""
    return [_stack(engine, project, stack, client, clock or SystemClock()) for stack in stacks or engine.stacks()]


def _stack(engine: ProjectEngine, project: str, stack: str, client: OpenClient | None, clock: Clock) -> StackStatus:
    try:
        exported = engine.state(stack)
    except EngineFailed as failure:
        return StackStatus(stack, failure=failure)
    resources = resources_in(exported) or ()
    calls = StackJournal(project, short_name(stack)).astray(exported.decode(errors="replace"))
    models = sorted(_models(resources, calls), key=lambda model: (model.name, model.model_id))
    if not any(model.under_way for model in models):
        return StackStatus(stack, models)
    try:
        found = ConfiguredSettings.of(engine, stack)
    except EngineFailed as failure:
        return StackStatus(stack, models, unasked=failure)
    try:
        settings = found.settings()
    except ConfigError as error:  # a key that can't be decrypted is not one that is not set
        return StackStatus(stack, models, unasked=found.sealed or error)
    return _asked(StackStatus(stack, models), open_client(settings, clock, client), clock)


def _models(resources: Sequence[StackResource], calls: Iterable[CallTrace]) -> Iterator[ModelStatus]:
    outputs = {(one.urn, one.dying, one.pending): one.outputs for one in resources}
    astray = {(call.urn, call.model_id): call for call in calls}
    for owner in state.owners(resources):
        having = outputs[owner.urn, owner.dying, owner.pending]
        model = _recorded(owner, having)
        call = astray.pop((owner.urn, model.model_id), None)
        yield _astray(model, call) if call else model
    for call in astray.values():
        yield _astray(ModelStatus(_name(call.urn), call.model_id, None, None), call)


def _recorded(owner: Owner, outputs: Mapping[str, object]) -> ModelStatus:
    name, record = _name(owner.urn), owner.record
    deployed = outputs.get("deployed", True)
    declared: Declared | None = "deployed" if deployed is True else "undeployed" if deployed is False else None
    if owner.pending:
        model_id = outputs.get("model_id")
        return ModelStatus(name, model_id if isinstance(model_id, str) else "", declared, None)
    return ModelStatus(
        name,
        owner.model_id,
        declared,
        record.state,
        action_of(record) if record.last_action else "",
        record.job_id,
        record.last_status,
        record.last_job_seconds,
        is_dying=owner.dying,
    )


def _astray(model: ModelStatus, call: CallTrace) -> ModelStatus:
    """What the journal knows of a model beyond its state."""
    last = call.last
    if last is None:
        return model
    return replace(
        model,
        action=last.action,
        job_id=last.job_id,
        last_status=last.status,
        seconds=0.0,
        is_astray=True,
        host=call.host,
    )


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _asked(status: StackStatus, client: "Client", clock: Clock) -> StackStatus:
    """The same, with what the platform says of the jobs under way. What it can't be asked once is not asked again."""
    models: list[ModelStatus] = []
    unasked: ApiError | None = None
    for model in status.models:
        elsewhere = model.is_astray and model.host != client.settings.host
        if not model.under_way or unasked or elsewhere or not model.action:
            models.append(model)
            continue
        try:
            until = clock.monotonic() + _ANSWER_SECONDS
            models.append(replace(model, job=client.job(model.job_id, model.model_id, model.action, until)))
        except _OF_THE_JOB as error:
            models.append(replace(model, trouble=error))
        except ApiError as error:
            unasked = error
            models.append(model)
    return replace(status, models=models, unasked=unasked)
