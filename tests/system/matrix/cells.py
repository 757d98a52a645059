"""Runs cells of the matrix: an operation on a model, which a fault strikes; then the next `pulumi up`, without.

Both hosts' processes are driven over gRPC as the engine does it, many cells at once, against one emulator. The world
goes `SPEED` times as fast as the real one (see `hurried`). `test_real_engine` shows that the real engine sees the same.
"""

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, Final, TypeAlias

from pulumi.runtime.proto import provider_pb2

from pulumi_koreai.api.declared import DeployRequest
from pulumi_koreai.core.spec import RESULTS
from pulumi_koreai.emulator import KINDS, Emulator, Options
from pulumi_koreai.emulator.faults import Answer, Cut, OddJob, Reset, Someone
from tests.host import harness
from tests.host.harness import FakeEngine, HostProcess
from tests.system.matrix import watch
from tests.system.matrix.hurried import SPEED, quickened
from tests.system.matrix.operations import DOWN, HOSTS, RUNNING, WANTED, Host, Run, Seen
from tests.system.matrix.watch import Resource

Properties: TypeAlias = dict[str, Any]

KEY: Final = "kg-of-the-matrix"
# By the provider's clock.
JOB_SECONDS: Final = 1.0
LOOK_TIMEOUT_SECONDS: Final = 15
POST_TIMEOUT_SECONDS: Final = 30
LONG_TIMEOUT_SECONDS: Final = 60
# Of a job at which somebody else acts while it is looked at for the first time.
LONG_JOB_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.4

MODULES: Final[Mapping[Host, str]] = {"own": "pulumi_koreai.host", "stock": "pulumi.dynamic"}
PROCESSES: Final[Mapping[Host, int]] = {"own": 1, "stock": 2}
# The stock host serves four calls at a time.
AT_ONCE: Final[Mapping[Host, int]] = {"own": 24, "stock": 4}

_PROVIDER: Final = harness.by_name("pulumi_koreai.provider", "ModelDeploymentProvider")


class Stack:
    """One model in a stack, as the engine would keep it."""

    def __init__(self, process: HostProcess, run: Run, emulator: Emulator) -> None:
        self._process, self._run, self._emulator = process, run, emulator
        self.resource: Resource | None = None
        self.declared = _declared(run, WANTED)
        if run.kind == DOWN and run.what.strikes != "dock-status":
            emulator.set_model(run.model, undeploy_seconds=0)  # nothing comes between an undeploy and a deploy
        if _is_acted_on(run):
            seconds = LONG_JOB_SECONDS / SPEED
            emulator.set_model(run.model, job_seconds=seconds, undeploy_seconds=seconds)
        begins = run.what.begins
        if begins == "new":
            return
        temperature = RUNNING if begins == "deployed" else WANTED
        inputs = {**_declared(run, temperature), "deployed": True}
        results: Properties = dict(zip(RESULTS, ("deployed", "", "", "", 0.0), strict=True))
        if begins == "deployed":
            emulator.set_model(run.model, deployment=_body(inputs))
        else:
            results |= {"state": "deploying", "last_action": "DEPLOY", "last_status": "IN_PROGRESS"}
            results["dock_status_id"] = self._interrupted_job(inputs)
        self.resource = Resource({**inputs, **results}, inputs)

    def _interrupted_job(self, inputs: Properties) -> str:
        odd = KINDS.get(self._run.kind or "")
        with self._emulator.changing() as platform:
            if isinstance(odd, OddJob):
                platform.model(self._run.model).oddity = odd.oddity
            job = platform.deploy("an earlier run", self._run.model, "openSource", _body(inputs))
            job.started -= 3600  # it has ended meanwhile, if it ends at all
            return job.id

    def operate(self) -> str:
        match self._run.what.call:
            case "delete":
                return self.destroy()
            case "read":
                return self.refresh()
            case _:
                return self.up()

    def again(self) -> str:
        """The next run: `pulumi up`, which deletes what is gone from the program. It has the time that it needs."""
        if self.declared.get("custom_timeouts"):
            self.declared |= _timeouts(LONG_TIMEOUT_SECONDS)
            if self.resource is not None:
                self.resource = replace(
                    self.resource, outputs={**self.resource.outputs, **_timeouts(LONG_TIMEOUT_SECONDS)}
                )
        return self.destroy() if self._run.what.call == "delete" else self.up()

    def up(self) -> str:
        """`pulumi up`: its error, "" for none."""
        old = self.resource
        checked = self._process.ask(
            "Check",
            provider_pb2.CheckRequest(
                **self._who, olds=_struct(old.inputs if old else None), news=_struct(self.declared)
            ),
        )
        assert checked.code == "OK", checked.message
        assert not checked.response.failures
        news = harness.plain(checked.response.inputs)
        if old is None:
            answer = self._ask("Create", provider_pb2.CreateRequest(**self._who, properties=_struct(news)))
            return self._kept(answer, news, news)
        both: dict[str, Any] = {
            "id": self._run.model,
            **self._who,
            "olds": _struct(old.outputs),
            "news": _struct(news),
            "old_inputs": _struct(old.inputs),
        }
        diff = self._ask("Diff", provider_pb2.DiffRequest(**both))
        assert diff.code == "OK", diff.message
        changes = diff.response.changes
        none, some = provider_pb2.DiffResponse.DIFF_NONE, provider_pb2.DiffResponse.DIFF_SOME
        differs = changes == some or (changes != none and news != old.inputs)
        if not differs and not old.init_errors:
            self.resource = replace(old, inputs=news)
            return ""
        answer = self._ask("Update", provider_pb2.UpdateRequest(**both))
        return self._kept(answer, news, old.inputs)

    def refresh(self) -> str:
        """`pulumi refresh`. A resource whose initialization failed is a warning to the engine."""
        old = self.resource
        assert old is not None
        answer = self._ask(
            "Read",
            provider_pb2.ReadRequest(
                id=self._run.model, **self._who, properties=_struct(old.outputs), inputs=_struct(old.inputs)
            ),
        )
        inputs = harness.plain(answer.response.inputs) if answer.response else old.inputs
        return self._kept(answer, inputs, old.inputs)

    def destroy(self) -> str:
        old = self.resource
        if old is None:
            return ""
        answer = self._ask(
            "Delete",
            provider_pb2.DeleteRequest(
                id=self._run.model, **self._who, properties=_struct(old.outputs), old_inputs=_struct(old.inputs)
            ),
        )
        if answer.code == "OK":
            self.resource = None
        return answer.message

    @cached_property
    def _who(self) -> Any:
        return {"urn": harness.urn(self._run.model), "name": self._run.model, "type": harness.TYPE}

    def _ask(self, method: str, request: Any) -> harness.Answer:
        return self._process.ask(method, request, timeout=120)

    def _kept(self, answer: harness.Answer, inputs: Properties, inputs_after_failure: Properties) -> str:
        if answer.code == "OK":
            self.resource = Resource(answer.outs, inputs)
            return ""
        if answer.partial:
            reasons = tuple(answer.partial.reasons)
            self.resource = Resource(harness.plain(answer.partial.properties), inputs_after_failure, reasons)
            return "\n".join(reasons)
        return answer.message


