"""The engine's calls on the provider, with a scripted platform behind it and a recording call in front of it."""

import base64
import json
import pickle
import pickletools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import dill  # type: ignore[import-untyped] # it has no types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.dynamic import Config, ConfigureRequest
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.output import Unknown as EngineUnknown

from pulumi_koreai import adapter as module
from pulumi_koreai.adapter import DeploymentError, HostProcess
from pulumi_koreai.api.errors import (
    AnswerLost,
    ApiError,
    ConfigError,
    JobFailed,
    JobTimeout,
    KoreaiError,
    NotFound,
    Refused,
    ServerError,
)
from pulumi_koreai.api.settings import API_KEY_ENV, HOST_ENV
from pulumi_koreai.core.service import NotTakenOver
from pulumi_koreai.core.spec import RESULTS, ProgramSpec
from pulumi_koreai.host import Call, Cancelled, DetailedDiff, DiffKind, PartialFailure
from pulumi_koreai.host.contract import CURRENT
from pulumi_koreai.provider import ModelDeploymentProvider
from tests.core.fakes import (
    KEY,
    MODEL,
    PARAMETERS,
    Answer,
    FakePlatform,
    SimClock,
    foreign,
    in_doubt,
    job,
    not_found,
    rate_limited,
    takes,
)

PROVIDER = ModelDeploymentProvider()
CONFIG = {"koreai:host": "https://platform.example.com", "koreai:apiKey": KEY}
UNKNOWN: Any = EngineUnknown()  # type: ignore[no-untyped-call] # of the SDK
ARGUMENTS = list(ProgramSpec.model_fields)

INPUTS: dict[str, Any] = {
    "model_id": MODEL,
    **PARAMETERS,
    "model_type": "openSource",
    "deployed": True,
    "adopt": False,
    "update_strategy": "undeploy-first",
}
RUNNING: dict[str, Any] = {
    **INPUTS,
    "state": "deployed",
    "dock_status_id": "ds-0",
    "last_action": "DEPLOY",
    "last_status": "SUCCESS",
    "last_job_seconds": 60.0,
}
OFF: dict[str, Any] = {**RUNNING, "deployed": False, "state": "undeployed", "last_action": "UNDEPLOY"}
DEPLOYING: dict[str, Any] = {**RUNNING, "state": "deploying", "dock_status_id": "ds-1", "last_status": "IN_PROGRESS"}
FAILED: dict[str, Any] = {**RUNNING, "state": "failed", "last_status": "FAILED"}
LOST: dict[str, Any] = {**RUNNING, "state": "failed", "dock_status_id": "", "last_status": "UNKNOWN"}
BIGGER = {"device_type": "g5.2xlarge"}


class RecordingCall(Call):
    """A call that keeps what it is told."""

    def __init__(self, clock: SimClock, *, hosted: bool) -> None:
        self.clock, self.hosted = clock, hosted
        self.progressed: list[str] = []
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    def progress(self, text: str) -> None:
        self.progressed.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@dataclass
class Stage:
    """All that stands around the provider in a test."""

    clock: SimClock
    platform: FakePlatform
    call: RecordingCall

    def answers(self, *answers: Answer) -> None:
        self.platform.answers = list(answers)

    @property
    def sent(self) -> list[str]:
        return self.platform.sent


@pytest.fixture(params=[True, False], ids=["own host", "stock host"])
def stage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.delenv(HOST_ENV, raising=False)
    monkeypatch.delenv(API_KEY_ENV, raising=False)
    clock = SimClock()
    platform = FakePlatform(clock)
    host = HostProcess(clock, Random(5), lambda *_: platform)
    host.configure(CONFIG.get)
    monkeypatch.setattr(PROVIDER, "_handed", host)
    call = RecordingCall(clock, hosted=request.param)
    token = CURRENT.set(call)
    yield Stage(clock, platform, call)
    CURRENT.reset(token)


@contextmanager
def failing(kind: type[KoreaiError], words: str = ".") -> Iterator[None]:
    """The call ends with an error for the reader, whose cause is of this kind."""
    with pytest.raises(DeploymentError, match=words) as caught:
        yield
    assert isinstance(caught.value.cause, kind)
    assert caught.value.__cause__ is None


def results(outs: dict[str, Any] | None) -> tuple[object, ...]:
    assert outs is not None
    return tuple(outs[name] for name in RESULTS[:4])


def assert_whole(outs: dict[str, Any] | None) -> None:
    """Outputs are never None, at any depth: what is missing shows up as unknown in every preview."""
    assert outs is not None
    assert set(RESULTS) <= set(outs)
    assert set(outs) <= {*ARGUMENTS, *RESULTS}
    assert "null" not in json.dumps(outs)


# check


def test_check_writes_the_defaults_in_and_gives_every_number_its_type(stage: Stage) -> None:
    news = {
        "model_id": MODEL,
        **PARAMETERS,
        "hyper_parameters": {"temperature": 1.0, "max_tokens": 256.0, "top_p": 0.0, "top_k": 50.0},
    }
    result = PROVIDER.check({}, news)
    assert result.failures == []
    assert (
        repr(result.inputs["hyper_parameters"]) == "{'temperature': 1.0, 'max_tokens': 256, 'top_p': 0.0, 'top_k': 50}"
    )
    assert (result.inputs["deployed"], result.inputs["update_strategy"]) == (True, "undeploy-first")
    assert stage.sent == []


def test_check_takes_its_own_answer_unchanged(stage: Stage) -> None:
    assert PROVIDER.check(RUNNING, PROVIDER.check({}, INPUTS).inputs).inputs == INPUTS


def test_check_tells_every_fault(stage: Stage) -> None:
    result = PROVIDER.check({}, {**INPUTS, "device_type": "g5", "modelId": "x"})
    assert sorted(failure.reason.partition(":")[0] for failure in result.failures) == ["device_type", "modelId"]


def test_check_is_not_confused_by_the_pickled_provider_among_the_properties(stage: Stage) -> None:
    result = PROVIDER.check({}, {**INPUTS, "__provider": "gASV", "__defaults": []})
    assert result.failures == []
    assert result.inputs == INPUTS


