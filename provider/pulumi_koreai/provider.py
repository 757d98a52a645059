"""The engine's calls on a `ModelDeployment`, mapped to the lifecycle. A thin adapter: validate, call, give back.

The module's and the class's names are part of the state's format: `destroy` and `refresh` find the class by what the
state holds.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Final, Literal

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import Unknown as EngineUnknown
from pydantic import ValidationError

from .api.declared import UNKNOWN, Unknown
from .api.errors import ConfigError, JobStuck, JobTimeout, KoreaiError
from .api.settings import Settings
from .core import state
from .core.impact import interrupted, left_alone, not_recorded, outlook, timed_out, unfinished
from .core.lifecycle import Goal, Lifecycle, ModelState, Record, next_step
from .core.spec import ProgramSpec, Timeouts, check, python_spelling
from .host import Cancelled, DetailedDiff, DiffKind, PartialFailure, current_call
from .host.errors import of_ours
from .stackfile.terms import PULUMI

if TYPE_CHECKING:
    from .api.client import Client

Properties = dict[str, object]

_ENGINE_UNKNOWN: Final = EngineUnknown()  # type: ignore[no-untyped-call] # of the SDK


class _CallClock:
    """The machine's clock; a sleep ends when the engine wants the call to end."""

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        current_call().sleep(max(seconds, 0.0))


class _CallReporter:
    """Progress and notes go to the resource that the current call is about."""

    def progress(self, text: str) -> None:
        current_call().progress(text)

    def note(self, text: str) -> None:
        current_call().note(text)


