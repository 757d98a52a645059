"""The engine's calls on a `ModelDeployment`, mapped to the lifecycle. A thin adapter: validate, call, give back."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from random import Random
from typing import Final

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    UpdateResult,
)
from pulumi.output import Unknown as EngineUnknown
from pydantic import ValidationError

from .api.declared import UNKNOWN, Unknown
from .api.errors import Advice, AdviceKind, ConfigError, KoreaiError
from .api.settings import Settings
from .base.clock import Clock, wait_in_steps
from .base.progress import Note, NoteKind, Progress, formatted
from .core import state
from .core.impact import Impact, Order, Unfinished
from .core.recovery import Owner
from .core.rules import Goal, ModelState, Operation, Record
from .core.service import ClientFactory, NotTakenOver, Service, Witness
from .core.spec import ProgramSpec, Timeouts, check, python_spelling
from .core.stopped import Stopped
from .host import Cancelled, DetailedDiff, DiffKind, PartialFailure, current_call
from .host.errors import of_ours
from .host.stack import StackResource, Stacks
from .host.stock import tell_without_traceback
from .journal import Journals, Trouble, journal_folder
from .stackfile.terms import PULUMI

Properties = dict[str, object]

_ENGINE_UNKNOWN: Final = EngineUnknown()  # type: ignore[no-untyped-call] # of the SDK


class DeploymentError(KoreaiError):
    """What the engine shows of a call that failed: the error's text, and what to do now, in Pulumi's terms.

    Attributes:
        cause: the error. Not its `__cause__`: the stock host would show the same message twice.
    """

    def __init__(self, text: str, cause: BaseException) -> None:
        self.cause = cause
        super().__init__(text)


class CallClock:
    """The machine's clock; a sleep ends when the engine wants the call to end."""

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        current_call().sleep(max(seconds, 0.0))

    def wait(self, done: threading.Event, seconds: float) -> bool:
        return wait_in_steps(self, done, seconds)


class CallReporter:
    """Progress and notes go to the resource that the current call is about."""

    def progress(self, progress: Progress) -> None:
        current_call().progress(formatted(progress))

    def note(self, note: Note) -> None:
        current_call().note(PULUMI.note(note))


class StackSettings:
    """The stack's configuration as the engine last handed it over, and the environment."""

    def __init__(self) -> None:
        self._config: Callable[[str], str | None] = lambda _: None

    def use(self, config: Callable[[str], str | None]) -> None:
        """Read this configuration from now on."""
        self._config = config

    def __call__(self) -> Settings:
        return Settings.read(lambda setting: self._config(PULUMI.settings[setting]), os.environ.get)


class HostProcess:
    """What a host's process keeps between the engine's calls.

    Attributes:
        service: the one service.
        not_up: the URNs of the resources whose model this process could not bring up. Of a replacement both halves have
            the same one: the old half stays while the new one is not up.
        taken_back: the URNs of the resources whose model is replaced before it was up: what it replaced may still run.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        rng: Random | None = None,
        client: ClientFactory | None = None,
        journals: Journals | None = None,
        witness: Witness = lambda _: None,
    ) -> None:
        """Begin a process; a test hands in its own time, jitter and client, its journals and state, if it has any."""
        self._settings = StackSettings()
        self.not_up: set[str] = set()
        self.taken_back: set[str] = set()
        self.service = Service(
            self._settings,
            clock=clock or CallClock(),
            rng=rng or Random(),  # noqa: S311 - jitter
            reporter=CallReporter(),
            interruption=Cancelled,
            client=client,
            journal=lambda urn: journals.of(_stack_of(urn)) if journals else None,
            witness=witness,
        )

    def configure(self, config: Callable[[str], str | None]) -> None:
        self._settings.use(config)
        self.service.reconfigure()


@cache
def host_process() -> HostProcess:
    """The one of this process: a state may hold several pickles of the provider, and each becomes an instance."""
    journals, stacks = Journals(journal_folder(os.environ.get), time.time, _warn_of_the_journal), Stacks()
    return HostProcess(journals=journals, witness=lambda urn: _owners(stacks.resources(urn)))


def _owners(resources: Sequence[StackResource] | None) -> Sequence[Owner] | None:
    """The resources of a state that have a model; None where the state can't be read."""
    return None if resources is None else state.owners(resources)


def _warn_of_the_journal(trouble: Trouble) -> None:
    current_call().warn(PULUMI.journal_trouble(trouble))


def _stack_of(urn: str) -> str:
    """The project and the stack of a resource, `urn:pulumi:STACK::PROJECT::…`; the stock host tells no URN."""
    stack, project, *_ = [*urn.removeprefix("urn:pulumi:").split("::"), ""]
    return f"{project}.{stack}" if urn else os.environ.get("PULUMI_PROJECT", "project")


