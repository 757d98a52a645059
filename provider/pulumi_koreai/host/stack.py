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
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

_OUTPUT_SECONDS = 30.0


@dataclass(frozen=True)
class StackResource:
    """A resource in a stack's state.

    Attributes:
        urn: its URN.
        id: its id.
        outputs: its outputs; a secret one is encrypted.
        dying: whether it was replaced and is still to be deleted.
        pending: whether it is no resource yet, but a creation that never ended.
    """

    urn: str
    id: str
    outputs: Mapping[str, Any]
    dying: bool
    pending: bool = False


Answer = TypeVar("Answer")


class Reading(Generic[Answer]):
    """Something slow to read, for threads that want it as it is now: those that ask at once share an answer."""

    def __init__(self, read: Callable[[], Answer]) -> None:
        """Nothing is read yet.

        Args:
            read: reads it.
        """
        self._read = read
        self._lock, self._reading = threading.Lock(), threading.Lock()
        self._asked = self._begun = 0
        self._answer: Answer

    def now(self) -> Answer:
        """What it is at this moment, or a little later."""
        with self._lock:
            self._asked += 1
            asked = self._asked
        with self._reading:
            if self._begun < asked:  # what was begun before may be too old
                with self._lock:
                    self._begun = self._asked
                self._answer = self._read()
            return self._answer


class Stacks:
    """Reads the states of stacks. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stacks: dict[str, Reading[Sequence[StackResource] | None]] = {}

    def resources(self, urn: str) -> Sequence[StackResource] | None:
        """The resources of the stack that has the resource of this URN; None where its state can't be read.

        A URN has no organization: of two organizations' stacks of one name in one project, it may be the other one's.
        """
        if not urn:
            return None
        stack = urn.removeprefix("urn:pulumi:").partition("::")[0]
        with self._lock:
            export = ("pulumi", "stack", "export", "--stack", stack)
            reading = self._stacks.setdefault(stack, Reading(lambda: resources_in(output_of(*export) or b"")))
        resources = reading.now()
        project = "::".join(urn.split("::")[:2])
        return resources if resources and all(one.urn.startswith(f"{project}::") for one in resources) else None


def resources_in(exported: bytes | str) -> Sequence[StackResource] | None:
    """The resources in what `pulumi stack export` prints, and the creations that never ended; None in anything else."""
    try:
        deployment = json.loads(exported)["deployment"]
        resources = [
            StackResource(item["urn"], item.get("id", ""), item.get("outputs", {}), bool(item.get("delete")))
            for item in deployment.get("resources") or ()
        ]
        operations = deployment.get("pending_operations") or ()
        begun = [operation["resource"] for operation in operations if operation["type"] == "creating"]
        pending = [StackResource(item["urn"], "", item.get("inputs", {}), False, pending=True) for item in begun]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return resources + pending


def output_of(*command: str) -> bytes | None:
    """What a command of an engine prints; None where it fails.

    Args:
        command: the engine's name and the arguments. The engine that started this process is run where that is the
            one of this name and the system tells which it is, else the one of the PATH.
    """
    name, *arguments = command
    try:
        return subprocess.run(
            [_parent(name) or shutil.which(name) or name, *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_OUTPUT_SECONDS,
            check=True,
            start_new_session=True,  # the terminal's Ctrl-C is not for it
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def _parent(name: str) -> str | None:
    if sys.platform == "linux":
        with suppress(OSError):
            parent = Path(f"/proc/{os.getppid()}/exe").readlink()
            return str(parent) if parent.name == name else None
    return None
