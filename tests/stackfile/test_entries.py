"""The map of models of a stack's file: its order, and all of its faults in one go."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_koreai.api.errors import KoreaiError
from pulumi_koreai.stackfile.entries import FORMER_KEY, MODELS_KEY, StackFileError, read_entries


def entry(model_id: str = "cm-1", **more: Any) -> dict[str, Any]:
    return {
        "modelId": model_id,
        "deploymentName": "chat",
        "deviceType": "g5.xlarge",
        "hyperParameters": {"temperature": 0.5, "maxTokens": 256, "topP": 1, "topK": 50},
        **more,
    }


def told(models: object) -> list[str]:
    with pytest.raises(StackFileError) as caught:
        read_entries(models)
    return [str(fault) if name is None else f"{name}: {fault}" for name, fault in caught.value.faults]


def test_an_entry_is_read_with_its_resource_options() -> None:
    entries = read_entries(
        {
            "first": entry("cm-1"),
            "second": entry("cm-2", dependsOn=["first"], protect=True, timeouts={"create": "45m"}, deployed=False),
        }
    )
    assert list(entries) == ["first", "second"]
    second = entries["second"]
    assert (second.model_id, second.depends_on, second.protect, second.deployed) == ("cm-2", ["first"], True, False)
    assert second.timeouts is not None
    assert second.timeouts.of("create") == 2700
    assert (entries["first"].depends_on, entries["first"].protect, entries["first"].timeouts) == (None, False, None)


def test_the_models_under_another_key_are_one_fault_that_says_the_right_one() -> None:
    with pytest.raises(StackFileError) as caught:
        read_entries(None, ["aws:region", FORMER_KEY])
    assert str(caught.value) == (
        "1 error in `koreai:models`; nothing was changed:\n"
        "  koreai-models:models: this key is not read; rename it to koreai:models"
    )
    with pytest.raises(StackFileError, match="shop:models: this key is not read"):
        read_entries(None, ["shop:models"])
    assert read_entries({}, ["shop:models"]) == {}


def test_no_model_is_a_stack_too() -> None:
    assert read_entries({}) == {}


def test_a_file_without_the_key_is_told_with_an_example() -> None:
    [fault] = told(None)
    assert fault.startswith("missing; expected a map from a name to a model: `{}` for no model, or")
    assert "modelId: cm-…" in fault


@pytest.mark.parametrize("models", [[], "chat", 3, True], ids=str)
def test_what_is_no_map_is_one_fault(models: object) -> None:
    assert told(models) == [f"got {json.dumps(models)}; expected a map from a name to a model"]


@pytest.mark.parametrize("given_entry", [None, "cm-1", [], 3], ids=str)
def test_an_entry_that_is_no_map_is_one_fault_of_its_own(given_entry: object) -> None:
    [fault] = told({"chat": given_entry})
    assert fault.startswith("chat: ")
    assert "expected a map of the model's settings" in fault


def test_the_message_counts_names_and_says_that_nothing_was_changed() -> None:
    with pytest.raises(StackFileError) as caught:
        read_entries({"chat": entry(deviceType="g5"), "code": entry("cm-2", maxTokens=3)})
    assert str(caught.value).splitlines()[0] == f"2 errors in `{MODELS_KEY}`; nothing was changed:"
    assert str(caught.value).splitlines()[1].startswith('  chat: deviceType: got "g5"; expected one of g4dn.xlarge, ')
    assert str(caught.value).splitlines()[2].startswith("  code: maxTokens: unknown key; ")
    assert isinstance(caught.value, KoreaiError)


def test_one_fault_is_no_plural() -> None:
    with pytest.raises(StackFileError, match=r"^1 error in "):
        read_entries(None)


def test_two_entries_that_name_one_model_are_a_fault_of_the_later_one() -> None:
    assert told({"chat": entry("cm-1"), "code": entry("cm-2"), "again": entry("cm-1"), "third": entry("cm-1")}) == [
        "again: modelId: cm-1 is also the model of 'chat'; a model has one deployment, so one entry",
        "third: modelId: cm-1 is also the model of 'chat'; a model has one deployment, so one entry",
    ]


def test_a_dependency_that_is_no_entry_is_told_with_the_nearest_one() -> None:
    assert told({"chat": entry(), "code": entry("cm-2", dependsOn=["chatt"])}) == [
        'code: dependsOn[0]: there is no entry "chatt" in this file; did you mean chat?'
    ]
    assert told({"chat": entry(), "code": entry("cm-2", dependsOn=["zzz"])}) == [
        'code: dependsOn[0]: there is no entry "zzz" in this file; entries: chat, code'
    ]


def test_a_cycle_is_told_as_it_goes() -> None:
    models = {
        "a": entry("cm-1", dependsOn=["b"]),
        "b": entry("cm-2", dependsOn=["c"]),
        "c": entry("cm-3", dependsOn=["a"]),
        "d": entry("cm-4", dependsOn=["a"]),
    }
    [fault] = told(models)
    name, _, text = fault.partition(": dependsOn: a cycle: ")
    assert text in ("a → b → c → a", "b → c → a → b", "c → a → b → c")
    assert text.startswith(name)


def test_all_cycles_are_told_at_once() -> None:
    faults = told(
        {
            "a": entry("cm-1", dependsOn=["b"]),
            "b": entry("cm-2", dependsOn=["a"]),
            "c": entry("cm-3", dependsOn=["c", "a"]),
            "d": entry("cm-4", dependsOn=["d", "d"]),
        }
    )
    cycles = [fault.partition("a cycle: ")[2] for fault in faults if "a cycle: " in fault]
    assert {frozenset(cycle.split(" → ")) for cycle in cycles} == {frozenset("ab"), frozenset("c"), frozenset("d")}


def test_an_entry_that_depends_on_itself_is_a_cycle() -> None:
    assert told({"a": entry(dependsOn=["a"])}) == ["a: dependsOn: a cycle: a → a"]


def test_all_the_faults_of_all_the_entries_are_told_at_once() -> None:
    faults = told(
        {
            "a": entry("cm-1", deviceType="g5", dependsOn=["nobody"]),
            "b": entry("cm-1", adopt="maybe", dependsOn=["c"]),
            "c": {"dependsOn": ["b"]},
            "d": None,
        }
    )
    for start in (
        "a: deviceType",
        "a: dependsOn",
        "b: modelId",
        "b: adopt",
        "c: modelId: missing",
        "c: hyperParameters: missing",
        "d: got null",
    ):
        assert [fault for fault in faults if fault.startswith(start)], (start, faults)
    assert [fault for fault in faults if "a cycle" in fault]


@pytest.mark.parametrize("depends_on", ["a", 3, {"a": 1}, [["a"]], [{"a": 1}], [3], [None]], ids=str)
def test_dependencies_of_another_shape_are_a_fault(depends_on: object) -> None:
    faults = told({"a": entry(), "b": entry("cm-2", dependsOn=depends_on)})
    assert [fault for fault in faults if fault.startswith("b: dependsOn")]


@pytest.mark.parametrize("key", ["model_id", "depends_on", "customTimeouts", "opts"])
def test_the_keys_of_a_program_are_none_of_a_file(key: str) -> None:
    assert [fault for fault in told({"a": {**entry(), key: "x"}}) if fault.startswith(f"a: {key}: unknown key; ")]


NAMES = [f"m{number}" for number in range(8)]


@given(st.permutations(NAMES), st.data())
def test_each_entry_comes_after_those_that_it_depends_on(order: list[str], data: st.DataObject) -> None:
    models = {}
    for name in order:
        # Only on names with a smaller number: no cycle, whatever the file's order.
        wanted = data.draw(st.lists(st.sampled_from([other for other in NAMES if other < name] or [""]), max_size=3))
        models[name] = entry(f"cm-{name}", dependsOn=[other for other in wanted if other])
    entries = read_entries(models)
    assert set(entries) == set(order)
    position = {name: index for index, name in enumerate(entries)}
    for name, spec in entries.items():
        assert all(position[other] < position[name] for other in spec.depends_on or [])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
odd_entry = st.dictionaries(st.sampled_from(["modelId", "dependsOn", "timeouts", "protect", "adopt"]), json_values)


@given(json_values | st.dictionaries(st.sampled_from("ab"), odd_entry | odd_entry.map(lambda odd: {**entry(), **odd})))
def test_any_file_is_read_or_told_and_never_another_exception(models: object) -> None:
    try:
        entries = read_entries(models)
    except StackFileError as error:
        entries = {}
        faults = len(error.faults)
    else:
        faults = 0
    assert (faults == 0) == (isinstance(models, dict) and set(entries) == set(models))
