"""The state of a stack, as the engine has it now: what a provider can't know from the calls of one command.

`pulumi stack export` answers while a command runs on the stack, needs no passphrase, and the engine writes the state
after each step. It takes some tenths of a second, so it is for what is rare.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_EXPORT_SECONDS = 30.0


@dataclass(frozen=True)
class StackResource:
    """A resource in a stack's state.

    Attributes:
        urn: its URN.
        id: its id.
        outputs: its outputs; a secret one is encrypted.
        dying: whether it was replaced and is still to be deleted.
    """

    urn: str
    id: str
    outputs: Mapping[str, Any]
    dying: bool


class Stacks:
    """Reads the states of stacks. Safe to share between threads: those that ask at the same time share an answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._asked = 0
        self._answers: dict[str, tuple[int, Sequence[StackResource] | None]] = {}

    def resources(self, urn: str) -> Sequence[StackResource] | None:
        """The resources of the stack that has the resource of this URN; None where its state can't be read."""
        if not urn:
            return None
        stack = urn.removeprefix("urn:pulumi:").partition("::")[0]
        with self._lock:
            self._asked += 1
            asked = self._asked
        with self._reading:
            begun, answer = self._answers.get(stack, (0, None))
            if begun < asked:  # an answer that was begun before it was asked for may be too old
                with self._lock:
                    begun = self._asked
                answer = _exported(stack, urn)
                self._answers[stack] = begun, answer
            return answer


def _exported(stack: str, urn: str) -> Sequence[StackResource] | None:
    try:
        ended = subprocess.run(
            [_engine(), "stack", "export", "--stack", stack],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_EXPORT_SECONDS,
            check=True,
            start_new_session=True,
        )
        resources = [_resource(item) for item in json.loads(ended.stdout)["deployment"]["resources"]]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None
    # Of two organizations' stacks of one name, it may be the other one's.
    return resources if any(resource.urn == urn for resource in resources) else None


def _resource(item: Mapping[str, Any]) -> StackResource:
    return StackResource(item["urn"], item.get("id", ""), item.get("outputs", {}), bool(item.get("delete")))


def _engine() -> str:
    """The engine that started this process where the system tells it, else the one of the PATH."""
    if sys.platform == "linux":
        with suppress(OSError):
            parent = Path(f"/proc/{os.getppid()}/exe").readlink()
            if parent.name == "pulumi":
                return str(parent)
    return shutil.which("pulumi") or "pulumi"
