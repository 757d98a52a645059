"""Whatever is declared: what the platform takes, or faults that can be read; and nothing is sent."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from urllib3 import HTTPResponse

from pulumi_koreai.core.spec import FileSpec, ModelSpec, ProgramSpec, check, file_spelling, python_spelling
from pulumi_koreai.emulator import deploy_body
from pulumi_koreai.stackfile.entries import StackFileError, read_entries
from tests.core.fakes import SimClock, Told
from tests.core.strategies import any_values, assert_fit_for_a_terminal, near_misses, texts
from tests.system.chaos.wire import Request, answer, process

ENTRY: dict[str, Any] = {
    "modelId": "cm-1",
    "deploymentName": "chat",
    "modelType": "openSource",
    "deviceType": "g5.xlarge",
    "hyperParameters": {"temperature": 0.5, "maxTokens": 256, "topP": 1.0, "topK": 50, "stopSequence": ["a"]},
    "scalingParameters": {"minReplicas": 1, "maxReplicas": 3, "scaleUpDelay": 100, "scaleDownDelay": 100},
    "optimizationInfo": {"optimizationType": "vllm", "quantizationType": "int8_float16"},
    "deployed": True,
    "adopt": False,
    "updateStrategy": "redeploy",
    "dependsOn": [],
    "protect": False,
    "timeouts": {"create": "45m"},
}
ARGUMENTS: dict[str, Any] = {
    "model_id": "cm-1",
    "deployment_name": "chat",
    "device_type": "g5.xlarge",
    "hyper_parameters": {"temperature": 0.5, "max_tokens": 256, "top_p": 1.0, "top_k": 50},
    "scaling_parameters": {"min_replicas": 1, "max_replicas": 3},
    "optimization_info": {"optimization_type": "vllm"},
    "custom_timeouts": {"create": "45m"},
}

entries = near_misses(ENTRY) | any_values
files = st.dictionaries(texts | st.sampled_from(["a", "b"]), entries, max_size=3) | any_values

fuzzed = settings(max_examples=400, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


def assert_the_platform_takes(spec: ModelSpec) -> None:
    body = json.loads(json.dumps(spec.parameters().body()).encode())
    assert deploy_body.faults(body) == []


@fuzzed
@given(files)
def test_a_stack_s_file_is_read_or_its_faults_are_told(models: object) -> None:
    try:
        found = read_entries(models)
    except StackFileError as error:
        assert_fit_for_a_terminal(str(error))
        return
    for spec in found.values():
        assert_the_platform_takes(spec)


@fuzzed
@given(near_misses(ENTRY))
def test_an_entry_is_what_the_platform_takes_or_its_faults_are_told(entry: dict[str, Any]) -> None:
    inputs, faults = check(FileSpec, entry, file_spelling)
    for fault in faults:
        assert_fit_for_a_terminal(str(fault))
    assert bool(inputs) != bool(faults)
    if inputs:
        assert_the_platform_takes(FileSpec.model_validate(inputs))


# What Python has and JSON has not.
python_values = any_values | st.sampled_from(
    [object(), b"\x1b[31m", {1, 2}, {1: 2}, (1, "\n"), 10**5000, 1j, Exception("\n"), float, lambda: None]
)


@st.composite
def arguments(draw: st.DrawFn) -> dict[str, Any]:
    given_arguments = draw(near_misses(ARGUMENTS))
    if draw(st.booleans()):
        given_arguments[draw(st.sampled_from(list(ProgramSpec.model_fields)))] = draw(python_values)
    if draw(st.booleans()) and isinstance(given_arguments.get("hyper_parameters"), dict):
        given_arguments["hyper_parameters"]["top_k"] = draw(python_values)
    return given_arguments


@fuzzed
@given(arguments())
def test_arguments_are_what_the_platform_takes_or_their_faults_are_told(given_arguments: dict[str, Any]) -> None:
    inputs, faults = check(ProgramSpec, given_arguments, python_spelling)
    for fault in faults:
        assert_fit_for_a_terminal(str(fault))
    assert bool(inputs) != bool(faults)
    if inputs:
        assert_the_platform_takes(ProgramSpec.model_validate(inputs))


@fuzzed
@given(near_misses(ARGUMENTS))
def test_the_engine_s_check_refuses_what_is_faulty_before_anything_is_sent(news: dict[str, Any]) -> None:
    sent: list[Request] = []

    def serve(request: Request) -> HTTPResponse:
        sent.append(request)
        return answer(500)

    with process(serve, SimClock(), Told(), hosted=True) as provider:
        result = provider.check({}, news)
    _, faults = check(ProgramSpec, {k: v for k, v in news.items() if not k.startswith("__")}, python_spelling)
    assert bool(result.failures) == bool(faults)
    for failure in result.failures:
        assert_fit_for_a_terminal(failure.reason)
    assert sent == []


def test_the_measure_itself_sees_what_it_is_to_see() -> None:
    for text in ("\x1b[31m", "a\u202eb", "\ud800", "ok\nforged: all is well", "x" * 2_000):
        with pytest.raises(AssertionError):
            assert_fit_for_a_terminal(text)
    assert_fit_for_a_terminal("koreai:host: é — ü…\n  chat: fine")
