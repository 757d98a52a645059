"""Each row of the lifecycle's table, by each of the ways in: the same requests reach the platform, in the same order.

By `pulumi` under the stock host, by `pulumi` under ours, by `terraform`. What a row begins with (a deployed model, a
failed or an unfinished attempt) is made by the same tool; only the stock host can't record a failed attempt, so ours
does it for it.

Where an attempt came to no good end the row is run with Terraform's own refresh too, which tells the provider more than
an apply alone does, and asks once for each last job.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from pulumi_koreai.emulator import Emulator, Fail, Options
from pulumi_koreai.emulator.server import Take
from tests.system.engine.workspace import Workspace, model, warmer
from tests.terraform.workspace import Terraform

pytestmark = pytest.mark.engine

DEPLOY = ["deploy cm-1", "wait deploy cm-1"]
UNDEPLOY = ["undeploy cm-1", "wait undeploy cm-1"]
LOOK = ["wait deploy cm-1"]


@dataclass
class Wire:
    """Between the network and the platform: loses the answer of the next deploy, or its way, if it is told to."""

    lose: bool = field(default=False)
    no_route: bool = field(default=False)

    async def __call__(self, request: web.Request, take: Take) -> web.StreamResponse:
        if self.no_route:
            return web.json_response({"message": "no Route matched with those values"}, status=404)
        answer = take()
        if self.lose and request.path.endswith("/deploy"):
            self.lose = False
            assert request.transport is not None
            request.transport.abort()
        return answer


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def platform(wire: Wire) -> Iterator[Emulator]:
    options = Options(job_seconds=0.5, undeploy_seconds=0.3, requests_per_minute=None, hook=wire)
    with Emulator(options) as emulator:
        yield emulator


# That Pulumi sends the same by day is held by test_front_ends.py, which needs no engine.
TOOLS = [
    pytest.param("pulumi, stock host", marks=pytest.mark.nightly),
    pytest.param("pulumi, own host", marks=pytest.mark.nightly),
    "terraform",
]
REFRESHING = "terraform, its own refresh"
refreshing_too = pytest.mark.parametrize(
    "tool", [*TOOLS, pytest.param(REFRESHING, marks=pytest.mark.nightly)], indirect=True
)


@pytest.fixture(params=TOOLS)
def tool(request: pytest.FixtureRequest, tmp_path: Path, platform: Emulator) -> Workspace:
    if request.param in ("terraform", REFRESHING):
        found: Terraform = request.getfixturevalue("terraform")
        found.refreshes = request.param == REFRESHING
        return found
    env: dict[str, str] = request.getfixturevalue("engine_env")
    stock_folder: Path = request.getfixturevalue("stock_folder")
    return Workspace(tmp_path / "project", env, platform, "stock" if "stock" in request.param else "own", stock_folder)


@contextmanager
def recording(tool: Workspace) -> Iterator[None]:
    """Served by a host that can record a failed attempt."""
    served_by = tool.host
    tool.use("own")
    yield
    tool.use(served_by)


@pytest.fixture
def deployed(tool: Workspace) -> Workspace:
    tool.declare(chat=model())
    tool.up()
    assert tool.sent() == DEPLOY
    return tool


@pytest.fixture
def undeployed(deployed: Workspace) -> Workspace:
    deployed.declare(chat=model(deployed=False))
    deployed.up()
    assert deployed.sent() == UNDEPLOY
    return deployed


@pytest.fixture
def timed_out(tool: Workspace) -> Workspace:
    """A creation whose deploy is under way."""
    tool.emulator.set_model("cm-1", job_seconds=600)
    tool.declare(chat=model(timeouts={"create": "1s"}))
    with recording(tool):
        assert "has not ended after 1s" in tool.up(fails=True)
    assert tool.sent() == DEPLOY
    (job,) = tool.emulator.jobs()
    outputs = tool.outputs("chat")
    assert (outputs["state"], outputs["dock_status_id"]) == ("deploying", job.id)
    tool.let_jobs_end()
    tool.declare(chat=model())
    return tool


@pytest.fixture
def failed(tool: Workspace) -> Workspace:
    """A creation whose deploy failed."""
    tool.emulator.set_model("cm-1", fail=Fail(deploy="no GPU is free", once=True))
    tool.declare(chat=model())
    with recording(tool):
        assert "no GPU is free" in tool.up(fails=True)
    assert tool.sent() == DEPLOY
    assert state(tool) == "failed"
    return tool


@pytest.fixture
def unknown(tool: Workspace, wire: Wire) -> Workspace:
    """A creation whose deploy was taken, and its answer lost."""
    wire.lose = True
    tool.declare(chat=model())
    with recording(tool):
        assert "is being deployed now, so the deploy is not sent again" in " ".join(tool.up(fails=True).split())
    assert tool.sent() == ["deploy cm-1"], "sent once"
    tool.let_jobs_end()
    return tool


def state(tool: Workspace, name: str = "chat") -> str:
    found: str = tool.outputs(name)["state"]
    return found


def look(tool: Workspace, action: str = "deploy") -> list[str]:
    """What a refresh adds, which all but Terraform's own do without. It is one request: see the test of that."""
    return [f"wait {action} cm-1"] if isinstance(tool, Terraform) and tool.refreshes else []


def temperature(tool: Workspace) -> tuple[float, float]:
    """What the state remembers, and what runs."""
    deployment = tool.emulator.model("cm-1").deployment
    assert deployment is not None
    runs = deployment.body["hyperParameters"]
    assert isinstance(runs, dict)
    return tool.outputs("chat")["hyper_parameters"]["temperature"], float(str(runs["temperature"]))


def is_deployed(tool: Workspace, model_id: str = "cm-1") -> bool:
    return tool.emulator.model(model_id).deployment is not None


def has_work_left(tool: Workspace) -> bool:
    preview = tool.preview()
    assert tool.sent() == [], "no preview sends a request"
    return "No changes." not in preview if isinstance(tool, Terraform) else "to update" in preview


def test_create_deployed(deployed: Workspace) -> None:
    deployment = deployed.emulator.model("cm-1").deployment
    assert deployment is not None
    assert dict(deployment.body) == {
        "name": "model-1",
        "deviceType": "g5.xlarge",
        "hyperParameters": {"temperature": 0.5, "maxTokens": 128, "topP": 1.0, "topK": 10},
    }
    (job,) = deployed.emulator.jobs()
    outputs = deployed.outputs("chat")
    assert (outputs["state"], outputs["dock_status_id"]) == ("deployed", job.id)
    assert (outputs["last_action"], outputs["last_status"]) == ("DEPLOY", "SUCCESS")
    assert 0.4 < outputs["last_job_seconds"] < 5
    assert not has_work_left(deployed)


@pytest.mark.nightly
def test_create_with_adopt(tool: Workspace) -> None:
    tool.emulator.set_model("cm-1", state="Deployed", deployment={"name": "by-hand"})
    tool.declare(chat=model(adopt=True))
    tool.up()
    assert tool.sent() == []
    assert state(tool) == "deployed"
    tool.declare(chat=model())
    tool.up()
    assert tool.sent() == [], "that `adopt` goes afterwards is a setting of this side"


def test_create_with_adopt_of_an_undeployed_model_is_refused(tool: Workspace) -> None:
    tool.declare(chat=model(adopt=True, deployed=False))
    assert "adopt: got true with deployed: false" in tool.preview(fails=True)
    tool.up(fails=True)
    assert tool.sent() == []


@pytest.mark.nightly
def test_create_undeployed(tool: Workspace) -> None:
    tool.emulator.set_model("cm-1", state="Deployed", deployment={"name": "by-hand"})
    tool.declare(chat=model(deployed=False))
    tool.up()
    assert tool.sent() == UNDEPLOY
    assert state(tool) == "undeployed"
    assert not is_deployed(tool)


@pytest.mark.nightly
def test_create_undeployed_what_is_not_deployed(tool: Workspace) -> None:
    tool.declare(chat=model(deployed=False))
    assert "was not deployed" in tool.up()
    assert tool.sent() == ["undeploy cm-1"]
    assert state(tool) == "undeployed"


def test_update_of_parameters_undeploy_first(deployed: Workspace) -> None:
    deployed.declare(chat=warmer())
    deployed.up()
    assert deployed.sent() == UNDEPLOY + DEPLOY
    assert temperature(deployed) == (0.9, 0.9)
    assert not has_work_left(deployed)


@pytest.mark.nightly
def test_update_of_parameters_redeploy(deployed: Workspace) -> None:
    deployed.declare(chat=warmer(updateStrategy="redeploy"))
    deployed.up()
    assert deployed.sent() == DEPLOY


def test_update_to_undeployed(undeployed: Workspace) -> None:
    assert state(undeployed) == "undeployed"
    assert not is_deployed(undeployed)


