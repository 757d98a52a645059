"""Each row of the lifecycle's table, by the real engine: which requests reach the platform, and what is recorded."""

from collections.abc import Iterator

import pytest
from aiohttp import web

from pulumi_koreai.emulator import Emulator, Fail, Options
from pulumi_koreai.emulator.faults import Fault
from pulumi_koreai.emulator.server import Take
from tests.engine.workspace import Workspace, model, warmer

pytestmark = pytest.mark.engine

DEPLOY = ["deploy cm-1", "wait deploy cm-1"]
UNDEPLOY = ["undeploy cm-1", "wait undeploy cm-1"]


@pytest.fixture
def deployed(workspace: Workspace) -> Workspace:
    """`chat` is model cm-1, deployed through the stack."""
    workspace.declare(chat=model())
    workspace.up()
    assert workspace.sent() == DEPLOY
    return workspace


def running(emulator: Emulator, model_id: str = "cm-1") -> dict[str, object] | None:
    """The body of the deploy that the platform serves now, None when the model is not deployed."""
    deployment = emulator.model(model_id).deployment
    return None if deployment is None else dict(deployment.body)


def test_create_deploys_and_waits(deployed: Workspace) -> None:
    assert running(deployed.emulator) == {
        "name": "model-1",
        "deviceType": "g5.xlarge",
        "hyperParameters": {"temperature": 0.5, "maxTokens": 128, "topP": 1.0, "topK": 10},
    }
    outputs = deployed.outputs("chat")
    (job,) = deployed.emulator.jobs()
    assert outputs["state"] == "deployed"
    assert outputs["dock_status_id"] == job.id
    assert (outputs["last_action"], outputs["last_status"]) == ("DEPLOY", "SUCCESS")
    assert 0.4 < outputs["last_job_seconds"] < 5
    assert deployed.resource("chat")["id"] == "cm-1"
    assert deployed.resource("chat")["type"] == "pulumi-python:dynamic/koreai:ModelDeployment"


def test_create_with_adopt_sends_nothing(workspace: Workspace) -> None:
    workspace.emulator.set_model("cm-1", state="Deployed", deployment={"name": "by-hand"})
    workspace.declare(chat=model(adopt=True))
    output = workspace.up()
    assert workspace.sent() == []
    assert "taken over" in output
    assert workspace.outputs("chat")["state"] == "deployed"
    workspace.declare(chat=model())
    workspace.up()
    assert workspace.sent() == [], "that `adopt` goes afterwards is a setting of this side"


def test_create_with_adopt_of_an_undeployed_model_is_refused_in_the_preview(workspace: Workspace) -> None:
    workspace.declare(chat=model(adopt=True, deployed=False))
    assert "chat: adopt: true given with deployed: false" in workspace.preview(fails=True)
    assert workspace.sent() == []


def test_create_undeployed_undeploys_what_runs(workspace: Workspace) -> None:
    workspace.emulator.set_model("cm-1", state="Deployed", deployment={"name": "by-hand"})
    workspace.declare(chat=model(deployed=False))
    workspace.up()
    assert workspace.sent() == UNDEPLOY
    assert running(workspace.emulator) is None
    assert workspace.outputs("chat")["state"] == "undeployed"


def test_create_undeployed_takes_not_deployed_for_a_success(workspace: Workspace) -> None:
    workspace.declare(chat=model(deployed=False))
    output = workspace.up()
    assert workspace.sent() == ["undeploy cm-1"]
    assert "was not deployed" in output
    assert workspace.outputs("chat")["state"] == "undeployed"


def test_update_of_a_parameter_undeploys_first(deployed: Workspace) -> None:
    deployed.declare(chat=warmer())
    deployed.up()
    assert deployed.sent() == UNDEPLOY + DEPLOY
    assert running(deployed.emulator)["hyperParameters"]["temperature"] == 0.9  # type: ignore[index]
    assert deployed.outputs("chat")["hyper_parameters"]["temperature"] == 0.9


