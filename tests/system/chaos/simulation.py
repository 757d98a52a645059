"""A platform, an engine and their user, simulated: the provider between them is the real one, and so is its client.

The platform is the emulator's state machine. The engine is what was measured of it: what it keeps of a resource, and
what it loses when it or its host is killed. The journal is a real file. Nothing waits: time passes in sleeps, and while
an answer is awaited.
"""

import json
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import Enum
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

from pulumi.dynamic import CreateResult, UpdateResult
from urllib3 import HTTPResponse

from pulumi_koreai.api.errors import KoreaiError
from pulumi_koreai.core import state
from pulumi_koreai.core.recovery import Owner
from pulumi_koreai.emulator.platform import EmulatedJob, EmulatedPlatform, EmulatorSettings, Fail, Refusal
from pulumi_koreai.emulator.platform import random_ids as seeded_ids
from pulumi_koreai.host import Cancelled, DetailedDiff, PartialFailure
from pulumi_koreai.host.contract import CURRENT
from pulumi_koreai.journal import Journal, Journals, Line, Trouble
from tests.core.fakes import KEY, SimClock, Told
from tests.system.chaos.wire import Request, answer, process, refused, reset, silence

MODELS: Final = ("cm-a", "cm-b")

# What an operation may take beyond its time: the one request that is on its way when the time is up.
_ON_ITS_WAY_SECONDS: Final = 65.0
_DEPLOY_SECONDS, _UNDEPLOY_SECONDS, _REFRESH_SECONDS = 3600.0, 1800.0, 120.0
_SLEEPS_MAX: Final = 2_000
_LATENCY_SECONDS: Final = 0.05
# A job that is not found for longer than the package's half a minute is one that the platform has forgotten.
_NOT_FOUND_SECONDS: Final = 20.0
_EPOCH: Final = datetime(2025, 1, 1, tzinfo=UTC).timestamp()

Properties = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """One entry of the stack's file, as its user means it."""

    model: str = MODELS[0]
    device: str = "g5.xlarge"
    temperature: float = 0.5
    deployed: bool = True
    strategy: Literal["undeploy-first", "redeploy"] = "undeploy-first"
    timeout: str | None = None
    adopt: bool = False

    def inputs(self) -> Properties:
        """The properties as a program registers them."""
        return {
            "model_id": self.model,
            "deployment_name": "chat",
            "device_type": self.device,
            "hyper_parameters": {"temperature": self.temperature, "max_tokens": 256, "top_p": 1.0, "top_k": 50},
            "deployed": self.deployed,
            "adopt": self.adopt,
            "update_strategy": self.strategy,
        } | ({"custom_timeouts": dict.fromkeys(("create", "update", "delete"), self.timeout)} if self.timeout else {})

    def body(self) -> Properties:
        """What is to arrive at the platform, written out apart from the code under test."""
        return {
            "name": "chat",
            "hyperParameters": {"temperature": self.temperature, "maxTokens": 256, "topP": 1.0, "topK": 50},
            "deviceType": self.device,
        }


class Exchange:
    """A request in the hands of a fault. Until it calls `take` the platform knows nothing of it."""

    def __init__(self, world: "World", request: Request) -> None:
        self.world, self.request = world, request

    def take(self, *, told: bool = False) -> HTTPResponse:
        """The true answer. `told`: the client will see it."""
        return self.world.take(self.request, told=told)

    def job(self) -> EmulatedJob | None:
        """The job that is asked for, None for a command."""
        return self.world.job_asked_for(self.request)


class Trickle(BytesIO):
    """A body of which a byte comes every ten seconds."""

    def __init__(self, clock: SimClock, content: bytes) -> None:
        super().__init__(content)
        self._clock = clock

    def read(self, size: int | None = -1, /) -> bytes:
        self._clock.now += 10.0
        return super().read(size)

    def read1(self, _size: int | None = -1, /) -> bytes:
        return self.read(1)


def _raising(error: Callable[[], Exception], *, take: bool, wait: bool = False) -> "Act":
    def act(exchange: Exchange) -> HTTPResponse:
        if take:
            exchange.take()
        if wait:
            exchange.world.clock.now += exchange.request.read_seconds
        raise error()

    return act


