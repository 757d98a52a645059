"""Ctrl-C, SIGTERM and a killed engine, with models under way, on our own host: the stock one ignores them all."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from pulumi_koreai.emulator import Emulator
from tests.system.engine.workspace import Host, Workspace, model, noise

pytestmark = pytest.mark.engine

MODELS = 50


@pytest.fixture
def host() -> Host:
    return "own"


@pytest.fixture
def under_way(workspace: Workspace) -> tuple[Workspace, "subprocess.Popen[str]"]:
    """Fifty deploys, none of which ends by itself, and the `pulumi up` that waits on them."""
    for number in range(MODELS):
        workspace.emulator.set_model(f"cm-{number}", job_seconds=3600)
    workspace.declare({f"model-{number}": model(number) for number in range(MODELS)})
    engine = workspace.begin_up({"PULUMI_PARALLEL": "64"})
    deadline = time.monotonic() + 120
    while len(workspace.emulator.jobs()) < MODELS:
        assert time.monotonic() < deadline
        assert engine.poll() is None
        time.sleep(0.1)
    time.sleep(1)  # each has taken its answer and waits
    return workspace, engine


def quiet_since(emulator: Emulator) -> float:
    """The seconds since the last request."""
    return emulator.seconds() - emulator.requests()[-1].time


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interruption_ends_every_wait_and_loses_no_job(
    under_way: tuple[Workspace, "subprocess.Popen[str]"], number: signal.Signals
) -> None:
    workspace, engine = under_way
    sent_at = workspace.emulator.seconds()
    began = time.monotonic()
    engine.send_signal(number)
    output, _ = engine.communicate(timeout=60)
    assert time.monotonic() - began < 8
    assert engine.returncode != 0
    assert workspace.emulator.requests()[-1].time - sent_at < 2, "no wait went on"
    jobs = {job.model_id: job.id for job in workspace.emulator.jobs()}
    assert f"deploy job {jobs['cm-0']} of cm-0 is still running on the platform" in " ".join(output.split())
    assert not noise(output)
    state = workspace.state()
    assert not state.get("pending_operations")
    held = {
        item["id"]: item["outputs"]["dock_status_id"]
        for item in state["resources"]
        if item["type"].endswith(":ModelDeployment")
    }
    assert held == jobs
    workspace.sent()
    workspace.let_jobs_end()
    workspace.up()
    sent = workspace.sent()
    assert sent
    assert [line for line in sent if not line.startswith("wait")] == [], "no deploy is sent again"
    assert {item["outputs"]["state"] for item in workspace.state()["resources"] if "state" in item["outputs"]} == {
        "deployed"
    }


def test_a_killed_engine_ends_the_host_and_the_documented_way_back_works(
    under_way: tuple[Workspace, "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    workspace, engine = under_way
    engine.kill()
    engine.communicate(timeout=10)
    time.sleep(1.5)
    last = workspace.emulator.requests()[-1].time
    time.sleep(2)
    assert workspace.emulator.requests()[-1].time == last, "no further request"
    assert "pending operations" not in workspace.pulumi("cancel", "--yes").output
    workspace.let_jobs_end()
    workspace.pulumi("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
    workspace.declare({f"model-{number}": model(number, adopt=True) for number in range(MODELS)})
    workspace.sent()
    workspace.up()
    assert workspace.sent() == [], "taken over as declared"
    assert not workspace.state().get("pending_operations")
