"""The client over real HTTP: what is sent, what is sent again and what never, and what is told. No test waits."""

import base64
import gzip
import json
import logging
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from pulumi_koreai.api.client import Client
from pulumi_koreai.api.declared import DeployRequest
from pulumi_koreai.api.dock_job import DockJob
from pulumi_koreai.api.errors import (
    AbsenceInDoubt,
    AnswerLost,
    ApiError,
    BadAnswer,
    Busy,
    Forbidden,
    ForeignAnswer,
    NotDeployed,
    NotFound,
    NotSent,
    RateLimited,
    Refused,
    ServerError,
    Unauthorized,
    WrongJob,
)
from pulumi_koreai.api.settings import Settings
from pulumi_koreai.api.transport import USER_AGENT, new_session
from pulumi_koreai.base.clock import wait_in_steps
from pulumi_koreai.base.progress import Note, Progress, formatted
from pulumi_koreai.stackfile.terms import PULUMI
from tests.api.scripted_server import (
    Answer,
    Pause,
    ScriptedServer,
    Stream,
    cut,
    garbage,
    hang_up,
    reply,
    reset,
    silence,
)
from tests.core.fakes import KEY, MODEL, PARAMETERS, REQUEST, Interrupted, SimClock

HOUR = 3600.0
JOB: dict[str, object] = {"dockStatusId": "ds-1", "modelId": MODEL, "status": "IN_PROGRESS"}
DONE = {**JOB, "status": "SUCCESS"}
NO_MODEL: dict[str, object] = {"errors": [{"msg": "Model cm-1 not found", "code": "MODEL_NOT_FOUND"}]}
NO_JOB: dict[str, object] = {"message": "No dock status ds-1"}
NO_ROUTE: dict[str, object] = {"message": "no Route matched with those values"}
SIGN_IN_PAGE = "<html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>"


class _Impatient(HTTPAdapter):
    """Gives an answer a moment instead of the client's seconds; keeps what the client had asked for."""

    def __init__(self, read_seconds: float, asked: list[tuple[float, float]]) -> None:
        super().__init__(pool_maxsize=64, pool_block=True)
        self._read_seconds, self._asked = read_seconds, asked

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        self._asked.append(options["timeout"])
        return super().send(request, *args, **{**options, "timeout": (5, self._read_seconds)})


class Told:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.pauses: list[str] = []
        self.notes: list[str] = []

    def progress(self, progress: Progress) -> None:
        self.pauses.append(formatted(progress))

    def note(self, note: Note) -> None:
        self.notes.append(PULUMI.note(note))


class Impatient(Client):
    """A client whose reads time out after a moment."""

    def __init__(self, settings: Settings, clock: SimClock, read_seconds: float, told: Told) -> None:
        self.timeouts: list[tuple[float, float]] = []
        self.read_seconds = read_seconds
        super().__init__(settings, clock, Random(3), told, self._impatient)

    def _impatient(self, settings: Settings) -> requests.Session:
        session = new_session(settings)
        session.mount("http://", _Impatient(self.read_seconds, self.timeouts))
        return session


def what_to_do(error: ApiError) -> str:
    """The advice, as Pulumi's users read it."""
    return "\n".join(map(PULUMI.advice, error.advice))


class Line:
    """A client, the server that it talks to, and its clock."""

    def __init__(
        self, server: ScriptedServer, *, key: str = KEY, per_minute: int = 60, read_seconds: float = 5
    ) -> None:
        self.server, self.clock, self.told = server, SimClock(), Told()
        self.pauses = self.told.pauses
        self.start = self.clock.now
        self.client = Impatient(Settings(server.url, key, per_minute), self.clock, read_seconds, self.told)

    @property
    def until(self) -> float:
        return self.start + HOUR

    @property
    def count(self) -> int:
        return len(self.server.received)

    def deploy(self) -> DockJob:
        return self.client.deploy(MODEL, REQUEST, self.until)

    def undeploy(self) -> DockJob:
        return self.client.undeploy(MODEL, self.until)

    def ask(self) -> DockJob:
        return self.client.job("ds-1", MODEL, "DEPLOY", self.until)

    def do(self, operation: str) -> DockJob:
        return {"deploy": self.deploy, "undeploy": self.undeploy, "ask": self.ask}[operation]()

    def fails(self, operation: str) -> ApiError:
        with pytest.raises(ApiError) as caught:
            self.do(operation)
        return caught.value


Dial = Callable[..., Line]


@pytest.fixture
def dial() -> Iterator[Dial]:
    """Start a server with a script, and a client on it; in the end no request was unexpected."""
    with ExitStack() as stack:

        def dialled(*script: Answer, **options: Any) -> Line:
            listening = options.pop("listening", True)
            server = stack.enter_context(ScriptedServer(*script, listening=listening))
            line = Line(server, **options)
            stack.callback(line.client._session.close)
            lines.append(line)
            return line

        lines: list[Line] = []
        yield dialled
        for line in lines:
            assert line.server.unexpected == []
            assert line.server.script == [], "not all of the script was asked for"


# What is sent


def test_a_deploy_sends_the_contract_s_request(dial: Dial) -> None:
    line = dial(reply(200, JOB))
    request = DeployRequest.model_validate({**PARAMETERS, "model_type": "fineTune"})
    line.client.deploy(MODEL, request, line.until)
    [received] = line.server.received
    assert (received.method, received.target) == ("POST", "/api/public/models/cm-1/deploy?modelType=fineTune")
    assert json.loads(received.body) == {
        "name": "chat",
        "deviceType": "g5.xlarge",
        "hyperParameters": {"temperature": 0.5, "maxTokens": 256, "topP": 1.0, "topK": 50},
    }
    assert received.headers["content-type"] == "application/json"
    assert received.headers["x-api-key"] == KEY


