"""The JSON Schema: current, fit for an editor, and at one with the program."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator, ValidationError, validators
from jsonschema.protocols import Validator

from pulumi_koreai import cli
from pulumi_koreai.api.declared import NUMBER_TEXT, WHOLE_TEXT
from pulumi_koreai.api.errors import ConfigError
from pulumi_koreai.api.settings import Settings
from pulumi_koreai.core.faults import DeclarationFault, FaultKind
from pulumi_koreai.core.spec import FileSpec, file_spelling, type_of
from pulumi_koreai.stackfile import reference
from pulumi_koreai.stackfile.entries import FORMER_KEY, MODELS_KEY, StackFileError, read_entries
from pulumi_koreai.stackfile.schema import SETTINGS, stack_file_schema, text
from pulumi_koreai.stackfile.terms import PULUMI
from tests.stackfile.entries import FULL, SHORT, VALUES, Entry, entries

ROOT = Path(__file__).resolve().parents[2]
STACKS = sorted((ROOT / "stacks").glob("Pulumi.*.yaml"))

# The rules that JSON Schema can't express, by the kinds of the program's faults; the module's docstring lists them.
BEYOND = {FaultKind.SAME_MODEL, FaultKind.NO_SUCH_ENTRY, FaultKind.CYCLE}


def _pattern(_: Validator, pattern: str, instance: object, __: Mapping[str, object]) -> Iterator[ValidationError]:
    # An editor's `$` is the end of the text; Python's also stands before a line's end there.
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


WHOLE: Any = stack_file_schema()
ENTRY: Mapping[str, Any] = WHOLE["properties"]["config"]["properties"][MODELS_KEY]["additionalProperties"]
DRAFTS: list[Validator] = [
    validators.extend(draft, {"pattern": _pattern})(WHOLE)  # type: ignore[no-untyped-call] # so in its stubs
    for draft in (Draft202012Validator, Draft7Validator)
]
ENTRIES = DRAFTS[0].evolve(schema=ENTRY)


def taken_by_the_schema(models: Any) -> bool:
    file = {"config": {MODELS_KEY: models}}
    by_each = {draft.is_valid(file) for draft in DRAFTS}
    assert len(by_each) == 1, "it means the same in both drafts"
    return by_each.pop()


def taken_by_the_program(models: Any) -> bool:
    try:
        read_entries(models)
    except StackFileError as error:
        return all(beyond({} if name is None else models[name], fault) for name, fault in error.faults)
    return True


def beyond(entry: Entry, fault: DeclarationFault) -> bool:
    if fault.kind is FaultKind.CONFLICT and fault.path[-1] == "minReplicas":
        return any(isinstance(entry["scalingParameters"][key], str) for key in ("minReplicas", "maxReplicas"))
    if fault.kind is FaultKind.INVALID and isinstance(fault.got, str):
        number = NUMBER_TEXT if "a number" in fault.expected else WHOLE_TEXT
        return "number" in fault.expected and re.fullmatch(number, fault.got) is not None
    return fault.kind in BEYOND


def test_the_file_is_the_one_that_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema"]) == 0
    assert (ROOT / "stacks" / "schema.json").read_text() == capsys.readouterr().out == text(), "run `make schema`"


def test_it_is_a_schema() -> None:
    Draft7Validator.check_schema(stack_file_schema())
    Draft202012Validator.check_schema(stack_file_schema())


PATHS: list[tuple[str, ...]] = [
    *((name,) for name in FULL),
    *((name, key) for name, part in FULL.items() if isinstance(part, dict) for key in part),
]


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_each_field_takes_the_same_values_by_the_schema_and_the_program(path: tuple[str, ...]) -> None:
    for value in VALUES:
        entry: Any = {**FULL, path[0]: value if len(path) == 1 else {**FULL[path[0]], path[1]: value}}
        by_the_schema = ENTRIES.is_valid(entry)  # one draft, for speed: the next test has both
        assert by_the_schema == taken_by_the_program({"chat": entry}), value


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["chat", "code"]), entries(), min_size=1, max_size=2))
@example({"chat": {**SHORT, "deployed": "no", "adopt": "yes"}})
@example({"chat": {**SHORT, "deployed": 0, "adopt": 1.0}})
@example({"chat": {**SHORT, "scalingParameters": {"minReplicas": 10, "maxReplicas": 9.0}}})
@example({"chat": {**SHORT, "optimizationInfo": {"quantizationType": "int8_float16", "optimizationType": ""}}})
@example({"chat": {**SHORT, "timeouts": {"create": "0s"}}})
@example({})
def test_the_schema_takes_what_the_program_takes_and_nothing_else(models: dict[str, Entry]) -> None:
    by_program = taken_by_the_program(models)
    assert taken_by_the_schema(models) == by_program, models


@pytest.mark.parametrize("models", [None, [], "chat", 3, True, {"chat": None}, {"chat": []}, {"chat": {}}], ids=str)
def test_what_is_no_map_of_maps_is_refused_by_both(models: object) -> None:
    assert not taken_by_the_program(models)
    assert not taken_by_the_schema(models)


def scaled(**scaling: object) -> Entry:
    return {**SHORT, "scalingParameters": scaling}


@pytest.mark.parametrize(
    "models",
    [
        {"a": SHORT, "b": SHORT},
        {"a": {**SHORT, "dependsOn": ["b"]}},
        {"a": {**SHORT, "dependsOn": ["b"]}, "b": {**SHORT, "modelId": "cm-2", "dependsOn": ["a"]}},
        {"a": {**SHORT, "hyperParameters": {**SHORT["hyperParameters"], "temperature": "7"}}},
        {"a": scaled(minReplicas="3", maxReplicas=2)},
        {"a": scaled(minReplicas=3, maxReplicas="2")},
    ],
    ids=["one model twice", "no such entry", "a cycle", "a text's range", "a text of replicas", "another"],
)
def test_what_the_schema_can_not_express_is_this(models: object) -> None:
    with pytest.raises(StackFileError):
        read_entries(models)
    assert taken_by_the_schema(models)


@pytest.mark.parametrize("stack", STACKS, ids=lambda path: path.name)
def test_the_stacks_of_this_repository_fit(stack: Path) -> None:
    assert [error.message for error in DRAFTS[0].iter_errors(yaml.safe_load(stack.read_text()))] == []


def test_the_engine_s_own_keys_and_other_configuration_are_no_fault() -> None:
    file: Any = {
        "secretsprovider": "passphrase",
        "encryptedkey": "x",
        "encryptionsalt": "v1:x",
        "environment": ["team/dev"],
        "config": {
            MODELS_KEY: {"chat": FULL},
            "koreai:apiKey": {"secure": "v1:x:y"},
            "aws:region": "eu-central-1",
            "koreai-models:else": [1],
            "shop:models": 3,
        },
    }
    assert [error.message for error in DRAFTS[0].iter_errors(file)] == []


def test_the_former_key_of_the_models_is_refused() -> None:
    assert not DRAFTS[0].is_valid({"config": {MODELS_KEY: {}, FORMER_KEY: {}}})


@pytest.mark.parametrize("file", [{}, {"config": {}}, {"config": None}, {MODELS_KEY: {}}, []], ids=str)
def test_a_file_without_the_models_is_refused(file: Any) -> None:
    assert not DRAFTS[0].is_valid(file)


def fields(made: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, field in made["properties"].items():
        yield name, field
        if "properties" in field:
            yield from fields(field)


def test_every_field_is_described_in_the_spelling_of_the_file() -> None:
    found = dict(fields(ENTRY))
    assert len(found) == 28
    for name, field in found.items():
        assert len(field["description"]) > 10, name
        assert not re.search(r"`[a-z]+_(params|parameters|type|replicas|name)`", field["description"]), field[
            "description"
        ]
    assert found["minReplicas"]["description"] == "1–10. The fewest replicas, not more than `maxReplicas`."


def test_ranges_choices_and_defaults_are_there_for_the_editor() -> None:
    found = dict(fields(ENTRY))
    assert (found["topK"]["minimum"], found["topK"]["maximum"]) == (1, 100)
    assert "g6e.xlarge" in found["deviceType"]["enum"]
    assert {name: field["default"] for name, field in found.items() if "default" in field} == {
        file_spelling(name): field.default
        for name, field in FileSpec.model_fields.items()
        if not field.is_required() and field.default is not None
    }
    assert found["create"]["patternErrorMessage"] == "expected a duration such as 45m or 1h30m"


def test_every_description_of_a_range_is_the_range() -> None:
    for name, field in fields(ENTRY):
        if "minimum" in field and "boolean" not in field["type"]:
            assert field["description"].startswith(f"{field['minimum']}–{field['maximum']}"), name


# The settings


def program_takes(key: str, value: str) -> bool:
    wide = {"koreai:pollMinSeconds": "0.01", "koreai:pollMaxSeconds": "3600"}
    config = {"koreai:host": "https://h", "koreai:apiKey": "k", **wide, key: value}
    try:
        Settings.read(lambda setting: config.get(PULUMI.settings[setting]))
    except ConfigError:
        return False
    return True


def schema_takes(key: str, value: Any) -> bool:
    return all(draft.is_valid({"config": {MODELS_KEY: {}, key: value}}) for draft in DRAFTS)


def test_the_settings_are_those_that_are_read() -> None:
    asked: set[str] = set()

    def config(setting: str) -> str:
        asked.add(setting)
        return "10" if setting != "host" else "https://h"

    Settings.read(config)
    assert {PULUMI.settings[setting] for setting in asked} == set(SETTINGS)


@pytest.mark.parametrize("key", [key for key, made in SETTINGS.items() if "minimum" in made])
def test_a_number_among_the_settings_has_the_program_s_range(key: str) -> None:
    low, high = SETTINGS[key]["minimum"], SETTINGS[key]["maximum"]
    assert isinstance(low, (int, float))
    assert isinstance(high, (int, float))
    for value in (low, high, low / 2, high + 1, low + 0.5, -1, 0):
        assert schema_takes(key, value) == program_takes(key, str(value)), value
    for word in ("", " ", str(low), f" {high}\n", "1e2", ".5e2", "50.", "true", "many"):
        assert schema_takes(key, word) == program_takes(key, word), word


@pytest.mark.parametrize(
    "host",
    [
        "https://platform.example.com",
        "HTTPS://Platform.Example.com:8443/",
        " https://h\n",
        "http://127.0.0.1:8731",
        "http://localhost",
        "http://[::1]:80/",
        "http://platform.example.com",
        "https://h/path",
        "https://h?x=1",
        "https://user:pass@h",
        "ftp://h",
        "h",
        "https://",
    ],
)
def test_a_host_is_taken_by_both_or_by_neither(host: str) -> None:
    assert schema_takes("koreai:host", host) == program_takes("koreai:host", host)


def test_a_key_that_is_not_encrypted_and_a_misspelt_setting_are_refused() -> None:
    assert schema_takes("koreai:apiKey", {"secure": "v1:x"})
    assert not schema_takes("koreai:apiKey", "kg-plain")
    assert not schema_takes("koreai:apikey", {"secure": "v1:x"})
    assert not schema_takes("koreai:hosts", "https://h")


def test_the_schema_has_every_field_of_the_models() -> None:
    inner = {
        file_spelling(name): {file_spelling(key) for key in getattr(type_of(field)[0], "model_fields", {})}
        for name, field in FileSpec.model_fields.items()
    }
    assert {name: set(field.get("properties", {})) for name, field in ENTRY["properties"].items()} == inner
    assert json.loads(text()) == stack_file_schema()


def test_the_reference_page_is_what_the_models_say_and_has_every_key() -> None:
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert page == reference.reference_page(), "make it anew: make schema"
    keys = set(re.findall(r"^\| `([\w.:]+)` \|", page, re.MULTILINE))
    assert {file_spelling(name) for name in FileSpec.model_fields} | set(SETTINGS) <= keys
    assert all(row.count(" | ") == 4 for row in page.splitlines() if row.startswith("| `"))
