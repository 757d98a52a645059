"""A real HTTP server on raw sockets that follows a script, its faults included, and keeps what it was sent."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import responses
from types import TracebackType
from typing import Self

Answer = Callable[[socket.socket], bool]
"""Answers one request; says whether the connection stays open."""


@dataclass(frozen=True)
class Received:
    """One request as it came in."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


def reply(
    status: int = 200, body: object = None, headers: Mapping[str, str] | None = None, *, keep: bool = True
) -> Answer:
    """An ordinary answer; a body that is no text goes out as JSON."""
    content = body if isinstance(body, bytes) else b"" if body is None else _text(body).encode()

    def answer(connection: socket.socket) -> bool:
        connection.sendall(_head(status, {"Content-Length": str(len(content)), **(headers or {})}) + content)
        return keep

    return answer


def hang_up(connection: socket.socket) -> bool:
    """Close without an answer."""
    return False


def reset(connection: socket.socket) -> bool:
    """Close with a reset instead of an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def cut(status: int = 200, body: bytes = b'{"dockStatusId": "ds-1", "sta') -> Answer:
    """Promise more than comes."""

    def answer(connection: socket.socket) -> bool:
        connection.sendall(_head(status, {"Content-Length": str(len(body) + 100)}) + body)
        return False

    return answer


def silence(connection: socket.socket) -> bool:
    """Say nothing until the other side gives up."""
    _wait_for_the_end(connection)
    return False


def garbage(connection: socket.socket) -> bool:
    """Say something that is no HTTP."""
    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
    return False


@dataclass(frozen=True)
class Pause:
    """An answer that comes late."""

    seconds: float
    answer: Answer

    def __call__(self, connection: socket.socket) -> bool:
        time.sleep(self.seconds)
        return self.answer(connection)


class Stream:
    """A body that does not end (`pause_seconds=0`) or trickles, until the other side gives up or `pieces` are sent."""

    def __init__(self, status: int, piece: bytes, pieces: int, pause_seconds: float, *, chunked: bool) -> None:
        self.status, self.piece, self.pieces, self.pause_seconds = status, piece, pieces, pause_seconds
        self.chunked = chunked
        self.sent = 0
        self.given_up = threading.Event()

    def __call__(self, connection: socket.socket) -> bool:
        length = str(self.pieces * len(self.piece))
        connection.sendall(
            _head(self.status, {"Transfer-Encoding": "chunked"} if self.chunked else {"Content-Length": length})
        )
        piece = b"%x\r\n%s\r\n" % (len(self.piece), self.piece) if self.chunked else self.piece
        try:
            for _ in range(self.pieces):
                connection.sendall(piece)
                self.sent += 1
                time.sleep(self.pause_seconds)
        except OSError:
            self.given_up.set()
        return False


class ScriptedServer:
    """Serves the answers of `script` in order, on whatever connections they are asked for.

    A request too many is kept in `unexpected` and answered with 418.
    """

    def __init__(self, *script: Answer, listening: bool = True) -> None:
        self.script = list(script)
        self.received: list[Received] = []
        self.unexpected: list[Received] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._connections = 0
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        if listening:
            self.listen()

    def listen(self) -> None:
        """Begin to serve; before that, connections are refused."""
        self._socket.listen(256)
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # it never listened
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.hang_up()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()

    def hang_up(self) -> None:
        """End all connections, whatever they are at."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # the other side was first
                    connection.shutdown(socket.SHUT_RDWR)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                self._connections += 1
                self._open.append(connection)
                number = self._connections
            self._start(self._serve, connection, number)

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection:
            try:
                while (request := _read(connection, number)) is not None:
                    with self._lock:
                        self.received.append(request)
                        if self.script:
                            answer = self.script.pop(0)
                        else:
                            self.unexpected.append(request)
                            answer = reply(418, {"message": "not in the script"})
                    if not answer(connection):
                        break
            except OSError:
                pass  # the other side has gone
            with self._lock:
                self._open.remove(connection)


def _read(connection: socket.socket, number: int) -> Received | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65536)
    return Received(method, target, headers, body, number)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {responses.get(status, 'Unheard Of')}", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _text(body: object) -> str:
    return body if isinstance(body, str) else json.dumps(body)


def _wait_for_the_end(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass
