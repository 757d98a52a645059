"""A call under this host: what contract.py promises, kept."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from .contract import Call, Cancelled
from .log import DEBUG, INFO, WARNING, EngineLog, Status, text_of


class HostedCall(Call):
    """A call under this host."""

    hosted = True

    def __init__(self, request: Any, log: EngineLog) -> None:
        # Not every request has each of these fields, and old engines leave name and type out.
        self.urn = getattr(request, "urn", "")
        self.name = getattr(request, "name", "") or self.urn.rpartition("::")[2]
        self.type = getattr(request, "type", "")
        self.timeout = getattr(request, "timeout", 0) or None
        self._log = log
        self._status = Status(self.urn)
        self._lock = threading.Lock()
        self._said: set[tuple[int, str]] = set()
        self._last_line = 0
        self._stop = threading.Event()
        self._interrupt: Callable[[], object] | None = None

    @property
    def cancelled(self) -> bool:
        return self._stop.is_set()

    def sleep(self, seconds: float) -> None:
        if self._stop.wait(min(max(0.0, seconds), threading.TIMEOUT_MAX)):
            raise Cancelled

    def progress(self, text: str) -> None:
        self._log.status(self._status, text)

    def note(self, text: str) -> None:
        self._line(INFO, text)

    def warn(self, text: str) -> None:
        self._line(WARNING, text)

    def debug(self, text: str) -> None:
        """A line for the engine's debug log (`pulumi up --debug`)."""
        self._line(DEBUG, text)

    def _line(self, severity: Any, text: str) -> None:
        text = text_of(text)
        with self._lock:
            if (severity, text) not in self._said:
                self._said.add((severity, text))
                self._last_line = self._log.line(severity, text, self.urn)

    def cancel(self) -> None:
        """End its waits, now and to come."""
        with self._lock:
            self._stop.set()
            if self._interrupt is not None:
                self._interrupt()

    def finish(self) -> None:
        """What it said has reached the engine when this returns."""
        self._log.drop(self._status)
        if self._last_line:
            self._log.flush(self._last_line)

    def run(self, work: Awaitable[Any]) -> Any:
        """The result of an `async def` method. A cancellation cancels its task."""

        async def supervised() -> Any:
            loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
            with self._lock:
                self._interrupt = lambda: loop.call_soon_threadsafe(task.cancel)
                if self._stop.is_set():
                    task.cancel()
            try:
                return await task
            except asyncio.CancelledError:
                if self._stop.is_set():
                    raise Cancelled from None
                raise
            finally:
                with self._lock:
                    self._interrupt = None

        return asyncio.run(supervised())
