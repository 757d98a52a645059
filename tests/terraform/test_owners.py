"""Who has a model when a block is renamed without `moved`, and what a killed provider leaves: by the real Terraform."""

import os
import signal
import time

import pytest

from pulumi_koreai.emulator import Emulator
from pulumi_koreai.emulator.faults import ScriptedFault
from tests.processes import children_of
from tests.system.engine.workspace import model, warmer
from tests.terraform.test_terraform import in_one_line
from tests.terraform.workspace import Terraform

pytestmark = pytest.mark.engine


def names(terraform: Terraform) -> dict[str, str]:
    return {name: instance["attributes"]["model_id"] for name, instance in terraform.instances()}


def is_up(platform: Emulator, model_id: str) -> bool:
    return platform.model(model_id).deployment is not None


def test_a_model_stays_in_the_state_when_its_new_name_is_refused(terraform: Terraform, platform: Emulator) -> None:
    terraform.declare(x=model(1))
    terraform.up()
    platform.use(ScriptedFault.named("403", "deploy"))
    terraform.declare(u=warmer(1))
    assert "in a `moved` block" in in_one_line(terraform.preview())
    terraform.up(fails=True)
    assert set(names(terraform).values()) == {"cm-1"} or not is_up(platform, "cm-1")
    platform.use()
    terraform.sent()
    terraform.up()
    assert names(terraform) == {"u": "cm-1"}
    assert is_up(platform, "cm-1")
    assert terraform.outputs("u")["hyper_parameters"]["temperature"] == warmer(1)["hyperParameters"]["temperature"]
    terraform.destroy()
    assert not is_up(platform, "cm-1")


def test_a_command_that_names_one_of_two_leaves_their_model_alone(terraform: Terraform, platform: Emulator) -> None:
    terraform.declare(chat=model(1))
    terraform.up()
    terraform.declare(talk=model(1))
    address = "koreai_model_deployment"
    terraform.terraform("apply", "-auto-approve", f"-target={address}.talk")
    assert set(names(terraform)) == {"chat", "talk"}
    terraform.sent()
    output = terraform.terraform("apply", "-auto-approve", f"-target={address}.chat").output
    assert "cm-1 is now managed by another resource" in in_one_line(output)
    assert is_up(platform, "cm-1")
    assert names(terraform) == {"talk": "cm-1"}
    terraform.destroy()
    assert not is_up(platform, "cm-1")


def test_a_killed_provider_loses_no_job(terraform: Terraform, platform: Emulator) -> None:
    platform.set_model("cm-1", job_seconds=3600)
    terraform.declare(one=model(1))
    running = terraform.begin("apply", "-auto-approve", "-refresh=false")
    deadline = time.monotonic() + 60
    while not platform.jobs():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)
    for pid in children_of(running.pid, named="terraform-provider-koreai"):
        os.kill(pid, signal.SIGKILL)
    running.communicate(timeout=60)
    assert running.returncode == 1
    assert names(terraform) == {}
    terraform.sent()
    terraform.let_jobs_end()
    assert "resuming deploy job" in in_one_line(terraform.up())
    assert terraform.sent() == ["wait deploy cm-1"]
    assert terraform.outputs("one")["state"] == "deployed"
    assert "status" not in terraform.resource("one"), "it is not tainted"
