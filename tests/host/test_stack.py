"""What a provider can read of the state of its stack: through a program that stands in for the engine."""

import json
import threading
from pathlib import Path

import pytest

from pulumi_koreai.host.stack import Reading, Stacks, output_of

URN = "urn:pulumi:dev::project::type::chat"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What it prints is in a file beside it; so is what it was asked."""
    program = tmp_path / "pulumi"
    program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\ncat {tmp_path}/state\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def state(*resources: dict[str, object], pending: tuple[dict[str, object], ...] = ()) -> str:
    return json.dumps({"version": 3, "deployment": {"resources": resources, "pending_operations": pending}})


def test_the_resources_of_a_stack_and_the_creations_that_never_ended(engine: Path) -> None:
    other = URN.replace("chat", "talk")
    (engine / "state").write_text(
        state(
            {"urn": URN, "id": "cm-1", "outputs": {"model_id": "cm-1"}},
            {"urn": URN, "id": "cm-0", "delete": True},
            pending=(
                {"type": "creating", "resource": {"urn": other, "inputs": {"model_id": "cm-2"}}},
                {"type": "updating", "resource": {"urn": URN}},
            ),
        )
    )
    found = Stacks().resources(URN)
    assert found is not None
    assert [(one.urn, one.id, one.dying, one.pending) for one in found] == [
        (URN, "cm-1", False, False),
        (URN, "cm-0", True, False),
        (other, "", False, True),
    ]
    assert found[0].outputs == {"model_id": "cm-1"}
    assert (engine / "asked").read_text() == "stack export --stack dev\n"


@pytest.mark.parametrize(
    "printed",
    ["", "no JSON", "[]", "{}", '{"deployment": null}', '{"deployment": {"resources": [1]}}', state({"id": "x"})],
)
def test_a_state_that_can_not_be_read_is_none(engine: Path, printed: str) -> None:
    (engine / "state").write_text(printed)
    assert Stacks().resources(URN) is None


def test_another_project_s_state_is_none(engine: Path) -> None:
    (engine / "state").write_text(state({"urn": URN.replace("project", "another"), "id": "cm-1"}))
    assert Stacks().resources(URN) is None


def test_without_a_urn_or_an_engine_there_is_nothing_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Stacks().resources("") is None
    monkeypatch.setenv("PATH", "/nowhere")
    assert output_of("pulumi", "stack", "export") is None


def test_those_who_ask_while_it_is_read_share_the_next_answer() -> None:
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)
    read: list[int] = []

    def slowly() -> int:
        begun.release()
        go_on.acquire()
        read.append(len(read))
        return len(read)

    reading, answers = Reading(slowly), list[int]()
    threads = [threading.Thread(target=lambda: answers.append(reading.now())) for _ in range(6)]
    threads[0].start()
    begun.acquire()
    for thread in threads[1:]:
        thread.start()
    while reading._asked < 6:
        pass
    go_on.release(2)
    for thread in threads:
        thread.join()
    assert sorted(answers) == [1, 2, 2, 2, 2, 2], "what was begun before they asked may be too old"