@pytest.mark.parametrize(
    "config, named",
    [
        ({}, ["koreai:host", "koreai:apiKey"]),
        ({"koreai:host": CONFIG["koreai:host"]}, ["koreai:apiKey"]),
        ({"koreai:apiKey": KEY}, ["koreai:host"]),
        ({**CONFIG, "koreai:host": "http://platform.example.com"}, ["koreai:host"]),
        ({**CONFIG, "koreai:pollMinSeconds": "soon"}, ["koreai:pollMinSeconds"]),
    ],
)
def test_check_fails_in_the_preview_already_when_the_configuration_is_not_whole(
    stage: Stage, config: dict[str, str], named: list[str]
) -> None:
    PROVIDER.configure(ConfigureRequest(Config(config, "project")))
    result = PROVIDER.check({}, {**INPUTS, "device_type": "g5"})
    told = "\n".join(failure.reason for failure in result.failures)
    assert all(name in told for name in named)
    assert "device_type" in told
    assert KEY not in told


def test_check_reads_the_environment_where_the_config_has_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    PROVIDER.configure(ConfigureRequest(Config({}, "project")))
    monkeypatch.setenv(HOST_ENV, CONFIG["koreai:host"])
    monkeypatch.setenv(API_KEY_ENV, KEY)
    assert PROVIDER.check({}, INPUTS).failures == []


@pytest.mark.parametrize(
    "news, path",
    [
        ({"model_id": UNKNOWN}, ["model_id"]),
        ({"hyper_parameters": UNKNOWN}, ["hyper_parameters"]),
        ({"hyper_parameters": {**INPUTS["hyper_parameters"], "top_k": UNKNOWN}}, ["hyper_parameters", "top_k"]),
        (
            {"hyper_parameters": {**INPUTS["hyper_parameters"], "stop_sequence": ["a", UNKNOWN]}},
            ["hyper_parameters", "stop_sequence", 1],
        ),
        ({"deployed": UNKNOWN}, ["deployed"]),
        ({"custom_timeouts": {"create": UNKNOWN}}, ["custom_timeouts", "create"]),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, list) else "",
)
def test_check_lets_the_engine_s_unknown_through_where_it_was(
    stage: Stage, news: dict[str, Any], path: list[str | int]
) -> None:
    result = PROVIDER.check({}, {**INPUTS, **news})
    found: Any = result.inputs
    for part in path:
        found = found[part]
    assert result.failures == []
    assert isinstance(found, EngineUnknown)
    assert "Unknown object" not in json.dumps(result.inputs, default=lambda _: "unknown")


# diff


def diff(olds: dict[str, Any], news: dict[str, Any]) -> Any:
    return PROVIDER.diff(str(olds["model_id"]), olds, {**news, "__provider": "gASV"})


@pytest.mark.parametrize(
    "news",
    [
        INPUTS,
        dict(reversed(INPUTS.items())),
        {**INPUTS, "hyper_parameters": dict(reversed(INPUTS["hyper_parameters"].items()))},
        {**INPUTS, "hyper_parameters": {"temperature": 0.5, "max_tokens": 256.0, "top_p": 1, "top_k": 50.0}},
    ],
    ids=["the same", "another order of keys", "another order further down", "1 and 1.0"],
)
def test_no_change_is_no_change(stage: Stage, news: dict[str, Any]) -> None:
    answer = diff({**RUNNING, "__provider": "gASV-other"}, news)
    assert answer.changes is False
    assert (stage.call.notes, stage.sent) == ([], [])


numbers = st.fixed_dictionaries(
    {
        "temperature": st.floats(0, 2),
        "max_tokens": st.integers(0, 512),
        "top_p": st.floats(0, 1),
        "top_k": st.integers(1, 100),
    },
    optional={"stop_sequence": st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=2)},
)


@given(old=numbers, new=numbers)
def test_a_diff_names_exactly_what_differs(old: dict[str, Any], new: dict[str, Any]) -> None:
    answer = diff({**RUNNING, "hyper_parameters": old}, {**INPUTS, "hyper_parameters": new})
    different = {f"hyper_parameters.{key}" for key in {**old, **new} if old.get(key) != new.get(key)}
    assert (answer.changes is False) == (not different)
    if different:
        assert set(answer.detailed) == different
        for path, kind in answer.detailed.items():
            key = path.partition(".")[2]
            assert kind is (DiffKind.ADD if key not in old else DiffKind.DELETE if key not in new else DiffKind.UPDATE)


@pytest.mark.parametrize(
    "olds, news, detailed",
    [
        (RUNNING, BIGGER, {"device_type": DiffKind.UPDATE}),
        (RUNNING, {"scaling_parameters": {"min_replicas": 2}}, {"scaling_parameters": DiffKind.ADD}),
        ({**RUNNING, "scaling_parameters": {"min_replicas": 2}}, {}, {"scaling_parameters": DiffKind.DELETE}),
        (
            {**RUNNING, "scaling_parameters": {"min_replicas": 2, "max_replicas": 3}},
            {"scaling_parameters": {"max_replicas": 4, "max_batch_size": 1}},
            {
                "scaling_parameters.min_replicas": DiffKind.DELETE,
                "scaling_parameters.max_replicas": DiffKind.UPDATE,
                "scaling_parameters.max_batch_size": DiffKind.ADD,
            },
        ),
        (RUNNING, {"deployed": False}, {"deployed": DiffKind.UPDATE}),
        (OFF, {"deployed": True}, {"deployed": DiffKind.UPDATE}),
        (RUNNING, {"update_strategy": "redeploy"}, {"update_strategy": DiffKind.UPDATE}),
        (RUNNING, {"adopt": True}, {"adopt": DiffKind.UPDATE}),
        (RUNNING, {"custom_timeouts": {"create": "45m"}}, {"custom_timeouts": DiffKind.ADD}),
        (RUNNING, {"hyper_parameters": UNKNOWN}, {"hyper_parameters": DiffKind.UPDATE}),
        (RUNNING, {"deployed": UNKNOWN}, {"deployed": DiffKind.UPDATE}),
        (
            RUNNING,
            {"model_id": "cm-2", **BIGGER},
            {"model_id": DiffKind.UPDATE_REPLACE, "device_type": DiffKind.UPDATE},
        ),
        (RUNNING, {"model_id": UNKNOWN}, {"model_id": DiffKind.UPDATE_REPLACE}),
    ],
)
def test_a_difference_in_inputs_is_named_and_left_to_the_engine_under_the_stock_host(
    stage: Stage, olds: dict[str, Any], news: dict[str, Any], detailed: dict[str, DiffKind]
) -> None:
    answer = diff(olds, {**INPUTS, **news})
    assert isinstance(answer, DetailedDiff)
    assert answer.detailed == detailed
    assert answer.changes is None
    assert answer.input_diff is True
    assert answer.delete_before_replace is False
    assert answer.replaces == (["model_id"] if "model_id" in detailed else [])
    assert stage.sent == []