def _strikes_others(run: Run) -> bool:
    """Whether the platform goes away, or a deploy is refused for the key, with which no outage is begun then."""
    return run.kind in ("away", DOWN) or (run.what.strikes == "deploy" and run.kind in ("401", "403"))


class Cells:
    """Both hosts and the platform, as a context manager."""

    def __enter__(self) -> "Cells":
        seconds = JOB_SECONDS / SPEED
        self._emulator = Emulator(Options(job_seconds=seconds, undeploy_seconds=seconds, requests_per_minute=None))
        self._emulator.__enter__()
        self._engine = FakeEngine().__enter__()
        self._processes: dict[Host, list[HostProcess]] = {host: [] for host in HOSTS}
        config = {
            "koreai:host": self._emulator.url,
            "koreai:apiKey": KEY,
            "koreai:requestsPerMinute": "1000000",
            "koreai:pollMinSeconds": str(POLL_SECONDS),
        }
        for host, count in PROCESSES.items():
            for _ in range(count):
                process = HostProcess(["-u", "-m", "tests.system.matrix.hurried", MODULES[host]], engine=self._engine)
                self._processes[host].append(process)
                assert process.ask("Configure", harness.configure(**config)).code == "OK"
        return self

    def __exit__(self, *error: Any) -> None:
        for host in HOSTS:
            for process in self._processes[host]:
                process.__exit__()
        self._engine.__exit__()
        self._emulator.__exit__(*error)

    def run(self, runs: Iterable[Run]) -> dict[Run, Seen]:
        """Run cells, many at once, but for those that strike others of the same process or platform too."""
        batches: dict[str, list[Run]] = {}
        for run in runs:
            batches.setdefault(run.model if _strikes_others(run) else run.what.strikes, []).append(run)
        return {run: seen for batch in batches.values() for run, seen in self._run_together(batch).items()}

    def _run_together(self, runs: list[Run]) -> dict[Run, Seen]:
        self._emulator.reset()
        # Those that take longest first: a refresh has no timeout but its own of two minutes.
        runs = sorted(runs, key=lambda run: (run.what.call != "read", run.often))
        stacks = {run: Stack(self._process(number, run), run, self._emulator) for number, run in enumerate(runs)}
        before = {run: stack.resource for run, stack in stacks.items()}
        taken_before = watch.deploys_taken(self._emulator)
        with ExitStack() as faults:
            if runs[0].kind == DOWN:
                faults.enter_context(self._down(runs[0]))
            else:
                self._emulator.use(*(watch.fault(run, quickened) for run in runs if run.kind is not None))
            errors = self._all(stacks, Stack.operate)
        self._emulator.use()
        held = {run: stack.resource for run, stack in stacks.items()}
        sent, notes, taken = watch.sent(self._emulator), self._notes(), watch.deploys_taken(self._emulator)
        self._emulator.forget_requests()
        with self._emulator.changing() as platform:
            for job in platform.jobs():
                job.seconds = 0
        next_errors = self._all(stacks, Stack.again)
        next_sent = watch.sent(self._emulator)
        failing = {run: stack for run, stack in stacks.items() if next_errors[run]}
        for _ in range(2):
            self._all(failing, Stack.again)
        return {
            run: Seen(
                errors[run],
                tuple(notes.get(run.model, ())),
                watch.holds(before[run], held[run]),
                tuple(what for what in sent.get(run.model, ()) if what != "look"),
                taken[run.model] - taken_before[run.model],
                tuple(next_sent.get(run.model, ())),
                next_errors[run],
                watch.as_declared(self._emulator, run, stack.resource),
            )
            for run, stack in stacks.items()
        }

    @contextmanager
    def _down(self, run: Run) -> Iterator[None]:
        """Nobody listens from before the request of the run until it was missed once, or until the run has ended."""
        assert harness.until(lambda: not self._emulator.away)  # it may be away still from the run before
        if watch.request_before(run):
            self._emulator.use(watch.fault(run))
        else:
            watch.leave(self._emulator)
        ended = threading.Event()

        def missed() -> bool:
            return any(
                line.ephemeral and line.urn == harness.urn(run.model) and "no connection" in line.message
                for _, line in list(self._engine.lines)
            )

        def come_back() -> None:
            harness.until(lambda: ended.is_set() or (run.often == "once" and missed()), 30)
            self._emulator.come_back()  # it fails where nobody has left

        with ThreadPoolExecutor(1) as pool:
            back = pool.submit(come_back)
            try:
                yield
            finally:
                ended.set()
            back.result()

    def _process(self, number: int, run: Run) -> HostProcess:
        processes = self._processes[run.host]
        return processes[number // len(HOSTS) % len(processes)]

    def _all(self, stacks: Mapping[Run, Stack], do: Callable[[Stack], str]) -> dict[Run, str]:
        pools = {host: ThreadPoolExecutor(AT_ONCE[host] * PROCESSES[host]) for host in HOSTS}
        try:
            futures = {run: pools[run.host].submit(do, stack) for run, stack in stacks.items()}
            return {run: future.result() for run, future in futures.items()}
        finally:
            for pool in pools.values():
                pool.shutdown()

    def _notes(self) -> dict[str, list[str]]:
        """The lines by the model that they are about, from our host's log and from the stock host's stderr."""
        notes: dict[str, list[str]] = {}
        for _, line in list(self._engine.lines):
            if not line.ephemeral and line.severity:
                notes.setdefault(line.urn.rpartition("::")[2], []).append(line.message)
        for line in (line for process in self._processes["stock"] for line in list(process.stderr)):
            for model in re.findall(r"cm-[\w.-]+\w", line):
                notes.setdefault(model, []).append(line.rstrip())
        return notes


def _declared(run: Run, temperature: float) -> Properties:
    declared: Properties = {
        "model_id": run.model,
        "deployment_name": watch.DEPLOYMENT_NAME,
        "model_type": "openSource",
        "device_type": "g5.xlarge",
        "hyper_parameters": {"temperature": temperature, "max_tokens": 128, "top_p": 1.0, "top_k": 10},
        "deployed": True,
        "adopt": False,
        "update_strategy": "undeploy-first",
        **run.what.declared,
    }
    if timeout_seconds := _timeout_seconds(run):
        declared |= _timeouts(timeout_seconds)
    return declared


def _timeouts(seconds: int) -> Properties:
    return {"custom_timeouts": dict.fromkeys(("create", "update", "delete"), f"{seconds}s")}


def _timeout_seconds(run: Run) -> int | None:
    """What ends an operation that a fault keeps up for ever; None where nothing has to: this machine may be slow."""
    if run.kind is None:
        return None
    kind, look = KINDS.get(run.kind), run.what.strikes == "dock-status"
    insists = (
        isinstance(kind, (Answer, Reset, Cut))
        or (isinstance(kind, Someone) and not look)
        or (run.kind == DOWN and look)
    )
    if (insists and run.often == "always") or run.kind in ("job-never-ends", "job-ends-unheard-of"):
        return LOOK_TIMEOUT_SECONDS if look else POST_TIMEOUT_SECONDS
    return None


def _is_acted_on(run: Run) -> bool:
    """Whether somebody else acts on the model while its job is looked at."""
    return isinstance(KINDS.get(run.kind or ""), Someone) and run.what.strikes == "dock-status"


def _body(inputs: Properties) -> Any:
    return DeployRequest.model_validate(
        {name: inputs[name] for name in DeployRequest.model_fields if name in inputs}
    ).body()


def _struct(values: Properties | None) -> Any:
    return None if values is None else harness.struct(_PROVIDER, values)
