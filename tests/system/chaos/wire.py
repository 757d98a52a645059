"""The network as the client sees it, without sockets: whoever answers is a function of this process.

The client, its sessions, and what `requests` makes of the errors of urllib3 are the real ones.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from random import Random
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPResponse, Timeout
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError, ReadTimeoutError

from pulumi_koreai.adapter import CallReporter, HostProcess
from pulumi_koreai.api.client import Client
from pulumi_koreai.api.settings import Settings
from pulumi_koreai.api.transport import new_session
from pulumi_koreai.base.clock import Clock
from pulumi_koreai.base.progress import Reporter
from pulumi_koreai.core.service import Witness
from pulumi_koreai.host.contract import CURRENT, Call
from pulumi_koreai.journal import Journals
from pulumi_koreai.provider import ModelDeploymentProvider
from tests.core.fakes import KEY, SimClock, Told

SETTINGS = Settings("http://127.0.0.1:9", KEY)


@dataclass(frozen=True)
class Request:
    """One request as it leaves the client.

    Attributes:
        target: the path with the query.
        read_seconds: how long the client waits for an answer.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None
    read_seconds: float


Serve = Callable[[Request], HTTPResponse]
"""Answers a request, or raises one of the errors below."""


def answer(status: int = 200, body: object = b"", headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """An answer; a body that is no bytes goes out as JSON. A `Content-Length` beyond the body cuts it off."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HTTPResponse(BytesIO(content), headers, status, preload_content=False)


def refused() -> MaxRetryError:
    """Nobody listens there."""
    pool = HTTPConnectionPool("127.0.0.1")
    return MaxRetryError(pool, "/", NewConnectionError(pool, "connection refused"))  # type: ignore[arg-type] # as urllib3


def reset() -> ProtocolError:
    """The other side hung up instead of answering."""
    return ProtocolError("Connection aborted.", ConnectionResetError(104, "Connection reset by peer"))


def silence() -> ReadTimeoutError:
    """No answer came in time."""
    return ReadTimeoutError(HTTPConnectionPool("127.0.0.1"), "/", "Read timed out.")


class _Pool(HTTPConnectionPool):
    def __init__(self, serve: Serve) -> None:
        super().__init__("127.0.0.1")
        self._serve = serve

    def urlopen(  # type: ignore[override] # what requests gives of the many arguments
        self,
        method: str,
        url: str,
        *,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout: Timeout,
        **_: object,
    ) -> HTTPResponse:
        seconds = timeout.read_timeout
        assert isinstance(seconds, (int, float)), "the client asks without a timeout"
        return self._serve(Request(method, url, headers, body, float(seconds)))


class _Adapter(HTTPAdapter):
    def __init__(self, serve: Serve) -> None:
        super().__init__()
        self._pool = _Pool(serve)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        return self._pool


class WiredClient(Client):
    """The real client, on a wire that ends in `serve`."""

    def __init__(
        self, serve: Serve, clock: Clock, reporter: Reporter | None = None, settings: Settings = SETTINGS
    ) -> None:
        super().__init__(settings, clock, Random(5), reporter, self._to_the_wire)
        self._serve = serve

    def _answer(self, request: Request) -> HTTPResponse:
        return self._serve(request)

    def _to_the_wire(self, settings: Settings) -> requests.Session:
        session = new_session(settings)
        session.mount("http://", _Adapter(self._answer))
        return session


class SimCall(Call):
    """The call that is under way. The simulated engine says whose it is: there is one at a time."""

    def __init__(self, told: Told, *, hosted: bool) -> None:
        self.hosted, self._told = hosted, told

    def progress(self, text: str) -> None:
        self._told.progressed.append(text)

    def note(self, text: str) -> None:
        self._told.notes.append(text)


def host_process(
    client: Client, clock: Clock, journals: Journals | None = None, witness: Witness = lambda _: None
) -> HostProcess:
    """What a host's process keeps, with this client and this time."""
    host = HostProcess(clock, Random(5), lambda *_: client, journals, witness)
    host.configure({"koreai:host": SETTINGS.host, "koreai:apiKey": KEY}.get)
    return host


@contextmanager
def process(
    serve: Serve,
    clock: SimClock,
    told: Told,
    *,
    hosted: bool,
    journals: Journals | None = None,
    witness: Witness = lambda _: None,
) -> Iterator[ModelDeploymentProvider]:
    """A provider in a process of its own: what it keeps between two calls of the engine begins anew.

    Args:
        serve: answers its one client.
        clock: its time.
        told: keeps its progress and its notes.
        hosted: whether it runs under this package's host.
        journals: where it writes down what it sends.
        witness: what it reads of the state.
    """
    host = host_process(WiredClient(serve, clock, CallReporter()), clock, journals, witness)
    token = CURRENT.set(SimCall(told, hosted=hosted))
    try:
        yield ModelDeploymentProvider(host)
    finally:
        CURRENT.reset(token)
