"""Several people and one stack, whose state is in PostgreSQL: the lock holds, and nothing is lost."""

import copy
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_koreai.emulator import Emulator
from tests.pipeline.postgres import PASSWORD, server
from tests.system.engine.workspace import Workspace, model

pytestmark = pytest.mark.engine

LOCKED = "the stack is currently locked by 1 lock(s)"


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    try:
        with server() as url:
            yield url
    except RuntimeError as reason:
        pytest.fail(str(reason))


@pytest.fixture
def ann(tmp_path: Path, engine_env: dict[str, str], database: str, platform: Emulator) -> Iterator[Workspace]:
    env = {**engine_env, "PULUMI_BACKEND_URL": database, "PGPASSWORD": PASSWORD}
    ann = Workspace(tmp_path / "ann", env, platform, "own", tmp_path)
    yield ann
    ann.pulumi("stack", "rm", "test", "--yes", "--force")


def colleague(ann: Workspace, name: str) -> Workspace:
    """Another person, with a clone and settings of their own: what they share is the repository and the database."""
    other = copy.copy(ann)
    other.folder = shutil.copytree(ann.folder, ann.folder.with_name(name), symlinks=True)
    other.env = {**ann.env, "PULUMI_HOME": str(ann.folder.with_name(f"{name}-home"))}
    other.pulumi("stack", "select", "test")
    return other


def test_while_one_brings_the_stack_up_another_can_look_and_waits_and_then_goes_on_from_there(ann: Workspace) -> None:
    ben = colleague(ann, "ben")
    for person in (ann, ben):
        person.declare(chat=model(1), summary=model(2))
    ann.emulator.set_model("cm-1", job_seconds=3600)
    under_way = ann.begin_up()
    deadline = time.monotonic() + 60
    while len(ann.emulator.jobs()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)

    refused = ben.pulumi("up", "--yes", "--skip-preview", fails=True).output
    assert LOCKED in refused
    assert "created by" in refused, "it says whose it is"
    assert PASSWORD not in refused, "the lock's message has the backend's URL in it"
    assert "to create" in ben.preview(), "a preview takes no lock"

    ann.let_jobs_end()
    output, _ = under_way.communicate(timeout=60)
    assert under_way.returncode == 0, output
    ann.sent()
    assert "3 unchanged" in ben.up()
    assert ann.sent() == [], "what the one did is there for the other"
    assert ben.state() == ann.state()


@pytest.mark.nightly
def test_of_those_who_begin_at_once_one_does_it_and_no_change_is_lost(ann: Workspace) -> None:
    # A dozen runs of the engine, on however few cores: half a minute.
    people = [ann, colleague(ann, "ben"), colleague(ann, "eve")]
    ann.declare(base=model(9))
    ann.up()
    for number, person in enumerate(people, 1):
        person.emulator.set_model(f"cm-{number}", job_seconds=1)
        person.declare({"base": model(9), **{f"model-{n}": model(n) for n in range(1, number + 1)}})
    for engine in [person.begin_up() for person in people]:
        output, _ = engine.communicate(timeout=120)
        assert engine.returncode == 0 or "the stack is currently locked" in output, output

    # The repository brings the changes together; each of the people has what it says then, whoever runs it.
    for person in people:
        person.declare({"base": model(9), **{f"model-{n}": model(n) for n in range(1, 4)}})
        person.up()
    state = ann.state()
    assert not state.get("pending_operations")
    held = {
        item["id"]: item["outputs"]["dock_status_id"]
        for item in state["resources"]
        if item["type"].endswith(":ModelDeployment")
    }
    newest = {job.model_id: job.id for job in ann.emulator.jobs() if job.action == "DEPLOY"}
    assert held == newest, "each deploy that was sent is in the state"
    assert [job.model_id for job in ann.emulator.jobs() if job.action == "DEPLOY"].count("cm-9") == 1
