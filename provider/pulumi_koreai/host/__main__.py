"""The host's process: `python -m pulumi_koreai.host`, which `pulumi-resource-pulumi-python` turns into.

The engine passes its address as the last argument, reads the port from the first line of stdout, sends SIGINT to the
process group when the command is done, and kills what is still there five seconds later (`ExecPlugin` in the engine's
sdk/go/common/resource/plugin/plugin.go).
"""

import io
import os
import select
import signal
import stat
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NoReturn, cast

from .leaving import leave
from .loading import loading

_DRAIN_SECONDS = 4.0  # for the calls under way to answer after a signal: less than the engine's five
_DRAIN_STEP_SECONDS = 0.05  # between two looks for a second signal
_SIGNAL_SECONDS = 0.1  # until a signal is seen that another thread got
_WATCH_SECONDS = 0.5  # between two looks at the parent process


def main() -> NoReturn:
    """Serve until the engine has no more use for it."""
    parent = os.getppid()
    signals: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        # A handler runs between any two steps of the main thread: putting into this queue is of the little it may do.
        signal.signal(number, lambda number, _: signals.put(number))
    # `python -m`, which starts the stock host, has the working directory there: programs import providers from it.
    if sys.path[:1] != [here := str(Path.cwd())]:
        sys.path.insert(0, here)

    # Imported here because it takes a third of a second, in which a signal may come.
    with loading():
        from .log import EngineLog  # noqa: PLC0415
        from .server import Host  # noqa: PLC0415

    host = Host(EngineLog(sys.argv[-1] if len(sys.argv) > 1 else None))
    port = host.serve()
    # What a provider prints is to be seen at once, as under the stock host's `python -u`.
    cast("io.TextIOWrapper", sys.stdout).reconfigure(line_buffering=True)
    sys.stdout.write(f"{port}\n")
    if sys.platform != "win32":  # no poll there, and a parent's id that outlives it
        threading.Thread(target=_end_with, args=(parent,), name="parent watch", daemon=True).start()

    _first(signals)
    host.cancel()
    deadline = time.monotonic() + _DRAIN_SECONDS
    while not host.drained(_DRAIN_STEP_SECONDS) and signals.empty() and time.monotonic() < deadline:
        pass
    leave(0)


def _first(signals: SimpleQueue[int]) -> int:
    while True:
        # A signal ends this wait, unless the system gave it to another thread: then its handler, which only runs in
        # this one, waits for the time-out. (Without one the stock host misses one end of a command in twenty.)
        with suppress(Empty):
            return signals.get(timeout=_SIGNAL_SECONDS)


def _end_with(parent: int) -> NoReturn:
    """End this process, whatever it is doing, when the engine is no longer there to ask for it.

    Killed outright it says nothing, and its signals don't reach this process's group. Its end is seen by the parent's
    change, and at once, and through a wrapper script too, by the pipe that stdout is: nobody reads it any more.
    """
    poll = select.poll()
    stdout = os.dup(1)  # a provider may do with its own what it likes
    if stat.S_ISFIFO(os.fstat(stdout).st_mode):
        poll.register(stdout, 0)  # errors are reported without being asked for
    while os.getppid() == parent and not poll.poll(_WATCH_SECONDS * 1000):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