def test_an_undeploy_sends_no_body_and_no_query(dial: Dial) -> None:
    line = dial(reply(200, DONE))
    assert line.undeploy().succeeded
    [received] = line.server.received
    assert (received.method, received.target) == ("POST", "/api/public/models/cm-1/undeploy")
    assert received.body == b""


def test_a_look_at_a_job_is_a_get(dial: Dial) -> None:
    line = dial(reply(200, JOB))
    assert line.ask().status == "IN_PROGRESS"
    [received] = line.server.received
    assert (received.method, received.target, received.body) == ("GET", "/api/public/dock-status/ds-1", b"")


@pytest.mark.parametrize("operation", ["deploy", "undeploy", "ask"])
def test_every_request_says_who_sends_it_and_carries_the_key_in_its_header_alone(dial: Dial, operation: str) -> None:
    line = dial(reply(200, JOB))
    line.do(operation)
    [received] = line.server.received
    assert received.headers["user-agent"] == USER_AGENT
    assert USER_AGENT.startswith("pulumi-koreai/0.") or USER_AGENT.split("/")[1][0].isdigit()
    assert [name for name, value in received.headers.items() if KEY in value] == ["x-api-key"]
    assert KEY not in received.target
    assert KEY.encode() not in received.body


def test_odd_ids_stay_one_segment_of_the_path(dial: Dial) -> None:
    line = dial(reply(404), reply(404))
    with pytest.raises(ForeignAnswer):
        line.client.undeploy("a/../b?c#d", line.until)
    with pytest.raises(ForeignAnswer):
        line.client.job("../x y", MODEL, "DEPLOY", line.until)
    assert [received.target for received in line.server.received] == [
        "/api/public/models/a%2F..%2Fb%3Fc%23d/undeploy",
        "/api/public/dock-status/..%2Fx%20y",
    ]


# Connections


def test_polls_share_a_connection(dial: Dial) -> None:
    line = dial(reply(200, JOB), reply(200, JOB), reply(200, JOB), reply(200, DONE))
    for _ in range(4):
        line.ask()
    assert {received.connection for received in line.server.received} == {1}


def test_a_refusal_leaves_the_connection_usable(dial: Dial) -> None:
    line = dial(reply(404, {"message": "no such job"}), reply(200, JOB))
    line.fails("ask")
    line.ask()
    assert {received.connection for received in line.server.received} == {1}


def test_a_deploy_has_a_connection_of_its_own(dial: Dial) -> None:
    line = dial(reply(200, JOB), reply(200, JOB), reply(200, JOB))
    line.ask()
    line.deploy()
    line.ask()
    assert [received.connection for received in line.server.received] == [1, 2, 1]


def test_a_connection_that_was_closed_meanwhile_does_not_fail_a_poll(dial: Dial) -> None:
    line = dial(reply(200, JOB, keep=False), reply(200, DONE))
    line.ask()
    assert line.ask().succeeded