@pytest.mark.parametrize(
    "olds, why",
    [
        (DEPLOYING, "job ds-1 is resumed"),
        ({**DEPLOYING, "state": "undeploying", "last_action": "UNDEPLOY"}, "job ds-1 is resumed"),
        (FAILED, "the last deploy of cm-1 failed (job ds-0)"),
        ({**FAILED, "last_action": "UNDEPLOY"}, "the last undeploy of cm-1 failed (job ds-0)"),
        (LOST, "the outcome of the last deploy of cm-1 is unknown"),
    ],
    ids=["deploying", "undeploying", "failed deploy", "failed undeploy", "lost deploy"],
)
def test_what_is_not_as_declared_is_a_change_though_no_input_differs_and_says_why(
    stage: Stage, olds: dict[str, Any], why: str
) -> None:
    answer = diff(olds, INPUTS)
    assert answer.changes is True
    assert answer.detailed == {"state": DiffKind.UPDATE}
    assert answer.input_diff is False
    assert why in stage.call.notes[0]


def test_an_undeployed_state_of_what_is_declared_deployed_is_a_change(stage: Stage) -> None:
    answer = diff({**RUNNING, "state": "undeployed"}, INPUTS)
    assert answer.changes is True
    assert "cm-1 is deployed" in stage.call.notes[-1]


def test_a_difference_beside_unfinished_work_is_a_change_under_both_hosts(stage: Stage) -> None:
    answer = diff(FAILED, {**INPUTS, **BIGGER})
    assert answer.changes is True
    assert answer.detailed == {"device_type": DiffKind.UPDATE}
    assert answer.input_diff is True


@pytest.mark.parametrize(
    "news", [BIGGER, {"hyper_parameters": UNKNOWN}, {"deployment_name": "x", **BIGGER}], ids=["one", "unknown", "two"]
)
def test_parameters_of_what_is_off_and_stays_off_are_compared_by_the_engine(stage: Stage, news: dict[str, Any]) -> None:
    answer = diff(OFF, {**INPUTS, "deployed": False, **news})
    assert answer.changes is None
    assert not isinstance(answer, DetailedDiff)
    assert answer.replaces is None


def test_a_setting_of_what_is_off_is_an_ordinary_change(stage: Stage) -> None:
    answer = diff(OFF, {**INPUTS, "deployed": False, "update_strategy": "redeploy", **BIGGER})
    assert isinstance(answer, DetailedDiff)
    assert "update_strategy" in answer.detailed


@pytest.mark.parametrize(
    "olds, news, said",
    [
        (RUNNING, BIGGER, "its callers get no answers for about 60 s (last deploy: 1m00s)"),
        (RUNNING, BIGGER, "updated in place, cm-1 is undeployed, then deployed"),
        (RUNNING, {**BIGGER, "update_strategy": "redeploy"}, "updated in place, cm-1 is deployed over the running"),
        (RUNNING, {"deployed": False}, "cm-1 is undeployed; every active instance is cut off at once"),
        (RUNNING, {"model_id": "cm-2"}, "replaced by cm-2; by default cm-2 is deployed first, then cm-1 is undeployed"),
        (RUNNING, {"model_id": UNKNOWN}, "replaced by another model"),
        (LOST, {"adopt": True}, "adopted as declared; nothing is sent"),
    ],
    ids=["parameters", "an update", "redeploy", "off", "another model", "an unknown model", "adopt"],
)
def test_a_diff_says_what_callers_will_notice(
    stage: Stage, olds: dict[str, Any], news: dict[str, Any], said: str
) -> None:
    diff(olds, {**INPUTS, **news})
    assert said in "\n".join(stage.call.notes)


@pytest.mark.parametrize(
    "news", [{"update_strategy": "redeploy"}, {"adopt": True}, {"custom_timeouts": {"create": "1h"}}]
)
def test_a_setting_of_this_side_alone_announces_nothing(stage: Stage, news: dict[str, Any]) -> None:
    diff(RUNNING, {**INPUTS, **news})
    assert stage.call.notes == []


def test_a_state_of_another_version_with_other_rules_is_a_change_and_no_crash(stage: Stage) -> None:
    assert diff({**RUNNING, "device_type": "p3.2xlarge"}, INPUTS).detailed == {"device_type": DiffKind.UPDATE}
    short = {key: value for key, value in RUNNING.items() if key != "hyper_parameters"}
    assert diff(short, INPUTS).detailed == {"hyper_parameters": DiffKind.ADD}


# create


def test_create_deploys_waits_and_gives_back_every_output(stage: Stage) -> None:
    stage.answers(job("IN_PROGRESS"))
    stage.platform.looks = takes(120)
    result = PROVIDER.create({**INPUTS, "__provider": "gASV"})
    assert (result.id, stage.platform.commands) == (MODEL, ["deploy cm-1"])
    assert_whole(result.outs)
    assert results(result.outs) == ("deployed", "ds-1", "DEPLOY", "SUCCESS")
    assert {name: value for name, value in (result.outs or {}).items() if name in INPUTS} == INPUTS
    assert (result.outs or {})["last_job_seconds"] == pytest.approx(120, abs=5)
    assert any(line.startswith("deploying ") and line.endswith("job ds-1") for line in stage.call.progressed)


