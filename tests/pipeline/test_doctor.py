"""`koreai doctor`: what is missing or wrong is a finding each, and never more than a finding."""

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine as engine_tool
from pulumi_koreai.emulator import Emulator, Options
from pulumi_koreai.pipeline import doctor
from pulumi_koreai.pipeline.diagnosis import (
    _SAYINGS,
    Detail,
    DoctorFinding,
    Topic,
    Verdict,
    findings_json,
    findings_lines,
    has_problem,
)
from pulumi_koreai.pipeline.doctor import ENGINE_OLDEST, ENGINE_TESTED, diagnose
from tests.api.scripted_server import Answer, ScriptedServer, reply
from tests.pipeline.fake_engine import FakeEngine
from tests.system.engine.workspace import KEY, ROOT, Workspace

PROJECT = """
name: models
runtime: {name: python, options: {virtualenv: .venv}}
plugins: {providers: [{name: pulumi-python, path: .venv/libexec/koreai}]}
"""


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(Options(api_keys={KEY: frozenset(), "narrow": frozenset({"dock-status"})})) as running:
        yield running


@pytest.fixture
def fake(tmp_path: Path, emulator: Emulator) -> FakeEngine:
    """A project in which nothing is wrong."""
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    made = FakeEngine(tmp_path, {"KOREAI_JOURNAL": str(tmp_path / "journal")})
    made.config("test", {"koreai:host": emulator.url}, secret={"koreai:apiKey": KEY})
    return made


def found(fake: FakeEngine, stack: str | None = None, folder: Path | None = None) -> dict[Detail, DoctorFinding]:
    """What is found, each with a line and JSON, and no word of the key in either."""
    findings = diagnose(folder or fake.folder, fake.environment, stack)
    text = "\n".join(findings_lines(findings)) + json.dumps(findings_json(findings))
    assert KEY not in text
    assert "{" not in "\n".join(findings_lines(findings))
    return {one.detail: one for one in findings}


def problems(findings: dict[Detail, DoctorFinding]) -> set[Detail]:
    return {one.detail for one in findings.values() if one.verdict is not Verdict.OK}


def test_a_project_that_is_fine(fake: FakeEngine, emulator: Emulator) -> None:
    findings = diagnose(fake.folder, fake.environment)
    assert not has_problem(findings)
    assert [one.detail for one in findings] == [
        Detail.ENGINE_FOUND,
        Detail.PYTHON_FOUND,
        Detail.PROJECT_FOUND,
        Detail.HOST_OWN,
        Detail.BACKEND_FOUND,
        Detail.STACK_FOUND,
        Detail.SETTING_SET,
        Detail.SETTING_SET,
        Detail.PLATFORM_ANSWERS,
        Detail.KEY_ACCEPTED,
        Detail.SCOPES_UNTOLD,
        Detail.JOURNAL_USABLE,
    ]
    lines = findings_lines(findings)
    assert f"ok       settings       koreai:host: {emulator.url} (from koreai:host)" in lines
    assert "ok       settings       koreai:apiKey: set, not shown (from koreai:apiKey)" in lines
    assert lines[-1] == "0 problems, 0 warnings"
    assert [(entry.method, entry.status) for entry in emulator.requests()] == [("GET", 404)]
    assert not (fake.folder / "journal").exists(), "it only looks"
    assert KEY not in "\n".join(fake.asked)


def test_every_finding_has_its_words() -> None:
    assert set(_SAYINGS) == set(Detail)


def test_the_page_names_all_that_is_looked_at() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    rows = [line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if line.startswith("| ")]
    assert rows[rows.index("what") + 2 :][: len(Topic)] == [topic.value for topic in Topic]


def test_the_engines_that_are_named_are_those_of_the_tests() -> None:
    oldest, newest = (engine_tool.OLDEST.version, engine_tool.NEWEST.version)
    assert [".".join(str(part).split(".")[:2]) for part in (oldest, newest)] == [
        ".".join(map(str, release)) for release in (ENGINE_OLDEST, ENGINE_TESTED)
    ]


@pytest.mark.parametrize(
    "version, detail",
    [
        ("v3.219.9", Detail.ENGINE_OLD),
        ("v3.220.0", Detail.ENGINE_FOUND),
        ("v3.275.0", Detail.ENGINE_NEWER),
        ("v4.0.0", Detail.ENGINE_NEWER),
        ("v3.300.0-alpha.x", Detail.ENGINE_NEWER),
        ("hello", Detail.ENGINE_BROKEN),
        ("", Detail.ENGINE_BROKEN),
    ],
)
def test_the_engine_s_version(fake: FakeEngine, version: str, detail: Detail) -> None:
    fake.answer("version", f"{version}\n")
    assert detail in found(fake)


