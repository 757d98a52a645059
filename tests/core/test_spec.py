"""What a user declares: what is taken, and how each fault is told, in both spellings."""

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

from pulumi_koreai.api.declared import (
    UNKNOWN,
    DeployRequest,
    HyperParameters,
    OptimizationInfo,
    ScalingParameters,
    Unknown,
)
from pulumi_koreai.core.faults import DeclarationFault, FaultKind, words
from pulumi_koreai.core.rules import Goal
from pulumi_koreai.core.spec import (
    FileSpec,
    ModelSpec,
    ProgramSpec,
    Spelling,
    Timeouts,
    check,
    descriptions,
    file_spelling,
    python_spelling,
)

RANGES: dict[tuple[str, str], tuple[float, float, bool]] = {
    # the contract's table                           from   to  whole
    ("hyper_parameters", "temperature"): (0, 2, False),
    ("hyper_parameters", "max_tokens"): (0, 512, True),
    ("hyper_parameters", "top_p"): (0, 1, False),
    ("hyper_parameters", "top_k"): (1, 100, True),
    ("scaling_parameters", "max_batch_size"): (1, 256, True),
    ("scaling_parameters", "min_replicas"): (1, 10, True),
    ("scaling_parameters", "max_replicas"): (1, 50, True),
    ("scaling_parameters", "scale_up_delay"): (1, 1000, True),
    ("scaling_parameters", "scale_down_delay"): (50, 2000, True),
}
DEVICES = "g4dn.xlarge g5.xlarge g5.2xlarge g6e.xlarge g4dn.12xlarge g5.12xlarge g5.48xlarge g4dn.metal".split()  # noqa: SIM905 - as in the contract
CHOICES: dict[tuple[str, ...], list[str]] = {
    ("model_type",): ["openSource", "fineTune"],
    ("device_type",): DEVICES,
    ("optimization_info", "optimization_type"): ["ctranslate2", "vllm"],
    ("optimization_info", "quantization_type"): ["no_quantization", "int8_float16"],
    ("update_strategy",): ["undeploy-first", "redeploy"],
}

BASE: dict[str, Any] = {
    "model_id": "cm-1",
    "deployment_name": "chat",
    "device_type": "g5.xlarge",
    "hyper_parameters": {"temperature": 0.5, "max_tokens": 256, "top_p": 1, "top_k": 50},
}
FULL: dict[str, Any] = {
    **BASE,
    "model_type": "fineTune",
    "hyper_parameters": {**BASE["hyper_parameters"], "stop_sequence": ["###", "\n\n"]},
    "scaling_parameters": {
        "max_batch_size": 8,
        "min_replicas": 1,
        "max_replicas": 2,
        "scale_up_delay": 10,
        "scale_down_delay": 60,
    },
    "optimization_info": {"optimization_type": "vllm", "quantization_type": "int8_float16"},
    "deployed": False,
    "update_strategy": "redeploy",
    "custom_timeouts": {"create": "45m", "update": "1h30m", "delete": "90s"},
}

Edit = Mapping[Any, object]
"""From the path of a key to its value."""


class _Left:
    """Stands for a key that is left out."""


LEFT_OUT = _Left()


def edited(base: Mapping[str, Any], edits: Edit) -> dict[str, Any]:
    result = copy.copy(dict(base))
    for path, value in edits.items():
        inner = result
        for name in path[:-1]:
            inner[name] = copy.copy(inner.get(name) or {})
            inner = inner[name]
        if value is LEFT_OUT:
            inner.pop(path[-1], None)
        else:
            inner[path[-1]] = value
    return result


def spelled(value: Any, spelling: Spelling) -> Any:
    if isinstance(value, dict):
        return {spelling(key): spelled(item, spelling) for key, item in value.items()}
    return value


def in_a_file(declared: Mapping[str, Any]) -> Any:
    renamed = {"timeouts" if key == "custom_timeouts" else key: value for key, value in declared.items()}
    return spelled(renamed, file_spelling)