def test_update_by_redeploy_deploys_over_the_running_one(deployed: Workspace) -> None:
    deployed.declare(chat=warmer(updateStrategy="redeploy"))
    deployed.up()
    assert deployed.sent() == DEPLOY


def test_update_to_undeployed_and_back(deployed: Workspace) -> None:
    deployed.declare(chat=model(deployed=False))
    deployed.up()
    assert deployed.sent() == UNDEPLOY
    assert deployed.outputs("chat")["state"] == "undeployed"
    deployed.declare(chat=model())
    deployed.up()
    assert deployed.sent() == DEPLOY
    assert deployed.outputs("chat")["state"] == "deployed"


def test_parameters_of_an_undeployed_model_change_without_a_request(deployed: Workspace) -> None:
    deployed.declare(chat=model(deployed=False))
    deployed.up()
    deployed.sent()
    deployed.declare(chat=warmer(deployed=False))
    assert "1 updated" in deployed.up()
    assert deployed.outputs("chat")["hyper_parameters"]["temperature"] == 0.5, "that of the last deploy that was sent"
    assert "unchanged" in deployed.preview("--expect-no-changes")
    assert deployed.sent() == []
    deployed.declare(chat=warmer())
    deployed.up()
    assert deployed.sent() == DEPLOY
    assert running(deployed.emulator)["hyperParameters"]["temperature"] == 0.9  # type: ignore[index]


def test_update_of_settings_of_this_side_sends_nothing(deployed: Workspace) -> None:
    deployed.declare(chat=model(updateStrategy="redeploy", timeouts={"update": "50m"}, adopt=True))
    assert "1 updated" in deployed.up()
    assert deployed.sent() == []
    assert deployed.outputs("chat")["update_strategy"] == "redeploy"
    assert deployed.outputs("chat")["state"] == "deployed"


def test_another_model_id_is_a_replacement_and_the_new_model_comes_first(deployed: Workspace) -> None:
    deployed.declare(chat=model(2))
    assert "is replaced by cm-2" in deployed.preview()
    deployed.up()
    assert deployed.sent() == ["deploy cm-2", "wait deploy cm-2", *UNDEPLOY]
    assert running(deployed.emulator, "cm-1") is None
    assert running(deployed.emulator, "cm-2") is not None


def test_delete_undeploys(deployed: Workspace) -> None:
    deployed.destroy()
    assert deployed.sent() == UNDEPLOY
    assert running(deployed.emulator) is None
    assert not deployed.state().get("resources")


def test_delete_of_an_undeployed_model_sends_nothing(deployed: Workspace) -> None:
    deployed.declare(chat=model(deployed=False))
    deployed.up()
    deployed.sent()
    deployed.destroy()
    assert deployed.sent() == []


def test_delete_takes_not_deployed_for_a_success_and_says_so(deployed: Workspace) -> None:
    deployed.emulator.set_model("cm-1", state="Ready to Deploy")
    assert "was not deployed" in deployed.destroy()
    assert deployed.sent() == ["undeploy cm-1"]


def test_delete_takes_no_such_model_for_a_success_and_says_so(deployed: Workspace) -> None:
    with deployed.emulator.lock:
        deployed.emulator.platform.delete_model("cm-1")
    assert "has no model cm-1" in deployed.destroy()
    assert deployed.sent() == ["undeploy cm-1"]


def test_an_entry_that_goes_is_undeployed(deployed: Workspace) -> None:
    deployed.declare({})
    deployed.up()
    assert deployed.sent() == UNDEPLOY


def test_refresh_asks_for_the_last_job_and_a_preview_afterwards_is_empty(deployed: Workspace) -> None:
    deployed.refresh()
    assert deployed.sent() == ["wait deploy cm-1"]
    assert "unchanged" in deployed.preview("--expect-no-changes")
    assert deployed.sent() == []


