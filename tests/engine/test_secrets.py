"""The API key reaches the wire and nothing else."""

import threading
from pathlib import Path

import pytest

from tests.engine.workspace import KEY, Workspace, model, warmer

pytestmark = pytest.mark.engine


class Arguments:
    """Looks at the arguments of every process of this machine while the engine runs."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Arguments":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.02):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(process.read_bytes())
                except OSError:
                    continue


def test_the_key_is_in_no_file_of_the_state_no_output_and_no_arguments(workspace: Workspace, tmp_path: Path) -> None:
    workspace.declare(chat=model())
    output = workspace.pulumi("preview", "--diff").output
    with Arguments() as arguments:
        output += workspace.pulumi("up", "--yes", "--skip-preview", "--logtostderr", "-v=9").output
        workspace.declare(chat=warmer(updateStrategy="redeploy"))
        output += workspace.pulumi("up", "--yes", "--skip-preview", "--logtostderr", "-v=9").output
        output += workspace.pulumi("stack", "export").output
    assert any(b"pulumi" in line for line in arguments.seen), "it did look"
    assert len(workspace.emulator.requests()) > 4, "the key did reach the wire: the emulator refuses calls without one"
    assert KEY not in output
    assert not [line for line in arguments.seen if KEY.encode() in line]
    files = [path for path in tmp_path.rglob("*") if path.is_file() and ".venv" not in path.parts]
    assert any("state" in path.parts for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def test_a_refused_key_is_told_by_its_name_alone(workspace: Workspace) -> None:
    with workspace.emulator.lock:
        object.__setattr__(workspace.emulator.options, "api_keys", {"another": frozenset()})
    workspace.declare(chat=model())
    output = workspace.up(fails=True)
    assert "The key in koreai:apiKey is not accepted" in output
    assert KEY not in output