def test_without_an_engine_the_rest_is_looked_at(fake: FakeEngine, emulator: Emulator) -> None:
    (fake.bin / "pulumi").unlink()
    fake.variables |= {"KOREAI_HOST": emulator.url, "KOREAI_API_KEY": KEY}
    findings = found(fake)
    assert problems(findings) == {Detail.ENGINE_MISSING}
    assert Detail.KEY_ACCEPTED in findings
    assert "Install it" in findings[Detail.ENGINE_MISSING].remedies()[0]


def test_without_a_project(fake: FakeEngine, tmp_path_factory: pytest.TempPathFactory) -> None:
    findings = found(fake, folder=tmp_path_factory.mktemp("empty"))
    assert {Detail.PROJECT_MISSING, Detail.SETTING_FAULT, Detail.NOT_LOOKED_AT} <= problems(findings)


def test_a_project_is_found_from_a_folder_below_it(fake: FakeEngine) -> None:
    below = fake.folder / "a" / "b"
    below.mkdir(parents=True)
    assert problems(found(fake, folder=below)) == set()


@pytest.mark.parametrize("text", ["name: [", "- a", "\x00"])
def test_a_project_s_file_that_can_t_be_read(fake: FakeEngine, text: str) -> None:
    (fake.folder / "Pulumi.yaml").write_text(text)
    assert Detail.PROJECT_UNREADABLE in problems(found(fake))


@pytest.mark.parametrize(
    "project, detail",
    [
        ("name: models\nruntime: python\n", Detail.HOST_NOT_NAMED),
        ("name: models\nruntime: 7\nplugins: [x]\n", Detail.HOST_NOT_NAMED),
        (
            "name: m\nruntime: python\nplugins: {providers: [{name: other, path: .venv/libexec/koreai}]}\n",
            Detail.HOST_NOT_NAMED,
        ),
        (
            "name: m\nruntime: python\nplugins: {providers: [{name: pulumi-python, path: nowhere}]}\n",
            Detail.HOST_MISSING,
        ),
        (
            "name: m\nruntime: python\nplugins: {providers: [{name: pulumi-python, path: stock}]}\n",
            Detail.HOST_OF_ANOTHER,
        ),
        ("name: m\nruntime: {name: python, options: {virtualenv: venv}}\n", Detail.VIRTUALENV_MISSING),
        ("name: m\nruntime: {name: python, options: {virtualenv: stock}}\n", Detail.PYTHON_OF_ANOTHER),
    ],
)
def test_the_host_and_the_python_that_a_project_gets(fake: FakeEngine, project: str, detail: Detail) -> None:
    stock = fake.folder / "stock"
    stock.mkdir()
    (stock / "pulumi-resource-pulumi-python").write_text("#!/bin/sh\nexec python3 -m pulumi.dynamic $@\n")
    (stock / "pulumi-resource-pulumi-python").chmod(0o755)
    (fake.folder / "Pulumi.yaml").write_text(project)
    assert detail in problems(found(fake))


def test_a_backend_that_is_not_logged_in(fake: FakeEngine) -> None:
    fake.answer("whoami --verbose --json", fails="error: this command requires logging in")
    finding = found(fake)[Detail.BACKEND_FAILED]
    assert '"error: this command requires logging in"' in finding.text()
    assert "pulumi login" in finding.remedies()[0]


def test_a_backend_s_password_is_not_shown(fake: FakeEngine) -> None:
    url = "postgres://ada:hunter2@db.example.com:5432/state?password=hunter2"
    fake.answer("whoami --verbose --json", json.dumps({"user": "ada", "url": url}))
    assert found(fake)[Detail.BACKEND_FOUND].facts["place"] == "postgres://db.example.com:5432/state"
    fake.answer("whoami --verbose --json", fails=f"error: could not open {url.partition('?')[0]}: refused")
    assert "hunter2" not in found(fake)[Detail.BACKEND_FAILED].text()


def test_no_stack_is_selected(fake: FakeEngine) -> None:
    fake.answer("stack --show-name", fails="error: no stack selected")
    assert Detail.STACK_NOT_SELECTED in problems(found(fake))


def test_a_stack_that_is_not_there(fake: FakeEngine) -> None:
    finding = found(fake, "nope")[Detail.STACK_FAILED]
    assert finding.text() == 'nope: `pulumi config --json --stack nope` failed: "error: no such thing here"'


def test_secrets_that_can_t_be_decrypted(fake: FakeEngine) -> None:
    fake.answer("config --json --show-secrets --stack test", fails="error: incorrect passphrase")
    findings = found(fake)
    assert problems(findings) == {Detail.SECRETS_SEALED, Detail.SETTING_FAULT, Detail.NOT_LOOKED_AT}
    fake.variables["KOREAI_API_KEY"] = KEY
    assert problems(found(fake)) == {Detail.SECRETS_SEALED}, "the key of the environment will do"


