"""Runs that end before the state has what they sent: the host killed, the backend gone, the log's reader dead."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pulumi_koreai.emulator import Fail
from tests.processes import hosts_below
from tests.system.engine.lost_runs import WAIT_SECONDS, jobs_of, slow, wait_for
from tests.system.engine.workspace import Host, Workspace, model, warmer

pytestmark = pytest.mark.engine


@pytest.fixture
def host() -> Host:
    return "own"


def begin(workspace: Workspace, command: str, until: Callable[[], object]) -> "subprocess.Popen[str]":
    """Start a command, and wait until the platform has taken something, and the journal what it answered."""
    engine = subprocess.Popen(
        ["pulumi", command, "--yes", "--skip-preview", "--non-interactive"],
        cwd=workspace.folder,
        env={**workspace.env, "PULUMI_PARALLEL": "16"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: engine.poll() is not None or until())
    assert engine.poll() is None
    time.sleep(0.3)
    return engine


def kill_the_host(engine: "subprocess.Popen[str]") -> str:
    for pid in hosts_below(engine.pid):
        os.kill(pid, signal.SIGKILL)
    output, _ = engine.communicate(timeout=WAIT_SECONDS)
    assert engine.returncode != 0
    return output


def test_two_new_models_and_the_host_is_killed(workspace: Workspace) -> None:
    slow(workspace, "cm-1", "cm-2")
    workspace.declare(one=model(1), two=model(2))
    output = kill_the_host(begin(workspace, "up", lambda: len(jobs_of(workspace, "DEPLOY")) == 2))
    for job in workspace.emulator.jobs():
        assert f"job {job.id} started" in output, "the log has what the state has not"
    assert (workspace.folder / ".koreai/.gitignore").read_text() == "*\n"
    workspace.sent()
    workspace.let_jobs_end()
    output = workspace.up()
    assert "resuming deploy job" in output
    assert set(workspace.sent()) == {"wait deploy cm-1", "wait deploy cm-2"}, "nothing is deployed twice"
    assert workspace.outputs("one")["state"] == workspace.outputs("two")["state"] == "deployed"
    assert "unchanged" in workspace.up()
    assert workspace.sent() == []


def test_the_host_is_killed_in_an_undeploy_and_the_edit_is_taken_back(workspace: Workspace) -> None:
    workspace.declare(one=model(1))
    workspace.up()
    slow(workspace, "cm-1")
    workspace.declare(one=warmer(1))
    kill_the_host(begin(workspace, "up", lambda: jobs_of(workspace, "UNDEPLOY")))
    workspace.sent()
    workspace.declare(one=model(1))
    assert "was still running when last seen" in workspace.preview()
    workspace.let_jobs_end()
    workspace.up()
    assert workspace.sent() == ["wait undeploy cm-1", "deploy cm-1", "wait deploy cm-1"]
    assert "unchanged" in workspace.up()


def test_a_destroy_is_interrupted_and_was_not_meant(workspace: Workspace) -> None:
    workspace.declare(one=model(1))
    workspace.up()
    slow(workspace, "cm-1")
    engine = begin(workspace, "destroy", lambda: jobs_of(workspace, "UNDEPLOY"))
    engine.send_signal(signal.SIGINT)
    engine.communicate(timeout=WAIT_SECONDS)
    workspace.sent()
    workspace.let_jobs_end()
    assert "undeploy of cm-1 was still running" in " ".join(workspace.refresh().split())
    workspace.sent()
    workspace.up()
    assert workspace.sent() == ["wait undeploy cm-1", "deploy cm-1", "wait deploy cm-1"]


def test_the_backend_is_gone_when_the_job_has_ended(workspace: Workspace) -> None:
    workspace.declare(one=model(1, updateStrategy="redeploy"))
    workspace.up()
    slow(workspace, "cm-1")
    workspace.declare(one=warmer(1, updateStrategy="redeploy"))
    engine = begin(workspace, "up", lambda: len(jobs_of(workspace, "DEPLOY")) == 2)
    state = Path(workspace.env["PULUMI_BACKEND_URL"].removeprefix("file://"))
    state.rename(state.with_name("gone"))
    state.touch()
    workspace.let_jobs_end()
    engine.communicate(timeout=WAIT_SECONDS)
    assert engine.returncode != 0
    state.unlink()
    state.with_name("gone").rename(state)
    workspace.pulumi("cancel", "--yes")
    workspace.sent()
    workspace.up()
    assert workspace.sent() == ["wait deploy cm-1"], "neither a second deploy nor an outage"
    assert workspace.outputs("one")["hyper_parameters"]["temperature"] == warmer(1)["hyperParameters"]["temperature"]


def test_the_reader_of_the_log_dies(workspace: Workspace) -> None:
    slow(workspace, "cm-1")
    workspace.declare(one=model(1))
    engine = begin(workspace, "up", lambda: jobs_of(workspace, "DEPLOY"))
    assert engine.stdout is not None
    engine.stdout.close()
    workspace.emulator.set_model("cm-1", job_seconds=2)
    engine.wait(timeout=WAIT_SECONDS)
    workspace.pulumi("cancel", "--yes")
    workspace.sent()
    workspace.let_jobs_end()
    workspace.up()
    assert [line for line in workspace.sent() if not line.startswith("wait")] == []
    assert workspace.outputs("one")["state"] == "deployed"


def urn(name: str) -> str:
    return f"urn:pulumi:test::koreai-models::pulumi-python:dynamic/koreai:ModelDeployment::{name}"


def test_a_model_of_two_entries_is_left_alone_by_a_command_that_names_one(workspace: Workspace) -> None:
    workspace.declare(chat=model(1))
    workspace.up()
    workspace.declare(talk=model(1))
    workspace.pulumi("up", "--yes", "--skip-preview", "--target", urn("talk"))
    workspace.sent()
    output = workspace.pulumi("up", "--yes", "--skip-preview", "--target", urn("chat")).output
    assert "cm-1 is now managed by another resource" in output
    assert workspace.sent() == []
    assert workspace.emulator.platform.model("cm-1").deployment is not None


@pytest.mark.parametrize("options", [(), ("--run-program",)], ids=["", "with the program"])
def test_a_destroy_of_two_entries_of_a_model_undeploys_it(workspace: Workspace, options: tuple[str, ...]) -> None:
    workspace.declare(chat=model(1))
    workspace.up()
    workspace.declare(talk=model(1))
    workspace.pulumi("up", "--yes", "--skip-preview", "--target", urn("talk"))
    workspace.sent()
    workspace.pulumi("destroy", "--yes", "--skip-preview", *options)
    assert workspace.sent() == ["undeploy cm-1", "wait undeploy cm-1"]


def test_a_replacement_that_failed_is_taken_back_and_nothing_is_sent_for_what_runs(workspace: Workspace) -> None:
    workspace.declare(chat=model(1))
    workspace.up()
    workspace.emulator.set_model("cm-3", fail=Fail(deploy="no GPU is free"))
    workspace.declare(chat=model(3))
    workspace.up(fails=True)
    workspace.sent()
    workspace.declare(chat=model(1))
    output = workspace.up()
    assert "cm-1 still runs as declared; nothing was sent" in output
    assert {line for line in workspace.sent() if line.endswith("cm-1")} == set()
    assert workspace.emulator.platform.model("cm-1").deployment is not None
    assert "unchanged" in workspace.up()
    workspace.destroy()
    assert workspace.emulator.platform.model("cm-1").deployment is None


def test_what_no_entry_declares_any_more_is_told(workspace: Workspace) -> None:
    workspace.declare(two=model(2))
    workspace.up()
    slow(workspace, "cm-1")
    workspace.declare(one=model(1), two=model(2))
    kill_the_host(begin(workspace, "up", lambda: "cm-1" in jobs_of(workspace, "DEPLOY")))
    workspace.declare(two=model(2))
    assert "cm-1: an earlier run sent deploy job" in " ".join(workspace.preview().split())
    workspace.let_jobs_end()
    workspace.emulator.set_model("cm-1", undeploy_seconds=0.3)
    workspace.declare(one=model(1), two=model(2))
    workspace.up()
    workspace.declare(two=model(2))
    assert "an earlier run" not in workspace.up()
    assert workspace.emulator.platform.model("cm-1").deployment is None
