"""`koreai adopt MODEL_ID`: from a model that runs on the emulator to an entry that `koreai check` takes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from pulumi_koreai.api.errors import ConfigError, ExportProblem, ExportUnusable, Forbidden, NotFound
from pulumi_koreai.api.settings import Settings
from pulumi_koreai.emulator import Emulator, Options
from pulumi_koreai.pipeline.adoption import (
    Adoption,
    adopt,
    adoption_remarks,
    entries_yaml,
    settings_for_adoption,
)
from pulumi_koreai.pipeline.project_engine import EngineFailed
from pulumi_koreai.stackfile.adopt import CantInsert, insert_into
from pulumi_koreai.stackfile.check import findings
from tests.core.fakes import REQUEST, Told
from tests.pipeline.fake_engine import FakeEngine
from tests.system.engine.workspace import KEY

FILE = "config:\n  koreai:host: https://platform.example.com\n"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    keys = {KEY: frozenset[Any](), "narrow": frozenset[Any]({"export"})}
    with Emulator(Options(job_seconds=0.2, api_keys=keys, models=frozenset({"cm-1", "cm-2", "cm-3"}))) as running:
        yield running


@pytest.fixture
def settings(emulator: Emulator) -> Settings:
    return Settings(emulator.url, KEY, poll_min_seconds=0.05)


def runs(emulator: Emulator, model_id: str, name: str = "Support Chat") -> dict[str, Any]:
    """Deploys a model by hand."""
    body: dict[str, Any] = {**REQUEST.body(), "name": name}
    emulator.set_model(model_id, state="Deployed", deployment=body)
    return body


def with_entries(folder: Path, adoptions: list[Adoption]) -> str:
    """A stack's file with the entries in it."""
    file = folder / "stack.yaml"
    file.write_text(FILE)
    insert_into(file, {one.name: one.entry for one in adoptions})
    return file.read_text()


def test_an_entry_is_what_runs(emulator: Emulator, settings: Settings, tmp_path: Path) -> None:
    runs(emulator, "cm-1")
    told = Told()
    (adopted,) = adopt(settings, ["cm-1"], reporter=told)
    assert adopted.complete, adoption_remarks([adopted])
    assert adopted.name == "support-chat"
    assert adopted.entry["adopt"] is True
    text = with_entries(tmp_path, [adopted])
    assert findings(text.encode()) == []
    (entry,) = yaml.safe_load(text)["config"]["koreai:models"].values()
    assert entry["modelId"] == "cm-1"
    assert entry["deviceType"] == REQUEST.device_type
    assert entry["hyperParameters"]["maxTokens"] == 256
    assert entries_yaml([adopted]) in text
    first, *_ = emulator.requests()
    assert (first.method, first.status) == ("POST", 200)
    assert any(line.startswith("exporting") for line in told.progressed)
    assert emulator.model("cm-1").state == "Deployed", "its callers notice nothing"


def test_several_at_once_and_one_that_fails_holds_up_no_other(
    emulator: Emulator, settings: Settings, tmp_path: Path
) -> None:
    runs(emulator, "cm-1", "chat_v2")
    runs(emulator, "cm-2", "chat")
    first, second, lost, idle = adopt(settings, ["cm-1", "cm-2", "cm-unknown", "cm-3"])
    assert [first.name, second.name] == ["chat", "chat-cm-2"]
    assert isinstance(lost.failure, NotFound)
    assert isinstance(idle.failure, ExportUnusable)
    assert idle.failure.problem is ExportProblem.NO_CONFIG
    assert findings(with_entries(tmp_path, [first, second]).encode()) == []
    posts = [one.number for one in emulator.requests() if one.method == "POST"]
    assert posts == [1, 2, 3, 4], "all are begun before the first is waited on"
    remarks = "\n".join(adoption_remarks([first, second, lost, idle]))
    assert "there is no `deployconfig.json` in the archive" in remarks
    assert "Export cm-3 in the console instead" in remarks
    assert "/api/v1/account/" not in remarks
    assert entries_yaml([lost, idle]) == ""


def test_names_that_are_given(emulator: Emulator, settings: Settings) -> None:
    runs(emulator, "cm-1")
    (adopted,) = adopt(settings, ["cm-1"], name="mine", deployment_name="other", model_type="fineTune")
    assert (adopted.name, adopted.entry["deploymentName"], adopted.entry["modelType"]) == ("mine", "other", "fineTune")


def test_what_is_missing_is_to_be_filled_in(emulator: Emulator, settings: Settings) -> None:
    emulator.set_model("cm-1", state="Deployed", deployment={"name": "\x1b[31m", "colour": "red"})
    (adopted,) = adopt(settings, ["cm-1"])
    assert not adopted.complete
    remarks = adoption_remarks([adopted])
    assert "cm-1: left out, as it is no parameter of a deployment: colour" in remarks
    assert any("deviceType" in line for line in remarks)
    assert not any("\x1b" in line for line in remarks)


def test_an_entry_that_is_there_already_changes_nothing(emulator: Emulator, settings: Settings, tmp_path: Path) -> None:
    runs(emulator, "cm-1")
    runs(emulator, "cm-2")
    first, second = adopt(settings, ["cm-1", "cm-2"])
    before = with_entries(tmp_path, [second])
    with pytest.raises(CantInsert):
        insert_into(tmp_path / "stack.yaml", {one.name: one.entry for one in (first, second)})
    assert (tmp_path / "stack.yaml").read_text() == before, "all of them, or none"


def test_a_key_without_the_scope(emulator: Emulator) -> None:
    (refused,) = adopt(Settings(emulator.url, "narrow"), ["cm-1"])
    assert isinstance(refused.failure, Forbidden)
    assert "must be allowed to export models" in adoption_remarks([refused])[0]


def test_where_the_settings_are_from(fake_project: FakeEngine) -> None:
    engine = fake_project.find()
    assert settings_for_adoption(engine, None, engine.environment).host == "https://of-the-stack.example.com"
    with pytest.raises(EngineFailed):
        settings_for_adoption(engine, "nope", engine.environment)
    fake_project.answer("stack --show-name", fails="error: no stack selected")
    alone = {"KOREAI_HOST": "https://alone.example.com", "KOREAI_API_KEY": KEY}
    assert settings_for_adoption(engine, None, alone).host == "https://alone.example.com"
    assert settings_for_adoption(None, None, alone).host == "https://alone.example.com"
    with pytest.raises(ConfigError):
        settings_for_adoption(None, None, {})


@pytest.fixture
def fake_project(tmp_path: Any) -> FakeEngine:
    made = FakeEngine(tmp_path)
    made.config("test", {"koreai:host": "https://of-the-stack.example.com"}, secret={"koreai:apiKey": KEY})
    return made


def test_an_export_s_address_needs_no_key_and_can_t_be_guessed(emulator: Emulator, settings: Settings) -> None:
    runs(emulator, "cm-1")
    assert adopt(settings, ["cm-1"])[0].complete
    assert requests.get(f"{emulator.url}/api/v1/account/guess", timeout=10).status_code == 404
    assert {one.path for one in emulator.requests() if "account" in one.path} == {"/api/v1/account/{token}"}
