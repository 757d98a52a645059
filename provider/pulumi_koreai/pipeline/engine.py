"""The engine as a process of ours: what it is started with, what ends it, and where its output goes."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Mapping
from types import FrameType
from typing import Final, TextIO

from pulumi_koreai.journal import JOURNAL_ENV, journal_folder
from pulumi_koreai.pipeline.forge import TOKENS

_DRAIN_SECONDS: Final = 5.0

_signals: Final[list[int]] = []
"""What has asked this process to end: not the engine of that moment alone, so no further stack is previewed."""


class NoEngineError(Exception):
    """`pulumi` is not on the PATH."""

    def __init__(self) -> None:
        super().__init__("`pulumi` is not on the PATH. Install it (www.pulumi.com/docs/install) and run this again.")


def interrupted() -> bool:
    """Whether a signal has asked this process to end."""
    return bool(_signals)


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The engine's: this virtual environment comes first on the PATH, for the language host and the provider host.

    Raises:
        NoEngineError: there is no engine on that PATH.
    """
    # No program under review needs what lets one write on the forge. The log of events is a debug command's.
    env = {key: value for key, value in environ.items() if key not in (*TOKENS, "PYTHONHOME")}
    env |= {
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), env.get("PATH", os.defpath)]),
        "VIRTUAL_ENV": sys.prefix,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DEBUG_COMMANDS": "true",
        JOURNAL_ENV: str(journal_folder(environ.get)),
    }
    if not shutil.which("pulumi", path=env["PATH"]):
        raise NoEngineError
    return env


class Engine:
    """Runs the engine's commands on one stack.

    Args:
        stack: its name.
        env: the engine's environment.
    """

    def __init__(self, stack: str, env: Mapping[str, str]) -> None:
        self._stack = stack
        self._env = env

    def run(self, *arguments: str, stdout: TextIO | None = None) -> tuple[int, str]:
        """Run a command; its exit status, and its errors, which the log has then too.

        A runner that cancels a job signals twice within seconds, and the engine takes a second signal for leave to
        forget what is under way. So the first is handed on, as Ctrl-C, and the others change nothing, then and later:
        the report is still to come.

        Args:
            arguments: the command and its options.
            stdout: where its output goes instead of this process's own.
        """
        command = ["pulumi", *arguments, "--stack", self._stack, "--non-interactive", "--color", "never"]
        running: list[subprocess.Popen[str]] = []
        before = len(_signals)

        def hand_on(number: int, _frame: FrameType | None) -> None:
            for engine in running if len(_signals) == before else ():
                engine.send_signal(signal.SIGINT)
            _signals.append(number)

        # SIGHUP: a terminal that is closed, a connection that is lost. The engine would die of it at once.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, hand_on)
        with subprocess.Popen(
            command,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            running.append(process)
            if len(_signals) > before:  # while it was started
                process.send_signal(signal.SIGINT)
            # Not the engine's own: it dies with whoever reads its log, and this program does not.
            copying = threading.Thread(target=_copy, args=(process.stdout,), daemon=True)
            copying.start()
            assert process.stderr is not None
            errors = process.stderr.read()
            process.wait()
            copying.join(_DRAIN_SECONDS)
        say(errors, sys.stderr)
        return process.returncode, errors


def say(text: str, to: TextIO) -> None:
    """Print, unless nobody reads it any more."""
    try:
        to.write(text)
        to.flush()
    except OSError:  # a broken pipe, a terminal that is gone
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device
            os.dup2(nowhere.fileno(), to.fileno())


def _copy(lines: TextIO | None) -> None:
    for line in lines or ():
        say(line, sys.stdout)
