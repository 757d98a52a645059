"""`koreai status`: what the state says of each model, and the platform of the jobs under way. Without the program."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_koreai.core.recovery import Trace
from pulumi_koreai.core.rules import ModelState
from pulumi_koreai.emulator import Emulator, Options
from pulumi_koreai.emulator.platform import Fail
from pulumi_koreai.journal import JOURNAL_ENV, Journals
from pulumi_koreai.pipeline import status as status_module
from pulumi_koreai.pipeline.project_engine import EngineFailed, ProjectEngine
from pulumi_koreai.pipeline.status import ModelStatus, StackStatus, status
from pulumi_koreai.pipeline.status_table import status_json, status_markdown
from tests.api.scripted_server import ScriptedServer, reply
from tests.core.fakes import REQUEST, job
from tests.pipeline.fake_engine import FakeEngine
from tests.system.engine.workspace import KEY, Workspace, model

URN = "urn:pulumi:test::models::pulumi-python:dynamic/koreai:ModelDeployment::"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(Options(job_seconds=6000, undeploy_seconds=6000, api_keys={KEY: frozenset()})) as running:
        yield running


@pytest.fixture
def fake(tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    (tmp_path / "Pulumi.yaml").write_text("name: models\nruntime: python\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(JOURNAL_ENV, str(tmp_path / "journal"))
    made = FakeEngine(tmp_path)
    made.config("test", {"koreai:host": emulator.url}, secret={"koreai:apiKey": KEY})
    return made


def resource(name: str, state: str, job_id: str = "ds-0", action: str = "DEPLOY", **more: object) -> dict[str, object]:
    """A resource as the engine's state has it."""
    outputs = {
        "model_id": f"cm-{name}",
        "deployed": True,
        "state": state,
        "dock_status_id": job_id,
        "last_action": action,
        "last_status": "SUCCESS" if state in ("deployed", "undeployed") else "IN_PROGRESS",
        "last_job_seconds": 725.0 if state == "deployed" else 0.0,
    }
    return {"urn": URN + name, "id": f"cm-{name}", "outputs": {**outputs, **more}}


def shown(stacks: list[StackStatus]) -> str:
    """The table; JSON can be made of it too, and neither has the key."""
    text = status_markdown(stacks)
    assert KEY not in text + json.dumps(status_json(stacks))
    return text


def only(stacks: list[StackStatus]) -> ModelStatus:
    ((found,),) = (stack.models for stack in stacks)
    return found


def test_models_at_rest_need_no_platform_and_no_key(fake: FakeEngine, emulator: Emulator) -> None:
    off = resource("off", "undeployed", action="UNDEPLOY", deployed=False)
    fake.state("test", resource("chat", "deployed"), off, {"urn": "urn:pulumi:test::models::x::y", "outputs": {}})
    text = shown(status(fake.find(), ["test"]))
    assert text.splitlines() == [
        "## `test`",
        "",
        "| resource | model | declared | state | last job | took | now |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| `chat` | `cm-chat` | deployed | deployed | deploy SUCCESS `ds-0` | 12m05s | – |",
        "| `off` | `cm-off` | undeployed | undeployed | undeploy SUCCESS `ds-0` | – | – |",
    ]
    assert emulator.requests() == []
    assert fake.asked == ["stack export --stack test"]


def test_a_job_under_way_is_asked_for(fake: FakeEngine, emulator: Emulator) -> None:
    with emulator.lock:
        begun = emulator.platform.deploy("a", "cm-chat", "openSource", REQUEST.body())
        begun.started -= 3010
    fake.state("test", resource("chat", "deploying", begun.id))
    stacks = status(fake.find())
    assert only(stacks).job is not None
    assert f"| deploy `IN_PROGRESS` `{begun.id}` | – | deploying 50 % |" in shown(stacks)
    (entry,) = emulator.requests()
    assert entry.method == "GET"
    assert KEY not in "\n".join(fake.asked)


def test_jobs_that_have_ended_since(fake: FakeEngine, emulator: Emulator) -> None:
    emulator.set_model("cm-bad", fail=Fail(deploy="no GPU | @everyone"))
    with emulator.lock:
        good = emulator.platform.deploy("a", "cm-good", "openSource", REQUEST.body())
        bad = emulator.platform.deploy("a", "cm-bad", "openSource", REQUEST.body())
        good.seconds = bad.seconds = 0
    gone = resource("gone", "undeploying", "ds-of-another-age", "UNDEPLOY")
    fake.state("test", resource("good", "deploying", good.id), resource("bad", "deploying", bad.id), gone)
    text = shown(status(fake.find()))
    assert "has ended well; the next `pulumi up` or `pulumi refresh` records it" in text
    assert "failed: no GPU `\\|` `@everyone`" in text
    assert "the platform does not know the job (any more)" in text