def test_many_threads_share_one_client(dial: Dial) -> None:
    line = dial(*[reply(200, JOB)] * 80, per_minute=1000)
    errors: list[BaseException] = []

    def poll() -> None:
        try:
            for _ in range(10):
                line.ask()
        except BaseException as error:  # noqa: BLE001 - told below
            errors.append(error)

    threads = [threading.Thread(target=poll) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert line.count == 80
    assert len({received.connection for received in line.server.received}) <= 8


class _Queue:
    """More looks at jobs at once than there are connections, on a platform that hangs."""

    LOOKS = 200
    CONNECTIONS = 64

    def __init__(self, server: ScriptedServer, seconds: float) -> None:
        self.server = server
        self.stop = threading.Event()
        self.ended: list[tuple[float, BaseException]] = []
        self.client = Client(Settings(server.url, KEY, 1000), self, Random(3))
        self.until = time.monotonic() + seconds
        self._threads = [threading.Thread(target=self._look) for _ in range(self.LOOKS)]

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if self.stop.wait(max(seconds, 0)):
            raise Interrupted

    def wait(self, done: threading.Event, seconds: float) -> bool:
        return wait_in_steps(self, done, seconds)

    def _look(self) -> None:
        try:
            self.client.job("ds-1", MODEL, "DEPLOY", self.until)
        except BaseException as error:  # noqa: BLE001 - told below
            self.ended.append((time.monotonic(), error))

    def __enter__(self) -> "_Queue":
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + 10
        while len(self.server.received) < self.CONNECTIONS and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        assert len(self.server.received) == self.CONNECTIONS
        return self

    def ended_within(self, seconds: float, looks: int) -> bool:
        deadline = time.monotonic() + seconds
        while len(self.ended) < looks and time.monotonic() < deadline:
            time.sleep(0.01)
        return len(self.ended) >= looks

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.server.hang_up()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()


def test_an_interruption_ends_the_wait_for_a_connection_and_nothing_more_is_sent() -> None:
    with ScriptedServer(*[silence] * 500) as server, _Queue(server, seconds=HOUR) as queue:
        queue.stop.set()
        assert queue.ended_within(2, queue.LOOKS - queue.CONNECTIONS)
        assert {type(error) for _, error in queue.ended} == {Interrupted}
        server.hang_up()
        assert queue.ended_within(5, queue.LOOKS)
        assert len(server.received) == queue.CONNECTIONS


def test_the_wait_for_a_connection_ends_when_the_time_is_up() -> None:
    with ScriptedServer(*[silence] * 500) as server, _Queue(server, seconds=1.5) as queue:
        assert queue.ended_within(5, queue.LOOKS)
        # A request on its way has a second at least.
        assert max(at for at, _ in queue.ended) - queue.until < 2
        queued = [str(error) for _, error in queue.ended if isinstance(error, NotSent)]
        assert len(queued) >= queue.LOOKS - 2 * queue.CONNECTIONS
        assert "all 64 connections of this process waited for answers until the time was up" in queued[0]


def test_connections_are_kept_and_none_is_thrown_away(caplog: pytest.LogCaptureFixture) -> None:
    late = Pause(0.2, reply(200, JOB))
    with ScriptedServer(*[late] * 300) as server:
        client = Client(Settings(server.url, KEY, 1000), rng=Random(3))
        threads = [
            threading.Thread(target=client.job, args=("ds-1", MODEL, "DEPLOY", time.monotonic() + 60))
            for _ in range(150)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({received.connection for received in server.received}) <= 64
        assert len(server.received) == 150
        client._session.close()
    assert caplog.text == "", "urllib3 warns of a connection that its pool has no room for"


@pytest.mark.parametrize("operation, connect, read", [("deploy", 10, HOUR), ("undeploy", 10, 60), ("ask", 5, 15)])
def test_a_connection_and_an_answer_are_waited_for_no_longer_than_so(
    dial: Dial, operation: str, connect: float, read: float
) -> None:
    line = dial(reply(200, JOB))
    line.do(operation)
    assert line.client.timeouts == [(connect, read)]


def test_near_the_deadline_a_look_is_waited_for_no_longer_than_what_is_left(dial: Dial) -> None:
    line = dial(reply(200, JOB), reply(200, JOB))
    line.client.job("ds-1", MODEL, "DEPLOY", line.clock.now + 3)
    line.client.job("ds-1", MODEL, "DEPLOY", line.clock.now)
    assert line.client.timeouts == [(3, 3), (1, 1)]


def test_near_the_deadline_a_request_that_changes_something_has_its_own_time_to_be_answered(dial: Dial) -> None:
    line = dial(reply(200, JOB), reply(200, JOB))
    line.client.undeploy(MODEL, line.clock.now + 3)
    line.client.deploy(MODEL, REQUEST, line.clock.now)
    assert line.client.timeouts == [(3, 60), (1, 60)]


def test_an_answer_to_a_deploy_is_waited_for_until_the_deadline_or_as_long_as_is_set(dial: Dial) -> None:
    line = dial(reply(200, JOB), reply(200, JOB))
    line.client.deploy(MODEL, REQUEST, line.clock.now + 500)
    line.client.settings = line.client._exchanger._settings = replace(line.client.settings, answer_max_seconds=90)
    line.deploy()
    assert line.client.timeouts == [(10, 500), (10, 90)]


def test_certificates_are_verified() -> None:
    client = Client(Settings("https://platform.example.com", KEY))
    assert client._session.verify is True


# What is sent again

TURNED_AWAY: dict[str, Answer] = {
    "429": reply(429, {"message": "Rate limit for this API has been reached. Please try again later"}),
    "503": reply(503),
    "409 another job": reply(409, {"message": "another deployment is in progress"}),
    "409 busy": reply(409, {"message": "the model is deploying already, try later"}),
    "400 another job": reply(400, {"errors": [{"msg": "Another job is running on this model", "code": 400}]}),
}
MAYBE_TAKEN: dict[str, Answer] = {
    "500": reply(500, {"message": "oops"}),
    "502": reply(502, "<html>Bad Gateway</html>"),
    "504": reply(504),
    "hang-up": hang_up,
    "reset": reset,
    "cut body": cut(),
    "silence": silence,
    "no HTTP": garbage,
    "HTML with 200": reply(200, SIGN_IN_PAGE),
    "nothing with 200": reply(200),
    "204": reply(204),
    "a list": reply(200, [JOB]),
    "no id": reply(200, {"status": "SUCCESS"}),
    "no status": reply(200, {"dockStatusId": "ds-1"}),
    "a text": reply(200, '"ds-1"'),
    "half a JSON": reply(200, '{"dockStatusId": "ds-1", "status"'),
}
FINAL: dict[str, Answer] = {
    "302": reply(302, None, {"Location": "/elsewhere"}),
    "400": reply(400, {"message": "bad name"}),
    "401": reply(401),
    "403": reply(403),
    "404": reply(404),
    "405": reply(405),
    "409": reply(409, {"message": "conflict of names"}),
    "400 another name": reply(400, {"message": "another name is required for a job"}),
    "422": reply(422),
    "501": reply(501),
}


@pytest.mark.parametrize("fault", TURNED_AWAY.values(), ids=TURNED_AWAY)
@pytest.mark.parametrize("operation", ["deploy", "undeploy", "ask"])
def test_what_the_platform_turned_away_is_sent_again(dial: Dial, operation: str, fault: Answer) -> None:
    line = dial(fault, fault, reply(200, JOB))
    assert line.do(operation).id == "ds-1"
    assert line.count == 3
    assert len({(received.method, received.target, received.body) for received in line.server.received}) == 1


@pytest.mark.parametrize("operation", ["deploy", "undeploy", "ask"])
def test_a_refused_connection_is_tried_again(dial: Dial, operation: str) -> None:
    line = dial(reply(200, JOB), listening=False)
    line.clock.on_sleep = lambda _: line.server.listen() if len(line.clock.sleeps) == 2 else None
    assert line.do(operation).id == "ds-1"
    assert line.count == 1
    assert len(line.clock.sleeps) == 2


@pytest.mark.parametrize("operation", ["deploy", "undeploy", "ask"])
def test_a_connection_that_stays_refused_is_given_up_and_nothing_was_sent(dial: Dial, operation: str) -> None:
    line = dial(listening=False)
    error = line.fails(operation)
    assert type(error) is NotSent
    assert not error.may_be_taken
    assert "no connection" in str(error)
    assert "No request was sent. Check koreai:host" in what_to_do(error)
    assert len([pause for pause in line.pauses if "no connection" in pause]) >= 3
    assert line.clock.now - line.start < 60


@pytest.mark.parametrize("fault", MAYBE_TAKEN.values(), ids=MAYBE_TAKEN)
def test_a_deploy_that_may_have_been_taken_is_never_sent_again(dial: Dial, fault: Answer) -> None:
    line = dial(fault, read_seconds=0.3)
    error = line.fails("deploy")
    assert error.may_be_taken
    assert line.count == 1
    assert line.clock.sleeps == []


@pytest.mark.parametrize("fault", MAYBE_TAKEN.values(), ids=MAYBE_TAKEN)
@pytest.mark.parametrize("operation", ["undeploy", "ask"])
def test_what_may_be_repeated_is_sent_again_when_the_answer_is_lost(dial: Dial, operation: str, fault: Answer) -> None:
    line = dial(fault, fault, reply(200, JOB), read_seconds=0.3)
    assert line.do(operation).id == "ds-1"
    assert line.count == 3


@pytest.mark.parametrize(
    "fault", [MAYBE_TAKEN["500"], hang_up, reply(200, SIGN_IN_PAGE)], ids=["500", "hang-up", "HTML"]
)
@pytest.mark.parametrize("operation", ["undeploy", "ask"])
def test_after_five_times_it_is_given_up(dial: Dial, operation: str, fault: Answer) -> None:
    line = dial(*[fault] * 5)
    assert line.fails(operation).may_be_taken
    assert line.count == 5
    assert line.clock.now - line.start < 60


@pytest.mark.parametrize("fault", FINAL.values(), ids=FINAL)
@pytest.mark.parametrize("operation", ["deploy", "undeploy", "ask"])
def test_a_plain_refusal_is_final(dial: Dial, operation: str, fault: Answer) -> None:
    line = dial(fault)
    error = line.fails(operation)
    assert isinstance(error, Refused)
    assert line.clock.sleeps == []


@pytest.mark.parametrize("fault", [fault for status, fault in FINAL.items() if status != "501"])
def test_a_refused_deploy_was_not_taken(dial: Dial, fault: Answer) -> None:
    assert not dial(fault).fails("deploy").may_be_taken


@pytest.mark.parametrize("status", [408, 425])
def test_a_deploy_is_not_sent_again_after_other_statuses_that_speak_of_time(dial: Dial, status: int) -> None:
    assert dial(reply(status)).fails("deploy").status == status


@pytest.mark.parametrize("status", [408, 425])
def test_others_are(dial: Dial, status: int) -> None:
    assert dial(reply(status), reply(200, JOB)).undeploy().id == "ds-1"


@pytest.mark.parametrize("operation", ["deploy", "undeploy", "ask"])
def test_only_time_bounds_the_wait_for_a_limit(dial: Dial, operation: str) -> None:
    line = dial(*[TURNED_AWAY["429"]] * 30, reply(200, JOB))
    assert line.do(operation).id == "ds-1"
    assert line.count == 31


def test_a_limit_that_outlasts_the_deadline_is_an_error_and_the_deadline_holds(dial: Dial) -> None:
    line = dial(*[TURNED_AWAY["429"]] * 500, per_minute=1000)
    with pytest.raises(RateLimited) as caught:
        line.client.deploy(MODEL, REQUEST, line.start + 120)
    error = caught.value
    line.server.script.clear()
    assert not error.may_be_taken
    assert 60 <= line.clock.now - line.start <= 120


def test_pauses_grow_with_jitter_and_have_a_bound(dial: Dial) -> None:
    line = dial(*[TURNED_AWAY["429"]] * 10, reply(200, JOB))
    line.undeploy()
    bases = [2, 4, 8, 16, 30, 30, 30, 30, 30, 30]
    assert all(base * 0.5 <= pause <= base * 1.5 for base, pause in zip(bases, line.clock.sleeps, strict=True))
    assert len(set(line.clock.sleeps)) == 10


def test_pauses_after_failures_of_different_kinds_have_a_bound_too(dial: Dial) -> None:
    line = dial(*[hang_up, MAYBE_TAKEN["500"]] * 4, reply(200, JOB))
    line.undeploy()
    assert len(line.clock.sleeps) == 7
    assert 10 <= max(line.clock.sleeps) <= 30


def test_a_pause_is_told_before_it_begins(dial: Dial) -> None:
    # The first repetition of what failed comes at once.
    line = dial(TURNED_AWAY["429"], TURNED_AWAY["503"], TURNED_AWAY["503"], hang_up, reply(200, JOB))
    told: list[int] = []
    line.clock.on_sleep = lambda _: told.append(len(line.pauses))
    line.undeploy()
    assert [pause.partition(";")[0] for pause in line.pauses] == [
        "rate limit reached",
        "HTTP status 503",
        "the answer was lost",
    ]
    assert told == [1, 2, 3]


def test_a_request_that_had_to_be_sent_again_is_told_once_for_good(dial: Dial) -> None:
    line = dial(TURNED_AWAY["503"], TURNED_AWAY["429"], reply(200, JOB), reply(200, JOB), hang_up, reply(200, JOB))
    line.deploy()
    assert line.told.notes == [f"deploying {MODEL}: accepted at attempt 3 (rate limit reached)."]
    line.deploy()
    line.ask()
    assert len(line.told.notes) == 1, "nothing to tell: the one went through at once, the other is a look of many"
    assert "trying again in" in line.pauses[0]


# What an earlier attempt may have done


@pytest.mark.parametrize("end", [*TURNED_AWAY.values()], ids=TURNED_AWAY)
def test_a_doubt_about_an_earlier_attempt_outlives_a_later_one_that_was_turned_away(dial: Dial, end: Answer) -> None:
    line = dial(hang_up, *[end] * 100)
    with pytest.raises(AnswerLost) as caught:
        line.client.undeploy(MODEL, line.start + 60)
    error = caught.value
    line.server.script.clear()
    assert error.may_be_taken


def test_a_plain_refusal_settles_the_doubt(dial: Dial) -> None:
    assert type(dial(hang_up, reply(404, NO_MODEL)).fails("undeploy")) is NotFound
    assert type(dial(reply(500), reply(400, {"message": "Model is not deployed"})).fails("undeploy")) is NotDeployed


def test_an_interruption_of_an_undeploy_in_doubt_leaves_the_doubt(dial: Dial) -> None:
    line = dial(hang_up, hang_up)
    interruption = Interrupted()

    def interrupt(_: float) -> None:
        raise interruption

    line.clock.on_sleep = interrupt
    error = line.fails("undeploy")
    assert error.may_be_taken
    assert error.__cause__ is interruption


@pytest.mark.parametrize("fault", [reply(500), hang_up], ids=["500", "hang-up"])
def test_an_interruption_of_a_poll_comes_through(dial: Dial, fault: Answer) -> None:
    line = dial(fault, fault)

    def interrupt(_: float) -> None:
        raise Interrupted

    line.clock.on_sleep = interrupt
    with pytest.raises(Interrupted):
        line.ask()


@pytest.mark.parametrize("operation", ["deploy", "undeploy", "ask"])
def test_an_interruption_of_the_wait_for_a_limit_comes_through(dial: Dial, operation: str) -> None:
    line = dial(TURNED_AWAY["429"])

    def interrupt(_: float) -> None:
        raise Interrupted

    line.clock.on_sleep = interrupt
    with pytest.raises(Interrupted):
        line.do(operation)


# Retry-After


def test_retry_after_in_seconds_is_obeyed(dial: Dial) -> None:
    line = dial(reply(429, None, {"Retry-After": "77"}), reply(200, JOB))
    line.ask()
    assert line.clock.sleeps == [77]


def test_retry_after_as_a_date_is_read_by_the_platform_s_own_clock(dial: Dial) -> None:
    then = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    headers = {
        "Date": format_datetime(then, usegmt=True),
        "Retry-After": format_datetime(then + timedelta(seconds=88), usegmt=True),
    }
    line = dial(reply(503, None, headers), reply(200, JOB))
    line.deploy()
    assert line.clock.sleeps == [88]


def test_retry_after_as_a_date_without_the_platform_s_clock_is_read_by_this_one(dial: Dial) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    line = dial(reply(503, None, {"Retry-After": then}), reply(200, JOB))
    line.ask()
    assert 90 <= line.clock.sleeps[0] <= 101


@pytest.mark.parametrize(
    "given",
    [
        "",
        "soon",
        "-5",
        "1e3",
        "Wed, 32 Foo 2031 99:99:99 GMT",
        "Wed, 06 May 1981 07:08:09 GMT",
        "Wed, 06 May 2031 07:08:09 -0000",
    ],
)
def test_a_retry_after_that_can_not_be_read_or_has_passed_does_no_harm(dial: Dial, given: str) -> None:
    line = dial(reply(429, None, {"Retry-After": given}), reply(200, JOB))
    line.ask()
    assert 1 <= line.clock.sleeps[0] <= 3


@pytest.mark.parametrize("given", ["3601", "9" * 400])
@pytest.mark.parametrize("operation", ["deploy", "undeploy"])
def test_a_retry_after_beyond_the_deadline_is_not_waited_for(dial: Dial, operation: str, given: str) -> None:
    line = dial(reply(429, None, {"Retry-After": given}))
    error = line.fails(operation)
    assert line.clock.sleeps == []
    assert type(error) is RateLimited
    assert error.retry_after == float(given)


@pytest.mark.parametrize("given", ["3601", "9" * 400])
def test_a_look_is_held_up_by_some_minutes_at_most(dial: Dial, given: str) -> None:
    line = dial(reply(429, None, {"Retry-After": given}), reply(200, JOB))
    assert line.ask().id == "ds-1"
    assert line.clock.sleeps == [300.0]


# The pace


def test_calls_past_the_limit_wait_for_the_window(dial: Dial) -> None:
    line = dial(*[reply(200, DONE)] * 3, per_minute=2)
    for _ in range(3):
        line.undeploy()
    assert line.clock.sleeps == [61]
    assert line.pauses == ["waiting 61 s for the rate limit"]


def test_jobs_have_windows_of_their_own(dial: Dial) -> None:
    other = {**JOB, "dockStatusId": "ds-2"}
    line = dial(reply(200, JOB), reply(200, other), reply(200, DONE), per_minute=1)
    line.ask()
    line.client.job("ds-2", MODEL, "DEPLOY", line.until)
    line.undeploy()
    assert line.clock.sleeps == []


def test_the_window_of_a_job_is_dropped_when_it_has_ended_and_not_before(dial: Dial) -> None:
    line = dial(reply(200, DONE), reply(200, JOB), reply(200, DONE), per_minute=1)
    line.ask()
    line.ask()
    assert line.clock.sleeps == []
    line.ask()
    assert line.clock.sleeps == [61]


def test_repetitions_count_as_well(dial: Dial) -> None:
    line = dial(hang_up, hang_up, reply(200, DONE), per_minute=2)
    line.undeploy()
    assert line.clock.now - line.start >= 61


def test_a_turn_beyond_the_deadline_is_not_taken_and_nothing_is_sent(dial: Dial) -> None:
    line = dial(reply(200, DONE), per_minute=1)
    line.undeploy()
    with pytest.raises(RateLimited) as caught:
        line.client.deploy(MODEL, REQUEST, line.clock.now + 30)
    error = caught.value
    assert "not sent" in str(error)
    assert not error.may_be_taken
    assert "koreai:requestsPerMinute" in what_to_do(error)
    assert line.count == 1


# Redirects, proxies, cookies, credentials of others


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("operation", ["deploy", "undeploy", "ask"])
def test_a_redirect_is_not_followed_and_the_key_reaches_no_other_host(dial: Dial, operation: str, status: int) -> None:
    other = dial()
    line = dial(reply(status, None, {"Location": f"http://localhost:{other.server.port}/api?a=b"}))
    error = line.fails(operation)
    assert other.count == 0
    assert type(error) is Refused
    assert error.status == status
    assert "The platform redirects to http://localhost." in what_to_do(error)
    assert "koreai:host" in what_to_do(error)


@pytest.mark.parametrize("location", ["", "/elsewhere", "\x1b[31m", "http://[::1", "http://host:port/"])
def test_an_odd_redirect_is_a_plain_refusal(dial: Dial, location: str) -> None:
    error = dial(reply(302, None, {"Location": location})).fails("undeploy")
    assert error.status == 302
    assert "\x1b" not in str(error)


def test_a_loopback_platform_is_asked_without_a_proxy(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = dial()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.server.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    line = dial(reply(200, JOB), reply(200, JOB))
    line.ask()
    line.deploy()
    assert (line.count, proxy.count) == (2, 0)


class _Kept(HTTPAdapter):
    """Keeps the request instead of sending it."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        self.requests.append(request)
        raise requests.ReadTimeout("kept")


def test_a_netrc_entry_for_the_platform_is_not_sent(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine platform.example.com login me password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    client = Client(Settings("https://platform.example.com", KEY), SimClock())
    kept = _Kept()
    client._session.mount("https://", kept)
    with pytest.raises(AnswerLost):
        client.undeploy(MODEL, client._clock.monotonic() + 100)
    assert "Authorization" not in kept.requests[0].headers
    assert base64.b64encode(b"me:hunter2").decode() not in str(kept.requests[0].headers)
    assert kept.requests[0].headers["x-api-key"] == KEY


def test_cookies_are_not_kept(dial: Dial) -> None:
    line = dial(reply(200, JOB, {"Set-Cookie": "session=1; Path=/"}), reply(200, JOB))
    line.ask()
    line.ask()
    assert "cookie" not in line.server.received[1].headers


# What comes back


def test_an_answer_in_another_encoding_or_compressed_is_read(dial: Dial) -> None:
    import gzip  # noqa: PLC0415 - for this test alone

    packed = gzip.compress(json.dumps(JOB).encode())
    assert dial(reply(200, packed, {"Content-Encoding": "gzip"})).deploy().id == "ds-1"
    assert dial(reply(200, {**JOB, "note": "Zürich"})).deploy().raw["note"] == "Zürich"
    assert dial(reply(201, JOB)).deploy().id == "ds-1"


@pytest.mark.parametrize(
    "answer",
    [
        {**JOB, "modelId": "cm-2"},
        {**JOB, "action": "UNDEPLOY"},
        {**JOB, "action": "EXPORT"},
        {**JOB, "dockStatusId": "ds-2"},
    ],
    ids=["another model", "another action", "an export", "another id"],
)
def test_another_job_than_the_one_asked_for_is_an_error(dial: Dial, answer: dict[str, object]) -> None:
    error = dial(reply(200, answer)).fails("ask")
    assert type(error) is WrongJob
    assert "expected DEPLOY of cm-1" in str(error)


@pytest.mark.parametrize("answer", [{**JOB, "modelId": "cm-2"}, {**JOB, "action": "UNDEPLOY"}], ids=["model", "action"])
def test_another_job_in_the_answer_to_a_deploy_leaves_it_in_doubt(dial: Dial, answer: dict[str, object]) -> None:
    error = dial(reply(200, answer)).fails("deploy")
    assert type(error) is WrongJob
    assert error.may_be_taken


@pytest.mark.parametrize(
    "answer",
    [
        {"_id": "ds-1", "status": "SUCCESS"},
        {"dock-statusId": "ds-1", "modelId": None, "action": None, "status": "SUCCESS"},
        {**DONE, "action": "deploy"},
        {**DONE, "jobType": "SOMETHING", "workflowId": "a-1"},
    ],
)
def test_an_answer_that_says_less_or_more_is_the_job_s(dial: Dial, answer: dict[str, object]) -> None:
    assert dial(reply(200, answer)).ask().succeeded


ADVICE: list[tuple[str, str, Answer, type[ApiError], list[str]]] = [
    ("401", "deploy", reply(401), Unauthorized, ["koreai:apiKey", "does not accept"]),
    ("403 on a deploy", "deploy", reply(403), Forbidden, ["koreai:apiKey", "scope", "deploy models"]),
    ("403 on an undeploy", "undeploy", reply(403), Forbidden, ["koreai:apiKey", "scope", "undeploy models"]),
    ("403 on a look", "ask", reply(403), Forbidden, ["koreai:apiKey", "scope", "dock status"]),
    ("404 of a model", "undeploy", reply(404, NO_MODEL), NotFound, ["does not know the model", "model id"]),
    ("404 of a deploy", "deploy", reply(404, NO_MODEL), NotFound, ["does not know the model"]),
    ("404 of a job", "ask", reply(404, NO_JOB), NotFound, ["does not know the job"]),
    ("404 of a gateway", "undeploy", reply(404, NO_ROUTE), ForeignAnswer, ["koreai:host", "gateway"]),
    ("404 of a gateway, a look", "ask", reply(404, NO_ROUTE), ForeignAnswer, ["koreai:host", "gateway"]),
    ("404 of nobody", "deploy", reply(404), ForeignAnswer, ["koreai:host", "gateway"]),
    ("404 of another model", "undeploy", reply(404, {"message": "No model cm-2"}), AbsenceInDoubt, ["not certain"]),
    (
        "400 of a deploy",
        "deploy",
        reply(400),
        Refused,
        ["first deployment", "by hand in the console", "Ready to Deploy"],
    ),
    ("422 of a deploy", "deploy", reply(422), Refused, ["first deployment"]),
    (
        "429",
        "undeploy",
        reply(429, None, {"Retry-After": "9999"}),
        RateLimited,
        ["60 calls a minute", "koreai:requestsPerMinute"],
    ),
    (
        "409",
        "deploy",
        reply(409, {"message": "model is being deployed"}, {"Retry-After": "9999"}),
        Busy,
        ["Another job is running"],
    ),
    (
        "409 of a model that is deployed",
        "deploy",
        reply(409, {"message": "A deployment of this model is already running. Undeploy it first."}),
        Refused,
        ["is deployed already", "`adopt`"],
    ),
    ("an HTML page", "deploy", reply(200, SIGN_IN_PAGE), BadAnswer, ["koreai:host", "sign-in page"]),
    ("500", "deploy", reply(500), ServerError, []),
]


@pytest.mark.parametrize("operation, fault, kind, words", [pytest.param(*row[1:], id=row[0]) for row in ADVICE])
def test_each_refusal_is_of_its_class_and_says_what_to_do(
    dial: Dial, operation: str, fault: Answer, kind: type[ApiError], words: list[str]
) -> None:
    error = dial(fault).fails(operation)
    assert type(error) is kind
    advice = what_to_do(error)
    assert all(word in advice for word in words), advice
    assert bool(advice) == bool(words)
    assert PULUMI.error(error) == str(error) + (f"\n{advice}" if words else "")


NOT_DEPLOYED = {"message": "Model is not deployed"}


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_that_a_model_is_not_deployed_is_believed_where_the_platform_speaks_of_the_model(
    dial: Dial, status: int
) -> None:
    assert type(dial(reply(status, NOT_DEPLOYED)).fails("undeploy")) is NotDeployed


@pytest.mark.parametrize("status", [302, 401, 403, 405, 429, 500, 501, 502, 503, 504])
def test_with_another_status_it_is_not_believed(dial: Dial, status: int) -> None:
    line = dial(*[reply(status, NOT_DEPLOYED, {"Retry-After": "9999"})])
    assert type(line.fails("undeploy")) is not NotDeployed


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_a_gateway_s_page_knows_nothing_of_deployments(dial: Dial, status: int) -> None:
    page = "<html><h1>There is no active deployment for this host</h1></html>"
    assert type(dial(reply(status, page)).fails("undeploy")) is (ForeignAnswer if status == 404 else Refused)


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_a_model_that_is_not_yet_deployed_is_not_taken_for_one_that_is_not(dial: Dial, status: int) -> None:
    not_yet = reply(status, {"message": "Model is not yet deployed: its deployment is in progress"})
    line = dial(not_yet, reply(200, DONE))
    assert line.undeploy().succeeded


def test_no_deployment_permission_is_a_refusal(dial: Dial) -> None:
    error = dial(reply(400, {"errors": [{"msg": "No deployment permission for this key"}]})).fails("undeploy")
    assert type(error) is Refused


def test_a_gateway_that_answers_the_next_attempt_settles_no_doubt(dial: Dial) -> None:
    for body in (NO_ROUTE, {"message": "Model cm-1 not found or no access"}):
        assert type(dial(hang_up, reply(404, body)).fails("undeploy")) is AnswerLost


def test_the_platform_is_known_once_it_has_answered_a_job(dial: Dial) -> None:
    line = dial(
        reply(404, NO_JOB), reply(200, {**JOB, "dockStatusId": "ds-2"}), reply(200, SIGN_IN_PAGE), reply(200, JOB)
    )
    other = line.client.telling(line.told)
    line.fails("ask")
    line.fails("ask")
    known = [line.client.is_known]
    line.ask()  # the page is passing
    known += [line.client.is_known, other.is_known, line.client.telling(line.told).is_known]
    assert known == [False, True, True, True]


def test_only_a_refused_deploy_speaks_of_the_console(dial: Dial) -> None:
    assert "console" not in what_to_do(dial(reply(400)).fails("undeploy"))
    assert "console" not in what_to_do(dial(reply(400)).fails("ask"))


def test_an_error_says_the_method_the_path_the_status_and_the_platform_s_words(dial: Dial) -> None:
    error = dial(reply(400, {"errors": [{"msg": "name is taken", "code": 4001}]})).fails("deploy")
    assert (error.method, error.path, error.status) == ("POST", "/api/public/models/cm-1/deploy", 400)
    assert error.platform_message == "name is taken"
    assert str(error) == (
        'POST /api/public/models/cm-1/deploy: deploying cm-1: refused with HTTP status 400: "name is taken"'
    )


BODIES: dict[str, tuple[object, str]] = {
    "errors": ({"errors": [{"msg": "a", "code": 1}, {"msg": "b"}]}, "a; b"),
    "message": ({"message": "a"}, "a"),
    "error object": ({"error": {"message": "a"}}, "a"),
    "JSON text": ('"a"', "a"),
    "text": ("just a text", "just a text"),
    "HTML": (
        "<html><head><title>x</title></head><body><h1>502</h1><p>Bad Gateway</p></body></html>",
        "502 Bad Gateway",
    ),
    "nothing": (None, ""),
    "empty JSON": ({}, ""),
    "number": (42, ""),
    "null": ("null", ""),
    "ANSI": ({"message": "\x1b[31mred\x1b[0m alert\x07"}, "red alert"),
    "no UTF-8": (b"\xff\xfeoops", "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}oops"),
    "long": ({"message": "x" * 5000}, "x" * 399 + "…"),
}


@pytest.mark.parametrize("body, message", BODIES.values(), ids=BODIES)
def test_the_platform_s_words_are_found_in_whatever_body_came(dial: Dial, body: object, message: str) -> None:
    error = dial(reply(400, body)).fails("undeploy")
    assert error.platform_message == message
    assert ('""' in str(error)) is False


@pytest.mark.parametrize("depth", [100, 450, 900, 100_000])
@pytest.mark.parametrize("opening", ["[", '{"error":'], ids=["lists", "maps"])
@pytest.mark.parametrize("status", [400, 200])
def test_a_body_nested_beyond_reason_is_an_error_like_any_other(
    dial: Dial, status: int, opening: str, depth: int
) -> None:
    closing = "]" if opening == "[" else "}"
    error = dial(reply(status, opening * depth + "1" + closing * depth)).fails("deploy")
    assert error.status == status


def test_a_job_s_answer_nested_beyond_reason_is_no_crash(dial: Dial) -> None:
    deep = json.dumps(JOB)[:-1] + ', "response": ' + "[" * 900 + "]" * 900 + "}"
    line = dial(reply(200, deep))
    try:
        job: DockJob | ApiError = line.deploy()
    except ApiError as error:
        job = error
    assert isinstance(job, ApiError) or job.reason == ""


def test_a_job_s_answer_may_hold_a_whole_log(dial: Dial) -> None:
    log = "a line of a container's log\\n" * 40_000
    failed = {**JOB, "status": "FAILED", "response": {"message": f"out of memory: {log}"}}
    job = dial(reply(200, failed)).ask()
    assert job.failed
    assert job.reason.startswith("out of memory")


def test_a_compressed_answer_is_read(dial: Dial) -> None:
    body = gzip.compress(json.dumps(DONE).encode())
    assert dial(reply(200, body, {"Content-Encoding": "gzip"})).undeploy().succeeded


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
def test_an_endless_body_is_cut_off(dial: Dial, status: int, chunked: bool) -> None:
    stream = Stream(status, b"x" * 65536, 1000, 0, chunked=chunked)
    error = dial(stream).fails("deploy")
    assert stream.given_up.wait(5)
    assert stream.sent < 200
    assert (type(error), error.status) == ((BadAnswer, 200) if status == 200 else (Refused, 400))


class _FastClock(SimClock):
    """A clock that runs ten thousand times as fast as the world."""

    def monotonic(self) -> float:
        return time.monotonic() * 10_000


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
def test_a_body_that_trickles_is_cut_off(status: int, chunked: bool) -> None:
    stream = Stream(status, b" ", 200, 0.003, chunked=chunked)
    with ScriptedServer(stream) as server:
        client = Client(Settings(server.url, KEY), _FastClock(), Random(3))
        with pytest.raises(ApiError) as caught:
            client.deploy(MODEL, REQUEST, float("inf"))
        sent = stream.sent
    assert sent < 150
    assert type(caught.value) is (AnswerLost if status == 200 else Refused)


# The key


@pytest.mark.parametrize("operation", ["deploy", "undeploy", "ask"])
@pytest.mark.parametrize(
    "fault",
    [
        reply(400, {"message": f"key {KEY} is wrong"}),
        reply(401, f"<p>{KEY}</p>"),
        reply(302, KEY, {"Location": f"https://example.com/?key={KEY}"}),
        reply(400, {"errors": [{"msg": KEY}], KEY: KEY}),
        reply(200, {**JOB, "dockStatusId": f"ds-{KEY}", "modelId": "cm-2"}),
    ],
    ids=["JSON", "HTML", "redirect", "errors", "another job"],
)
def test_a_platform_that_echoes_the_key_does_not_get_it_into_an_error_or_a_log(
    dial: Dial, operation: str, fault: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    line = dial(fault)
    error = line.fails(operation)
    told = [str(error), repr(error), repr(vars(error)), repr(line.client), repr(line.client.settings), caplog.text]
    assert [text for text in told if KEY in text] == []
    assert KEY.encode() not in pickle.dumps(error)
    assert "cm-1" in str(error) or "ds-1" in str(error)


@pytest.mark.parametrize(
    "key, echoed",
    [
        ("kg&secret", r"kg\u0026secret"),
        ("kg/secret", r"kg\/secret"),
        ('kg"secret', r"kg\"secret"),
        ("kg\\secret", r"kg\\secret"),
        ("kgsecret", r"\u006bgsecret"),
    ],
)
def test_a_key_that_is_echoed_in_json_s_escapes_is_found_too(dial: Dial, key: str, echoed: str) -> None:
    error = dial(reply(400, f'{{"message": "the key {echoed} is wrong"}}'), key=key).fails("undeploy")
    assert key not in str(error)
    assert key not in error.platform_message
    assert "is wrong" in error.platform_message


def test_a_job_that_echoes_the_key_does_not_keep_it(dial: Dial) -> None:
    job = dial(reply(200, {**JOB, "status": "FAILED", "response": {"message": f"bad key {KEY}"}})).deploy()
    assert KEY not in job.reason
    assert KEY not in repr(job.raw)


@pytest.mark.parametrize("fault", [hang_up, cut(), silence, garbage], ids=["hang-up", "cut", "silence", "no HTTP"])
def test_a_broken_connection_says_what_broke_and_not_the_key(dial: Dial, fault: Answer) -> None:
    error = dial(fault, read_seconds=0.3).fails("deploy")
    assert type(error) is AnswerLost
    assert "sent, but no whole answer came" in str(error)
    assert error.path in str(error)
    assert KEY not in str(error) + repr(error.__cause__)
    assert KEY.encode() not in pickle.dumps(error)


def test_a_progress_line_never_holds_the_key(dial: Dial) -> None:
    line = dial(reply(429, KEY), reply(503, KEY), hang_up, reply(200, JOB))
    line.undeploy()
    assert line.pauses
    assert [pause for pause in line.pauses if KEY in pause] == []