@contextmanager
def _errors_explained() -> Iterator[None]:
    try:
        yield
    except (DeploymentError, Stopped):
        raise
    except KoreaiError as error:
        raise DeploymentError(PULUMI.error(error), error) from None


class EngineCalls:
    """What the engine asks of the provider.

    Args:
        process: what is kept between the calls.
    """

    def __init__(self, process: HostProcess) -> None:
        self._host_process = process
        self._service = process.service

    def configure(self, req: ConfigureRequest) -> None:
        tell_without_traceback(KoreaiError)
        self._host_process.configure(req.config.get)

    def check(self, _olds: Properties, news: Properties) -> CheckResult:
        raw = {key: value for key, value in news.items() if not key.startswith("__")}
        inputs, faults = check(ProgramSpec, _swapped(raw, EngineUnknown, UNKNOWN), python_spelling)
        # What the program could not check when it was declared comes from other resources, and may be secret.
        failures = [CheckFailure("", str(fault.without_value())) for fault in faults]
        try:
            self._service.settings()
        except ConfigError as error:
            failures += [CheckFailure("", PULUMI.setting_fault(fault)) for fault in error.faults]
        if failures:
            return CheckResult(news, failures)
        # Not in diff: a refresh calls that too, for what is no longer declared.
        if isinstance(model_id := inputs.get("model_id"), str):
            self._service.declare(
                model_id, _goal(inputs), in_state=_olds.get("model_id") == model_id, urn=current_call().urn
            )
        return CheckResult(_swapped(inputs, Unknown, _ENGINE_UNKNOWN), [])

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> DiffResult:
        news = _swapped(_news, EngineUnknown, UNKNOWN)
        changed = state.differing(_olds, news)
        recorded = state.record(_olds)
        record = self._service.known(_id, recorded, lambda: _goal(news), current_call().urn)
        settled = record == recorded and state.settled(_olds, record)
        if not changed and settled:
            return DiffResult(changes=False)
        if "model_id" in changed and not settled:
            self._host_process.taken_back |= {current_call().urn} - {""}
        impact = _impact(_id, news, record, settled=settled, adopted=bool(_olds.get("adopt")))
        # The engine makes an update a replacement by options that it does not tell a provider.
        for line in PULUMI.impact(_id, impact, in_place=False):
            current_call().note(line)
        if (
            settled
            and record.state is ModelState.UNDEPLOYED
            and not news.get("deployed", True)
            and {path.partition(".")[0] for path in changed} <= set(state.PARAMETERS)
        ):
            # Nothing runs and nothing will: the outputs keep the parameters of the last deploy that was sent, so only
            # a comparison of the inputs, which the engine makes where it is told nothing, tells a new change from one
            # that was taken in before.
            return DiffResult(changes=None)
        # Where the inputs alone differ, the engine under the stock host names the properties itself, if it is not
        # told that they differ.
        return DetailedDiff(
            changes=None if settled else True,
            replaces=["model_id"] if "model_id" in changed else [],
            delete_before_replace=False,
            detailed={path: _kind(path, *values) for path, values in changed.items()} or {"state": DiffKind.UPDATE},
            input_diff=bool(changed),
        )

    def create(self, props: Properties) -> CreateResult:
        spec = _spec(props)
        record = self._reach("create", spec, None, spec.goal(adopt=True))
        return CreateResult(spec.model_id, state.outputs(spec, record))

    def update(self, _id: str, _olds: Properties, _news: Properties) -> UpdateResult:
        spec = _spec(_news)
        record = self._reach("update", spec, state.record(_olds), spec.goal(adopt=not _olds.get("adopt")))
        return UpdateResult(state.outputs(spec, record))

    def delete(self, _id: str, _props: Properties) -> None:
        timeout = _timeout(Timeouts.recorded(_props.get("custom_timeouts")), "delete")
        record, urn = state.record(_props), current_call().urn
        with _errors_explained():
            if urn in self._host_process.not_up and record.state is not ModelState.UNDEPLOYED:
                raise NotTakenOver(f"the model that replaces {_id} has not come up").advising(
                    Advice(AdviceKind.BRING_THE_OTHER_UP, _id)
                )
            try:
                self._service.release(_id, record, timeout, urn)
            except Stopped as stopped:
                if stopped.is_bug:
                    raise stopped.cause from None
                reason = PULUMI.stopped(stopped, bug=of_ours, recordable=True)
                raise _ended(stopped, reason) from None

    def read(self, id_: str, props: Properties) -> ReadResult:
        recorded = state.record(props)
        known = self._service.known(id_, recorded, lambda: _goal(props), current_call().urn)
        with _errors_explained():
            now = self._service.refresh(id_, known)
        # What the journal knows stays there: with what is declared an update tells the parameters that were sent.
        outputs = {**props, **(state.results(now) if known == recorded else {})}
        # What the outputs say is what the next diff compares with, except where nothing runs and they say what ran
        # last.
        inert = now.state is ModelState.UNDEPLOYED and not props.get("deployed", True)
        inputs = None if inert else {name: props[name] for name in state.ARGUMENTS if name in props}
        if known != recorded or not state.settled(props, now):
            reason = PULUMI.unfinished(id_, Unfinished.of(now))
            if current_call().hosted:
                raise PartialFailure(id_, outputs, [reason], inputs=inputs)
            current_call().note(reason)
        return ReadResult(id_, outputs, inputs)

    def _reach(self, operation: Operation, spec: ProgramSpec, before: Record | None, goal: Goal) -> Record:
        urn, not_up = current_call().urn, self._host_process.not_up
        not_up |= {urn} - {""}  # the stock host names none
        with _errors_explained():
            try:
                timeout = _timeout(spec.custom_timeouts, operation)
                twin = self._twin(spec, goal, urn) if operation == "create" else None
                record = self._service.reach(operation, spec.model_id, before, goal, timeout, urn, handed=twin)
            except Stopped as stopped:
                hosted = current_call().hosted
                if stopped.is_bug and not (hosted and stopped.has_news):
                    raise stopped.cause from None
                reason = PULUMI.stopped(stopped, bug=of_ours, recordable=hosted)
                if stopped.now is not None and stopped.has_news:
                    outputs = state.outputs(spec, stopped.now)
                    raise PartialFailure(spec.model_id, outputs, [reason]) from stopped.cause
                raise _ended(stopped, reason) from None
        not_up.discard(urn)
        return record

    def _twin(self, spec: ProgramSpec, goal: Goal, urn: str) -> Record | None:
        """What is recorded of the model that a replacement is taken back to, where it runs on as declared."""
        if urn not in self._host_process.taken_back:
            return None
        twin = self._service.twin(spec.model_id, goal, urn)
        if twin is not None:
            current_call().note(PULUMI.note(Note(NoteKind.STILL_RUNS, spec.model_id)))
        return twin