def program_faults(declared: object) -> list[str]:
    return [str(fault) for fault in check(ProgramSpec, declared, python_spelling)[1]]


def file_faults(declared: object) -> list[str]:
    return [str(fault) for fault in check(FileSpec, declared, file_spelling)[1]]


def accepted(declared: object) -> dict[str, object]:
    inputs, faults = check(ProgramSpec, declared, python_spelling)
    assert faults == []
    return inputs


# What is taken


def test_the_shortest_declaration_gets_its_defaults_written_in() -> None:
    assert accepted(BASE) == {
        **BASE,
        "model_type": "openSource",
        "deployed": True,
        "adopt": False,
        "update_strategy": "undeploy-first",
    }


def test_both_spellings_come_out_the_same() -> None:
    from_file, faults = check(FileSpec, in_a_file(FULL), file_spelling)
    assert faults == []
    from_program = accepted(FULL)
    assert from_file.pop("timeouts") == from_program.pop("custom_timeouts")
    assert from_file.pop("protect") is False
    assert from_file == from_program


whole = {path: st.integers(int(low), int(high)) for path, (low, high, is_whole) in RANGES.items() if is_whole}
broken = {
    path: st.floats(low, high) | st.integers(int(low), int(high))
    for path, (low, high, is_whole) in RANGES.items()
    if not is_whole
}
numbers: dict[tuple[str, str], st.SearchStrategy[float]] = {**whole, **broken}
lines = st.from_regex(r"[a-z0-9äß#]([a-z0-9 äß#]{0,20}[a-z0-9äß#])?", fullmatch=True)
durations = st.from_regex(r"[1-9][0-9]{0,2}[hms]", fullmatch=True)


def _section(name: str) -> dict[str, st.SearchStrategy[float]]:
    return {key: strategy for (section, key), strategy in numbers.items() if section == name}


hyper = st.fixed_dictionaries(
    _section("hyper_parameters"),
    optional={"stop_sequence": st.none() | st.lists(st.text(min_size=1, max_size=5), max_size=3)},
)
scaling = st.fixed_dictionaries({}, optional=_section("scaling_parameters")).filter(
    lambda given: given.get("min_replicas", 1) <= given.get("max_replicas", 50)
)
optimization = st.sampled_from(
    [
        {},
        {"optimization_type": ""},
        {"optimization_type": "vllm"},
        {"quantization_type": "no_quantization"},
        {"optimization_type": "ctranslate2", "quantization_type": "int8_float16"},
        {"optimization_type": None, "quantization_type": ""},
    ]
)
declarations: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "model_id": st.from_regex(r"cm-[A-Za-z0-9._~-]{1,20}", fullmatch=True),
        "deployment_name": lines,
        "device_type": st.sampled_from(DEVICES),
        "hyper_parameters": hyper,
    },
    optional={
        "model_type": st.sampled_from(["openSource", "fineTune"]),
        "scaling_parameters": st.none() | scaling,
        "optimization_info": st.none() | optimization,
        "deployed": st.booleans(),
        "adopt": st.just(False),
        "update_strategy": st.sampled_from(["undeploy-first", "redeploy"]),
        "custom_timeouts": st.none()
        | st.fixed_dictionaries({}, optional={"create": durations, "update": durations, "delete": durations}),
    },
)


@given(declarations)
def test_whatever_is_valid_is_taken_and_taken_again_without_a_change(declared: dict[str, Any]) -> None:
    once = accepted(declared)
    assert accepted(once) == once
    assert check(FileSpec, in_a_file(declared), file_spelling)[1] == []