def test_create_of_what_is_adopted_sends_nothing(stage: Stage) -> None:
    result = PROVIDER.create({**INPUTS, "adopt": True})
    assert stage.sent == []
    assert_whole(result.outs)
    assert results(result.outs) == ("deployed", "", "", "")
    assert stage.call.notes == ["cm-1 is adopted as declared; nothing was sent."]


def test_create_of_what_is_undeployed_undeploys(stage: Stage) -> None:
    stage.answers(job("SUCCESS"))
    result = PROVIDER.create({**INPUTS, "deployed": False})
    assert stage.sent == ["undeploy cm-1"]
    assert_whole(result.outs)
    assert results(result.outs) == ("undeployed", "ds-1", "UNDEPLOY", "SUCCESS")


def test_a_create_that_was_refused_leaves_nothing(stage: Stage) -> None:
    stage.answers(Refused("no", method="POST", path="/p", status=400))
    with failing(Refused):
        PROVIDER.create(INPUTS)


def test_a_create_that_failed_is_a_resource_with_the_platform_s_reason(stage: Stage) -> None:
    stage.answers(job("FAILED", reason="no quota"))
    with pytest.raises(PartialFailure) as caught:
        PROVIDER.create(INPUTS)
    assert caught.value.id == MODEL
    assert_whole(dict(caught.value.outs))
    assert results(dict(caught.value.outs)) == ("failed", "ds-1", "DEPLOY", "FAILED")
    assert isinstance(caught.value.__cause__, JobFailed)
    [reason] = caught.value.reasons
    assert 'job ds-1 failed: "no quota"' in reason
    assert ("can't record a half-made deployment" in reason) == (not stage.call.hosted)
    assert ("`adopt`" in reason) == (not stage.call.hosted)


def test_a_create_that_ran_out_of_time_is_a_resource_with_its_job(stage: Stage) -> None:
    stage.answers(job("IN_PROGRESS"))
    stage.platform.looks = takes(1e6)
    with pytest.raises(PartialFailure) as caught:
        PROVIDER.create(INPUTS)
    assert results(dict(caught.value.outs)) == ("deploying", "ds-1", "DEPLOY", "IN_PROGRESS")
    assert isinstance(caught.value.__cause__, JobTimeout)
    assert stage.clock.now == 1000 + 3600
    assert ("job ds-1 may still be running on the platform, and" in caught.value.reasons[0]) == (not stage.call.hosted)


def test_a_create_whose_answer_is_lost_is_a_resource_of_which_nothing_is_known(stage: Stage) -> None:
    stage.answers(AnswerLost("sent", method="POST", path="/p"))
    with pytest.raises(PartialFailure, match="not sent again") as caught:
        PROVIDER.create(INPUTS)
    assert results(dict(caught.value.outs)) == ("failed", "", "DEPLOY", "UNKNOWN")
    assert_whole(dict(caught.value.outs))


def test_an_interrupted_create_is_a_resource_with_its_job(stage: Stage) -> None:
    stage.answers(job("IN_PROGRESS"))
    stage.platform.looks = takes(1e6)

    def interrupt(_: float) -> None:
        raise Cancelled

    stage.clock.on_sleep = interrupt
    with pytest.raises(PartialFailure) as caught:
        PROVIDER.create(INPUTS)
    assert results(dict(caught.value.outs)) == ("deploying", "ds-1", "DEPLOY", "IN_PROGRESS")
    assert "interrupted: deploy job ds-1 of cm-1 is still running" in caught.value.reasons[0]
    assert "the next `pulumi up` resumes it" in caught.value.reasons[0]


def failing_looks(error: Exception) -> Callable[[float], Answer]:
    """A job of which a look raises something that nobody expects."""
    look = takes(1e6)
    return lambda age: error if age > 100 else look(age)


@pytest.mark.parametrize("error", [KeyError("a bug"), MemoryError(), OSError(24, "Too many open files")], ids=repr)
def test_a_fault_of_our_own_does_not_lose_the_job(stage: Stage, error: Exception) -> None:
    stage.answers(job("IN_PROGRESS"))
    stage.platform.looks = failing_looks(error)
    if not stage.call.hosted:  # it can't keep anything, and shows the traceback itself
        with pytest.raises(type(error)) as raised:
            PROVIDER.create(INPUTS)
        assert raised.value is error
        return
    with pytest.raises(PartialFailure) as caught:
        PROVIDER.create(INPUTS)
    assert results(dict(caught.value.outs)) == ("deploying", "ds-1", "DEPLOY", "IN_PROGRESS")
    assert_whole(dict(caught.value.outs))
    [reason] = caught.value.reasons
    first, second, *_ = reason.splitlines()
    assert first == "the deploy of cm-1 was still running when last seen; job ds-1 is resumed."
    assert second.startswith("a fault of this provider, not of the program: please report it to pulumi-koreai ")
    assert "Traceback (most recent call last):" in reason
    assert reason.splitlines()[-1].startswith(type(error).__name__)
    stage.answers(job("SUCCESS"))
    stage.platform.looks = None
    outs = PROVIDER.update(MODEL, dict(caught.value.outs), INPUTS).outs
    assert stage.platform.commands == ["deploy cm-1"], "the next run sends no second one"
    assert results(outs) == ("deployed", "ds-1", "DEPLOY", "SUCCESS")


def test_a_fault_of_our_own_during_an_update_keeps_the_job_too(stage: Stage) -> None:
    stage.answers(job("SUCCESS"), job("IN_PROGRESS", id="ds-2"))
    stage.platform.looks = failing_looks(KeyError("a bug"))
    with pytest.raises(PartialFailure if stage.call.hosted else KeyError) as caught:
        PROVIDER.update(MODEL, RUNNING, {**INPUTS, **BIGGER})
    if isinstance(caught.value, PartialFailure):
        assert results(dict(caught.value.outs)) == ("deploying", "ds-1", "DEPLOY", "IN_PROGRESS")


