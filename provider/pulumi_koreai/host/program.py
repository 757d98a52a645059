"""A Pulumi program that ends without a word when the engine has given its update up.

When a resource fails, or after a Ctrl-C, an engine newer than 3.220 doesn't wait for the program: its monitor refuses
what the program still asks (`src.Cancel` in the engine's pkg/resource/deploy/deployment_executor.go), and its language
host's process group, in which the program is, gets a SIGINT (`Plugin.Close` in pkg/resource/plugin/plugin.go). The SDK
reports the one as `Resource monitor has terminated, shutting down` and the other as tracebacks of `KeyboardInterrupt`,
above and below the error that the engine shows. Both say the same: nobody waits for this program any more.

What the program itself had still to say, an exception of its own, is said before it ends.
"""

import asyncio
import contextvars
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from types import FrameType
from typing import Final

import grpc
import pulumi
from pulumi.runtime import settings
from pulumi.runtime.proto import resource_pb2, resource_pb2_grpc

from .leaving import leave

_EXECUTOR: Final = "pulumi-language-python-exec"
"""The script that runs a program for the language host."""

_INTERRUPTED: Final = 128 + signal.SIGINT
_REPORT_SECONDS: Final = 1.0  # for the engine to take the program's last words
_GONE_SECONDS: Final = 1.0  # between the first refusal and the end of the monitor's server
_LOOK_SECONDS: Final = 0.05

_following = threading.Event()


def follow_the_engine() -> None:
    """From now on this program ends, quietly, when the engine has given its update up. Called again it does nothing.

    Only in a program that the language host runs, in the thread that runs it: elsewhere, in a unit test or an inline
    program of the Automation API, a SIGINT is a person's Ctrl-C, and the process isn't the program's alone.
    """
    if _following.is_set() or threading.current_thread() is not threading.main_thread():
        return
    monitor = settings.get_monitor()
    with suppress(RuntimeError):  # no event loop runs: not in a program
        loop = asyncio.get_running_loop()
        if _run_by_the_language_host() and isinstance(monitor, resource_pb2_grpc.ResourceMonitorStub):
            _following.set()
            _Program(loop, monitor).follow()


def _run_by_the_language_host() -> bool:
    return any(Path(argument).name == _EXECUTOR for argument in sys.orig_argv)


class _Program:
    """The program that this process runs.

    Args:
        loop: runs it.
        monitor: takes what it declares.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, monitor: resource_pb2_grpc.ResourceMonitorStub) -> None:
        self._loop = loop
        self._monitor = monitor
        self._supports: Callable[..., object] = monitor.SupportsFeature
        self._frame = _frame_of_the_run()
        self._context = contextvars.copy_context()  # the SDK's settings are in it
        self._ending = threading.Lock()

    def follow(self) -> None:
        """Listen to the two ways in which the engine says that it has ended."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else the program has its own ways
            signal.signal(signal.SIGINT, self._interrupted)
        for name, call in vars(self._monitor).items():
            setattr(self._monitor, name, _MonitorCall(call, self._refused))

    def _interrupted(self, _number: int, _frame: FrameType | None) -> None:
        self._end(_INTERRUPTED)

    def _refused(self) -> None:
        """A call found the monitor unavailable. That a provider is may read the same: so it is asked again."""
        deadline = monotonic() + _GONE_SECONDS
        while self._is_there():
            if monotonic() > deadline:
                return
            sleep(_LOOK_SECONDS)
        self._end(1)

    def _is_there(self) -> bool:
        try:
            self._supports(resource_pb2.SupportsFeatureRequest(id="secrets"), timeout=_GONE_SECONDS)
        except grpc.RpcError as error:
            return error.code() is not grpc.StatusCode.UNAVAILABLE
        return True

    def _end(self, status: int) -> None:
        if self._ending.acquire(blocking=False):
            # In a thread of its own: this one may be in the middle of anything, and hold any lock.
            threading.Thread(target=self._report_and_leave, args=(status,), daemon=True).start()
        while self._loop.is_running():
            sleep(_LOOK_SECONDS)  # no further word from this thread until the end

    def _report_and_leave(self, status: int) -> None:
        reporting = threading.Thread(target=self._context.run, args=(self._report,), daemon=True)
        reporting.start()
        reporting.join(_REPORT_SECONDS)
        leave(status)

    def _report(self) -> None:
        if not self._loop.is_running():  # the SDK has the result, and is telling of it
            sleep(_REPORT_SECONDS)
            return
        seen: set[int] = set()
        for error in self._unsaid():
            if id(error) not in seen and not isinstance(error, (KeyboardInterrupt, SystemExit)):
                seen.add(id(error))
                pulumi.log.error(_told(error))

    def _unsaid(self) -> Iterator[BaseException]:
        """What the program and its tasks have raised: the SDK tells of it when all registrations have their answer."""
        raised = self._frame.f_locals.get("ex") if self._frame else None
        if isinstance(raised, BaseException):
            yield raised
        if error := settings._get_rpc_manager().unhandled_exception:  # noqa: SLF001 - of the SDK
            yield error
        for output in list(settings.SETTINGS.outputs):
            if output.done() and not output.cancelled() and (failure := output.exception()):
                yield failure


class _MonitorCall:
    """A call of the monitor's stub that tells when the monitor is unavailable."""

    def __init__(self, call: Callable[..., object], unavailable: Callable[[], None]) -> None:
        self._call = call
        self._unavailable = unavailable

    def __call__(self, *args: object, **kwargs: object) -> object:
        try:
            return self._call(*args, **kwargs)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                self._unavailable()
            raise

    def __getattr__(self, name: str) -> object:
        return getattr(self._call, name)


def _frame_of_the_run() -> FrameType | None:
    """The SDK's frame that runs the program, and keeps what it raised until the registrations are through."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - documented
    while frame and frame.f_code.co_name != "run_pulumi_func":
        frame = frame.f_back
    return frame


def _told(error: BaseException) -> str:
    """As the SDK's own script tells of an exception: of one made for the user the message, of others the traceback."""
    if isinstance(error, pulumi.RunError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    program = [number for number, frame in enumerate(frames) if _same_file(frame.filename, sys.argv[0])]
    limit = program[0] - len(frames) if program else None
    lines = traceback.format_exception(type(error), error, error.__traceback__, limit=limit)
    return "Program failed with an unhandled exception:\n" + "".join(lines)


def _same_file(file: str, program: str) -> bool:
    path = Path(program)
    return Path(file).resolve() == (path if path.suffix else path / "__main__.py").resolve()