@pytest.fixture
def interrupted(workspace: Workspace, host: str) -> Workspace:
    """The deploy of `chat` timed out, its job under way, which only our host can record; `host` goes on from there."""
    workspace.use("own")
    workspace.emulator.set_model("cm-1", job_seconds=600)
    workspace.declare(chat=model(timeouts={"create": "1s"}))
    output = workspace.up(fails=True)
    assert workspace.sent() == DEPLOY
    (job,) = workspace.emulator.jobs()
    assert f"job {job.id} has not ended after 1s" in output
    outputs = workspace.outputs("chat")
    assert (outputs["state"], outputs["dock_status_id"]) == ("deploying", job.id)
    workspace.use("own" if host == "own" else "stock")
    return workspace


def test_update_after_an_interruption_takes_the_job_up_again(interrupted: Workspace) -> None:
    (job,) = interrupted.emulator.jobs()
    interrupted.declare(chat=model())
    assert f"job {job.id} is taken up again" in interrupted.preview()
    assert interrupted.sent() == []
    interrupted.let_jobs_end()
    interrupted.up()
    assert interrupted.sent() == ["wait deploy cm-1"]
    assert interrupted.outputs("chat")["state"] == "deployed"
    assert "unchanged" in interrupted.preview("--expect-no-changes")


def test_update_after_an_interruption_with_other_parameters_waits_first(interrupted: Workspace) -> None:
    interrupted.let_jobs_end()
    interrupted.declare(chat=warmer())
    interrupted.up()
    assert interrupted.sent() == ["wait deploy cm-1", *UNDEPLOY, *DEPLOY]
    assert running(interrupted.emulator)["hyperParameters"]["temperature"] == 0.9  # type: ignore[index]


def test_update_to_undeployed_waits_out_the_deploy_under_way(interrupted: Workspace) -> None:
    interrupted.let_jobs_end()
    interrupted.declare(chat=model(deployed=False))
    interrupted.up()
    assert interrupted.sent() == ["wait deploy cm-1", *UNDEPLOY]
    assert interrupted.outputs("chat")["state"] == "undeployed"


def test_delete_waits_out_the_deploy_under_way(interrupted: Workspace) -> None:
    interrupted.let_jobs_end()
    interrupted.destroy()
    assert interrupted.sent() == ["wait deploy cm-1", *UNDEPLOY]
    assert running(interrupted.emulator) is None


def test_refresh_keeps_unfinished_work_visible(interrupted: Workspace) -> None:
    interrupted.refresh()
    assert interrupted.outputs("chat")["state"] == "deploying"
    interrupted.declare(chat=model(timeouts={"create": "1s"}))
    assert "1 to update" in interrupted.preview()
    assert interrupted.sent() == ["wait deploy cm-1"]


@pytest.fixture
def failed(workspace: Workspace, host: str) -> Workspace:
    """The deploy of `chat` failed, which only our host can record."""
    workspace.use("own")
    workspace.emulator.set_model("cm-1", fail=Fail(deploy="no GPU is free", once=True))
    workspace.declare(chat=model())
    output = workspace.up(fails=True)
    assert 'failed: "no GPU is free"' in output
    assert "Traceback" not in output
    assert workspace.sent() == DEPLOY
    assert workspace.outputs("chat")["state"] == "failed"
    workspace.use("own" if host == "own" else "stock")
    return workspace


def test_update_after_a_failed_deploy_deploys_again(failed: Workspace) -> None:
    assert "the last deploy of cm-1 failed" in failed.preview()
    failed.up()
    assert failed.sent() == DEPLOY
    assert failed.outputs("chat")["state"] == "deployed"


def test_refresh_keeps_a_failure_visible(failed: Workspace) -> None:
    failed.refresh()
    assert failed.sent() == ["wait deploy cm-1"]
    assert "1 to update" in failed.preview()
    failed.up()
    assert failed.sent() == DEPLOY