@pytest.mark.nightly
@refreshing_too
def test_update_to_undeployed_waits_out_the_deploy_under_way(timed_out: Workspace) -> None:
    timed_out.declare(chat=model(deployed=False))
    timed_out.up()
    assert timed_out.sent() == LOOK + UNDEPLOY
    assert state(timed_out) == "undeployed"


@pytest.mark.nightly
def test_update_to_deployed(undeployed: Workspace) -> None:
    undeployed.declare(chat=model())
    undeployed.up()
    assert undeployed.sent() == DEPLOY
    assert state(undeployed) == "deployed"


@pytest.mark.nightly
def test_update_of_settings_of_this_side(deployed: Workspace) -> None:
    deployed.declare(chat=model(updateStrategy="redeploy", timeouts={"update": "50m"}, adopt=True))
    deployed.up()
    assert deployed.sent() == []
    assert not has_work_left(deployed)


@pytest.mark.nightly
def test_update_of_parameters_of_an_undeployed_model(undeployed: Workspace) -> None:
    undeployed.declare(chat=warmer(deployed=False))
    undeployed.up()
    assert not has_work_left(undeployed)
    undeployed.declare(chat=warmer())
    undeployed.up()
    assert undeployed.sent() == DEPLOY
    assert temperature(undeployed) == (0.9, 0.9)


@refreshing_too
def test_update_after_a_timeout(timed_out: Workspace) -> None:
    assert has_work_left(timed_out)
    timed_out.up()
    assert timed_out.sent() == LOOK, "no second deploy"
    assert state(timed_out) == "deployed"
    assert not has_work_left(timed_out)


@pytest.mark.nightly
@refreshing_too
def test_update_after_a_timeout_with_other_parameters(timed_out: Workspace) -> None:
    timed_out.declare(chat=warmer())
    timed_out.up()
    assert timed_out.sent() == LOOK + UNDEPLOY + DEPLOY
    assert temperature(timed_out) == (0.9, 0.9)


@pytest.mark.nightly
@refreshing_too
def test_update_after_a_timeout_of_an_update(deployed: Workspace) -> None:
    deployed.emulator.set_model("cm-1", job_seconds=600)
    deployed.declare(chat=warmer(updateStrategy="redeploy", timeouts={"update": "1s"}))
    with recording(deployed):
        deployed.up(fails=True)
    assert deployed.sent() == look(deployed) + DEPLOY
    deployed.let_jobs_end()
    deployed.declare(chat=warmer(updateStrategy="redeploy"))
    deployed.up()
    assert deployed.sent() == LOOK


@refreshing_too
def test_update_after_a_failed_deploy(failed: Workspace) -> None:
    assert has_work_left(failed)
    failed.up()
    assert failed.sent() == look(failed) + DEPLOY
    assert state(failed) == "deployed"


@pytest.mark.nightly
@refreshing_too
def test_update_after_a_failed_undeploy(deployed: Workspace) -> None:
    deployed.emulator.set_model("cm-1", fail=Fail(undeploy="the gateway is stuck", once=True))
    deployed.declare(chat=warmer())
    with recording(deployed):
        assert "the gateway is stuck" in deployed.up(fails=True)
    assert deployed.sent() == look(deployed) + UNDEPLOY
    assert temperature(deployed) == (0.5, 0.5), "no other deploy was sent"
    deployed.up()
    assert deployed.sent() == look(deployed, "undeploy") + UNDEPLOY + DEPLOY


@pytest.mark.nightly
@refreshing_too
def test_update_after_an_end_that_is_not_known(unknown: Workspace) -> None:
    outputs = unknown.outputs("chat")
    assert (outputs["state"], outputs["last_status"], outputs["dock_status_id"]) == ("failed", "UNKNOWN", "")
    unknown.up()
    assert unknown.sent() == UNDEPLOY + DEPLOY
    assert state(unknown) == "deployed"


@pytest.mark.nightly
def test_update_after_an_end_that_is_not_known_by_the_strategy_redeploy(unknown: Workspace) -> None:
    unknown.declare(chat=model(updateStrategy="redeploy"))
    unknown.up()
    assert unknown.sent() == DEPLOY


@refreshing_too
def test_update_after_an_end_that_is_not_known_with_adopt(unknown: Workspace) -> None:
    unknown.declare(chat=model(adopt=True))
    unknown.up()
    assert unknown.sent() == []
    assert state(unknown) == "deployed"