def test_a_key_that_is_not_encrypted(fake: FakeEngine, emulator: Emulator) -> None:
    fake.config("test", {"koreai:host": emulator.url, "koreai:apiKey": KEY})
    assert problems(found(fake)) == {Detail.KEY_IN_PLAIN}


def test_settings_that_are_missing_or_wrong_are_all_told(fake: FakeEngine) -> None:
    fake.config("test", {"koreai:host": "http://platform.example.com", "koreai:pollMinSeconds": "soon"})
    faults = [one for one in diagnose(fake.folder, fake.environment) if one.detail is Detail.SETTING_FAULT]
    assert [one.text().partition(":")[2].partition(" ")[0] for one in faults] == ["host:", "apiKey:", "pollMinSeconds:"]
    assert faults[1].remedies() == ["Set it with `pulumi config set --secret koreai:apiKey` or in KOREAI_API_KEY."]


def test_a_key_that_is_refused(fake: FakeEngine, emulator: Emulator) -> None:
    fake.config("test", {"koreai:host": emulator.url}, secret={"koreai:apiKey": "of-another"})
    findings = found(fake)
    assert problems(findings) == {Detail.KEY_REFUSED}
    assert Detail.PLATFORM_ANSWERS in findings
    assert "does not accept the key in koreai:apiKey" in findings[Detail.KEY_REFUSED].remedies()[0]


def test_a_scope_that_is_lacking(fake: FakeEngine, emulator: Emulator) -> None:
    fake.config("test", {"koreai:host": emulator.url}, secret={"koreai:apiKey": "narrow"})
    findings = found(fake)
    assert problems(findings) == {Detail.SCOPE_LACKING}
    assert Detail.KEY_ACCEPTED in findings


@pytest.mark.parametrize(
    "answer, detail",
    [
        (reply(404, "<html>nginx</html>"), Detail.PLATFORM_FAILED),
        (reply(200, "<html>sign in</html>"), Detail.PLATFORM_FAILED),
        (reply(302, None, {"Location": "https://login.example.com"}), Detail.PLATFORM_FAILED),
        (reply(400, {"message": "invalid id"}), Detail.PLATFORM_DOUBTFUL),
        (reply(404, {"message": "The job is not found, or you have no access"}), Detail.PLATFORM_DOUBTFUL),
    ],
)
def test_an_answer_of_something_else(
    fake: FakeEngine, monkeypatch: pytest.MonkeyPatch, answer: Answer, detail: Detail
) -> None:
    monkeypatch.setattr(doctor, "_ANSWER_SECONDS", 0.2)
    with ScriptedServer(*[answer] * 5) as server:
        fake.config("test", {"koreai:host": server.url}, secret={"koreai:apiKey": KEY})
        assert problems(found(fake)) == {detail}


def test_a_host_that_nobody_listens_at(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_ANSWER_SECONDS", 0.2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        fake.config("test", {"koreai:host": f"http://127.0.0.1:{free.getsockname()[1]}"}, secret={"koreai:apiKey": KEY})
        assert problems(found(fake)) == {Detail.PLATFORM_FAILED}


def test_a_journal_s_folder_that_is_a_file(fake: FakeEngine) -> None:
    (fake.folder / "journal").write_text("")
    assert problems(found(fake)) == {Detail.JOURNAL_TROUBLE}


def test_a_journal_that_a_commit_brought(fake: FakeEngine) -> None:
    (fake.folder / "journal").mkdir()
    (fake.folder / "journal" / "models.test.jsonl").write_text("{}\n")
    os.chmod(fake.folder / "journal" / "models.test.jsonl", 0o644)  # noqa: PTH101 - as git does
    assert problems(found(fake)) == {Detail.JOURNAL_TROUBLE}


def test_what_the_engine_says_is_cleaned(fake: FakeEngine) -> None:
    fake.answer("whoami --verbose --json", fails="error: \x1b[31m{key}\x07\n\nno")
    findings = diagnose(fake.folder, fake.environment)
    (finding,) = [one for one in findings if one.detail is Detail.BACKEND_FAILED]
    assert finding.facts["words"] == "error: {key} no"


def test_with_the_real_engine(workspace: Workspace, emulator: Emulator) -> None:
    environment = {**workspace.env, "KOREAI_JOURNAL": str(workspace.folder / ".koreai")}
    findings = diagnose(workspace.folder, environment)
    assert not has_problem(findings), findings_lines(findings)
    details = [one.detail for one in findings]
    assert Detail.HOST_OWN in details
    assert Detail.BACKEND_FOUND in details
    assert Detail.KEY_ACCEPTED in details
    assert Detail.STACK_FAILED in {one.detail for one in diagnose(workspace.folder, environment, "nope")}
    sealed = diagnose(workspace.folder, {**environment, "PULUMI_CONFIG_PASSPHRASE": "wrong"})
    assert not has_problem(sealed), "the key is in the environment"
