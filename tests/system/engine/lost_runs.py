"""How a test strikes the processes of a run, and waits for what it has sent."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.system.engine.workspace import Workspace

WAIT_SECONDS = 60


def children_of(parent: int, *, named: bytes = b"") -> list[int]:
    """The processes below a process, at any depth, whose command line has these bytes."""
    lines: dict[int, tuple[int, bytes]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            above = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            lines[int(folder.name)] = above, (folder / "cmdline").read_bytes()
    below, found = [parent], list[int]()
    while below:
        one = below.pop()
        children = [pid for pid, (above, _) in lines.items() if above == one]
        found += [pid for pid in children if named in lines[pid][1]]
        below += children
    return found


def hosts_below(parent: int) -> list[int]:
    """The dynamic provider hosts below a process."""
    return children_of(parent, named=b"pulumi_koreai.host")


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
