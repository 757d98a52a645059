"""The emulator as a process: it says where it listens, and a signal ends it."""

import asyncio
import errno
import os
import signal
from contextlib import suppress

from .server import Options, Server


class CantListen(Exception):
    """It can't listen at an address; the message says which and why."""


def run(options: Options, bind: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        options: of the platform.
        bind: the IP address to listen at.
        port: a free one where it is 0.

    Raises:
        CantListen: the port is in use, say.
        InvalidInput: the file of its state can't be used.
    """
    try:
        asyncio.run(_serve(options, bind, port))
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        why = "the port is in use" if in_use else error.strerror or str(error)
        raise CantListen(f"can't listen at {bind} port {port}: {why}") from None
    with suppress(OSError):  # whoever read the output may be gone; print would complain again at exit
        os.write(1, b"emulator stopped\n")


async def _serve(options: Options, bind: str, port: int) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def end(*_: object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)  # not loop.add_signal_handler: Windows has none
    server = Server(options)

    def ready(url: str) -> None:
        print(f"emulator ready at {url}", flush=True)  # noqa: T201
        if server.injector.faults.by_chance:
            print(f"faults by chance, the same ones again with --seed {server.injector.faults.seed}", flush=True)  # noqa: T201

    await server.serve(bind, port, ready, stop)