def test_delete_after_a_failed_deploy_undeploys_what_may_be_left(failed: Workspace) -> None:
    assert "was not deployed" in failed.destroy()
    assert failed.sent() == ["undeploy cm-1"]


def test_update_after_a_failed_undeploy_begins_with_the_undeploy(deployed: Workspace, host: str) -> None:
    deployed.use("own")
    deployed.emulator.set_model("cm-1", fail=Fail(undeploy="the gateway is stuck", once=True))
    deployed.declare(chat=warmer())
    assert "the gateway is stuck" in deployed.up(fails=True)
    assert deployed.sent() == UNDEPLOY
    assert deployed.outputs("chat")["hyper_parameters"]["temperature"] == 0.5, "no other deploy was sent"
    deployed.use("own" if host == "own" else "stock")
    deployed.up()
    assert deployed.sent() == UNDEPLOY + DEPLOY


class TestTheAnswerOfADeployIsLost:
    """The platform took the deploy; the connection broke before the answer came."""

    @pytest.fixture
    def platform(self) -> Iterator[Emulator]:
        lost: list[str] = []

        async def lose_the_first_deploy(request: web.Request, take: Take) -> web.StreamResponse:
            answer = take()
            if request.path.endswith("/deploy") and not lost:
                lost.append(request.path)
                assert request.transport is not None
                request.transport.abort()
            return answer

        options = Options(job_seconds=0.5, undeploy_seconds=0.3, requests_per_minute=None, hook=lose_the_first_deploy)
        with Emulator(options) as emulator:
            yield emulator

    @pytest.fixture
    def unknown(self, workspace: Workspace, host: str) -> Workspace:
        workspace.use("own")
        workspace.declare(chat=model())
        output = workspace.up(fails=True)
        assert "is not known, so the deploy is not sent again" in output
        assert workspace.sent() == ["deploy cm-1"], "sent once"
        outputs = workspace.outputs("chat")
        assert (outputs["state"], outputs["last_status"], outputs["dock_status_id"]) == ("failed", "UNKNOWN", "")
        workspace.use("own" if host == "own" else "stock")
        return workspace

    def test_the_next_run_settles_it_by_the_strategy(self, unknown: Workspace) -> None:
        unknown.up()
        assert unknown.sent()[-4:] == UNDEPLOY + DEPLOY
        assert unknown.outputs("chat")["state"] == "deployed"

    def test_adopt_settles_it_without_a_request(self, unknown: Workspace) -> None:
        unknown.declare(chat=model(adopt=True))
        unknown.up()
        assert unknown.sent() == []
        assert unknown.outputs("chat")["state"] == "deployed"


def test_a_renamed_entry_stays_deployed(deployed: Workspace) -> None:
    deployed.declare(talk=model())
    output = deployed.up()
    assert "is another resource of this stack now, so it is not undeployed" in output
    assert deployed.sent() == DEPLOY
    assert running(deployed.emulator) is not None
    assert deployed.outputs("talk")["state"] == "deployed"


def test_a_renamed_entry_stays_deployed_when_the_deletion_of_the_old_one_is_left_to_the_next_up(
    deployed: Workspace,
) -> None:
    deployed.emulator.use(Fault.named("reset-taken", "deploy", times=1))
    deployed.declare(talk=model())
    deployed.up(fails=True)
    deployed.up()
    assert running(deployed.emulator) is not None
    assert not [item for item in deployed.state()["resources"] if item["urn"].endswith("::chat")]


@pytest.mark.parametrize("command", ["up --refresh", "destroy --refresh", "destroy --run-program"])
def test_what_is_no_longer_declared_is_undeployed_though_it_was_just_looked_at(
    deployed: Workspace, command: str
) -> None:
    if command.startswith("up"):
        deployed.declare()
    deployed.pulumi(*command.split(), "--yes", "--skip-preview")
    assert running(deployed.emulator) is None
    assert [line for line in deployed.sent() if not line.startswith("wait")] == ["undeploy cm-1"]