def _as_the_engine_does(value: Any) -> Any:
    """Every number becomes a float, every map is sorted: a protobuf Struct on its way."""
    if isinstance(value, dict):
        return {key: _as_the_engine_does(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_as_the_engine_does(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


@given(declarations)
def test_neither_the_order_of_keys_nor_1_for_1_0_makes_a_difference(declared: dict[str, Any]) -> None:
    assert accepted(_as_the_engine_does(declared)) == accepted(declared)
    assert repr(accepted(_as_the_engine_does(declared))) == repr(accepted(dict(reversed(declared.items()))))


@given(declarations)
def test_a_default_that_is_written_is_the_same_as_one_that_is_left_out(declared: dict[str, Any]) -> None:
    written = {
        "model_type": "openSource",
        "deployed": True,
        "adopt": False,
        "update_strategy": "undeploy-first",
        "scaling_parameters": None,
        "optimization_info": {},
        "custom_timeouts": {},
    }
    assert accepted({**written, **declared}) == accepted(declared)


@given(declarations)
def test_what_is_taken_can_be_sent_and_says_what_was_declared(declared: dict[str, Any]) -> None:
    spec = ProgramSpec.model_validate(accepted(declared))
    goal = spec.goal(adopt=True)
    if declared.get("deployed", True):
        assert goal.request == DeployRequest.model_validate(
            {name: value for name, value in declared.items() if name in DeployRequest.model_fields}
        )
        assert json.loads(json.dumps(goal.request.body()))["name"] == declared["deployment_name"]
    else:
        assert goal.request is None
    assert goal.strategy == declared.get("update_strategy", "undeploy-first")


@pytest.mark.parametrize("declared, counts, adopt", [(True, True, True), (True, False, False), (False, True, False)])
def test_adopt_counts_where_it_is_declared_and_in_a_call_where_it_may(
    declared: bool, counts: bool, adopt: bool
) -> None:
    spec = ProgramSpec.model_validate({**BASE, "adopt": declared})
    assert spec.goal(adopt=counts) == Goal(spec.parameters(), "undeploy-first", adopt)


def test_the_parameters_of_a_goal_are_nothing_but_the_deploy_s() -> None:
    request = ProgramSpec.model_validate({**FULL, "deployed": True}).goal(adopt=False).request
    assert type(request) is DeployRequest
    assert request == DeployRequest.model_validate(
        {name: value for name, value in FULL.items() if name in DeployRequest.model_fields}
    )


# Ranges


@pytest.mark.parametrize("path, limits", RANGES.items(), ids=map(".".join, RANGES))
def test_each_range_is_taken_at_its_bounds_and_refused_beyond_them(
    path: tuple[str, str], limits: tuple[float, float, bool]
) -> None:
    low, high, is_whole = limits
    room = {("scaling_parameters", "max_replicas"): 50, ("scaling_parameters", "min_replicas"): 1}
    for inside in (low, high):
        assert program_faults(edited(BASE, {**room, path: inside})) == []
    step = 1 if is_whole else 0.001
    for outside in (low - step, high + step):
        [fault] = program_faults(edited(BASE, {path: outside}))
        kind = "a whole number" if is_whole else "a number"
        assert fault == f"{'.'.join(path)}: got {json.dumps(outside)}; expected {kind} from {low} to {high}"


@pytest.mark.parametrize("path", RANGES, ids=map(".".join, RANGES))
@pytest.mark.parametrize("wrong", [True, False, "many", [1], {"a": 1}, float("nan"), float("inf"), "1e999"], ids=str)
def test_what_is_no_number_is_refused(path: tuple[str, str], wrong: object) -> None:
    [fault] = program_faults(edited(BASE, {path: wrong}))
    assert fault.startswith(f"{'.'.join(path)}: got {json.dumps(wrong)}; expected a ")


@pytest.mark.parametrize("path", [path for path, limits in RANGES.items() if limits[2]], ids=".".join)
def test_half_a_whole_number_is_refused(path: tuple[str, str]) -> None:
    [fault] = program_faults(edited(BASE, {path: 60.5}))
    assert "got 60.5; expected a whole number" in fault


@pytest.mark.parametrize("path, options", CHOICES.items(), ids=map(".".join, CHOICES))
def test_each_choice_is_taken_and_another_one_told_with_all_of_them(path: tuple[str, ...], options: list[str]) -> None:
    engine = {("optimization_info", "optimization_type"): "vllm"}
    for option in options:
        assert program_faults(edited(BASE, {**engine, path: option})) == []
    for wrong in ("G5.XLARGE", "vLLM", 3):
        [fault] = program_faults(edited(BASE, {**engine, path: wrong}))
        assert fault == f"{'.'.join(path)}: got {json.dumps(wrong)}; expected one of {', '.join(options)}"


def test_the_tables_of_this_file_hold_every_field_with_a_range_or_a_choice() -> None:
    tabled = {path[-1] for path in [*RANGES, *CHOICES]}
    fields = {
        name for kind in (HyperParameters, ScalingParameters, OptimizationInfo, ModelSpec) for name in kind.model_fields
    }
    others = {
        "stop_sequence",
        "deployment_name",
        "model_id",
        "deployed",
        "adopt",
        "hyper_parameters",
        "scaling_parameters",
        "optimization_info",
    }
    assert tabled == fields - others


# Faults, in both spellings

FAULTS: list[tuple[str, Edit, str, str]] = [
    # what, edits of the shortest declaration, as told to a program, as told of a file
    (
        "missing text",
        {("deployment_name",): LEFT_OUT},
        "deployment_name: missing; expected one line of text, not empty, without spaces at its ends",
        "deploymentName: missing; expected one line of text, not empty, without spaces at its ends",
    ),
    (
        "missing number",
        {("hyper_parameters", "max_tokens"): LEFT_OUT},
        "hyper_parameters.max_tokens: missing; expected a whole number from 0 to 512",
        "hyperParameters.maxTokens: missing; expected a whole number from 0 to 512",
    ),
    (
        "missing map",
        {("hyper_parameters",): LEFT_OUT},
        "hyper_parameters: missing; expected a map with the keys temperature, max_tokens, top_p, top_k, stop_sequence",
        "hyperParameters: missing; expected a map with the keys temperature, maxTokens, topP, topK, stopSequence",
    ),
    (
        "null where a value is needed",
        {("hyper_parameters", "temperature"): None},
        "hyper_parameters.temperature: got null; expected a number from 0 to 2",
        "hyperParameters.temperature: got null; expected a number from 0 to 2",
    ),
    (
        "a slip of the pen",
        {("device_typ",): "g5.xlarge"},
        "device_typ: unknown key; did you mean device_type?",
        "deviceTyp: unknown key; did you mean deviceType?",
    ),
    (
        "a slip of the pen further down",
        {("scaling_parameters", "max_replica"): 3},
        "scaling_parameters.max_replica: unknown key; did you mean max_replicas?",
        "scalingParameters.maxReplica: unknown key; did you mean maxReplicas?",
    ),
    (
        "a key like no other",
        {("optimization_info", "zzz"): 1},
        "optimization_info.zzz: unknown key; known keys: optimization_type, quantization_type",
        "optimizationInfo.zzz: unknown key; known keys: optimizationType, quantizationType",
    ),
    (
        "a text for a map",
        {("scaling_parameters",): "big"},
        (
            'scaling_parameters: got "big"; expected a map with the keys max_batch_size, min_replicas, max_replicas,'
            " scale_up_delay, scale_down_delay"
        ),
        (
            'scalingParameters: got "big"; expected a map with the keys maxBatchSize, minReplicas, maxReplicas,'
            " scaleUpDelay, scaleDownDelay"
        ),
    ),
    (
        "a text for a list",
        {("hyper_parameters", "stop_sequence"): "###"},
        'hyper_parameters.stop_sequence: got "###"; expected a list of strings, none of them empty',
        'hyperParameters.stopSequence: got "###"; expected a list of strings, none of them empty',
    ),
    (
        "a number in a list of texts",
        {("hyper_parameters", "stop_sequence"): ["###", 7]},
        "hyper_parameters.stop_sequence[1]: got 7; expected a list of strings, none of them empty",
        "hyperParameters.stopSequence[1]: got 7; expected a list of strings, none of them empty",
    ),
    (
        "an empty text in a list of texts",
        {("hyper_parameters", "stop_sequence"): ["###", ""]},
        'hyper_parameters.stop_sequence[1]: got ""; expected a list of strings, none of them empty',
        'hyperParameters.stopSequence[1]: got ""; expected a list of strings, none of them empty',
    ),
    (
        "a text for a truth value",
        {("deployed",): "maybe"},
        'deployed: got "maybe"; expected true or false',
        'deployed: got "maybe"; expected true or false',
    ),
    (
        "a model id that is a path",
        {("model_id",): "../cm-1"},
        "model_id: got \"../cm-1\"; expected a model id such as cm-… (letters, digits, '-', '_', '.', '~')",
        "modelId: got \"../cm-1\"; expected a model id such as cm-… (letters, digits, '-', '_', '.', '~')",
    ),
    (
        "no duration",
        {("custom_timeouts", "create"): "soon"},
        'custom_timeouts.create: got "soon"; expected a duration such as 45m or 1h30m',
        'timeouts.create: got "soon"; expected a duration such as 45m or 1h30m',
    ),
    (
        "no such operation",
        {("custom_timeouts", "creat"): "1h"},
        "custom_timeouts.creat: unknown key; did you mean create?",
        "timeouts.creat: unknown key; did you mean create?",
    ),
    (
        "replicas the wrong way round",
        {("scaling_parameters", "min_replicas"): 4, ("scaling_parameters", "max_replicas"): 3},
        "scaling_parameters.min_replicas: got 4 with max_replicas: 3; expected at most max_replicas",
        "scalingParameters.minReplicas: got 4 with maxReplicas: 3; expected at most maxReplicas",
    ),
    (
        "a quantization without an optimization",
        {("optimization_info", "quantization_type"): "int8_float16"},
        (
            'optimization_info.quantization_type: got "int8_float16" without optimization_type; expected one with it:'
            " ctranslate2 or vllm"
        ),
        (
            'optimizationInfo.quantizationType: got "int8_float16" without optimizationType; expected one with it:'
            " ctranslate2 or vllm"
        ),
    ),
    (
        "adopting what is to be undeployed",
        {("adopt",): True, ("deployed",): False},
        "adopt: got true with deployed: false; expected deployed: true, as only a running deployment can be adopted",
        "adopt: got true with deployed: false; expected deployed: true, as only a running deployment can be adopted",
    ),
]


@pytest.mark.parametrize("edits, in_program, in_file", [pytest.param(*row[1:], id=row[0]) for row in FAULTS])
def test_each_kind_of_fault_is_told_in_the_user_s_own_spelling(edits: Edit, in_program: str, in_file: str) -> None:
    declared = edited(BASE, edits)
    assert program_faults(declared) == [in_program]
    assert file_faults(in_a_file(declared)) == [in_file]


@pytest.mark.parametrize(
    "text",
    ["", " ", "two\nlines", " before", "after ", "bell\x07", "tab\tinside", "\x1b[31mred", "del\x7f", 5, None, ["x"]],
)
def test_a_deployment_name_is_one_clean_line(text: object) -> None:
    [fault] = program_faults({**BASE, "deployment_name": text})
    assert fault.startswith("deployment_name: ")
    assert fault.isprintable()


@pytest.mark.parametrize(
    "model_id", ["", "..", ".", "cm/1", "cm?1", "cm#1", "cm 1", "cm%2F1", "cm-1\n", "-cm", "cm-é", "cm\\1", 12, None]
)
def test_a_model_id_can_not_lead_to_another_path(model_id: object) -> None:
    [fault] = program_faults({**BASE, "model_id": model_id})
    assert fault.startswith("model_id: ")


@pytest.mark.parametrize(
    "spelling, kind, given_key, near",
    [
        (file_spelling, FileSpec, "deployment_name", "deploymentName"),
        (python_spelling, ProgramSpec, "deploymentName", "deployment_name"),
        (file_spelling, FileSpec, "model_id", "modelId"),
        (python_spelling, ProgramSpec, "modelId", "model_id"),
        (file_spelling, FileSpec, "depends_on", "dependsOn"),
        (file_spelling, FileSpec, "update_strategy", "updateStrategy"),
    ],
)
def test_the_other_spelling_is_no_key_but_is_known_for_what_it_is(
    spelling: Spelling, kind: type[ModelSpec], given_key: str, near: str
) -> None:
    declared: Any = in_a_file(BASE) if kind is FileSpec else BASE
    faults = [str(fault) for fault in check(kind, {**declared, given_key: "x"}, spelling)[1]]
    assert f"{given_key}: unknown key; did you mean {near}?" in faults


def test_the_other_spelling_is_nearer_than_any_likeness() -> None:
    # By the letters alone topK is as near to top_p.
    declared = edited(BASE, {("hyper_parameters", "topK"): 3})
    assert program_faults(declared) == ["hyper_parameters.topK: unknown key; did you mean top_k?"]


def test_all_the_faults_are_told_at_once() -> None:
    declared = edited(
        BASE,
        {
            ("deployment_name",): LEFT_OUT,
            ("device_type",): "g5",
            ("hyper_parameters", "temperature"): 3,
            ("hyper_parameters", "tokens"): 3,
            ("scaling_parameters", "min_replicas"): 9,
            ("scaling_parameters", "max_replicas"): 2,
            ("optimization_info", "quantization_type"): "int8_float16",
            ("adopt",): True,
            ("deployed",): False,
        },
    )
    assert sorted(fault.partition(":")[0] for fault in program_faults(declared)) == [
        "adopt",
        "deployment_name",
        "device_type",
        "hyper_parameters.temperature",
        "hyper_parameters.tokens",
        "optimization_info.quantization_type",
        "scaling_parameters.min_replicas",
    ]


def test_a_fault_leaves_nothing_to_go_on_with() -> None:
    assert check(ProgramSpec, {**BASE, "device_type": "g5"}, python_spelling)[0] == {}


@pytest.mark.parametrize("nothing", [None, "chat", 3, True, ["cm-1"]], ids=str)
def test_what_is_no_map_is_one_fault(nothing: object) -> None:
    assert program_faults(nothing) == [f"got {json.dumps(nothing)}; expected a map of the model's settings"]


def test_a_long_value_is_cut_in_the_message() -> None:
    [fault] = program_faults({**BASE, "device_type": "x" * 1000})
    assert '"xxx' in fault
    assert "…" in fault
    assert len(fault) < 250


def test_a_fault_without_a_path_is_its_words() -> None:
    fault = DeclarationFault((), FaultKind.MISSING, expected="a map")
    assert (str(fault), words(fault)) == ("missing; expected a map", "missing; expected a map")
    assert str(replace(fault, path=("a", "b", 1))) == "a.b[1]: missing; expected a map"


@pytest.mark.parametrize("in_file", [False, True], ids=["program", "file"])
@pytest.mark.parametrize("edits", [pytest.param(row[1], id=row[0]) for row in FAULTS])
def test_a_fault_s_path_leads_to_what_the_user_wrote(edits: Edit, in_file: bool) -> None:
    declared = edited(BASE, edits)
    raw = in_a_file(declared) if in_file else declared
    kind, spelling = (FileSpec, file_spelling) if in_file else (ProgramSpec, python_spelling)
    [fault] = check(kind, raw, spelling)[1]
    place: Any = raw
    for part in fault.path[:-1]:
        place = place[part]
    missing = fault.kind is FaultKind.MISSING
    assert (fault.path[-1] in place) != missing if isinstance(place, dict) else place[fault.path[-1]] == fault.got


SECRET = "hush-3c1 "


@pytest.mark.parametrize(
    "edits, kind",
    [
        ({("deployment_name",): SECRET}, FaultKind.INVALID),
        ({("hyper_parameters",): {SECRET: SECRET}}, FaultKind.UNKNOWN_KEY),
        ({("hyper_parameters", "stop_sequence"): SECRET}, FaultKind.INVALID),
        ({("hyper_parameters", "stop_sequence"): [[SECRET]]}, FaultKind.INVALID),
        ({("scaling_parameters",): [SECRET]}, FaultKind.INVALID),
        ({("optimization_info", "quantization_type"): "int8_float16"}, FaultKind.CONFLICT),
        ({("hyper_parameters", "temperature"): 7}, FaultKind.INVALID),
        ({("adopt",): True, ("deployed",): False}, FaultKind.CONFLICT),
    ],
)
def test_without_its_value_a_fault_shows_no_more_of_it_than_a_number(edits: Edit, kind: FaultKind) -> None:
    faults = check(ProgramSpec, edited(BASE, edits), python_spelling)[1]
    fault = next(fault for fault in faults if fault.kind is kind)
    discreet = fault.without_value()
    assert (discreet.path, discreet.kind, discreet.expected) == (fault.path, fault.kind, fault.expected)
    assert discreet.without_value() == discreet
    if isinstance(fault.got, (bool, int, float)):
        assert discreet == fault
    elif kind is not FaultKind.UNKNOWN_KEY:
        assert "got a value that is not shown (it may be secret)" in str(discreet)
        assert SECRET.strip() not in str(discreet) + repr(discreet) + repr(fault)


def test_every_field_is_described_with_other_fields_spelled_as_the_user_does() -> None:
    models = (ProgramSpec, FileSpec, HyperParameters, ScalingParameters, OptimizationInfo, Timeouts)
    for spelling in (python_spelling, file_spelling):
        for model in models:
            for name, description in descriptions(model, spelling).items():
                assert len(description) > 10, name
                assert description.endswith("."), name
                assert "{" not in description, name
    by_each = [descriptions(ScalingParameters, spelling)["min_replicas"] for spelling in (str, file_spelling)]
    assert by_each == [
        "The fewest replicas, not more than `max_replicas`.",
        "The fewest replicas, not more than `maxReplicas`.",
    ]


def test_of_timeouts_in_a_state_what_can_not_be_read_counts_as_not_set() -> None:
    state = {"create": "45m", "update": "a fortnight", "delete": None, "read": "1m"}
    assert Timeouts.recorded(state) == Timeouts(create="45m")
    unreadable_states: list[object] = [None, {}, "45m", ["45m"], 45]
    for unreadable in unreadable_states:
        assert Timeouts.recorded(unreadable) == Timeouts()


# Between the fields


@pytest.mark.parametrize("low, high", [(2, 2), (1, 50), (10, 10)])
def test_as_few_replicas_as_many_is_right(low: int, high: int) -> None:
    assert program_faults({**BASE, "scaling_parameters": {"min_replicas": low, "max_replicas": high}}) == []


@pytest.mark.parametrize("low, high", [("9", "3"), ("9", 3), (9, "3"), (9.0, 3.0)])
def test_a_number_in_quotes_does_not_get_round_the_rule_of_the_replicas(low: object, high: object) -> None:
    assert program_faults({**BASE, "scaling_parameters": {"min_replicas": low, "max_replicas": high}})


@pytest.mark.parametrize("adopt, deployed", [("true", False), (True, "false"), ("yes", "no"), (1, 0)])
def test_a_truth_value_in_other_words_does_not_get_round_the_rule_of_adopt(adopt: object, deployed: object) -> None:
    assert program_faults({**BASE, "adopt": adopt, "deployed": deployed})


@pytest.mark.parametrize("optimization", [None, "", LEFT_OUT])
def test_an_empty_optimization_is_none_for_a_quantization(optimization: object) -> None:
    edits = {
        ("optimization_info", "quantization_type"): "int8_float16",
        ("optimization_info", "optimization_type"): optimization,
    }
    assert len(program_faults(edited(BASE, edits))) == 1


def test_no_quantization_needs_no_optimization() -> None:
    assert program_faults({**BASE, "optimization_info": {"quantization_type": "no_quantization"}}) == []


# What is not known yet


def _paths(value: object, above: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found: list[tuple[str | int, ...]] = [above] if above else []
    if isinstance(value, dict):
        for key, item in value.items():
            found += _paths(item, (*above, key))
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += _paths(item, (*above, index))
    return found


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


@pytest.mark.parametrize("path", _paths(FULL), ids=lambda path: ".".join(map(str, path)))
@pytest.mark.parametrize("in_file", [False, True], ids=["program", "file"])
def test_what_is_not_known_yet_passes_at_any_depth_and_stays_where_it_was(
    path: tuple[str | int, ...], in_file: bool
) -> None:
    declared = copy.deepcopy(FULL)
    _at(declared, path[:-1])[path[-1]] = UNKNOWN
    if in_file:
        inputs, faults = check(FileSpec, in_a_file(declared), file_spelling)
        path = tuple("timeouts" if part == "custom_timeouts" else part for part in path)
    else:
        inputs, faults = check(ProgramSpec, declared, python_spelling)
    assert faults == []
    assert isinstance(_at(inputs, path), Unknown)


def test_faults_are_found_beside_what_is_not_known_yet() -> None:
    declared = edited(
        BASE, {("model_id",): UNKNOWN, ("hyper_parameters", "top_p"): UNKNOWN, ("hyper_parameters", "top_k"): 0}
    )
    assert program_faults(declared) == ["hyper_parameters.top_k: got 0; expected a whole number from 1 to 100"]


# Anything at all

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = sorted(
    {*ProgramSpec.model_fields, *FileSpec.model_fields, *HyperParameters.model_fields, *ScalingParameters.model_fields}
)
named = st.recursive(
    json_values,
    lambda inner: st.dictionaries(st.sampled_from([*NAMES, *map(to_camel, NAMES)]), inner, max_size=5),
    max_leaves=10,
)


@given(named, st.booleans())
def test_any_json_is_taken_or_told_and_never_an_exception(anything: Any, as_file: bool) -> None:
    if as_file:
        inputs, faults = check(FileSpec, anything, file_spelling)
    else:
        inputs, faults = check(ProgramSpec, anything, python_spelling)
    assert bool(inputs) != bool(faults)
    assert all(words(fault) for fault in faults)


@given(st.dictionaries(st.sampled_from(NAMES), named))
def test_a_declaration_with_odd_values_is_taken_or_told(odd: dict[str, Any]) -> None:
    inputs, faults = check(ProgramSpec, {**BASE, **odd}, python_spelling)
    assert bool(inputs) != bool(faults)


def test_the_choices_of_the_update_strategy_are_those_of_the_lifecycle() -> None:
    assert list(get_args(ModelSpec.model_fields["update_strategy"].annotation)) == CHOICES[("update_strategy",)]


def test_the_python_spelling_is_the_one_of_python_and_the_file_s_the_vendor_s() -> None:
    assert [python_spelling(name) for name in ("max_tokens", "top_p")] == ["max_tokens", "top_p"]
    assert [file_spelling(name) for name in ("max_tokens", "top_p")] == ["maxTokens", "topP"]
    assert all(re.fullmatch(r"[a-z][a-zA-Z]*", file_spelling(name)) for name in NAMES)


def test_timeouts_are_given_in_seconds() -> None:
    timeouts = ProgramSpec.model_validate(FULL).custom_timeouts
    assert timeouts is not None
    assert [timeouts.of("create"), timeouts.of("update"), timeouts.of("delete")] == [2700, 5400, 90]
    only_create = ProgramSpec.model_validate({**BASE, "custom_timeouts": {"create": "1h"}}).custom_timeouts
    assert only_create is not None
    assert only_create.of("delete") is None
