"""`koreai doctor`, `status` and `adopt`, as they are typed: what they print, and their exit status."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pulumi_koreai import cli
from pulumi_koreai.emulator import Emulator, Options
from pulumi_koreai.journal import JOURNAL_ENV
from pulumi_koreai.stackfile.check import findings
from tests.core.fakes import REQUEST
from tests.pipeline.fake_engine import FakeEngine
from tests.system.engine.workspace import KEY, Workspace, model

PROJECT = """
name: models
runtime: {name: python, options: {virtualenv: .venv}}
plugins: {providers: [{name: pulumi-python, path: .venv/libexec/koreai}]}
"""
URN = "urn:pulumi:test::models::pulumi-python:dynamic/koreai:ModelDeployment::"
FILE = "# By hand.\nconfig:\n  koreai:host: https://platform.example.com\n"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    options = Options(job_seconds=0.2, api_keys={KEY: frozenset()}, models=frozenset({"cm-1", "cm-2"}))
    with Emulator(options) as running:
        yield running


@pytest.fixture
def fake(tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """A project in which nothing is wrong, in the working directory, with an engine on the PATH."""
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    (tmp_path / "Pulumi.test.yaml").write_text(FILE)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    made = FakeEngine(tmp_path)
    made.config("test", {"koreai:host": emulator.url}, secret={"koreai:apiKey": KEY})
    for name in [name for name in os.environ if name.startswith("KOREAI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", made.environment["PATH"])
    monkeypatch.setenv(JOURNAL_ENV, str(tmp_path / "journal"))
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def workspace(tmp_path: Path, engine_env: dict[str, str], emulator: Emulator) -> Workspace:
    return Workspace(tmp_path / "project", engine_env, emulator, "own", tmp_path)


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """What is printed, in which the key never is."""
    yield capsys
    assert KEY not in "".join(capsys.readouterr())


def ran(shown: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The exit status of a command, and what it printed."""
    status = cli.main(arguments)
    out, err = shown.readouterr()
    assert KEY not in out + err
    return status, out, err


def test_doctor_says_what_is_there_and_what_is_not(fake: FakeEngine, shown: pytest.CaptureFixture[str]) -> None:
    status, out, err = ran(shown, "doctor")
    assert (status, err, out.splitlines()[-1]) == (0, "", "0 problems, 0 warnings")
    assert "ok       stack          test\n" in out
    fake.answer("config --json --show-secrets --stack nope", fails="error: no stack named 'nope' found")
    status, out, _ = ran(shown, "doctor", "nope", "--format", "json")
    assert status == 1
    problems = [one["detail"] for one in json.loads(out) if one["verdict"] == "problem"]
    assert problems[0] == "stack_failed"


def test_status_shows_the_state_and_the_job_under_way(
    fake: FakeEngine, emulator: Emulator, shown: pytest.CaptureFixture[str]
) -> None:
    with emulator.lock:
        begun = emulator.platform.deploy("a", "cm-1", "openSource", REQUEST.body())
    outputs = {"model_id": "cm-1", "deployed": True, "state": "deploying", "dock_status_id": begun.id}
    outputs |= {"last_action": "DEPLOY", "last_status": "IN_PROGRESS", "last_job_seconds": 0.0}
    fake.state("test", {"urn": f"{URN}chat", "id": "cm-1", "outputs": outputs})
    status, out, err = ran(shown, "status")
    assert (status, err) == (0, "")
    assert out.startswith("## `test`\n\n| resource |")
    assert "| `chat` | `cm-1` | deployed | deploying |" in out
    status, out, _ = ran(shown, "status", "test", "--format", "json")
    ((found,),) = (stack["models"] for stack in json.loads(out))
    assert (status, found["lastJob"]["id"]) == (0, begun.id)
    status, out, _ = ran(shown, "status", "--format", "terminal")
    assert (status, "|" in out) == (0, False), "laid out, no Markdown"


def test_a_stack_whose_state_can_t_be_read_is_a_failure(fake: FakeEngine, shown: pytest.CaptureFixture[str]) -> None:
    fake.state("test")
    status, out, _ = ran(shown, "status", "test", "nope")
    assert status == 1
    assert "There are no models in its state." in out
    assert "**Its state can't be read.**" in out


