"""Several pipelines at once: on one stack, on one model, on one account."""

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pulumi_koreai.emulator import Emulator, Options
from tests.system.engine.workspace import Workspace, model, warmer

pytestmark = pytest.mark.engine

Begin = Callable[[Workspace], "subprocess.Popen[str]"]

LOCKED = "the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end"


@pytest.fixture
def another(workspace: Workspace, tmp_path: Path) -> Workspace:
    """A stack of other people, with a backend of their own, on the same platform and account."""
    (tmp_path / "others").mkdir()
    env = {**workspace.env, "PULUMI_BACKEND_URL": (tmp_path / "others").as_uri()}
    return Workspace(tmp_path / "another", env, workspace.emulator, workspace.host, workspace.stock_folder)


@pytest.fixture
def begun() -> Iterator[Begin]:
    """Starts a `pulumi up` that goes on by itself; what a failed test leaves behind is ended."""
    processes: list[subprocess.Popen[str]] = []

    def begin(workspace: Workspace) -> "subprocess.Popen[str]":
        processes.append(workspace.begin_up())
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate(timeout=10)


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    output, _ = process.communicate(timeout=240)
    return process.returncode, output


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answers(platform: Emulator, call: str) -> Counter[int | None]:
    """How often the platform answered such a request with which status."""
    return Counter(entry.status for entry in platform.requests() if entry.path.endswith(call))


def temperature(platform: Emulator) -> object:
    """That of what the model cm-1 serves with."""
    deployment = platform.model("cm-1").deployment
    assert deployment is not None
    parameters = deployment.body["hyperParameters"]
    assert isinstance(parameters, dict)
    return parameters["temperature"]


def test_a_second_command_on_a_stack_is_refused_and_changes_nothing(workspace: Workspace, begun: Begin) -> None:
    platform = workspace.emulator
    platform.set_model("cm-1", job_seconds=3600)
    workspace.declare(chat=model())
    first = begun(workspace)
    until(platform.jobs)
    assert LOCKED in workspace.up(fails=True)
    assert LOCKED in workspace.destroy(fails=True)
    assert "1 to create" in workspace.preview(), "a preview needs no lock"
    workspace.let_jobs_end()
    code, output = ended(first)
    assert code == 0, output
    assert workspace.sent() == ["deploy cm-1", "wait deploy cm-1"]
    assert "unchanged" in workspace.preview("--expect-no-changes")


@pytest.mark.nightly
def test_of_two_ups_begun_at_once_not_more_than_one_does_anything(workspace: Workspace, begun: Begin) -> None:
    # Each puts its lock down, then looks for others: both may see the other's, and both give up then.
    workspace.declare(chat=model())
    for code, output in map(ended, (begun(workspace), begun(workspace))):
        assert code == 0 or LOCKED in output, output
    workspace.up()
    assert workspace.sent() == ["deploy cm-1", "wait deploy cm-1"]
    assert "unchanged" in workspace.preview("--expect-no-changes")


def test_a_model_of_two_stacks_is_what_the_last_one_said_and_the_other_does_not_see_it(
    workspace: Workspace, another: Workspace
) -> None:
    workspace.declare(chat=model())
    workspace.up()
    another.declare(talk=warmer())
    another.up()
    assert temperature(workspace.emulator) == 0.9
    workspace.refresh()
    assert "unchanged" in workspace.preview("--expect-no-changes"), "as the README says: no call reads a deployment"
    another.destroy()
    assert workspace.emulator.model("cm-1").deployment is None
    assert "was not deployed" in workspace.destroy()


@pytest.mark.nightly
def test_two_stacks_that_deploy_one_model_at_once_take_turns(
    workspace: Workspace, another: Workspace, begun: Begin
) -> None:
    platform = workspace.emulator
    platform.set_model("cm-1", job_seconds=3600)
    workspace.declare(chat=model())
    first = begun(workspace)
    until(platform.jobs)
    another.declare(talk=warmer())
    second = begun(another)
    until(lambda: answers(platform, "/deploy")[409])
    workspace.let_jobs_end()
    code, output = ended(first)
    assert code == 0, output
    code, output = ended(second)
    assert code == 0, output
    if another.host == "own":  # the stock one shows no progress
        assert "another job is running on the model; trying again in" in output
    assert answers(platform, "/deploy")[200] == 2
    assert temperature(platform) == 0.9, "the one that came last"


@pytest.mark.nightly
class TestAnAccountThatHasLittleRoom:
    MODELS = 3
    PER_MINUTE = 4

    @pytest.fixture
    def platform(self) -> Iterator[Emulator]:
        options = Options(job_seconds=0, undeploy_seconds=0, requests_per_minute=self.PER_MINUTE)
        with Emulator(options) as emulator:
            yield emulator

    def test_two_pipelines_share_it_and_both_end_as_declared(
        self, workspace: Workspace, another: Workspace, begun: Begin
    ) -> None:
        platform = workspace.emulator
        workspace.declare({f"chat-{number}": model(number) for number in range(self.MODELS)})
        another.declare({f"talk-{number}": model(10 + number) for number in range(self.MODELS)})
        processes = begun(workspace), begun(another)
        until(lambda: answers(platform, "/deploy")[429])
        with platform.lock:  # from now on a minute of six seconds: nobody wants to wait for a real one
            platform.platform._limits._windows = ((self.PER_MINUTE, 6.0), (1000, 360.0))
        outputs = [ended(process) for process in processes]
        assert [code for code, _ in outputs] == [0, 0], outputs
        assert answers(platform, "/deploy")[200] == 2 * self.MODELS
        if workspace.host == "own":  # the stock one shows no progress
            assert "rate limit reached; trying again in" in "".join(output for _, output in outputs)
        assert {job.status for job in platform.jobs()} == {"SUCCESS"}
        for stack in workspace, another:
            assert "unchanged" in stack.preview("--expect-no-changes")
