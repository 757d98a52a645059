"""Runs a command to its end: its output, its time limit, and nothing of it left behind by an interruption."""

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

HEARTBEAT_SECONDS: Final = 20.0
"""Between two signs of life of a command that takes long."""

Say = Callable[[str], None]


class CommandError(Exception):
    """A command could not be run, did not end in time, or failed; the message says which."""


def run(
    command: list[str],
    *,
    env: Mapping[str, str],
    timeout_seconds: float,
    cwd: Path | None = None,
    say: Say = lambda _: None,
) -> str:
    """What `command` prints on stdout. It and all that it starts have ended when this returns or raises."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process: subprocess.Popen[bytes] | None = None
        try:
            try:
                with _interruptions_held():
                    process = subprocess.Popen(
                        command,
                        cwd=cwd,
                        env=env,
                        stdin=subprocess.DEVNULL,
                        stdout=out,
                        stderr=err,
                        start_new_session=True,
                    )
            except OSError as failure:
                raise CommandError(f"{command[0]} can't be run: {in_a_line(str(failure))}") from failure
            while True:
                left = timeout_seconds - (time.monotonic() - started)
                try:
                    process.wait(max(0.0, min(left, HEARTBEAT_SECONDS)))
                    break
                except subprocess.TimeoutExpired:
                    if left <= 0:
                        raise CommandError(f"no end after {timeout_seconds:.0f} seconds.") from None
                    say(f"engine: {time.monotonic() - started:.0f} s so far ...")
        finally:
            if process is not None and process.poll() is None:
                _end(process)
        out.seek(0)
        err.seek(0)
        stdout, stderr = out.read().decode(errors="replace"), err.read().decode(errors="replace")
    if process.returncode:
        raise CommandError(in_a_line(stderr) or in_a_line(stdout) or f"{command[0]} ended with {process.returncode}.")
    return stdout.strip()


@contextlib.contextmanager
def _interruptions_held() -> Iterator[None]:
    """One that comes meanwhile is raised at the end: inside `Popen` it would leave a process that nobody knows of."""
    came: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        for wish in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            if callable(signal.getsignal(wish)):
                handlers[wish] = signal.signal(wish, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for wish, handler in handlers.items():
            signal.signal(wish, handler)
        for number in came[:1]:
            signal.raise_signal(number)


def _end(process: subprocess.Popen[bytes]) -> None:
    # SIGINT first: `go` then removes its scratch folder.
    os.killpg(process.pid, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def in_a_line(text: str) -> str:
    """The last line of `text` that says something, cut to what can be read."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = lines[-1] if lines else ""
    return line if len(line) <= 300 else f"{line[:297]}..."
