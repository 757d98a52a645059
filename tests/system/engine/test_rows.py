"""What `pulumi` says of the lifecycle's rows, and rows that only a stack has.

Which requests each row of the table sends is in tests/terraform/test_conformance.py, for all the ways in.
"""

import pytest

from pulumi_koreai.emulator import Emulator, Fail
from pulumi_koreai.emulator.faults import ScriptedFault
from tests.system.engine.workspace import Workspace, model, warmer

pytestmark = pytest.mark.engine

DEPLOY = ["deploy cm-1", "wait deploy cm-1"]


@pytest.fixture
def deployed(workspace: Workspace) -> Workspace:
    """`chat` is model cm-1, deployed through the stack."""
    workspace.declare(chat=model())
    workspace.up()
    assert workspace.sent() == DEPLOY
    return workspace


def is_deployed(emulator: Emulator) -> bool:
    return emulator.model("cm-1").deployment is not None


def test_a_model_is_a_resource_whose_id_is_the_model_s_and_is_gone_when_it_is_destroyed(deployed: Workspace) -> None:
    assert deployed.resource("chat")["id"] == "cm-1"
    assert deployed.resource("chat")["type"] == "pulumi-python:dynamic/koreai:ModelDeployment"
    deployed.destroy()
    assert not deployed.state().get("resources")


def test_a_take_over_is_told(workspace: Workspace) -> None:
    workspace.emulator.set_model("cm-1", state="Deployed", deployment={"name": "by-hand"})
    workspace.declare(chat=model(adopt=True))
    assert "is adopted" in workspace.up()


def test_the_outputs_are_those_of_the_last_deploy_that_was_sent(deployed: Workspace) -> None:
    deployed.declare(chat=warmer(deployed=False))
    deployed.up()
    assert deployed.outputs("chat")["hyper_parameters"]["temperature"] == 0.5
    assert "unchanged" in deployed.preview("--expect-no-changes")


def test_another_model_id_is_told_as_a_replacement(deployed: Workspace) -> None:
    deployed.declare(chat=model(2))
    assert "is replaced by cm-2" in deployed.preview()


def test_unfinished_work_stays_visible_and_is_told(workspace: Workspace) -> None:
    served_by = workspace.host
    workspace.use("own")  # the stock host can't record a failed attempt
    workspace.emulator.set_model("cm-1", job_seconds=600)
    workspace.declare(chat=model(timeouts={"create": "1s"}))
    output = workspace.up(fails=True)
    (job,) = workspace.emulator.jobs()
    assert f"job {job.id} has not ended after 1s" in output
    assert workspace.sent() == DEPLOY
    workspace.use(served_by)
    workspace.refresh()
    assert workspace.outputs("chat")["state"] == "deploying"
    preview = workspace.preview()
    assert "1 to update" in preview
    assert f"job {job.id} is resumed" in preview
    assert workspace.sent() == ["wait deploy cm-1"]


def test_a_failed_deploy_is_told(workspace: Workspace) -> None:
    served_by = workspace.host
    workspace.use("own")
    workspace.emulator.set_model("cm-1", fail=Fail(deploy="no GPU is free", once=True))
    workspace.declare(chat=model())
    output = workspace.up(fails=True)
    assert 'failed: "no GPU is free"' in output
    assert "Traceback" not in output
    workspace.use(served_by)
    assert "the last deploy of cm-1 failed" in workspace.preview()


def test_a_renamed_entry_stays_deployed(deployed: Workspace) -> None:
    deployed.declare(talk=model())
    output = deployed.up()
    assert "cm-1 is now managed by another resource; not undeploying it" in output
    assert deployed.sent() == DEPLOY
    assert is_deployed(deployed.emulator)
    assert deployed.outputs("talk")["state"] == "deployed"


def test_a_renamed_entry_stays_deployed_when_the_deletion_of_the_old_one_is_left_to_the_next_up(
    deployed: Workspace,
) -> None:
    deployed.emulator.use(ScriptedFault.named("reset-taken", "deploy", times=1))
    deployed.declare(talk=model())
    deployed.up(fails=True)
    deployed.up()
    assert is_deployed(deployed.emulator)
    assert not [item for item in deployed.state()["resources"] if item["urn"].endswith("::chat")]


def test_a_renamed_entry_stays_until_the_other_name_has_come_up(deployed: Workspace) -> None:
    deployed.emulator.use(ScriptedFault.named("403", "deploy"))
    deployed.declare(talk=model())
    output = deployed.pulumi("up", "--yes", "--skip-preview", "--continue-on-error", fails=True).output
    assert "another resource declares cm-1 and has not come up" in output
    assert deployed.outputs("chat")["state"] == "deployed", "in the state, as it runs"
    deployed.emulator.use()
    deployed.up()
    assert deployed.outputs("talk")["state"] == "deployed"
    assert "undeploy cm-1" not in deployed.sent()


def test_the_old_model_serves_until_the_one_that_replaces_it_is_up(deployed: Workspace) -> None:
    deployed.emulator.set_model("cm-2", fail=Fail(deploy="no GPU is free", once=True))
    deployed.declare(chat=model(2))
    output = deployed.pulumi("up", "--yes", "--skip-preview", "--continue-on-error", fails=True).output
    assert "the model that replaces cm-1 has not come up" in output
    assert deployed.emulator.model("cm-1").state == "Deployed"
    deployed.up()
    assert [deployed.emulator.model(name).state for name in ("cm-1", "cm-2")] == ["Ready to Deploy", "Deployed"]


def test_an_entry_that_is_renamed_back_waits_for_what_the_other_name_had_begun(deployed: Workspace) -> None:
    served_by = deployed.host
    deployed.use("own")
    deployed.emulator.set_model("cm-1", job_seconds=3.0)
    deployed.declare(talk=warmer(timeouts={"create": "1s"}))
    deployed.up(fails=True)
    deployed.use(served_by)
    deployed.sent()
    deployed.declare(chat=model())
    output = deployed.up()
    assert "cm-1 is now managed by another resource; not undeploying it" in output
    assert deployed.sent()[0] == "wait deploy cm-1"
    assert not any(job.status == "IN_PROGRESS" for job in deployed.emulator.jobs())
    if served_by == "stock":  # whose journal is another one, as it does not tell the stack
        assert "What was last sent for this resource may be what runs" in output
        # The documented way to what is declared.
        deployed.emulator.set_model("cm-1", job_seconds=0.1)
        for declared in model(deployed=False), model():
            deployed.declare(chat=declared)
            deployed.up()
    running = deployed.emulator.model("cm-1").deployment
    assert running is not None
    assert running.body["hyperParameters"] == model()["hyperParameters"]


@pytest.mark.parametrize("command", ["up --refresh", "destroy --refresh", "destroy --run-program"])
def test_what_is_no_longer_declared_is_undeployed_though_it_was_just_looked_at(
    deployed: Workspace, command: str
) -> None:
    if command.startswith("up"):
        deployed.declare()
    deployed.pulumi(*command.split(), "--yes", "--skip-preview")
    assert not is_deployed(deployed.emulator)
    assert [line for line in deployed.sent() if not line.startswith("wait")] == ["undeploy cm-1"]