def test_a_fault_of_our_own_while_a_deploy_is_sent_leaves_it_recorded_as_one_that_may_have_been_taken(
    stage: Stage,
) -> None:
    stage.answers(KeyError("a bug"))
    with pytest.raises(PartialFailure if stage.call.hosted else KeyError) as caught:
        PROVIDER.create(INPUTS)
    if isinstance(caught.value, PartialFailure):
        assert "the outcome of the last deploy of cm-1 is unknown" in str(caught.value)
        assert results(dict(caught.value.outs)) == ("failed", "", "DEPLOY", "UNKNOWN")


def test_an_interruption_before_anything_was_sent_is_no_more_than_that(stage: Stage) -> None:
    stage.answers(Cancelled())
    with pytest.raises(Cancelled):
        PROVIDER.create(INPUTS)


# update


@pytest.mark.parametrize(
    "news, sent",
    [
        (BIGGER, ["undeploy cm-1", "deploy cm-1"]),
        ({**BIGGER, "update_strategy": "redeploy"}, ["deploy cm-1"]),
        ({**BIGGER, "adopt": True}, ["undeploy cm-1", "deploy cm-1"]),
        ({"deployed": False}, ["undeploy cm-1"]),
        ({"update_strategy": "redeploy"}, []),
        ({"adopt": True}, []),
        ({"custom_timeouts": {"create": "45m"}}, []),
    ],
    ids=["undeploy-first", "redeploy", "adopt", "off", "strategy", "adopt alone", "timeouts"],
)
def test_update_sends_what_the_rules_say_and_gives_back_every_output(
    stage: Stage, news: dict[str, Any], sent: list[str]
) -> None:
    stage.answers(*[job("SUCCESS", id=f"ds-{number + 5}") for number in range(len(sent))])
    result = PROVIDER.update(MODEL, RUNNING, {**INPUTS, **news})
    assert stage.sent == sent
    assert_whole(result.outs)
    outs = result.outs or {}
    assert {name: outs[name] for name in [*INPUTS, *news]} == {**INPUTS, **news}
    assert outs["dock_status_id"] == (f"ds-{len(sent) + 4}" if sent else "ds-0")


def test_parameters_in_the_outputs_are_those_of_the_last_deploy_that_was_sent(stage: Stage) -> None:
    # Sent and failed: the new ones. Only undeployed: the old ones. A setting: as declared.
    stage.answers(job("SUCCESS"), job("FAILED"))
    with pytest.raises(PartialFailure) as failed:
        PROVIDER.update(MODEL, RUNNING, {**INPUTS, **BIGGER})
    assert failed.value.outs["device_type"] == "g5.2xlarge"
    stage.answers(job("SUCCESS"), Refused("no", method="POST", path="/p", status=400))
    with pytest.raises(PartialFailure) as refused:
        PROVIDER.update(MODEL, RUNNING, {**INPUTS, **BIGGER, "update_strategy": "undeploy-first"})
    assert refused.value.outs["device_type"] == "g5.xlarge"
    assert refused.value.outs["state"] == "undeployed"
    stage.answers(job("SUCCESS"))
    off = PROVIDER.update(MODEL, RUNNING, {**INPUTS, **BIGGER, "deployed": False, "update_strategy": "redeploy"})
    outs = off.outs or {}
    assert (outs["device_type"], outs["deployed"], outs["update_strategy"]) == ("g5.xlarge", False, "redeploy")


def test_a_parameter_that_was_dropped_is_dropped_from_the_outputs(stage: Stage) -> None:
    stage.answers(job("SUCCESS"), job("SUCCESS"))
    result = PROVIDER.update(MODEL, {**RUNNING, "scaling_parameters": {"min_replicas": 2}}, INPUTS)
    assert "scaling_parameters" not in (result.outs or {})


def test_a_resumed_job_is_compared_with_what_is_declared_through_the_outputs(stage: Stage) -> None:
    stage.answers(job("SUCCESS"))
    result = PROVIDER.update(MODEL, DEPLOYING, INPUTS)
    assert stage.sent == ["job ds-1 DEPLOY cm-1"]
    assert results(result.outs) == ("deployed", "ds-1", "DEPLOY", "SUCCESS")
    stage.platform.asked.clear()
    stage.answers(job("SUCCESS"), job("SUCCESS", id="ds-2"), job("SUCCESS", id="ds-3"))
    PROVIDER.update(MODEL, DEPLOYING, {**INPUTS, **BIGGER})
    assert stage.sent == ["job ds-1 DEPLOY cm-1", "undeploy cm-1", "deploy cm-1"]


def test_a_lost_deploy_is_settled_by_setting_adopt_and_by_the_strategy_otherwise(stage: Stage) -> None:
    result = PROVIDER.update(MODEL, LOST, {**INPUTS, "adopt": True})
    assert stage.sent == []
    assert results(result.outs) == ("deployed", "", "", "")
    stage.answers(job("SUCCESS"), job("SUCCESS", id="ds-2"))
    PROVIDER.update(MODEL, LOST, INPUTS)
    assert stage.sent == ["undeploy cm-1", "deploy cm-1"]


def test_an_adopt_of_long_ago_takes_over_nothing_that_was_lost_since(stage: Stage) -> None:
    stage.answers(job("SUCCESS"), job("SUCCESS", id="ds-2"))
    PROVIDER.update(MODEL, {**LOST, "adopt": True}, {**INPUTS, "adopt": True})
    assert stage.sent == ["undeploy cm-1", "deploy cm-1"]


@pytest.mark.parametrize(
    "error",
    [Refused("no", method="POST", path="/p", status=400), rate_limited(), not_found()],
    ids=lambda e: type(e).__name__,
)
def test_an_update_that_changed_nothing_is_a_plain_error(stage: Stage, error: ApiError) -> None:
    stage.answers(error)
    with failing(type(error)):
        PROVIDER.update(MODEL, RUNNING, {**INPUTS, **BIGGER})


def test_an_update_that_stopped_half_way_says_what_the_state_keeps(stage: Stage) -> None:
    stage.answers(job("IN_PROGRESS"))
    stage.platform.looks = takes(1e6)
    with pytest.raises(PartialFailure) as caught:
        PROVIDER.update(MODEL, RUNNING, {**INPUTS, **BIGGER})
    assert results(dict(caught.value.outs)) == ("undeploying", "ds-1", "UNDEPLOY", "IN_PROGRESS")
    assert ("can't record a half-made update" in caught.value.reasons[0]) == (not stage.call.hosted)


