"""A request's answer: how long it is waited for, what is told meanwhile, and what an interruption leaves."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPResponse

from pulumi_koreai.api import inflight
from pulumi_koreai.api.client import Client
from pulumi_koreai.api.errors import AnswerLost, ApiError
from pulumi_koreai.api.inflight import GivenUp, InFlight
from pulumi_koreai.api.settings import Settings
from pulumi_koreai.api.transport import what_came
from pulumi_koreai.base.clock import SystemClock, wait_in_steps
from pulumi_koreai.core.lifecycle import Lifecycle
from pulumi_koreai.core.rules import Goal, ModelState, Record
from tests.api.scripted_server import ScriptedServer, reply
from tests.core.fakes import KEY, MODEL, OTHER, REQUEST, Interrupted, SimClock, Told
from tests.system.chaos.wire import Request, WiredClient, answer, silence

JOB: dict[str, object] = {"dockStatusId": "ds-1", "modelId": MODEL, "status": "IN_PROGRESS"}
LARGE = 5 << 20


class Waits(SimClock):
    """A clock on which time passes while an answer is awaited, until `answered_at`."""

    def __init__(self, answered_at: float, let_go: threading.Event) -> None:
        super().__init__(0.0)
        self.answered_at, self.let_go = answered_at, let_go

    def wait(self, done: threading.Event, seconds: float) -> bool:
        self.now += seconds
        if self.now < self.answered_at:
            return False
        self.let_go.set()
        return done.wait(10)


class Stopping(SimClock):
    """A clock of a call that is told to stop as soon as a request is on its way."""

    def __init__(self) -> None:
        super().__init__()
        self.stopped = False

        def end() -> None:
            if self.stopped:
                raise Interrupted

        self.on_moment = end

    def wait(self, done: threading.Event, seconds: float) -> bool:
        self.stopped = True
        raise Interrupted


@pytest.fixture
def let_go() -> Iterator[threading.Event]:
    """Set at the latest in the end, so that no thread stays."""
    event = threading.Event()
    yield event
    event.set()


def held(event: threading.Event) -> Callable[[], str]:
    def exchange() -> str:
        event.wait(20)
        return "the answer"

    return exchange


# How long, and what is told


def test_an_answer_that_is_held_back_is_waited_for_and_that_is_told(let_go: threading.Event) -> None:
    waited: list[float] = []
    clock = Waits(35.0, let_go)
    assert InFlight(held(let_go)).answer(clock, 3600.0, waited.append) == "the answer"
    assert waited == [10.0, 20.0, 30.0]


def test_the_wait_for_an_answer_ends_when_the_time_is_up(let_go: threading.Event) -> None:
    with pytest.raises(GivenUp):
        InFlight(held(let_go)).answer(Waits(1e9, let_go), 25.0, lambda _: None)


def test_what_broke_is_raised_where_the_answer_is_waited_for() -> None:
    def broken() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        InFlight(broken).answer(SystemClock(), 10.0, None)


def test_the_line_of_progress_says_for_what_and_for_how_long(let_go: threading.Event) -> None:
    told = Told()

    def serve(_: Request) -> HTTPResponse:
        let_go.wait(20)
        return answer(200, JOB)

    WiredClient(serve, Waits(75.0, let_go), told).deploy(MODEL, REQUEST, 3600.0)
    assert told.progressed[-1] == "waiting for the answer to the deploy, 1m10s so far"


def test_a_look_that_took_too_long_gives_the_next_one_more_time_until_the_job_has_ended() -> None:
    clock, seconds = SimClock(0.0), list[float]()

    def serve(request: Request) -> HTTPResponse:
        seconds.append(request.read_seconds)
        if request.read_seconds < 200:
            raise silence()
        job_id = request.target.rpartition("/")[2]
        return answer(200, {"dockStatusId": job_id, "status": "SUCCESS"})

    client = WiredClient(serve, clock)
    client.job("ds-1", MODEL, "DEPLOY", 7200.0)
    assert seconds == [15, 30, 60, 120, 240]
    with pytest.raises(ApiError):
        client.job("ds-1", MODEL, "DEPLOY", clock.now + 10.0)
    assert seconds[5] == 10, "the deadline bounds it"
    client.job("ds-2", MODEL, "DEPLOY", 7200.0)
    assert seconds[-5] == 15, "each job has a time of its own, and this one's is forgotten when it has ended"
    client.job("ds-2", MODEL, "DEPLOY", 7200.0)
    assert seconds[-5:-3] == [15, 30]


def test_an_undeploy_is_waited_for_twice_as_long_each_time_whatever_the_deadline() -> None:
    clock, seconds = SimClock(0.0), list[float]()

    def serve(request: Request) -> HTTPResponse:
        seconds.append(request.read_seconds)
        if request.read_seconds < 200 and len(seconds) < 4:
            raise silence()
        return answer(200, JOB)

    client = WiredClient(serve, clock)
    client.undeploy(MODEL, 1800.0)
    assert seconds == [60, 120, 240]
    client.undeploy(MODEL, clock.now + 1.0)
    assert seconds[3] == 60


# Told to stop


@pytest.mark.parametrize("step", ["undeploy", "deploy"])
def test_told_to_stop_with_a_request_in_flight_the_job_that_is_answered_soon_is_recorded(step: str) -> None:
    clock = Stopping()
    client = WiredClient(lambda _: answer(200, JOB), clock)
    before = Record(ModelState.DEPLOYED, OTHER) if step == "undeploy" else None
    lifecycle = Lifecycle(client, MODEL, before, clock=clock, rng=Random(7), reporter=Told())
    with pytest.raises(Interrupted):
        lifecycle.reach(Goal(REQUEST))
    record = lifecycle.record
    assert record is not None
    assert (record.state.value, record.job_id) == (f"{step}ing", "ds-1")


@pytest.mark.parametrize("step", ["undeploy", "deploy"])
def test_told_to_stop_with_a_request_in_flight_that_is_not_answered_soon_it_is_recorded_as_not_known(
    step: str, let_go: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inflight, "_GRACE_SECONDS", 0.05)
    clock = Stopping()

    def serve(_: Request) -> HTTPResponse:
        let_go.wait(20)
        return answer(200, JOB)

    client = WiredClient(serve, clock)
    before = Record(ModelState.DEPLOYED, OTHER) if step == "undeploy" else None
    lifecycle = Lifecycle(client, MODEL, before, clock=clock, rng=Random(7), reporter=Told())
    with pytest.raises(AnswerLost, match=r"no whole answer came \(interrupted\)") as caught:
        lifecycle.reach(Goal(REQUEST))
    chain, error = [], caught.value.__cause__
    while error is not None:
        chain.append(type(error))
        error = error.__cause__
    assert Interrupted in chain
    record = lifecycle.record
    assert record is not None
    assert (record.state, record.last_action, record.last_status) == (ModelState.FAILED, step.upper(), "UNKNOWN")


def test_a_look_is_left_at_once(let_go: threading.Event) -> None:
    def serve(_: Request) -> HTTPResponse:
        let_go.wait(20)
        return answer(200, JOB)

    with pytest.raises(Interrupted):
        WiredClient(serve, Stopping()).job("ds-1", MODEL, "DEPLOY", 1e9)


def test_the_grace_and_the_steps_end_before_a_host_is_killed() -> None:
    assert inflight._GRACE_SECONDS <= 3.0


def test_a_wait_in_steps_hears_of_an_interruption_and_of_the_answer() -> None:
    done = threading.Event()
    clock = Stopping()
    clock.stopped = True
    with pytest.raises(Interrupted):
        wait_in_steps(clock, done, 3600.0)
    assert not wait_in_steps(SystemClock(), done, 0.3)
    threading.Timer(0.05, done.set).start()
    assert wait_in_steps(SystemClock(), done, 20.0)
    assert SystemClock().wait(done, 0.0)


# Connections


def test_a_platform_that_holds_its_answers_keeps_neither_looks_nor_the_end_of_an_outage_from_being_sent(
    let_go: threading.Event,
) -> None:
    sent: list[str] = []

    def serve(request: Request) -> HTTPResponse:
        sent.append(request.target.partition("?")[0])
        if request.target.endswith("/undeploy"):
            let_go.wait(60)
        return answer(200, {"dockStatusId": "ds-1", "status": "SUCCESS"})

    client = WiredClient(serve, SystemClock(), settings=Settings("http://127.0.0.1:9", KEY, 100_000))
    now = SystemClock().monotonic()
    threads = [
        threading.Thread(target=client.undeploy, args=(f"cm-{number}", now + 3600), daemon=True) for number in range(64)
    ]
    for thread in threads:
        thread.start()
    while len(sent) < 64:
        SystemClock().sleep(0.01)
    assert client.job("ds-1", "cm-x", "DEPLOY", now + 3600).succeeded
    assert client.deploy("cm-x", REQUEST, now + 3600, ends_outage=True).succeeded
    with pytest.raises(ApiError, match="all 64 connections"):
        client.deploy("cm-y", REQUEST, SystemClock().monotonic() + 0.3)
    let_go.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_a_network_that_is_gone_is_noticed_while_an_answer_is_awaited() -> None:
    with ScriptedServer(reply(200, JOB)) as server:
        client = Client(Settings(server.url, KEY))
        client.job("ds-1", MODEL, "DEPLOY", SystemClock().monotonic() + 60)
        pools = client._session.get_adapter(server.url).poolmanager.pools  # type: ignore[attr-defined]
        connection = pools[next(iter(pools.keys()))].pool.get()
        assert connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        (idle,) = (getattr(socket, name) for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE") if hasattr(socket, name))
        assert connection.sock.getsockopt(socket.IPPROTO_TCP, idle) <= 60
        connection.close()


# An answer that is too large


def look(body: object) -> tuple[Told, Callable[[], object]]:
    told = Told()
    client = WiredClient(lambda _: answer(200, body), SimClock(), told)
    return told, lambda: client.job("ds-1", MODEL, "DEPLOY", 1e9)


@pytest.mark.parametrize("response", [{"message": "x" * LARGE}, {"logs": ["line"] * (LARGE // 8)}, "y" * LARGE])
def test_of_an_answer_that_is_too_large_the_job_is_taken_and_that_is_told(response: object) -> None:
    told, ask = look({**JOB, "status": "FAILED", "response": response})
    job = ask()
    assert (job.id, job.status) == ("ds-1", "FAILED")  # type: ignore[attr-defined]
    assert told.notes == [
        "deploy job ds-1 of cm-1: the platform's answer is larger than 4 MiB, and only its beginning was read."
    ]
    if "logs" not in response:  # type: ignore[operator]
        assert job.reason[:100] in ("x" * 100, "y" * 100)  # type: ignore[attr-defined]


def test_while_the_job_runs_its_large_answers_are_not_told() -> None:
    told, ask = look({**JOB, "response": "x" * LARGE})
    ask()
    assert told.notes == []


def test_an_answer_that_is_too_large_and_says_nothing_of_a_job_is_none() -> None:
    _, ask = look({"logs": "x" * LARGE, **JOB})
    with pytest.raises(ApiError, match="not a dock job"):
        ask()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), json_values, max_size=5), st.data())
def test_what_came_of_an_object_is_as_it_was_but_for_the_last_field(
    whole: dict[str, object], data: st.DataObject
) -> None:
    text = json.dumps(whole, ensure_ascii=data.draw(st.booleans()), indent=data.draw(st.sampled_from([None, 2])))
    came = what_came(text[: data.draw(st.integers(1, len(text)))])
    assert isinstance(came, dict)
    fields = list(came.items())
    assert [name for name, _ in fields] == list(whole)[: len(fields)]
    for name, value in fields[:-1]:
        assert value == whole[name]
    if fields and isinstance(last := whole[fields[-1][0]], str):
        assert last.startswith(str(fields[-1][1] or ""))


@given(st.text(st.sampled_from('{}[]",:\\u1e- ')))
def test_any_text_can_be_cut_off(text: str) -> None:
    what_came(text)


@pytest.mark.parametrize("piece", ['{"a":', "[", '"\\', '{"a":1,', '\\"', " ", '{"a":{"b":['])
def test_the_time_for_a_hostile_answer_grows_with_its_length_and_no_faster(piece: str) -> None:
    what_came('{"a":' + piece * (1 << 20))
