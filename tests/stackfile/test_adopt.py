"""`koreai adopt`: an entry out of a model's export, and into a stack's file without harm to it."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_koreai import cli
from pulumi_koreai.stackfile.adopt import CantInsert, Export, as_yaml, entry_of, inserted
from pulumi_koreai.stackfile.check import findings
from pulumi_koreai.stackfile.entries import MODELS_KEY, read_entries
from pulumi_koreai.stackfile.yamlfile import YamlFile
from tests.stackfile.entries import SHORT
from tests.system.engine.workspace import Workspace, model

ROOT = Path(__file__).resolve().parents[2]
SAMPLE: dict[str, Any] = json.loads((ROOT / "tests" / "emulator" / "samples" / "deploy-request.json").read_text())

HYPER = {"temperature": 0.5, "maxTokens": 256, "topP": 1, "topK": 50}
BODY: dict[str, Any] = {
    "name": "chat_v2",
    "isDeployedPreviously": True,
    "hyperParameters": {**HYPER, "stopSequence": ["###"]},
    "scalingParameters": {"maxBatchSize": 10, "minReplicas": 1, "maxReplicas": 2},
    "deviceType": "g5.xlarge",
    "optimizationInfo": {"optimizationType": "", "quantizationType": ""},
}
ENTRY: dict[str, Any] = {
    "modelId": "cm-9",
    "deploymentName": "chat_v2",
    "deviceType": "g5.xlarge",
    "hyperParameters": BODY["hyperParameters"],
    "scalingParameters": BODY["scalingParameters"],
    "adopt": True,
}
FLAT = {
    "deployment_name": "chat_v2",
    "Device Type": "g5.xlarge",
    "Temperature": 0.5,
    "MAX_TOKENS": 256,
    "top-p": 1,
    "topK": 50,
    "stop_sequence": ["###"],
    "maxbatchsize": 10,
    "MinReplicas": 1,
    "max replicas": 2,
}
DEEP = {"version": 3, "configs": [{"deployment": {**BODY, "name": "chat_v2"}}], "model": {"name": "flan", "size": "8B"}}


@pytest.mark.parametrize("content", [BODY, FLAT, DEEP], ids=["a deploy's body", "flat", "deep"])
def test_the_parameters_are_found_by_their_names_wherever_they_are(content: Any) -> None:
    assert entry_of(Export.read(content), "cm-9") == (ENTRY, [])


def test_the_contract_s_sample_of_a_deploy_s_body_is_read_whole() -> None:
    export = Export.read(SAMPLE)
    assert (export.not_known, export.unclear) == ([], [])
    entry, faults = entry_of(export, "cm-9")
    assert faults == []
    [spec] = read_entries({"chat": entry}).values()
    # What is empty in the sample says nothing.
    sent = {key: value for key, value in SAMPLE.items() if key not in ("isDeployedPreviously", "optimizationInfo")}
    hyper_parameters = {key: value for key, value in sent["hyperParameters"].items() if value != []}
    assert spec.parameters().body() == {**sent, "hyperParameters": hyper_parameters}


def test_what_is_not_known_or_not_clear_is_left_out_and_told() -> None:
    twice: Any = {"current": BODY, "last": {**BODY, "deviceType": "g5.2xlarge"}, "owner": {"email": "x"}}
    export = Export.read(twice)
    assert export.not_known == ["owner.email"]
    assert export.unclear == ["deviceType"]
    assert "deviceType" not in export.entry
    assert export.entry["hyperParameters"] == BODY["hyperParameters"], "twice the same is clear"


def test_what_is_given_by_hand_counts_more() -> None:
    entry, _ = entry_of(Export.read(BODY), "cm-9", deployment_name="mine", model_type="fineTune")
    assert (entry["deploymentName"], entry["modelType"]) == ("mine", "fineTune")


def test_without_an_export_there_is_a_form_to_fill_in() -> None:
    entry, faults = entry_of(Export(), "cm-9")
    assert entry == {
        "modelId": "cm-9",
        "deploymentName": None,
        "deviceType": None,
        "hyperParameters": dict.fromkeys(HYPER),
        "adopt": True,
    }
    assert [fault.path for fault in faults] == [("deploymentName",), ("deviceType",), ("hyperParameters",)]


def test_a_parameter_that_is_missing_has_its_place_and_a_wrong_one_stays() -> None:
    body = {**BODY, "hyperParameters": {"temperature": 7, "topP": 1, "topK": 1}}
    entry, faults = entry_of(Export.read(body), "cm-9")
    assert entry["hyperParameters"] == {"temperature": 7, "topP": 1, "topK": 1, "maxTokens": None}
    assert {str(fault).partition(";")[0] for fault in faults} == {
        "hyperParameters.maxTokens: missing",
        "hyperParameters.temperature: got 7",
    }


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FLAT, *BODY, "x"]), inner, max_size=3)
        ),
    )
)
def test_whatever_an_export_holds_an_entry_or_what_is_missing_comes_out(content: Any) -> None:
    entry, faults = entry_of(Export.read(content), "cm-9")
    assert entry["modelId"] == "cm-9"
    if not faults:
        read_entries({"chat": entry})


# The text


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
    | st.sampled_from(
        [
            "1e3",
            "yes",
            "010",
            "0o7",
            "null",
            "~",
            "1_0",
            "<<",
            "=",
            "2025-01-01",
            "- a",
            "a: b",
            "#",
            "''",
            "\x85",
            "a\u2028b",
        ]
    )
)
def test_every_text_is_written_as_the_engine_reads_it(word: str) -> None:
    entry: Any = {"modelId": "cm-9", "deploymentName": word, "hyperParameters": {"stopSequence": [word]}}
    assert YamlFile.read(as_yaml(word, entry, 4).encode()).data == {word: entry}


STACKS = {path.name: path.read_text() for path in sorted((ROOT / "stacks").glob("*.yaml"))}
FILES = {
    **STACKS,
    "nothing": "",
    "of the engine": "encryptionsalt: v1:x\n",
    "no newline": "encryptionsalt: v1:x",
    "no models": "# top\nconfig:\n  koreai:host: https://h # here\n# end\nencryptionsalt: v1:x\n",
    "no models, indented": "config:\n    koreai:host: https://h\n",
    "empty map": "config:\n  koreai:models: {} # none yet\n  koreai:host: https://h\n",
    "null": "config:\n  koreai:models:\n  koreai:host: https://h\n",
    "comments behind": f"config:\n  {MODELS_KEY}:\n    a: {json.dumps(SHORT)} # a\n    # of a\n\n# of b\nb: 1\n",
    "a text of lines": f"config:\n  {MODELS_KEY}:\n    a:\n      x: |\n        one\n        two\nb: 1\n",
    "a text to the end": f"config:\n  {MODELS_KEY}:\n    a:\n      x: >-\n        one\n        two",
    "flow over lines": f"config:\n  {MODELS_KEY}:\n    a: {{x: 1,\n        y: [1,\n  2]\n    }}\nb: 1\n",
    "quoted": f"'config':\n  \"{MODELS_KEY}\":\n    a:\n      x:\nb: 1\n",
    "items": f"config:\n  {MODELS_KEY}:\n    a:\n      x:\n      - 1\n      -\nb: 1\n",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_an_entry_is_put_into_a_file_and_no_line_of_it_is_lost(text: str) -> None:
    result = inserted(text, "new", ENTRY)
    data: Any = yaml.safe_load(result)
    assert data["config"][MODELS_KEY]["new"] == ENTRY
    assert list(data["config"][MODELS_KEY])[-1] == "new", "the last one"
    rest = [line for line in result.splitlines() if line in text.splitlines()]
    lost = [line for line in text.splitlines() if line not in rest]
    assert lost in ([], ["  koreai:models: {} # none yet"])
    assert "# none yet" in result or "# none yet" not in text
    assert yaml.safe_load(inserted(result, "more", {**ENTRY, "modelId": "cm-8"}))["config"][MODELS_KEY]["new"] == ENTRY


@pytest.mark.parametrize("text", STACKS.values(), ids=STACKS)
def test_a_file_without_a_fault_has_none_afterwards(text: str) -> None:
    assert findings(inserted(text, "new", ENTRY).encode()) == []


@pytest.mark.parametrize(
    "text, reason",
    [
        (f"config:\n  {MODELS_KEY}: {{a: {json.dumps(SHORT)}}}\n", "block style"),
        (f"config: {{{MODELS_KEY}: {{}}}}\n", "block style"),
        ("config: {}\n", "block style"),
        ("config:\n", "block style"),
        ("[]\n", "block style"),
        ("config: 3\n", "block style"),
        (f"config:\n  {MODELS_KEY}: 3\n", "block style"),
        ("config: [\n", "line 2: this is not YAML"),
        (f"config:\n  {MODELS_KEY}:\n    new: {json.dumps(SHORT)}\n", "there is an entry new already"),
        (
            f"config:\n  {MODELS_KEY}:\n    a: {json.dumps({**SHORT, 'modelId': 'cm-9'})}\n",
            "cm-9 is also the model of 'a'",
        ),
    ],
)
def test_a_file_that_it_can_not_be_put_into_is_left_alone(text: str, reason: str) -> None:
    with pytest.raises(CantInsert, match=reason):
        inserted(text, "new", ENTRY)


# The command


def test_the_entry_is_printed_ready_to_be_pasted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "deployconfig.json"
    file.write_text(json.dumps({**BODY, "ownerId": "u-1"}))
    assert cli.main(["adopt", "cm-9", "--export", str(file), "--name", "chat"]) == 0
    printed = capsys.readouterr()
    assert printed.out == (
        "    chat:\n"
        "      modelId: cm-9\n"
        "      deploymentName: chat_v2\n"
        "      deviceType: g5.xlarge\n"
        "      hyperParameters:\n"
        "        temperature: 0.5\n"
        "        maxTokens: 256\n"
        "        topP: 1\n"
        "        topK: 50\n"
        "        stopSequence: ['###']\n"
        "      scalingParameters: {maxBatchSize: 10, minReplicas: 1, maxReplicas: 2}\n"
        "      adopt: true\n"
    )
    assert "left out, as it is no parameter of a deployment: ownerId" in printed.err
    assert "what is written must be what runs" in printed.err


def test_what_is_to_be_filled_in_by_hand_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: p\n")
    stack = tmp_path / "Pulumi.x.yaml"
    stack.write_text(before := STACKS["Pulumi.prod.yaml"])
    body = {key: value for key, value in BODY.items() if key != "deviceType"}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(body)))
    assert cli.main(["adopt", "cm-9", "--export", "-", "--name", "chat", "--stack", "x"]) == 1
    printed = capsys.readouterr()
    assert "      deviceType: null\n" in printed.out
    assert "to be filled in by hand: deviceType: missing; expected one of g4dn.xlarge, " in printed.err
    assert stack.read_text() == before


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["cm-9", "--export", "none.json", "--name", "a"], "none.json: can't be opened: No such file"),
        (["cm-9", "--export", "bad.json", "--name", "a"], "bad.json: this is not JSON: Expecting"),
        (["cm-9", "--export", "good.json", "--name", "a", "--stack", "none"], "no stack 'none': Pulumi.none.yaml does"),
        (["cm-9", "--export", "good.json", "--name", "a", "--stack", "bad"], "nothing was written: line 2"),
        (["--export", "good.json", "--name", "a"], "Missing argument 'MODEL_ID'"),
    ],
)
def test_what_can_not_be_done_is_told_in_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Pulumi.yaml").write_text("name: p\n")
    for bad in ("bad.json", "Pulumi.bad.yaml"):
        Path(bad).write_text("a: [\n")
    Path("good.json").write_text(json.dumps(BODY))
    assert cli.main(["adopt", *arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.engine
def test_a_model_that_runs_is_taken_over_without_a_request_and_adopt_goes_without_one(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace.folder)
    body = {"name": "model-1", "deviceType": "g5.xlarge", "hyperParameters": model()["hyperParameters"]}
    workspace.emulator.set_model("cm-1", state="Deployed", deployment=body)
    stack_file = workspace.folder / "stacks" / "Pulumi.test.yaml"
    export = workspace.folder / "deployconfig.json"
    export.write_text(json.dumps(body))
    stack_file.write_text("# By hand.\n" + stack_file.read_text())
    assert cli.main(["adopt", "cm-1", "--export", str(export), "--name", "chat", "--stack", "test"]) == 0
    adopted = stack_file.read_text()
    assert adopted.startswith("# By hand.\n")
    assert findings(adopted.encode()) == []
    assert workspace.preview("--diff").count("adopt") == 1
    assert "cm-1 is adopted as declared; nothing was sent" in workspace.up()
    assert workspace.outputs("chat")["state"] == "deployed"
    stack_file.write_text(adopted.replace("      adopt: true\n", ""))
    assert "1 updated" in workspace.up(), "it is recorded that the line is gone"
    assert workspace.sent() == []
    assert workspace.outputs("chat")["hyper_parameters"]["temperature"] == 0.5