def test_an_update_off_of_what_was_never_deployed_since_keeps_the_declaration(stage: Stage) -> None:
    result = PROVIDER.update(MODEL, OFF, {**INPUTS, "deployed": False, **BIGGER})
    assert stage.sent == []
    assert_whole(result.outs)
    assert (result.outs or {})["device_type"] == "g5.xlarge"


# timeouts


@pytest.mark.parametrize(
    "call_seconds, declared, seconds",
    [
        (None, None, 3600),
        (None, {"create": "10m"}, 600),
        (300, {"create": "10m"}, 300),
        (None, {"delete": "10m"}, 3600),
    ],
    ids=["default", "declared", "the host's", "of another operation"],
)
def test_a_create_is_bounded_by_its_timeout(
    stage: Stage, call_seconds: float | None, declared: dict[str, str] | None, seconds: float
) -> None:
    stage.call.timeout = call_seconds
    stage.answers(job("IN_PROGRESS"))
    stage.platform.looks = takes(1e6)
    inputs = {**INPUTS, "custom_timeouts": declared} if declared else INPUTS
    with pytest.raises(PartialFailure):
        PROVIDER.create(inputs)
    assert stage.clock.now - 1000 == seconds


@pytest.mark.parametrize("operation, seconds", [("update", 120), ("delete", 60)])
def test_each_operation_has_its_own_timeout(stage: Stage, operation: str, seconds: float) -> None:
    timeouts = {"create": "3m", "update": "2m", "delete": "1m"}
    stage.answers(job("IN_PROGRESS"))
    stage.platform.looks = takes(1e6)
    calls: dict[str, Callable[[], object]] = {
        "update": lambda: PROVIDER.update(MODEL, RUNNING, {**INPUTS, **BIGGER, "custom_timeouts": timeouts}),
        "delete": lambda: PROVIDER.delete(MODEL, {**RUNNING, "custom_timeouts": timeouts}),
    }
    with pytest.raises((PartialFailure, DeploymentError)):
        calls[operation]()
    assert stage.clock.now - 1000 == seconds


# delete


@pytest.mark.parametrize("props", [RUNNING, FAILED, LOST], ids=["deployed", "failed", "lost"])
def test_delete_undeploys_and_waits(stage: Stage, props: dict[str, Any]) -> None:
    stage.answers(job("IN_PROGRESS"))
    stage.platform.looks = takes(60)
    PROVIDER.delete(MODEL, {**props, "__provider": "gASV"})
    assert stage.platform.commands == ["undeploy cm-1"]
    assert stage.clock.now >= 1060


@pytest.mark.parametrize("timeouts", [{"delete": "90m", "read": "1m"}, {"delete": "a fortnight"}, "90m"], ids=str)
def test_what_a_newer_version_recorded_of_timeouts_does_not_keep_a_model_from_being_deleted(
    stage: Stage, timeouts: object
) -> None:
    stage.answers(job("IN_PROGRESS"))
    stage.platform.looks = takes(600)
    PROVIDER.delete(MODEL, {**RUNNING, "custom_timeouts": timeouts})
    assert stage.platform.commands == [f"undeploy {MODEL}"]


def test_delete_of_what_is_off_sends_nothing(stage: Stage) -> None:
    PROVIDER.delete(MODEL, OFF)
    assert stage.sent == []


def test_delete_waits_a_deploy_under_way_out_first(stage: Stage) -> None:
    stage.answers(job("SUCCESS"), job("SUCCESS", id="ds-2"))
    PROVIDER.delete(MODEL, DEPLOYING)
    assert stage.sent == ["job ds-1 DEPLOY cm-1", "undeploy cm-1"]


def test_delete_of_a_model_that_is_gone_is_a_success_that_says_so(stage: Stage) -> None:
    stage.answers(not_found(), job("SUCCESS", id="ds-0"))
    PROVIDER.delete(MODEL, RUNNING)
    assert stage.call.notes == ["the platform has no model cm-1: there was nothing to undeploy."]


def test_delete_of_a_model_that_may_be_gone_is_an_error_that_names_the_way_out(stage: Stage) -> None:
    for answers in ([not_found(), not_found()], [foreign()], [in_doubt()]):
        stage.answers(*answers)
        with failing(Refused, "let go of it with `pulumi state delete URN`"):
            PROVIDER.delete(MODEL, RUNNING)
    assert stage.call.notes == []


def test_a_delete_that_failed_is_an_error(stage: Stage) -> None:
    stage.answers(job("FAILED", reason="locked"))
    with failing(JobFailed, "locked"):
        PROVIDER.delete(MODEL, RUNNING)


def test_an_interrupted_delete_names_the_job_and_says_to_run_the_command_again(stage: Stage) -> None:
    stage.answers(job("IN_PROGRESS"))
    stage.platform.looks = takes(1e6)

    def interrupt(_: float) -> None:
        raise Cancelled

    stage.clock.on_sleep = interrupt
    with pytest.raises(Cancelled) as caught:
        PROVIDER.delete(MODEL, RUNNING)
    error = str(caught.value)
    assert "undeploy job ds-1 of cm-1 is still running" in error
    assert "run the same command again" in error
    assert "again" in error


def test_a_delete_that_is_interrupted_before_it_sent_anything_does_not_claim_that_nothing_runs(stage: Stage) -> None:
    stage.answers(Cancelled())
    with pytest.raises(Cancelled) as caught:
        PROVIDER.delete(MODEL, RUNNING)
    assert "cm-1 is deployed as before" in str(caught.value)


DOUBT = "What was last sent for this resource may be what runs"


def declare(in_state: bool = True, /, **changes: object) -> None:
    """As the engine does before all else: another entry has the model in this run, and in the state if it is there."""
    assert not PROVIDER.check({"model_id": MODEL} if in_state else {}, {**INPUTS, **changes}).failures


def test_delete_leaves_a_model_that_another_entry_has_alone(stage: Stage) -> None:
    declare()
    PROVIDER.delete(MODEL, RUNNING)
    assert stage.sent == []
    assert stage.call.notes == ["cm-1 is now managed by another resource; not undeploying it."]


