"""Lines to the engine, sent by one thread: no provider ever waits for the engine to take one, and none is overtaken."""

import heapq
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from itertools import count

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

DEBUG, INFO, WARNING = engine_pb2.DEBUG, engine_pb2.INFO, engine_pb2.WARNING

_STATUS_SECONDS = 1.0  # between two status lines of one call: more can't be read
_SEND_SECONDS = 5.0  # for the engine to take one line; it answers in a millisecond unless it hangs
_FLUSH_SECONDS = 5.0  # that a call's answer waits for its lasting lines


def text_of(value: object) -> str:
    """The value's text, fit for a protobuf string (no half surrogate pairs)."""
    return str(value).encode("utf-8", "replace").decode()


class Status:
    """The status line of one call: what is shown, and what will be when its time has come."""

    def __init__(self, urn: str) -> None:
        self.urn = urn
        self.shown: str | None = None
        self.next: str | None = None
        self.due = 0.0
        self.queued = False


class EngineLog:
    """The engine's `Engine.Log`. Without an engine, or when it does not take a line, what should last goes to stderr.

    Args:
        address: the engine's `host:port`; None until it is known.
    """

    def __init__(self, address: str | None = None) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)  # the sender has something to do
        self._sent = threading.Condition(self._lock)  # a lasting line is with the engine, or on stderr
        self._lines: deque[tuple[int, engine_pb2.LogRequest]] = deque()
        self._numbers = count(1)
        self._last_sent = 0
        self._statuses: list[tuple[float, int, Status]] = []  # a heap by the time each may be shown
        self._engine: engine_pb2_grpc.EngineStub | None = None
        self._thread: threading.Thread | None = None
        self._address = address

    def connect(self, address: str) -> None:
        """Send to this engine from now on."""
        with self._lock:
            self._address, self._engine = address, None

    def line(self, severity: "engine_pb2.LogSeverity.ValueType", text: str, urn: str) -> int:
        """Queue a lasting line; the answer is its number, for `flush`."""
        request = engine_pb2.LogRequest(severity=severity, message=text_of(text), urn=text_of(urn))
        with self._lock:
            number = next(self._numbers)
            self._lines.append((number, request))
            self._work()
        return number

    def status(self, status: Status, text: str) -> None:
        """Show the text in the status column, or what is newest when the call's next turn comes."""
        text = text_of(text)
        with self._lock:
            if text == (status.shown if status.next is None else status.next):
                return
            status.next = text
            if not status.queued:
                status.queued = True
                heapq.heappush(self._statuses, (status.due, next(self._numbers), status))
                self._work()

    def flush(self, number: int) -> None:
        """Wait until the line of that number is out."""
        with self._lock:
            self._sent.wait_for(lambda: self._last_sent >= number, _FLUSH_SECONDS)

    def drop(self, status: Status) -> None:
        """Show nothing more of it: its call is over."""
        with self._lock:
            status.next = None

    def _work(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="engine log", daemon=True)
            self._thread.start()
        self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._lock:
                while (job := self._next()) is None:
                    self._wake.wait(self._statuses[0][0] - time.monotonic() if self._statuses else None)
                number, request = job
            self._send(request)
            if number:
                with self._lock:
                    self._last_sent = number
                    self._sent.notify_all()

    def _next(self) -> tuple[int, engine_pb2.LogRequest] | None:
        """What to send now, and its number if somebody may wait for it. Lasting lines go first."""
        if self._lines:
            return self._lines.popleft()
        now = time.monotonic()
        while self._statuses and self._statuses[0][0] <= now:
            status = heapq.heappop(self._statuses)[2]
            status.queued = False
            text, status.next = status.next, None
            if text is not None and text != status.shown:
                status.shown, status.due = text, now + _STATUS_SECONDS
                request = engine_pb2.LogRequest(severity=INFO, message=text, urn=status.urn, ephemeral=True)
                return 0, request
        return None

    def _send(self, request: engine_pb2.LogRequest) -> None:
        try:
            self._stub().Log(request, timeout=_SEND_SECONDS)
        except Exception:  # noqa: BLE001 - whatever keeps a line from the engine, the provider's call goes on
            if request.severity != DEBUG and not request.ephemeral:
                with suppress(Exception):  # stderr may be gone with the engine
                    print(request.message, file=sys.stderr, flush=True)  # noqa: T201 - the user sees a host's stderr

    def _stub(self) -> "engine_pb2_grpc.EngineStub":
        with self._lock:
            if self._engine is None:
                if self._address is None:
                    raise ConnectionError("no engine")
                # A proxy set for the internet has no business between two processes of one machine.
                channel = grpc.insecure_channel(self._address, [("grpc.enable_http_proxy", 0)])
                self._engine = engine_pb2_grpc.EngineStub(channel)
            return self._engine