def test_a_platform_that_is_down_is_asked_once_and_the_state_shown(
    fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_module, "_ANSWER_SECONDS", 0.2)
    with ScriptedServer(*[reply(503, "<h1>down</h1>")] * 9) as server:
        fake.config("test", {"koreai:host": server.url}, secret={"koreai:apiKey": KEY})
        fake.state("test", *(resource(name, "deploying", f"ds-{name}") for name in ("a", "b", "c")))
        text = shown(status(fake.find()))
        assert {one.target for one in server.received} == {"/api/public/dock-status/ds-a"}
    assert "**The platform can't be asked for the jobs under way**" in text
    assert text.count("| not asked |") == 3


def test_a_key_that_is_missing_or_sealed(fake: FakeEngine, emulator: Emulator) -> None:
    fake.state("test", resource("chat", "deploying"))
    fake.answer("config --json --show-secrets --stack test", fails="error: incorrect passphrase")
    assert "incorrect passphrase" in shown(status(fake.find()))
    fake.config("test", {"koreai:host": emulator.url})
    assert "koreai:apiKey" in shown(status(fake.find()))
    assert only(status(fake.find())).recorded is ModelState.DEPLOYING


def test_a_stack_whose_state_can_t_be_read_is_told_beside_the_others(fake: FakeEngine) -> None:
    fake.state("test", resource("chat", "deployed"))
    stacks = status(fake.find(), ["nope", "test"])
    assert [stack.failure is None for stack in stacks] == [False, True]
    assert "**Its state can't be read.**" in shown(stacks)
    fake.answer("stack ls --json", fails="error: no project")
    with pytest.raises(EngineFailed):
        status(fake.find())


def test_a_stack_without_models(fake: FakeEngine) -> None:
    fake.state("test")
    assert "There are no models in its state." in shown(status(fake.find()))


def test_replaced_pending_and_secret_ones(fake: FakeEngine) -> None:
    inputs = {"model_id": "cm-new", "deployed": True}
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "x"}
    fake.state(
        "test",
        resource("chat", "deployed", deployed=secret),
        {**resource("chat", "deployed"), "id": "cm-old", "delete": True},
        pending=({"urn": URN + "new", "inputs": inputs},),
    )
    models = {one.model_id: one for one in status(fake.find())[0].models}
    assert (models["cm-chat"].declared, models["cm-old"].is_dying) == (None, True)
    assert (models["cm-new"].declared, models["cm-new"].recorded) == ("deployed", None)
    text = shown(status(fake.find()))
    assert "deployed, to be deleted" in text
    assert "being created" in text


@pytest.mark.parametrize("in_state", [False, True])
def test_what_a_killed_run_has_sent_is_found_in_the_journal(
    fake: FakeEngine, emulator: Emulator, in_state: bool
) -> None:
    with emulator.lock:
        begun = emulator.platform.deploy("a", "cm-lost", "openSource", REQUEST.body())
    creation: dict[str, object] = {"urn": URN + "lost", "inputs": {"model_id": "cm-lost"}}
    fake.state("test", pending=(creation,) if in_state else ())
    journal = Journals(fake.folder / "journal", lambda: 1e9, lambda _: None).of("models.test")
    trace = Trace(journal, emulator.url, "cm-lost", URN + "lost", None).about_to("DEPLOY", REQUEST)
    trace.sending()
    trace.answered(job("IN_PROGRESS", id=begun.id))
    stacks = status(fake.find())
    found = only(stacks)
    assert (found.model_id, found.is_astray) == ("cm-lost", True)
    assert found.job is not None
    assert "`not in the state`" in shown(stacks)
    assert "| deploying 0 % |" in shown(stacks)


def test_names_from_the_state_stay_what_they_are(fake: FakeEngine) -> None:
    evil = resource("chat", "deployed", model_id="cm|`<script>")
    fake.state("test", {**evil, "id": "cm|`<script>\x1b[31m", "urn": URN + "a|b`@all\n| x"})
    text = shown(status(fake.find()))
    assert "\x1b" not in text
    assert len(text.splitlines()) == 5


def test_with_the_real_engine_and_without_the_program(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.declare(chat=model(), off=model(2, deployed=False))
    workspace.up()
    (workspace.folder / "__main__.py").unlink()
    monkeypatch.chdir(workspace.folder)
    engine = ProjectEngine.find(workspace.folder, workspace.env)
    assert engine is not None
    ((chat, off),) = (stack.models for stack in status(engine))
    assert (chat.name, chat.declared, chat.recorded, chat.action) == ("chat", "deployed", ModelState.DEPLOYED, "DEPLOY")
    assert (off.name, off.declared, off.recorded) == ("off", "undeployed", ModelState.UNDEPLOYED)
