"""The end of a process that the engine has no more use for."""

import atexit
import os
import sys
from contextlib import suppress
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """End now: the interpreter's own end would wait for threads that wait for an answer.

    Args:
        status: the exit status.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - what programs and providers registered runs elsewhere too
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)
