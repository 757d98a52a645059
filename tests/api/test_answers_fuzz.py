"""Whatever the platform, or who stands before it, answers: a result or an error of the package, and soon."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from urllib3 import HTTPResponse

from pulumi_koreai.api.dock_job import DockJob
from pulumi_koreai.api.errors import ApiError, KoreaiError
from pulumi_koreai.host import PartialFailure
from pulumi_koreai.provider import ModelDeploymentProvider
from tests.core.fakes import KEY, MODEL, PARAMETERS, REQUEST, SimClock, Told
from tests.core.strategies import assert_fit_for_a_terminal, evil_texts, json_values, numbers, scalars, texts
from tests.system.chaos.wire import Request, WiredClient, answer, process

UNTIL_SECONDS = 300.0

statuses = st.sampled_from(["IN_PROGRESS", "SUCCESS", "FAILED", "QUEUED", "failed", ""]) | scalars
dock_jobs = st.fixed_dictionaries(
    {
        "dockStatusId": st.just("ds-1") | st.just("ds-1") | scalars,
        "status": statuses,
    },
    optional={
        "modelId": st.just(MODEL) | scalars,
        "action": st.sampled_from(["DEPLOY", "UNDEPLOY"]) | scalars,
        "percentageComplete": st.floats(0, 100) | numbers | texts,
        "response": json_values | st.fixed_dictionaries({"message": texts}),
        "errors": st.lists(st.fixed_dictionaries({"msg": texts}), max_size=3),
    },
)
going_on = st.just({"dockStatusId": "ds-1", "status": "IN_PROGRESS"})
bodies = st.binary(max_size=60) | evil_texts.map(lambda text: text.encode("utf-8", "surrogatepass")) | json_values
header_texts = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=30)
headers = st.dictionaries(
    st.sampled_from(["Retry-After", "Date", "Location", "Content-Encoding", "Content-Length", "Content-Type"]),
    st.sampled_from(
        [
            "0",
            "7",
            "-1",
            "1e9",
            "9" * 400,
            "٣",
            "Mon, 01 Jan 0001 00:00:00 +2359",
            "Fri, 31 Dec 9999 23:59:59 -2359",
            "Wed, 21 Oct 2015 07:28:00 GMT",
            "gzip",
            "br, deflate",
            "https://[::1",
            f"https://{KEY}.example.com/",
            "https://a\u202eb.example.com",
        ]
    )
    | header_texts,
    max_size=3,
)

Given = tuple[int, Any, dict[str, str]]

answers: st.SearchStrategy[Given] = st.tuples(
    st.sampled_from([200, 200, 200, 200, 202, 204]), dock_jobs | going_on, st.just({})
) | st.tuples(st.integers(200, 599) | st.sampled_from([302, 400, 401, 404, 409, 429, 500, 503]), bodies, headers)


class Platform:
    """Answers what it was given, in order, and the last of it for ever."""

    def __init__(self, given_answers: list[Given]) -> None:
        self.clock = SimClock()
        self.told = Told()
        self._answers = given_answers
        self._sent = 0

    def serve(self, _: Request) -> HTTPResponse:
        status, body, its_headers = self._answers[min(self._sent, len(self._answers) - 1)]
        self._sent += 1
        self.clock.now += 0.1
        # A real connection can't deliver these headers in another form than latin-1.
        fit = {name: value for name, value in its_headers.items() if value.isascii() or max(map(ord, value)) < 256}
        return answer(status, body if isinstance(body, bytes) else json.dumps(body).encode(), fit)

    @property
    def texts(self) -> list[str]:
        return [*self.told.notes, *self.told.progressed]


def assert_fit_and_without_the_key(text: str) -> None:
    assert_fit_for_a_terminal(text)
    assert KEY.lower() not in text.lower(), f"the key is told: {text!r}"


def ask(client: WiredClient, operation: str, until: float) -> DockJob:
    match operation:
        case "deploy":
            return client.deploy(MODEL, REQUEST, until)
        case "undeploy":
            return client.undeploy(MODEL, until)
        case _:
            return client.job("ds-1", MODEL, "DEPLOY", until)


@settings(max_examples=400, deadline=None, database=None)
@given(st.lists(answers, min_size=1, max_size=4), st.sampled_from(["deploy", "undeploy", "job"]))
def test_an_answer_is_a_job_or_an_error_of_the_package(given_answers: list[Given], operation: str) -> None:
    assume(KEY.upper() not in repr(given_answers))  # no echo of the key, but found among this program's constants
    platform = Platform(given_answers)
    client = WiredClient(platform.serve, platform.clock, platform.told)
    began = platform.clock.now
    said: list[str] = []
    try:
        job = ask(client, operation, began + UNTIL_SECONDS)
        said += [f"{job!r}: {job.reason}"]
    except ApiError as error:
        said += [str(error)]
    for text in said + platform.texts:
        assert_fit_and_without_the_key(text)
    assert platform.clock.now - began <= UNTIL_SECONDS + 65


INPUTS: dict[str, Any] = {
    "model_id": MODEL,
    **PARAMETERS,
    "model_type": "openSource",
    "deployed": True,
    "adopt": False,
    "update_strategy": "undeploy-first",
    "custom_timeouts": {"create": "2m", "update": "2m", "delete": "2m"},
}
RUNNING: dict[str, Any] = {
    **INPUTS,
    "state": "deployed",
    "dock_status_id": "ds-1",
    "last_action": "DEPLOY",
    "last_status": "SUCCESS",
    "last_job_seconds": 60.0,
}
DEPLOYING = {**RUNNING, "state": "deploying", "last_status": "IN_PROGRESS"}
OTHER = {**INPUTS, "device_type": "g5.2xlarge"}


def deleted(provider: ModelDeploymentProvider, props: dict[str, Any]) -> dict[str, Any]:
    provider.delete(MODEL, props)
    return {}


CALLS: dict[str, Callable[[ModelDeploymentProvider], Any]] = {
    "create": lambda provider: provider.create(INPUTS).outs,
    "create, undeployed": lambda provider: provider.create({**INPUTS, "deployed": False}).outs,
    "update": lambda provider: provider.update(MODEL, RUNNING, OTHER).outs,
    "update, redeploy": lambda provider: provider.update(MODEL, RUNNING, {**OTHER, "update_strategy": "redeploy"}).outs,
    "update, resumed": lambda provider: provider.update(MODEL, DEPLOYING, INPUTS).outs,
    "read": lambda provider: provider.read(MODEL, RUNNING).outs,
    "read, deploying": lambda provider: provider.read(MODEL, DEPLOYING).outs,
    "delete": lambda provider: deleted(provider, RUNNING),
    "delete, deploying": lambda provider: deleted(provider, DEPLOYING),
}


@pytest.mark.parametrize("call", CALLS)
@settings(max_examples=100, deadline=None, database=None)
@given(given_answers=st.lists(answers, min_size=1, max_size=5), hosted=st.booleans())
def test_a_call_of_the_engine_ends_with_outputs_that_it_takes_or_an_error_of_the_package(
    call: str, given_answers: list[Given], hosted: bool
) -> None:
    assume(KEY.upper() not in repr(given_answers))  # no echo of the key, but found among this program's constants
    platform = Platform(given_answers)
    began = platform.clock.now
    outs: dict[str, Any] = {}
    said: list[str] = []
    with process(platform.serve, platform.clock, platform.told, hosted=hosted) as provider:
        try:
            outs = CALLS[call](provider)
        except PartialFailure as failure:
            outs = dict(failure.outs)
            said.append(str(failure))
        except KoreaiError as error:
            said.append(str(error))
    Struct().update(outs)  # as the host hands them to the engine
    kept = json.dumps(outs, allow_nan=False)
    for text in [*said, *platform.texts, kept, *map(str, outs.values())]:
        assert_fit_and_without_the_key(text)
    waits = 2 if call == "delete, deploying" else 1  # a job that is stuck has its own time: see `Lifecycle.retire`
    assert platform.clock.now - began <= waits * 120 + 65