@pytest.mark.parametrize("gone", [RUNNING, DEPLOYING, FAILED, LOST], ids=["running", "deploying", "failed", "lost"])
def test_an_entry_stays_while_the_one_that_is_to_have_its_model_has_not_come_up(
    stage: Stage, gone: dict[str, Any]
) -> None:
    declare(False)
    with failing(NotTakenOver, "stays in the state"):
        PROVIDER.delete(MODEL, gone)
    assert stage.sent == []


def test_an_entry_goes_once_the_one_that_is_to_have_its_model_has_come_up(stage: Stage) -> None:
    declare(False)
    stage.answers(job("SUCCESS"))
    PROVIDER.create(INPUTS)
    PROVIDER.delete(MODEL, RUNNING)
    assert stage.platform.commands == ["deploy cm-1"]


def test_an_entry_whose_model_is_undeployed_goes_whatever_became_of_the_other(stage: Stage) -> None:
    declare(False)
    PROVIDER.delete(MODEL, OFF)
    assert stage.sent == []


def test_the_old_half_of_a_replacement_stays_while_the_new_one_is_not_up(stage: Stage) -> None:
    stage.call.urn = "urn:pulumi:prod::models::type::chat"
    new = {**INPUTS, "model_id": "cm-2"}
    stage.answers(job("FAILED", reason="no quota"))
    with pytest.raises(PartialFailure) as caught:
        PROVIDER.create(new)
    with failing(NotTakenOver, "the model that replaces cm-1 has not come up"):
        PROVIDER.delete(MODEL, RUNNING)
    PROVIDER.delete(MODEL, OFF)
    assert stage.platform.commands == ["deploy cm-2"]
    stage.answers(job("SUCCESS", id="ds-2"), job("SUCCESS", id="ds-3"))
    PROVIDER.update("cm-2", dict(caught.value.outs), new)
    PROVIDER.delete(MODEL, RUNNING)
    assert stage.platform.commands == ["deploy cm-2", "deploy cm-2", "undeploy cm-1"]


def test_delete_waits_its_own_job_out_where_another_entry_has_the_model(stage: Stage) -> None:
    declare()
    stage.answers(job("IN_PROGRESS"), job("SUCCESS"))
    PROVIDER.delete(MODEL, DEPLOYING)
    assert stage.sent == ["job ds-1 DEPLOY cm-1"] * 2


@pytest.mark.parametrize(
    "gone, declared, doubtful",
    [
        (RUNNING, {}, False),
        (RUNNING, BIGGER, True),
        (RUNNING, {"deployed": False}, True),
        (OFF, {}, True),
        (OFF, {"deployed": False}, False),
        (FAILED, {}, True),
        (LOST, {}, True),
    ],
)
def test_what_was_sent_for_the_one_that_goes_may_be_what_holds(
    stage: Stage, gone: dict[str, Any], declared: dict[str, object], doubtful: bool
) -> None:
    declare(**declared)
    PROVIDER.delete(MODEL, gone)
    (note,) = stage.call.notes
    assert (DOUBT in note) is doubtful
    assert stage.sent == []


@pytest.mark.parametrize("gone", [{**RUNNING, **BIGGER}, FAILED, LOST], ids=["other parameters", "failed", "lost"])
def test_there_is_no_doubt_where_the_other_one_was_deployed_in_this_run(stage: Stage, gone: dict[str, Any]) -> None:
    declare()
    stage.answers(job("SUCCESS"))
    PROVIDER.create(INPUTS)
    PROVIDER.delete(MODEL, gone)
    assert DOUBT not in stage.call.notes[-1]
    assert stage.sent == ["deploy cm-1"]


def test_a_job_that_was_only_taken_up_again_may_not_be_the_last_one(stage: Stage) -> None:
    declare()
    stage.answers(job("SUCCESS"))
    PROVIDER.update(MODEL, DEPLOYING, INPUTS)
    PROVIDER.delete(MODEL, {**RUNNING, **BIGGER})
    assert DOUBT in stage.call.notes[-1]


def test_a_stuck_job_keeps_no_entry_from_going(stage: Stage) -> None:
    declare()
    stage.platform.looks = lambda _: job("ROLLED_BACK")
    PROVIDER.delete(MODEL, DEPLOYING)
    assert DOUBT in stage.call.notes[-1]
    assert stage.platform.commands == []


def test_a_delete_that_did_not_see_the_end_of_its_job_is_an_error(stage: Stage) -> None:
    declare()
    stage.platform.looks = takes(1e6)
    with failing(JobTimeout, r"Run the command again: an undeploy may be repeated\.$"):
        PROVIDER.delete(MODEL, {**DEPLOYING, "custom_timeouts": {"delete": "2m"}})
    assert stage.platform.commands == []


# read


def test_read_asks_once_and_gives_the_inputs_back_for_later_diffs(stage: Stage) -> None:
    stage.answers(job("SUCCESS"))
    result = PROVIDER.read(MODEL, {**DEPLOYING, "__provider": "gASV"})
    assert stage.sent == ["job ds-1 DEPLOY cm-1"]
    assert result.id == MODEL
    assert results(result.outs) == ("deployed", "ds-1", "DEPLOY", "SUCCESS")
    assert result.inputs == INPUTS
    assert_whole({name: value for name, value in (result.outs or {}).items() if name != "__provider"})


def test_read_of_what_has_no_job_asks_nothing(stage: Stage) -> None:
    result = PROVIDER.read(MODEL, {**RUNNING, "dock_status_id": "", "last_action": "", "last_status": ""})
    assert stage.sent == []
    assert results(result.outs) == ("deployed", "", "", "")