@pytest.mark.parametrize("arguments", [["status"], ["adopt", "cm-1", "--stack", "test"]])
def test_what_the_engine_can_t_do_is_one_line(
    arguments: list[str], fake: FakeEngine, shown: pytest.CaptureFixture[str]
) -> None:
    for command in ("stack ls --json", "config --json --show-secrets --stack test", "config --json --stack test"):
        fake.answer(command, fails="error: no way\nto the backend")
    status, out, err = ran(shown, *arguments)
    assert (status, out) == (1, "")
    assert err.startswith("error: `pulumi ")
    assert err.count("\n") == 1


def test_status_without_an_engine_is_one_line(fake: FakeEngine, shown: pytest.CaptureFixture[str]) -> None:
    (fake.bin / "pulumi").unlink()
    status, out, err = ran(shown, "status")
    assert (status, out) == (1, "")
    assert err.startswith("error: `pulumi` is not on the PATH. Install it")
    assert err.count("\n") == 1


def runs(emulator: Emulator, model_id: str, name: str) -> None:
    """Deploys a model by hand."""
    body: dict[str, Any] = {**REQUEST.body(), "name": name}
    emulator.set_model(model_id, state="Deployed", deployment=body)


def test_adopt_fetches_exports_and_puts_entries_into_the_stack_s_file(
    fake: FakeEngine, emulator: Emulator, shown: pytest.CaptureFixture[str]
) -> None:
    runs(emulator, "cm-1", "Support Chat_v2")
    runs(emulator, "cm-2", "triage")
    status, out, err = ran(shown, "adopt", "cm-1", "cm-2", "cm-1", "--stack", "test")
    assert (status, out) == (0, "")
    assert err == "Compare it with the console: what is written must be what runs.\n"
    text = (fake.folder / "Pulumi.test.yaml").read_text()
    assert text.startswith(FILE)
    assert findings(text.encode()) == []
    entries = yaml.safe_load(text)["config"]["koreai:models"]
    assert {name: entry["modelId"] for name, entry in entries.items()} == {"support-chat": "cm-1", "triage": "cm-2"}
    assert [one.method for one in emulator.requests()].count("POST") == 2, "each model once"


def test_adopt_prints_the_entries_where_one_can_t_be_had(
    fake: FakeEngine, emulator: Emulator, shown: pytest.CaptureFixture[str]
) -> None:
    runs(emulator, "cm-1", "chat")
    status, out, err = ran(shown, "adopt", "cm-1", "cm-unknown", "--stack", "test")
    assert status == 1
    assert out.startswith("    chat:\n      modelId: cm-1\n")
    assert "cm-unknown" in err
    assert (fake.folder / "Pulumi.test.yaml").read_text() == FILE


def test_adopt_without_a_key_says_where_to_set_it(
    fake: FakeEngine, emulator: Emulator, shown: pytest.CaptureFixture[str]
) -> None:
    fake.config("test", {"koreai:host": emulator.url})
    status, out, err = ran(shown, "adopt", "cm-1")
    assert (status, out, err.count("error: ")) == (1, "", 1)
    assert "koreai:apiKey" in err
    assert "KOREAI_API_KEY" in err
    assert emulator.requests() == []


@pytest.mark.parametrize("option", ["--name", "--export", "--deployment-name"])
def test_what_is_for_one_model_is_refused_for_several(
    option: str, fake: FakeEngine, emulator: Emulator, shown: pytest.CaptureFixture[str]
) -> None:
    status, out, err = ran(shown, "adopt", "cm-1", "cm-2", option, "x")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "are for one model alone" in err
    assert emulator.requests() == []


def test_status_with_the_real_engine(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, shown: pytest.CaptureFixture[str]
) -> None:
    workspace.declare(chat=model(), off=model(2, deployed=False))
    workspace.up()
    (workspace.folder / "__main__.py").unlink()
    monkeypatch.chdir(workspace.folder)
    for name, value in workspace.env.items():
        monkeypatch.setenv(name, value)
    status, out, err = ran(shown, "status", "test")
    assert (status, err) == (0, "")
    assert "| `chat` | `cm-1` | deployed | deployed | deploy SUCCESS " in out
    assert "| `off` | `cm-2` | undeployed | undeployed |" in out
    status, out, _ = ran(shown, "status", "--format", "json")
    assert (status, [len(stack["models"]) for stack in json.loads(out)]) == (0, [2])
    status, out, err = ran(shown, "status", "nope")
    assert (status, err) == (1, "")
    assert "no stack named 'nope' found" in out