def _answering(
    status: int, body: object = b"", headers: Callable[[SimClock], Mapping[str, str]] = lambda _: {}, *, take: bool
) -> "Act":
    def act(exchange: Exchange) -> HTTPResponse:
        if take:
            exchange.take()
        return answer(status, body, headers(exchange.world.clock))

    return act


def _straight(exchange: Exchange) -> HTTPResponse:
    return exchange.take(told=True)


def _cut(exchange: Exchange) -> HTTPResponse:
    whole = exchange.take().read()
    return answer(200, whole[: len(whole) // 2], {"Content-Length": str(len(whole))})


def _trickle(exchange: Exchange) -> HTTPResponse:
    whole = exchange.take().read()
    return HTTPResponse(Trickle(exchange.world.clock, whole), status=200, preload_content=False)


def _another_job(exchange: Exchange) -> HTTPResponse:
    exchange.take()
    return answer(200, {"dockStatusId": "ds-other", "modelId": "cm-other", "action": "DEPLOY", "status": "SUCCESS"})


def _not_found(exchange: Exchange) -> HTTPResponse:
    job = exchange.job()
    if job is None or exchange.world.clock.now - job.started > _NOT_FOUND_SECONDS:
        return exchange.take(told=True)
    return answer(404, {"message": "no such dock status"})


def _said(**changes: object) -> "Act":
    """The job says something odd of itself, as long as it runs."""

    def act(exchange: Exchange) -> HTTPResponse:
        job, true = exchange.job(), exchange.take(told=True)
        if job is None or job.status != "IN_PROGRESS" or true.status != 200:
            return true
        return answer(200, {**json.loads(true.read()), **changes})

    return act


def _date(clock: SimClock, later: float = 0.0) -> str:
    return format_datetime(datetime.fromtimestamp(_EPOCH + clock.now + later, UTC), usegmt=True)


Act = Callable[[Exchange], HTTPResponse]

LIMITED: Final = {"message": "Rate limit for this API has been reached. Please try again later"}
NO_PERMISSION: Final = "No deployment permission for this key"
HTML: Final = b"<html><head><title>Gateway</title></head><body><h1>Sorry</h1></body></html>"

# A fault's name, whether it tells for certain that the platform did not take the request, and what happens.
FAULTS: Final[dict[str, tuple[bool, Act]]] = {
    "connection refused": (True, _raising(refused, take=False)),
    "reset before": (False, _raising(reset, take=False)),
    "reset after": (False, _raising(reset, take=True)),
    "silence before": (False, _raising(silence, take=False, wait=True)),
    "silence after": (False, _raising(silence, take=True, wait=True)),
    "cut": (False, _cut),
    "trickle": (False, _trickle),
    "429": (True, _answering(429, LIMITED, take=False)),
    "429, seconds": (True, _answering(429, LIMITED, lambda _: {"Retry-After": "40"}, take=False)),
    "429, date": (
        True,
        _answering(429, LIMITED, lambda c: {"Date": _date(c), "Retry-After": _date(c, 20)}, take=False),
    ),
    "503, page": (True, _answering(503, HTML, take=False)),
    "503, empty": (True, _answering(503, take=False)),
    "500 before": (False, _answering(500, {"errors": [{"msg": "oops"}]}, take=False)),
    "500 after": (False, _answering(500, {"message": "oops"}, take=True)),
    "502 after": (False, _answering(502, HTML, take=True)),
    "504 before": (False, _answering(504, take=False)),
    "sign-in page": (False, _answering(200, HTML, take=False)),
    "wrong shape": (False, _answering(200, {"ok": True}, take=True)),
    "another job": (False, _another_job),
    "echo": (False, _answering(500, {"message": f"x-api-key: {KEY}"}, take=False)),
    "400": (True, _answering(400, {"message": "no"}, take=False)),
    "400, another sense": (True, _answering(400, {"errors": [{"msg": NO_PERMISSION}]}, take=False)),
    "401": (True, _answering(401, take=False)),
    "404, no route": (True, _answering(404, {"message": "no Route matched with those values"}, take=False)),
    "404, page": (True, _answering(404, HTML, take=False)),
    "404, in doubt": (True, _answering(404, {"message": "Model or job not found, or no access to it"}, take=False)),
    "redirect": (
        True,
        _answering(302, headers=lambda _: {"Location": f"https://elsewhere.example.com/?k={KEY}"}, take=False),
    ),
    "busy": (True, _answering(409, {"message": "Another job is running on the model"}, take=False)),
    "not found yet": (True, _not_found),
    "unknown status": (True, _said(status="QUEUED")),
    "backwards": (True, _said(percentageComplete=1)),
}


class HostDied(BaseException):
    """The host is gone, in the middle of a request."""


class MortalJournals(Journals):
    """Journals in which a dead process writes no more."""

    def __init__(self, folder: Path, world: "World") -> None:
        super().__init__(folder, lambda: _EPOCH + world.clock.now, world.trouble)
        self._world = world

    def of(self, stack: str) -> Journal:
        journal = super().of(stack)
        if "write" not in vars(journal):
            write = journal.write

            def unless_dead(line: Line, *, durable: bool = True) -> None:
                if not self._world.dead:
                    write(line, durable=durable)

            journal.write = unless_dead  # type: ignore[method-assign]
        return journal


class World:
    """The platform with the network before it: what was sent, what comes wrong, and what must never be.

    Attributes:
        faults: what befalls the next requests, by name; None: nothing.
        storm_until: until this instant another pipeline uses up the account's limit.
        known: the jobs of which a process was told, which wrote them down.
        violations: the invariants that were broken.
        dead: whether the process that sends is gone.
        dies_in: after so many more requests it dies in the middle of one; None: it does not.
        dies_before: whether that one does not reach the platform.
        folder: where the journals are.
    """

    def __init__(self) -> None:
        self.clock = SimClock()
        self.platform = EmulatedPlatform(
            EmulatorSettings(job_seconds=60.0, undeploy_seconds=5.0, models=frozenset(MODELS)),
            self.clock.monotonic,
            seeded_ids(5),
        )
        self.faults: list[str | None] = []
        self.storm_until = 0.0
        self.known: set[str] = set()
        self.violations: list[str] = []
        self.commands: list[str] = []
        self.looks = 0
        self.dead = False
        self.dies_in: int | None = None
        self.dies_before = False
        self.folder = Path(tempfile.mkdtemp(prefix="pulumi-koreai-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._unsettled: set[str] = set()
        self._unanswered: set[str] = set()

    def begin_run(self) -> None:
        """A new process: of the last one it knows what the state and the journal hold, no more."""
        # Where it died, its user was not told of a deploy that may have been taken.
        self._unsettled = set(self._unanswered) if self.dead else set()
        self._unanswered.clear()
        self.dead = False

    def trouble(self, trouble: Trouble) -> None:
        """A journal has nothing to complain of."""
        self.violations.append(f"the journal: {trouble}")

    def serve(self, request: Request) -> HTTPResponse:
        """One request, with whatever befalls it."""
        self.clock.now += _LATENCY_SECONDS
        if self.dead:
            raise HostDied
        if self.dies_in is not None:
            self.dies_in -= 1
            if self.dies_in <= 0:
                self.dead = True
                if self.dies_before:
                    raise HostDied
        path = urlsplit(request.target).path
        name = self.faults.pop(0) if self.faults else None
        if self.clock.now < self.storm_until and request.method == "POST":
            name = "429"
        if request.method == "POST":
            self.commands.append(path.rpartition("/")[2])
        else:
            self.looks += 1
        plain, act = FAULTS[name] if name else (False, _straight)
        if not path.endswith("/deploy"):
            response = act(Exchange(self, request))
            if self.dead:
                raise HostDied
            return response
        model_id, jobs = path.split("/")[-2], self.platform.jobs()
        if model_id in self._unsettled:
            self.violations.append(f"a deploy of {model_id} is sent again, though the last one may have been taken")
        running = {job.id for job in jobs if job.status == "IN_PROGRESS" and job.model_id == model_id}
        if self.known & running:
            self.violations.append(f"{model_id} is deployed while a job that is known of runs")
        self._unsettled.add(model_id)
        self._unanswered.add(model_id)
        try:
            response = act(Exchange(self, request))
            plain = plain or (act is _straight and response.status >= 400)
            if self.dead:
                plain = False
                raise HostDied
            if act is _straight or {job.id for job in self.platform.jobs()[len(jobs) :]} & self.known:
                self._unanswered.discard(model_id)
            return response
        finally:
            if plain and len(self.platform.jobs()) == len(jobs):
                self._unsettled.discard(model_id)
                self._unanswered.discard(model_id)

    def take(self, request: Request, *, told: bool) -> HTTPResponse:
        """The platform's own answer. `told`: the client will see it."""
        url = urlsplit(request.target)
        *_, subject, last = url.path.split("/")
        try:
            if request.method == "GET":
                job = self.platform.dock_status(last)
            elif last == "deploy":
                body = json.loads(request.body or b"null")
                job = self.platform.deploy("account", subject, parse_qs(url.query)["modelType"][0], body)
            else:
                job = self.platform.undeploy("account", subject)
        except Refusal as refusal:
            return answer(refusal.status, {"errors": [{"msg": message} for message in refusal.messages]})
        if told and not self.dead:
            self.known.add(job.id)
        said: dict[str, object] = {
            "dockStatusId": job.id,
            "modelId": job.model_id,
            "action": job.action,
            "status": job.status,
            "percentageComplete": self.platform.percent(job),
        }
        return answer(200, said | ({"response": {"message": job.reason}} if job.status == "FAILED" else {}))

    def job_asked_for(self, request: Request) -> EmulatedJob | None:
        """The job that a look is about, None for a command."""
        job_id = urlsplit(request.target).path.rpartition("/")[2]
        return next((job for job in self.platform.jobs() if job.id == job_id), None)

    def calm(self) -> None:
        """No more faults: the network is well, jobs succeed, and soon enough for the shortest timeout of the tests."""
        self.faults.clear()
        self.storm_until = 0.0
        for model_id in MODELS:
            self.platform.set_model(model_id, fail=Fail(), job_seconds=30.0, undeploy_seconds=5.0)
        for job in self.platform.jobs():
            if job.status == "IN_PROGRESS":
                job.reason, job.seconds = None, min(job.seconds, self.clock.now - job.started + 20.0)

    def is_as(self, model_id: str, wanted: Wanted | None) -> bool:
        """Whether a model is as it is wanted, and no job will change that. None: it is not to be deployed."""
        model = self.platform.model(model_id)
        if any(one.id == model.job_id and one.action != "EXPORT" for one in self.platform.jobs()):
            return False
        if wanted is None or not wanted.deployed:
            return model.deployment is None
        return model.deployment is not None and model.deployment.body == wanted.body()


class Stop(Enum):
    """What ends a command before its time."""

    INTERRUPT = "Ctrl-C"
    KILL = "SIGKILL to the engine, and so to its host, in the middle of a wait"
    DIE = "SIGKILL to the host, in the middle of a request"
    UNSAVED = "the backend of the state can't be written to any more"


@dataclass
class Resource:
    """What the engine keeps of a resource.

    Attributes:
        failed: it has `initErrors`: the next `up` calls update, whatever else there is.
        dying: a replaced one that is still to be deleted.
        sent_at: when something was last sent for it.
    """

    name: str
    id: str
    inputs: Properties
    outputs: Properties
    failed: bool = False
    dying: bool = False
    sent_at: float = 0.0


@dataclass
class Outcome:
    """How a command ended, and all that its user could read."""

    ok: bool = True
    errors: list[str] = field(default_factory=list)
    told: Told = field(default_factory=Told)

    @property
    def texts(self) -> list[str]:
        return [*self.errors, *self.told.notes, *self.told.progressed]


class _Ended(Exception):
    """The command does not go on."""


class Engine:
    """The engine: it registers what a program declares, calls the provider, and keeps a state.

    Attributes:
        hosted: whether the provider runs under this package's host, which records what is half-made and hears Ctrl-C.
        resources: the state.
        doubted: the models of which the state may not be true, as somebody used the console.
        astray: the models of which something was sent that the state does not know of: the next command that has to do
            with them finds it in the journal.
        outranked: of those that the last command added: the models of which something was sent for an entry that went
            after the last that was sent for the one that stays.
    """

    def __init__(self, world: World, *, hosted: bool) -> None:
        self.world, self.hosted = world, hosted
        self.resources: list[Resource] = []
        self.pending: set[str] = set()  # the names of the creations that never ended
        self.doubted: set[str] = set()
        self.astray: set[str] = set()
        self.outranked: set[str] = set()
        self._stop: tuple[Stop, int] | None = None
        self._stopped = False
        self._outcome = Outcome()

    def up(
        self, declared: Mapping[str, Wanted], stop: tuple[Stop, int] | None = None, *, target: str | None = None
    ) -> Outcome:
        """`pulumi up`: what is declared first, then the deletions; with a target, of that name alone."""

        def work() -> None:
            for name, wanted in declared.items():
                if target in (None, name):
                    self._register(name, wanted.inputs())
            for resource in [one for one in self.resources if one.dying or one.name not in declared]:
                if target in (None, resource.name):
                    self._delete(resource)

        return self._command(work, stop)

    def destroy(self, stop: tuple[Stop, int] | None = None) -> Outcome:
        """`pulumi destroy`."""

        def work() -> None:
            for resource in reversed(list(self.resources)):
                self._delete(resource)

        return self._command(work, stop)

    def refresh(self, stop: tuple[Stop, int] | None = None) -> Outcome:
        """`pulumi refresh`."""

        def work() -> None:
            for resource in self.resources:
                if not resource.dying:
                    self._read(resource)

        return self._command(work, stop)

    def preview(self, declared: Mapping[str, Wanted]) -> Outcome:
        """`pulumi preview`."""

        def work() -> None:
            for name, wanted in declared.items():
                self._changes(name, self._find(name), wanted.inputs())

        return self._command(work, None)

    def _find(self, name: str) -> Resource | None:
        return next((one for one in self.resources if one.name == name and not one.dying), None)

    def _changes(self, name: str, old: Resource | None, props: Properties) -> tuple[Properties, bool, bool]:
        """The checked inputs, whether they are a change, and whether that is a replacement."""
        self._about(name)
        checked = self._provider.check(old.inputs if old else {}, props)
        assert not checked.failures, checked.failures
        inputs = as_the_engine_keeps(checked.inputs)
        if old is None:
            return inputs, True, False
        diff = self._provider.diff(old.id, old.outputs, inputs)
        changed = diff.changes
        if changed is None:
            changed = (self.hosted and isinstance(diff, DetailedDiff)) or inputs != old.inputs
        return inputs, changed or old.failed, bool(diff.replaces)

    def _register(self, name: str, props: Properties) -> None:
        old = self._find(name)
        inputs, changed, replaced = self._changes(name, old, props)
        sent, now = len(self.world.commands), self.world.clock.now
        if old is None or (changed and replaced):
            self.pending.add(name)
            outs, ok = self._ask(lambda: self._provider.create(inputs), name, inputs["model_id"], None, inputs)
            self.pending.discard(name)
            if outs is not None:
                if old is not None:
                    old.dying = True
                sent_at = now if len(self.world.commands) > sent else 0.0
                self.resources.append(Resource(name, inputs["model_id"], inputs, outs, failed=not ok, sent_at=sent_at))
        elif changed:
            outs, ok = self._ask(lambda: self._provider.update(old.id, old.outputs, inputs), name, old.id, old, inputs)
            if outs is not None:
                old.sent_at = now if len(self.world.commands) > sent else old.sent_at
                old.outputs, old.failed = outs, not ok
                old.inputs = inputs if ok else old.inputs
        else:
            old.inputs = inputs
            self.astray.discard(old.id)  # the journal was asked
            return
        if not ok:
            raise _Ended

    def _about(self, name: str) -> None:
        """The next call is about this resource."""
        CURRENT.get().urn = f"urn:pulumi:dev::chaos::koreai:ModelDeployment::{name}" if self.hosted else ""

    def _owners(self, _urn: str) -> Sequence[Owner] | None:
        return [
            Owner(
                f"urn:pulumi:dev::chaos::koreai:ModelDeployment::{one.name}",
                one.id,
                state.record(one.outputs),
                one.dying,
            )
            for one in self.resources
        ] + [
            Owner(f"urn:pulumi:dev::chaos::koreai:ModelDeployment::{name}", "", state.record({}), pending=True)
            for name in self.pending
        ]

    def _delete(self, resource: Resource) -> None:
        def ask() -> UpdateResult:
            self._provider.delete(resource.id, resource.outputs)
            return UpdateResult({})

        _, ok = self._ask(ask, resource.name, resource.id, resource, resource.outputs, deleting=True)
        if not ok:
            raise _Ended
        self.resources.remove(resource)
        if any(one.id == resource.id and one.sent_at < resource.sent_at for one in self.resources):
            # Two entries had the model, and the one that stays does not know what was sent for the other.
            self.outranked |= {resource.id} - self.doubted
            self.doubted.add(resource.id)

    def _read(self, resource: Resource) -> None:
        self._about(resource.name)
        began = self.world.clock.now
        error = ""
        inputs: Mapping[str, Any] | None = None
        try:
            result = self._provider.read(resource.id, resource.outputs)
            outs, inputs = result.outs, result.inputs
        except PartialFailure as failure:
            outs, inputs, error = dict(failure.outs), failure.inputs, str(failure)
        except (KoreaiError, Cancelled, HostDied) as failure:
            self._outcome.errors.append(str(failure))
            raise _Ended from None
        self._bounded(began, _REFRESH_SECONDS)
        if self._killed:
            raise _Ended
        assert outs is not None
        resource.outputs, resource.failed = as_the_engine_keeps(outs), bool(error)
        resource.inputs = as_the_engine_keeps(dict(inputs)) if inputs else resource.inputs
        if error:
            self._outcome.told.notes.append(error)

    def _ask(
        self,
        ask: Callable[[], CreateResult | UpdateResult],
        name: str,
        model_id: str,
        old: Resource | None,
        props: Properties,
        *,
        deleting: bool = False,
    ) -> tuple[Properties | None, bool]:
        """Call the provider: the outputs to record, None for none, and whether it went well."""
        self._about(name)
        began, sent_before = self.world.clock.now, len(self.world.commands)
        under_way = old is not None and old.outputs["state"] in ("deploying", "undeploying")
        if old is not None and under_way:
            self.world.known.add(old.outputs["dock_status_id"])
        outs: Properties | None = None
        error, lost = "", False
        try:
            outs = ask().outs
        except PartialFailure as failure:
            error, lost = str(failure), not self.hosted
            outs = dict(failure.outs) if self.hosted else None
        except (KoreaiError, Cancelled, HostDied) as failure:
            error = str(failure) or "error reading from server: EOF"
        sent = self.world.commands[sent_before:]
        seconds = _time_for(props, sent, old if under_way else None, astray=model_id in self.astray)
        # A stuck job may take the time, and the undeploy after it once more.
        found_astray = model_id in self.astray
        self._bounded(began, seconds * 2 if deleting and (under_way or found_astray) and sent else seconds)
        self.astray.discard(model_id)
        unsaved = lost or self._killed or self.world.dead or (deleting and bool(error))
        if unsaved:
            self.astray.add(model_id)  # something may have been sent, by this call or one before it
        if self._killed or self.world.dead:
            self._outcome.errors.append("error reading from server: EOF")
            raise _Ended
        if error:
            self._outcome.errors.append(error)
        return (None if outs is None else as_the_engine_keeps(outs)), not error

    @property
    def _killed(self) -> bool:
        """Whether the engine is gone, or can't write, and records nothing any more."""
        return self._stopped and self._stop is not None and self._stop[0] in (Stop.KILL, Stop.UNSAVED)

    def _bounded(self, began: float, seconds: float) -> None:
        took = self.world.clock.now - began
        if took > seconds + _ON_ITS_WAY_SECONDS:
            self.world.violations.append(f"a call took {took:.0f} s of {seconds:.0f}: the wait does not end")

    def _command(self, work: Callable[[], None], stop: tuple[Stop, int] | None) -> Outcome:
        if not self.hosted and stop and stop[0] is Stop.INTERRUPT:
            stop = None  # the stock host does not hear it
        self._stop, self._stopped, self._outcome = stop, False, Outcome()
        self.world.begin_run()
        self.outranked.clear()
        dying = stop is not None and stop[0] is Stop.DIE
        self.world.dies_in, self.world.dies_before = (
            (stop[1] // 2 + 1, stop[1] % 2 == 0) if dying and stop else (None, False)
        )
        clock = self.world.clock
        clock.sleeps.clear()
        clock.on_moment = self._moment
        journals = MortalJournals(self.world.folder, self.world)
        with process(
            self.world.serve,
            clock,
            self._outcome.told,
            hosted=self.hosted,
            journals=journals,
            witness=self._owners,
        ) as self._provider:
            try:
                work()
            except (_Ended, HostDied):
                self._outcome.ok = False
        return self._outcome

    def _moment(self) -> None:
        """Called at the beginning of each sleep."""
        slept = len(self.world.clock.sleeps)
        if slept > _SLEEPS_MAX:
            self.world.violations.append(f"{slept} sleeps in one command: the wait does not end")
            raise _Ended
        if self._stop is not None and slept >= self._stop[1]:
            self._stopped = self._stop[0] is not Stop.DIE
        if self._killed and self._stop is not None and self._stop[0] is Stop.KILL:
            self.world.dead = True
        if self.world.dead or (self._stopped and not self._killed):
            raise Cancelled


def as_the_engine_keeps(value: Properties) -> Properties:
    """Properties as they come back from the engine: JSON, whose numbers are all floats."""
    kept: Properties = json.loads(json.dumps(value, allow_nan=False), parse_int=float)
    return kept


def _time_for(props: Properties, sent: list[str], under_way: Resource | None, *, astray: bool) -> float:
    """The seconds that the README gives an operation which did this; a job of the journal may be waited for first."""
    if timeouts := props.get("custom_timeouts"):
        text: str = timeouts["create"]
        return float(text.removesuffix("m")) * 60.0
    resumed = _DEPLOY_SECONDS if astray else 0.0
    if under_way is not None:
        resumed += _DEPLOY_SECONDS if under_way.outputs["last_action"] == "DEPLOY" else _UNDEPLOY_SECONDS
    return resumed + ("deploy" in sent) * _DEPLOY_SECONDS + ("undeploy" in sent) * _UNDEPLOY_SECONDS


class User:
    """Edits the stack's file, runs commands, and does what the README says when something went wrong."""

    def __init__(self, *, hosted: bool) -> None:
        self.world = World()
        self.engine = Engine(self.world, hosted=hosted)
        self.name = "chat"
        self.wanted: Wanted | None = Wanted()
        self.disappointed = False

    @property
    def declared(self) -> dict[str, Wanted]:
        return {} if self.wanted is None else {self.name: self.wanted}

    def up(self, stop: tuple[Stop, int] | None = None) -> Outcome:
        outcome = self._checked(self.engine.up(self.declared, stop))
        if outcome.ok:
            self._expect_as_declared("`up` ended well")
            self._expect_owners("`up` ended well")
            for model_id in self.engine.outranked:
                told = any(note.startswith(model_id) and "may be what runs" in note for note in outcome.told.notes)
                self._expect(
                    told or self.world.is_as(model_id, self.wanted), f"{model_id} is other than declared, untold"
                )
        return outcome

    def up_of_one(self, name: str, stop: tuple[Stop, int] | None = None) -> Outcome:
        """`pulumi up --target`: what the others have stays as it is."""
        outcome = self._checked(self.engine.up(self.declared, stop, target=name))
        if outcome.ok:
            self._expect_owners("`up --target` ended well")
        return outcome

    def up_after_a_look(self, stop: tuple[Stop, int] | None = None) -> Outcome:
        """Look in the console, and take over what is deployed as declared."""
        wanted = self.wanted
        if wanted is not None and wanted.deployed and self.world.is_as(wanted.model, wanted):
            self.wanted = replace(wanted, adopt=True)
        try:
            return self.up(stop)
        finally:
            self.wanted = wanted  # the line should go afterwards

    def destroy(self, stop: tuple[Stop, int] | None = None) -> Outcome:
        outcome = self._checked(self.engine.destroy(stop))
        if outcome.ok:
            for model_id in set(MODELS) - self.engine.doubted - self.engine.astray:
                self._expect(self.world.is_as(model_id, None), f"{model_id} is deployed after a `destroy`")
        return outcome

    def refresh(self, stop: tuple[Stop, int] | None = None) -> Outcome:
        sent = len(self.world.commands)
        outcome = self._checked(self.engine.refresh(stop))
        self._expect(len(self.world.commands) == sent, "a refresh sends more than questions")
        return outcome

    def preview(self) -> None:
        before = len(self.world.commands), self.world.looks
        self._checked(self.engine.preview(self.declared))
        self._expect((len(self.world.commands), self.world.looks) == before, "a preview sends something")

    def settle(self) -> None:
        """The faults have stopped: do what the README says, once, and see that it is as declared."""
        self.world.calm()
        if self.wanted is not None:
            self.wanted = replace(self.wanted, timeout=None)
        wanted = self.wanted
        outcome = self.up_after_a_look() if self.engine.doubted else self.up()
        if not outcome.ok and any("is unknown; nothing was sent" in error for error in outcome.errors):
            outcome = self.up_after_a_look()  # it stops once, and says to look and to run it again
        doubted = set(self.engine.doubted)  # that `up` may have deleted one of two entries that had a model
        for model_id in self.engine.astray - {wanted.model if wanted else ""}:
            self._undeploy_by_hand(model_id)  # no entry names it any more, so no command asks the journal
            for journal in self.world.folder.glob("*.jsonl"):
                journal.unlink()  # as the page says
        self.engine.astray.clear()
        self._expect(outcome.ok, f"one `up` is not enough: {outcome.errors}")
        self._expect_as_declared("the faults have stopped")
        for model_id in doubted:
            if wanted is None or wanted.model != model_id:
                self._undeploy_by_hand(model_id)
            elif not self.world.is_as(model_id, wanted):
                # What was done behind the state's back: `deployed` to false and back.
                self.wanted = replace(wanted, deployed=not wanted.deployed)
                self.up()
                self.wanted = wanted
                self.up()
        self.engine.doubted.clear()
        self._expect_as_declared("the documented way back was gone")

    def leave(self) -> None:
        """Take all of it down, with no faults about."""
        outcome = self.destroy()
        self._expect(outcome.ok, f"one `destroy` is not enough: {outcome.errors}")

    def _undeploy_by_hand(self, model_id: str) -> None:
        """In the console: what no entry names any more, and no record tells of."""
        while self.world.platform.model(model_id).job_id is not None:
            self.world.clock.now += 60.0
        self.world.platform.set_model(model_id, state="Ready to Deploy")

    def _expect_as_declared(self, when: str) -> None:
        for model_id in set(MODELS) - self.engine.doubted - self.engine.astray:
            wanted = self.wanted if self.wanted and self.wanted.model == model_id else None
            self._expect(self.world.is_as(model_id, wanted), f"{when}, but {model_id} is not as declared")

    def _expect_owners(self, when: str) -> None:
        """No model runs in no state, and none is down of which the state says that it is deployed."""
        for model_id in set(MODELS) - self.engine.doubted - self.engine.astray:
            owners = [one for one in self.engine.resources if one.id == model_id]
            model = self.world.platform.model(model_id)
            self._expect(bool(owners) or model.deployment is None, f"{when}, but {model_id} runs in no state")
            if owners and not any(one.failed or one.dying for one in owners):
                newest = max(owners, key=lambda one: one.sent_at)
                down = newest.outputs["state"] == "deployed" and model.deployment is None
                self._expect(not down, f"{when}, but {model_id} is down, and {newest.name} says that it is deployed")

    def _checked(self, outcome: Outcome) -> Outcome:
        self._expect(not self.world.violations, "; ".join(self.world.violations))
        for text in [*outcome.texts, json.dumps([vars(one) for one in self.engine.resources])]:
            self._expect(KEY not in text, f"the key is told: {text}")
        return outcome

    def _expect(self, kept: bool, broken: str) -> None:
        if not kept:
            self.disappointed = True
            raise AssertionError(broken)
