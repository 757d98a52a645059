"""`ModelDeployment`'s provider in each host's own process, driven over gRPC without an engine.

This is where floats, unknowns, pickles and reads of what is gone show themselves: a test of the methods alone has none.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from pulumi_koreai.emulator import Emulator, Fail, Options
from pulumi_koreai.provider import ModelDeploymentProvider
from tests.host import harness
from tests.host.harness import HostProcess

HOSTS = {"stock": harness.STOCK, "own": harness.OURS}
HYPER = {"temperature": 0.5, "max_tokens": 128, "top_p": 1, "top_k": 10}
DECLARED: dict[str, Any] = {
    "model_id": "cm-1",
    "deployment_name": "chat",
    "device_type": "g5.xlarge",
    "hyper_parameters": HYPER,
}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(Options(job_seconds=0, undeploy_seconds=0, requests_per_minute=None)) as platform:
        yield platform


@pytest.fixture(scope="module", params=list(HOSTS))
def process(request: pytest.FixtureRequest, emulator: Emulator) -> Iterator[HostProcess]:
    with HostProcess(HOSTS[request.param]) as host:
        config = {"koreai:host": emulator.url, "koreai:apiKey": "kg-of-these-tests", "koreai:pollMinSeconds": "0.05"}
        assert host.ask("Configure", harness.configure(**config)).code == "OK"
        yield host


@pytest.fixture(autouse=True)
def afresh(emulator: Emulator) -> None:
    emulator.reset()


PROVIDER = ModelDeploymentProvider()


def checked(process: HostProcess, **news: object) -> dict[str, Any]:
    answer = process.ask("Check", harness.check(PROVIDER, **{**DECLARED, **news}))
    assert answer.code == "OK", answer.message
    assert [failure.reason for failure in answer.response.failures] == []
    return harness.plain(answer.response.inputs)


def test_whole_numbers_come_as_floats_and_go_out_whole(process: HostProcess, emulator: Emulator) -> None:
    answer = process.create(
        PROVIDER, **checked(process, hyper_parameters={**HYPER, "max_tokens": 128.0, "top_k": 10.0})
    )
    assert answer.code == "OK", answer.message
    (deploy,) = emulator.requests()
    assert isinstance(deploy.body, dict)
    sent = deploy.body["hyperParameters"]
    assert isinstance(sent, dict)
    assert (sent["maxTokens"], type(sent["maxTokens"])) == (128, int)
    assert answer.outs["state"] == "deployed"


def test_a_fraction_is_no_whole_number(process: HostProcess) -> None:
    faulty = {**DECLARED, "hyper_parameters": {**HYPER, "max_tokens": 128.5}}
    answer = process.ask("Check", harness.check(PROVIDER, **faulty))
    assert [failure.reason for failure in answer.response.failures] == [
        "hyper_parameters.max_tokens: got 128.5; expected a whole number from 0 to 512"
    ]


def test_unknowns_pass_through_at_any_depth(process: HostProcess) -> None:
    inputs = checked(
        process,
        deployment_name=harness.UNKNOWN,
        hyper_parameters={**HYPER, "max_tokens": harness.UNKNOWN, "stop_sequence": ["a", harness.UNKNOWN]},
        scaling_parameters=harness.UNKNOWN,
    )
    assert inputs["deployment_name"] == harness.UNKNOWN
    assert inputs["scaling_parameters"] == harness.UNKNOWN
    assert inputs["hyper_parameters"]["max_tokens"] == harness.UNKNOWN
    assert inputs["hyper_parameters"]["stop_sequence"] == ["a", harness.UNKNOWN]


def test_checking_what_was_checked_changes_nothing(process: HostProcess) -> None:
    once = checked(process)
    assert checked(process, **once) == once


def test_a_deploy_is_compared_with_what_was_sent(process: HostProcess) -> None:
    outs = process.create(PROVIDER, **checked(process)).outs
    none, some = provider_pb2.DiffResponse.DIFF_NONE, provider_pb2.DiffResponse.DIFF_SOME
    unknown = provider_pb2.DiffResponse.DIFF_UNKNOWN
    same = process.ask("Diff", harness.diff(PROVIDER, outs, **checked(process)))
    assert same.response.changes == none
    warmer = checked(process, hyper_parameters={**HYPER, "temperature": 0.9})
    assert process.ask("Diff", harness.diff(PROVIDER, outs, **warmer)).response.changes in (some, unknown)
    other = process.ask("Diff", harness.diff(PROVIDER, outs, **checked(process, model_id="cm-2")))
    assert list(other.response.replaces) == ["model_id"]
    not_known_yet = process.ask("Diff", harness.diff(PROVIDER, outs, **checked(process, model_id=harness.UNKNOWN)))
    assert list(not_known_yet.response.replaces) == ["model_id"]


def test_a_pickle_of_an_earlier_release_still_works(process: HostProcess) -> None:
    # What a state holds: the module's and the class's name. They never change.
    by_name = harness.by_name("pulumi_koreai.provider", "ModelDeploymentProvider")
    answer = process.ask("Check", harness.check(by_name, **DECLARED))
    assert answer.code == "OK", answer.message


def test_a_read_of_a_job_that_is_gone_leaves_a_settled_model_as_it_was(
    process: HostProcess, emulator: Emulator
) -> None:
    outs = process.create(PROVIDER, **checked(process)).outs
    emulator.reset()
    answer = process.ask("Read", harness.read(PROVIDER, inputs=checked(process), **outs))
    assert answer.code == "OK", answer.message
    assert answer.outs == outs
    assert [entry.status for entry in emulator.requests()] == [404]


def test_a_read_of_a_deploy_that_is_not_found_while_it_is_under_way_keeps_its_job(
    process: HostProcess, emulator: Emulator
) -> None:
    outs = {**process.create(PROVIDER, **checked(process)).outs, "state": "deploying", "last_status": "IN_PROGRESS"}
    emulator.reset()
    answer = process.ask("Read", harness.read(PROVIDER, inputs=checked(process), **outs))
    held = harness.plain(answer.partial.properties) if answer.partial else answer.outs
    assert (held["state"], held["dock_status_id"]) == ("deploying", outs["dock_status_id"])


def test_delete_of_what_is_gone_is_a_success(process: HostProcess, emulator: Emulator) -> None:
    outs = process.create(PROVIDER, **checked(process)).outs
    emulator.reset()
    assert process.ask("Delete", harness.delete(PROVIDER, **outs)).code == "OK"


def test_a_failed_create_says_why_under_both_hosts(process: HostProcess, emulator: Emulator) -> None:
    emulator.set_model("cm-1", fail=Fail(deploy="no GPU is free"))
    answer = process.create(PROVIDER, **checked(process))
    assert answer.code == "UNKNOWN"
    told = "\n".join(answer.partial.reasons) if answer.partial else answer.message
    assert 'failed: "no GPU is free"' in told