class _Platform:
    """The one client of this process: its pacing and its connections serve all models and threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._config: Callable[[str], str | None] = lambda _: None
        self._client: Client | None = None
        # A renamed entry is a new resource of the same model: created first, then the old one is deleted, in a later
        # command when this one is interrupted between the two.
        self.declared: dict[str, Properties] = {}
        # The models that this process has brought to what is declared by a job of its own, the last one therefore.
        self.sent: set[str] = set()
        self.clock, self.rng, self.reporter = _CallClock(), Random(), _CallReporter()  # noqa: S311 - jitter

    def configure(self, config: Callable[[str], str | None]) -> None:
        with self._lock:
            self._config, self._client = config, None

    def settings(self) -> Settings:
        """Where the platform is and how to talk to it.

        Raises:
            ConfigError: the host or the key is missing or wrong.
        """
        try:
            return Settings.read(lambda setting: self._config(PULUMI.settings[setting]), os.environ.get)
        except ConfigError as error:
            raise PULUMI.config_error(error) from None

    def client(self) -> "Client":
        from .api.client import Client  # noqa: PLC0415 - only when it is needed: see pulumi_koreai.api

        with self._lock:
            if self._client is None:
                self._client = Client(self.settings(), self.clock, self.rng, self.reporter)
            return self._client


_platform = _Platform()


class ModelDeploymentProvider(ResourceProvider):
    """Holds nothing: its pickle is its name, the key and the host come from the configuration at run time."""

    serialize_as_secret_always = False

    def __reduce__(self) -> tuple[type["ModelDeploymentProvider"], tuple[()]]:
        return ModelDeploymentProvider, ()

    def configure(self, req: ConfigureRequest) -> None:
        _platform.configure(req.config.get)

    def check(self, _olds: Properties, news: Properties) -> CheckResult:
        raw = {key: value for key, value in news.items() if not key.startswith("__")}
        inputs, faults = check(ProgramSpec, _swapped(raw, EngineUnknown, UNKNOWN), python_spelling)
        # What the program could not check when it was declared comes from other resources, and may be secret.
        failures = [CheckFailure("", str(fault.without_value())) for fault in faults]
        try:
            _platform.settings()
        except ConfigError as error:
            failures += [CheckFailure("", PULUMI.setting_fault(fault)) for fault in error.faults]
        if failures:
            return CheckResult(news, failures)
        # Not in diff: a refresh calls that too, for what is no longer declared.
        if isinstance(model_id := inputs.get("model_id"), str):
            _platform.declared[model_id] = inputs
        return CheckResult(_swapped(inputs, Unknown, _ENGINE_UNKNOWN), [])

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> DiffResult:
        news = _swapped(_news, EngineUnknown, UNKNOWN)
        changed = state.differing(_olds, news)
        record = state.record(_olds)
        settled = state.settled(_olds, record)
        if not changed and settled:
            return DiffResult(changes=False)
        for line in _what_happens(_id, _olds, news, record):
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
        lifecycle = _lifecycle(spec.model_id, None)
        record = self._reach(lifecycle, spec, spec.goal(adopt=True), "create")
        return CreateResult(spec.model_id, state.outputs(spec, record))

    def update(self, _id: str, _olds: Properties, _news: Properties) -> UpdateResult:
        spec = _spec(_news)
        lifecycle = _lifecycle(_id, state.record(_olds))
        record = self._reach(lifecycle, spec, spec.goal(adopt=not _olds.get("adopt")), "update")
        return UpdateResult(state.outputs(spec, record))

    def delete(self, _id: str, _props: Properties) -> None:
        record = state.record(_props)
        lifecycle = _lifecycle(_id, record)
        timeout = _timeout(Timeouts.recorded(_props.get("custom_timeouts")), "delete")
        try:
            if other := _platform.declared.get(_id):
                with suppress(JobStuck):
                    # Forgotten, a job of this one would go on beside what is sent for the other one.
                    lifecycle.settle(timeout)
                doubtful = _id not in _platform.sent and not _is_as(lifecycle.record or record, other)
                current_call().note(left_alone(_id, doubtful=doubtful))
            else:
                lifecycle.retire(timeout)
        except JobTimeout as error:
            raise error.and_now(timed_out("delete", lifecycle.record)) from None
        except Cancelled:
            what_now = "run the same command again: what is done by then is found done"
            raise Cancelled(interrupted(_id, lifecycle.record, what_now)) from None

    def read(self, id_: str, props: Properties) -> ReadResult:
        record = state.record(props)
        lifecycle = _lifecycle(id_, record)
        lifecycle.refresh()
        now = lifecycle.record or record
        outputs = {**props, **state.results(now)}
        # What the outputs say is what the next diff shall compare with, except where nothing runs and they say what
        # ran last.
        inert = now.state is ModelState.UNDEPLOYED and not props.get("deployed", True)
        inputs = None if inert else {name: props[name] for name in state.ARGUMENTS if name in props}
        if not state.settled(props, now):
            if current_call().hosted:
                raise PartialFailure(id_, outputs, [unfinished(id_, now)], inputs=inputs)
            current_call().note(unfinished(id_, now))
        return ReadResult(id_, outputs, inputs)

    def _reach(
        self, lifecycle: Lifecycle, spec: ProgramSpec, goal: Goal, operation: Literal["create", "update"]
    ) -> Record:
        before = lifecycle.record
        try:
            lifecycle.reach(goal, _timeout(spec.custom_timeouts, operation))
        except (Exception, Cancelled) as error:
            now = lifecycle.record
            hosted = current_call().hosted
            recorded = now is not None and (now != before or now.under_way)
            if isinstance(error, Cancelled):
                goes_on = "takes it up again" if now and now.under_way else "goes on from there"
                reason = interrupted(spec.model_id, now, f"the next `pulumi up` {goes_on}")
                if not recorded:
                    raise Cancelled(reason) from None
            elif not recorded:
                raise
            elif isinstance(error, KoreaiError):
                reason = str(error)
                if hosted and isinstance(error, JobTimeout):
                    reason += f"\n{timed_out(operation, now)}"
            elif hosted and now:
                # Whatever it is, the job goes on: forgotten, it would be begun a second time.
                reason = f"{unfinished(spec.model_id, now)}\n{of_ours(error, 'this provider')}"
            else:
                raise
            assert now is not None
            if (
                now.state is ModelState.UNDEPLOYED
                and spec.deployed
                and before
                and before.state is not ModelState.UNDEPLOYED
            ):
                reason += f"\n{spec.model_id} was undeployed first and is not deployed now."
            if not hosted:
                reason += f"\n{not_recorded(spec.model_id, now, operation)}"
            raise PartialFailure(spec.model_id, state.outputs(spec, now), [reason]) from error
        assert lifecycle.record is not None
        if lifecycle.has_begun_the_last:
            _platform.sent.add(spec.model_id)
        return lifecycle.record


def _lifecycle(model_id: str, record: Record | None) -> Lifecycle:
    return Lifecycle(
        _platform.client(),
        model_id,
        record,
        clock=_platform.clock,
        rng=_platform.rng,
        reporter=_platform.reporter,
    )


def _timeout(timeouts: Timeouts | None, operation: Literal["create", "update", "delete"]) -> float | None:
    return current_call().timeout or (timeouts.of(operation) if timeouts else None)


def _spec(properties: Mapping[str, object]) -> ProgramSpec:
    return ProgramSpec.model_validate({name: properties[name] for name in state.ARGUMENTS if name in properties})


def _what_happens(model_id: str, olds: Mapping[str, object], news: Mapping[str, object], record: Record) -> list[str]:
    settled = state.settled(olds, record)
    why = [] if settled else [unfinished(model_id, record)]
    if any(_holds_unknown(news.get(name)) for name in state.ARGUMENTS if name != "model_id"):
        return why  # what will be is not known either: it may even equal what runs
    try:
        spec = _spec(news)
    except ValidationError:
        return why  # of another version, with other rules
    replaced = spec.model_id != model_id
    lines = outlook(model_id, spec.model_id, record, spec.goal(adopt=replaced or not olds.get("adopt")))
    return lines if replaced or lines[:1] == why else why + lines


def _is_as(record: Record, news: Mapping[str, object]) -> bool:
    """Whether what is recorded is all that is declared."""
    return not _holds_unknown(news) and next_step(record, _spec(news).goal(adopt=False)) is None


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