@pytest.mark.parametrize(
    "props, answer, state",
    [
        (DEPLOYING, job("IN_PROGRESS"), "deploying"),
        (DEPLOYING, job("FAILED"), "failed"),
        (DEPLOYING, not_found(), "deploying"),
        (FAILED, job("FAILED", id="ds-0"), "failed"),
    ],
    ids=["unfinished", "failed since", "not found", "failed before"],
)
def test_read_keeps_unfinished_and_failed_work_visible(
    stage: Stage, props: dict[str, Any], answer: Answer, state: str
) -> None:
    stage.answers(answer)
    if stage.call.hosted:
        with pytest.raises(PartialFailure) as caught:
            PROVIDER.read(MODEL, props)
        outs, told = dict(caught.value.outs), caught.value.reasons
        assert caught.value.inputs == INPUTS
        assert caught.value.id == MODEL
    else:
        result = PROVIDER.read(MODEL, props)
        outs, told = result.outs or {}, stage.call.notes
    assert outs["state"] == state
    assert_whole(outs)
    assert any("cm-1" in line for line in told)
    assert diff(outs, INPUTS).changes is True


def test_read_of_what_is_off_leaves_the_inputs_to_the_engine(stage: Stage) -> None:
    stage.answers(job("SUCCESS", id="ds-0"))
    result = PROVIDER.read(MODEL, OFF)
    assert result.inputs is None
    assert (result.outs or {})["state"] == "undeployed"


def test_a_read_that_can_not_ask_is_an_error(stage: Stage) -> None:
    stage.answers(ServerError("down", method="GET", path="/p", status=503))
    with failing(ServerError):
        PROVIDER.read(MODEL, DEPLOYING)


def test_the_loop_is_closed_after_each_operation(stage: Stage) -> None:
    """What an operation gave back shows no difference to what was declared."""
    stage.answers(job("SUCCESS"))
    created = PROVIDER.create(INPUTS).outs or {}
    assert diff(created, INPUTS).changes is False
    bigger = {**INPUTS, **BIGGER, "update_strategy": "redeploy", "custom_timeouts": {"update": "1h"}}
    stage.answers(job("SUCCESS", id="ds-2"))
    updated = PROVIDER.update(MODEL, created, bigger).outs or {}
    assert diff(updated, bigger).changes is False
    stage.answers(job("SUCCESS", id="ds-2"))
    assert diff(PROVIDER.read(MODEL, updated).outs or {}, bigger).changes is False
    stage.answers(job("SUCCESS", id="ds-3"))
    off = {**bigger, "deployed": False}
    assert diff(PROVIDER.update(MODEL, updated, off).outs or {}, off).changes is False


# the one platform of the process


def test_the_client_is_made_once_and_anew_for_another_configuration() -> None:
    host = HostProcess()
    host.configure(CONFIG.get)
    first = host.service.client()
    assert host.service.client() is first
    host.configure({**CONFIG, "koreai:apiKey": "another"}.get)
    assert host.service.client() is not first
    assert host.service.client().settings.api_key == "another"


def test_every_instance_in_a_process_has_the_same_service() -> None:
    # A state may hold several pickles of the provider: of other releases, or by another pickler.
    assert ModelDeploymentProvider()._calls._service is ModelDeploymentProvider()._calls._service


def test_no_client_without_a_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOST_ENV, raising=False)
    monkeypatch.delenv(API_KEY_ENV, raising=False)
    with pytest.raises(ConfigError, match="api_key: not set"):
        HostProcess().service.client()


def test_a_sleep_of_the_core_is_one_of_the_call_and_ends_when_it_is_cancelled(stage: Stage) -> None:
    clock = module.CallClock()
    clock.sleep(30)
    moments: list[None] = []
    stage.clock.on_moment = lambda: moments.append(None)
    clock.sleep(0)
    clock.sleep(-1)
    assert stage.clock.sleeps == [30]
    assert len(moments) == 2, "one of no length is one too: the call may have been cancelled"

    def interrupt(_: float) -> None:
        raise Cancelled

    stage.clock.on_sleep = interrupt
    with pytest.raises(Cancelled):
        clock.sleep(1)


# the pickle

# The state of every stack holds these bytes: the module's and the class's names never change.
NAMES = b"\x8c\x16pulumi_koreai.provider\x94\x8c\x17ModelDeploymentProvider\x94\x93\x94)R\x94."


def test_the_pickle_is_the_provider_s_name_and_nothing_else() -> None:
    pickled = base64.b64decode(serialize_provider(PROVIDER))
    frame = b"\x95" + len(NAMES).to_bytes(8, "little")
    assert pickled == b"\x80" + bytes([pickle.DEFAULT_PROTOCOL]) + frame + NAMES
    opcodes = {opcode.name for opcode, _, _ in pickletools.genops(pickled)}
    assert opcodes <= {"PROTO", "FRAME", "SHORT_BINUNICODE", "MEMOIZE", "STACK_GLOBAL", "EMPTY_TUPLE", "REDUCE", "STOP"}


@pytest.mark.parametrize("protocol", [4, 5])
def test_the_pickle_of_any_python_is_found_again(protocol: int) -> None:
    pickled = b"\x80" + bytes([protocol]) + b"\x95" + len(NAMES).to_bytes(8, "little") + NAMES
    assert type(dill.loads(pickled)) is ModelDeploymentProvider
    assert type(pickle.loads(pickled)) is ModelDeploymentProvider


def test_the_pickle_holds_nothing_of_the_instance_nor_of_the_configuration(stage: Stage) -> None:
    before = serialize_provider(PROVIDER)
    other = ModelDeploymentProvider()
    other.anything = KEY  # type: ignore[attr-defined] # what must not get into it
    PROVIDER.configure(ConfigureRequest(Config(CONFIG, "project")))
    assert serialize_provider(other) == before == serialize_provider(PROVIDER)
    assert KEY.encode() not in base64.b64decode(serialize_provider(other))


def test_three_thousand_resources_serialize() -> None:
    # The SDK wraps dill's methods again on each call; a provider with something to pickle fails at the 981st.
    assert len({serialize_provider(ModelDeploymentProvider()) for _ in range(3000)}) == 1


def test_the_pickle_is_no_secret() -> None:
    assert ModelDeploymentProvider.serialize_as_secret_always is False


def test_a_model_that_does_not_exist_is_an_error_of_update(stage: Stage) -> None:
    stage.answers(not_found())
    with failing(NotFound):
        PROVIDER.update(MODEL, RUNNING, {**INPUTS, **BIGGER})
