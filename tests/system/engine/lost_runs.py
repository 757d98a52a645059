"""How a test strikes the processes of a run, and waits for what it has sent."""

import time
from collections.abc import Callable

from tests.system.engine.workspace import Workspace

WAIT_SECONDS = 60


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def jobs_of(workspace: Workspace, action: str) -> list[str]:
    return [job.model_id for job in workspace.emulator.jobs() if job.action == action]


def slow(workspace: Workspace, *models: str) -> None:
    for model_id in models:
        workspace.emulator.set_model(model_id, job_seconds=3600, undeploy_seconds=3600)
