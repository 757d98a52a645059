"""A run that fails tells its errors, once each, and nothing of how the program's process came to its end."""

import signal
import time
from collections.abc import Callable

import pytest

from pulumi_koreai.emulator import Fail
from tests.system.engine.workspace import BOTH_HOSTS, Workspace, model, noise, warmer

pytestmark = pytest.mark.engine

MODELS = 8
ROUNDS = 30

PROGRAM = """
import pulumi
from pulumi_koreai import ModelDeployment

hyper_parameters = {"temperature": 0.5, "max_tokens": 128, "top_p": 1, "top_k": 10}
for number in range(8):
    ModelDeployment(
        f"m{number}",
        model_id=f"cm-{number}",
        deployment_name="chat",
        device_type="g5.xlarge",
        hyper_parameters=hyper_parameters,
    )
"""
BUG = "raise ValueError('a bug of the program')\n"
REASON = 'failed: "no GPU is free"'


def told_once(output: str, message: str = REASON) -> None:
    assert not noise(output), output
    assert output.partition("Diagnostics:")[2].count(message) == 1, output


def models(number: Callable[..., object] = model, shift: int = 0) -> dict[str, object]:
    return {f"m{each}": number(each + shift) for each in range(MODELS)}


def failing_create(workspace: Workspace) -> str:
    workspace.emulator.set_model("cm-3", fail=Fail(deploy="no GPU is free"))
    workspace.declare(models())
    return workspace.up(fails=True)


def failing_program(workspace: Workspace) -> str:
    workspace.emulator.set_model("cm-3", fail=Fail(deploy="no GPU is free"))
    workspace.program(PROGRAM)
    return workspace.up(fails=True)


def failing_update(workspace: Workspace) -> str:
    workspace.declare(models())
    workspace.up()
    workspace.emulator.set_model("cm-3", fail=Fail(deploy="no GPU is free"))
    workspace.declare(models(warmer))
    return workspace.up(fails=True)


def failing_replacement(workspace: Workspace) -> str:
    workspace.declare(models())
    workspace.up()
    workspace.emulator.set_model("cm-13", fail=Fail(deploy="no GPU is free"))
    workspace.declare(models(shift=10))
    return workspace.up(fails=True)


def failing_delete(workspace: Workspace) -> str:
    workspace.declare(models())
    workspace.up()
    workspace.emulator.set_model("cm-3", fail=Fail(undeploy="no GPU is free"))
    return workspace.destroy(fails=True)


def interrupted(workspace: Workspace, number: signal.Signals) -> str:
    count = 4 if workspace.host == "stock" else MODELS  # which has four calls at a time
    for each in range(count):
        workspace.emulator.set_model(f"cm-{each}", job_seconds=600)
    workspace.declare({f"m{each}": model(each) for each in range(count)})
    engine = workspace.begin_up({"PULUMI_PARALLEL": "64"})
    while len(workspace.emulator.jobs()) < count:
        assert engine.poll() is None
        time.sleep(0.05)
    engine.send_signal(number)
    if workspace.host == "stock":  # which waits for the jobs
        time.sleep(1)
        workspace.let_jobs_end()
    output, _ = engine.communicate(timeout=60)
    assert engine.returncode != 0
    return output


@pytest.mark.parametrize("failing", [failing_program, failing_update, failing_replacement])
def test_a_failure_among_several_models_is_told_once(workspace: Workspace, failing: Callable[[Workspace], str]) -> None:
    told_once(failing(workspace))


def test_a_bug_of_the_program_is_told_besides(workspace: Workspace) -> None:
    """The SDK keeps it until the registrations are through, which after a failure they never are."""
    workspace.emulator.set_model("cm-3", fail=Fail(deploy="no GPU is free"))
    workspace.program(PROGRAM + BUG)
    output = workspace.pulumi("up", "--yes", "--skip-preview", fails=True, noisy=True).output
    diagnostics = output.partition("Diagnostics:")[2]
    assert diagnostics.count(REASON) == 1
    assert diagnostics.count("ValueError: a bug of the program") == 1
    assert diagnostics.count("Traceback") == 1
    assert "Resource monitor" not in output


@pytest.mark.nightly
@BOTH_HOSTS
@pytest.mark.parametrize(
    "failing", [failing_create, failing_program, failing_update, failing_replacement, failing_delete]
)
def test_it_is_so_under_both_hosts(workspace: Workspace, host: str, failing: Callable[[Workspace], str]) -> None:
    told_once(failing(workspace))


@pytest.mark.nightly
@BOTH_HOSTS
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interruption_is_told_without_noise(workspace: Workspace, host: str, number: signal.Signals) -> None:
    assert not noise(interrupted(workspace, number))


@pytest.mark.nightly
def test_not_one_of_thirty_failing_runs_in_a_row_is_noisy(workspace: Workspace) -> None:
    told_once(failing_program(workspace))
    for _ in range(ROUNDS - 1):
        workspace.up(fails=True)  # which deploys the one that failed again, and must be without noise