def _ended(stopped: Stopped, reason: str) -> Cancelled | DeploymentError:
    """What the engine is told of a call of which nothing can be recorded."""
    return Cancelled(reason) if stopped.is_interruption else DeploymentError(reason, stopped.cause)


def _timeout(timeouts: Timeouts | None, operation: Operation) -> float | None:
    return current_call().timeout or (timeouts.of(operation) if timeouts else None)


def _spec(properties: Mapping[str, object]) -> ProgramSpec:
    return ProgramSpec.model_validate({name: properties[name] for name in state.ARGUMENTS if name in properties})


def _goal(inputs: Properties) -> Goal | None:
    """What the inputs declare, None where that is not known yet."""
    return None if _holds_unknown(inputs) else _spec(inputs).goal(adopt=False)


def _impact(model_id: str, news: Mapping[str, object], record: Record, *, settled: bool, adopted: bool) -> Impact:
    """What lies ahead, as far as it is known yet.

    Args:
        model_id: the model that is recorded.
        news: what is declared.
        record: what is recorded.
        settled: whether that is what was declared before.
        adopted: whether `adopt` was true before, and so counts no more.
    """
    if any(_holds_unknown(news.get(name)) for name in state.ARGUMENTS if name != "model_id"):
        return Impact.undecided(record, settled=settled)  # what will be may even equal what runs
    try:
        spec = _spec(news)
    except ValidationError:
        return Impact.undecided(record, settled=settled)  # of another version, with other rules
    declared_id: object = spec.model_id
    if declared_id != model_id:
        known = declared_id if isinstance(declared_id, str) else None
        return Impact.of_replacing(record, known, spec.goal(adopt=True), Order.OPEN)
    return Impact.ahead(record, spec.goal(adopt=not adopted), settled=settled)


def _holds_unknown(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_unknown, value.values()))
    if isinstance(value, list):
        return any(map(_holds_unknown, value))
    return isinstance(value, Unknown)


def _kind(path: str, old: object, new: object) -> DiffKind:
    if path == "model_id":
        return DiffKind.UPDATE_REPLACE
    return DiffKind.ADD if old is None else DiffKind.DELETE if new is None else DiffKind.UPDATE


def _swapped(value: Properties, find: type, put: object) -> Properties:
    """A copy with `put` in the place of each instance of `find`, at any depth."""

    def swap(inner: object) -> object:
        if isinstance(inner, find):
            return put
        if isinstance(inner, Mapping):
            return {key: swap(item) for key, item in inner.items()}
        if isinstance(inner, list):
            return [swap(item) for item in inner]
        return inner

    return {key: swap(item) for key, item in value.items()}