def test_another_model_id(deployed: Workspace) -> None:
    if isinstance(deployed, Terraform):
        deployed.new_first = True  # in Terraform the order of a replacement is the configuration's
    deployed.declare(chat=model(2))
    deployed.up()
    assert deployed.sent() == ["deploy cm-2", "wait deploy cm-2", *UNDEPLOY]
    assert (is_deployed(deployed, "cm-1"), is_deployed(deployed, "cm-2")) == (False, True)


@pytest.mark.nightly
def test_delete_deployed(deployed: Workspace) -> None:
    deployed.destroy()
    assert deployed.sent() == UNDEPLOY
    assert not is_deployed(deployed)


def test_delete_by_taking_the_entry_out(deployed: Workspace) -> None:
    deployed.declare({})
    deployed.up()
    assert deployed.sent() == UNDEPLOY
    assert not is_deployed(deployed)


@pytest.mark.nightly
@refreshing_too
def test_delete_waits_out_the_deploy_under_way(timed_out: Workspace) -> None:
    timed_out.destroy()
    assert timed_out.sent() == LOOK + UNDEPLOY
    assert not is_deployed(timed_out)


@pytest.mark.nightly
@refreshing_too
def test_delete_failed(failed: Workspace) -> None:
    assert "was not deployed" in failed.destroy()
    assert failed.sent() == [*look(failed), "undeploy cm-1"]


@pytest.mark.nightly
def test_delete_what_is_not_deployed(deployed: Workspace) -> None:
    deployed.emulator.set_model("cm-1", state="Ready to Deploy")
    assert "was not deployed" in deployed.destroy()
    assert deployed.sent() == ["undeploy cm-1"]


@pytest.mark.nightly
def test_delete_a_model_that_is_no_more(deployed: Workspace) -> None:
    with deployed.emulator.lock:
        deployed.emulator.platform.delete_model("cm-1")
    assert "has no model cm-1" in deployed.destroy()
    assert deployed.sent() == ["undeploy cm-1", *LOOK], "its last job shows that the platform knows the key"


def test_delete_through_a_gateway_that_has_lost_its_way(tool: Workspace, wire: Wire) -> None:
    tool.declare(chat=model(1), summary=model(2))
    tool.up()
    wire.no_route = True
    output = " ".join(tool.destroy(fails=True).split())
    let_go = "terraform state rm ADDRESS" if isinstance(tool, Terraform) else "pulumi state delete URN"
    for model_id in ("cm-1", "cm-2"):
        assert (
            f"{model_id} stays in the state. If you know that it is not deployed, let go of it with `{let_go}`"
            in output
        )
    assert (state(tool, "chat"), state(tool, "summary")) == ("deployed", "deployed")
    wire.no_route = False
    tool.destroy()
    assert (is_deployed(tool, "cm-1"), is_deployed(tool, "cm-2")) == (False, False)


@pytest.mark.nightly
def test_delete_undeployed(undeployed: Workspace) -> None:
    undeployed.destroy()
    assert undeployed.sent() == []


@pytest.mark.nightly
def test_refresh(deployed: Workspace) -> None:
    deployed.refresh()
    assert deployed.sent() == LOOK
    assert not has_work_left(deployed)


@pytest.mark.nightly
def test_refresh_keeps_a_failure_visible(failed: Workspace) -> None:
    failed.refresh()
    assert failed.sent() == LOOK
    assert has_work_left(failed)


def test_refresh_records_how_a_job_ended(timed_out: Workspace) -> None:
    with timed_out.emulator.lock:
        timed_out.emulator.platform.jobs()
    timed_out.refresh()
    assert timed_out.sent() == LOOK
    assert state(timed_out) == "deployed"


@pytest.mark.nightly
def test_what_terraform_s_own_refresh_adds_is_one_look_at_each_last_job(terraform: Terraform) -> None:
    """So that the rows above, which take several looks in a row as one, are the same but for that."""
    terraform.declare(chat=model(), rerank=model(2))
    terraform.up()
    for refreshes, looks in ((False, []), (True, ["cm-1", "cm-2"])):
        before = len(terraform.emulator.requests())
        terraform.refreshes = refreshes
        terraform.up()
        jobs = {job.id: job.model_id for job in terraform.emulator.jobs()}
        paths = [entry.path for entry in terraform.emulator.requests()[before:]]
        assert sorted(jobs[path.rsplit("/", 1)[-1]] for path in paths) == looks
