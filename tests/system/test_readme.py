"""The README's tables against the code: a number or a key in prose is only true as long as a test holds it."""

import ast
import re
from pathlib import Path

import pytest
from annotated_types import Ge, Le

import engine as engine_tool
from pulumi_koreai.api.declared import HyperParameters, ScalingParameters
from pulumi_koreai.api.settings import Settings
from pulumi_koreai.core.lifecycle import DEPLOY_TIMEOUT_SECONDS, UNDEPLOY_TIMEOUT_SECONDS
from pulumi_koreai.core.spec import FileSpec, file_spelling, type_of
from pulumi_koreai.stackfile.entries import StackFileError, read_entries

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
ROWS = {match[1]: match[0] for match in re.finditer(r"^\| `([\w.:]+)` \|.*$", README, re.MULTILINE)}


def test_every_key_of_an_entry_has_a_row_and_no_row_is_of_another() -> None:
    keys = set()
    for name, field in FileSpec.model_fields.items():
        inner = type_of(field)[0]
        nested = getattr(inner, "model_fields", {}) if name != "timeouts" else {}
        keys |= {f"{file_spelling(name)}.{file_spelling(key)}" for key in nested} or {file_spelling(name)}
    assert keys == {row for row in ROWS if ":" not in row}


@pytest.mark.parametrize("owner", [HyperParameters, ScalingParameters])
def test_every_range_is_the_one_that_is_checked(owner: type[HyperParameters | ScalingParameters]) -> None:
    group = owner.__name__[0].lower() + owner.__name__[1:]
    checked = 0
    for name, field in owner.model_fields.items():
        rules = type_of(field)[1]
        low = [rule.ge for rule in rules if isinstance(rule, Ge)]
        high = [rule.le for rule in rules if isinstance(rule, Le)]
        if low:
            assert f"{low[0]}–{high[0]}" in ROWS[f"{group}.{file_spelling(name)}"]
            checked += 1
    assert checked >= 4


def test_the_configurations_defaults_are_those_of_the_code() -> None:
    defaults = Settings("https://h", "k")
    assert f"| {defaults.requests_per_minute} |" in ROWS["koreai:requestsPerMinute"]
    assert f"| {defaults.poll_min_seconds:g} |" in ROWS["koreai:pollMinSeconds"]
    assert f"| {defaults.poll_max_seconds:g} |" in ROWS["koreai:pollMaxSeconds"]
    assert f"| {defaults.answer_max_seconds:g} |" in ROWS["koreai:answerMaxSeconds"]
    minutes = f"each deploy may take {DEPLOY_TIMEOUT_SECONDS / 60:g} minutes and each undeploy"
    assert f"{minutes} {UNDEPLOY_TIMEOUT_SECONDS / 60:g}" in README


def test_every_file_that_is_named_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_sample_of_faults_is_what_is_printed() -> None:
    good = {"temperature": 0.7, "maxTokens": 512, "topP": 0.9, "topK": 40}
    entry = {"modelId": "cm-1", "deploymentName": "chat", "deviceType": "g5.xlarge", "hyperParameters": good}
    rerank = {**entry, "modelId": "cm-2", "devicetype": "g5.xlarge"}
    del rerank["deviceType"]
    with pytest.raises(StackFileError) as caught:
        read_entries({"chat": {**entry, "hyperParameters": {**good, "temperature": 7}}, "rerank": rerank})
    sample = "error: " + str(caught.value)
    assert "\n".join(f"    {line}" for line in sample.splitlines()) in README


def test_the_program_hands_each_field_of_an_entry_to_the_resource() -> None:
    program = ast.parse((ROOT / "provider/pulumi_koreai/program.py").read_text(encoding="utf-8"))
    read = {
        node.attr
        for node in ast.walk(program)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "entry"
    }
    assert read == set(FileSpec.model_fields)


def test_the_versions_that_the_tests_run_with_are_those_that_are_pinned() -> None:
    rows = dict(re.findall(r"(?m)^\| Pulumi's (\w+) \| [^|]+ \| (.+) \|$", README))
    locked = [
        re.search(r"(?m)^pulumi==(\d+\.\d+)", (ROOT / lock).read_text())
        for lock in ("requirements.lock", "requirements-oldest.lock")
    ]
    assert re.findall(r"\d+\.\d+", rows["SDK"]) == [found and found[1] for found in locked]
    pins = (engine_tool.NEWEST.version, engine_tool.OLDEST.version)
    assert re.findall(r"\d+\.\d+", rows["engine"]) == [f"{version.major}.{version.minor}" for version in pins]
