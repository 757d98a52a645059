"""One exchange over HTTP: the session and its limits, an answer's body, and what broke when there is none."""

import json
import re
import socket
import ssl
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from typing import Any, Final

import requests
from pydantic import JsonValue
from requests.adapters import HTTPAdapter
from urllib3 import ProxyManager
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from ..base.clock import Clock
from .settings import Settings, is_loopback

USER_AGENT: Final = f"pulumi-koreai/{version('pulumi-koreai')}"

CONNECTIONS_MAX: Final = 64
"""For looks, and as many for the rest: hundreds of waits need few at a time, unless the platform hangs."""

# An answer may be waited for an hour: a network that is gone meanwhile is noticed within two minutes.
_KEEPALIVE: Final = [
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, option), value)
        for option, value in (
            ("TCP_KEEPIDLE", 30),
            ("TCP_KEEPALIVE", 30),  # the same on macOS, which has no TCP_KEEPIDLE
            ("TCP_KEEPINTVL", 10),
            ("TCP_KEEPCNT", 6),
        )
        if hasattr(socket, option)
    ),
]

_ANSWER_MAX_DEPTH: Final = 16
# A failed job's reason may hold a container's whole log.
_BODY_MAX_BYTES: Final = 1 << 22
# A compressed block may be a thousand times as large as it came.
_BLOCK_BYTES: Final = 1 << 12
# Where a body is no JSON, or is cut off, its words are at its beginning.
_TEXT_MAX_CHARS: Final = 1 << 16


@dataclass(frozen=True)
class Body:
    """An answer's body.

    Attributes:
        content: its JSON, or its text. Where it was too large: those fields of its JSON that came, the last one as far
            as it came.
        is_cut: whether it was too large.
    """

    content: JsonValue
    is_cut: bool = False


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, socket_options=_KEEPALIVE, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(proxy, socket_options=_KEEPALIVE, **options)
        return manager


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Not followed, so not looked at either: requests parses it even where it isn't told to follow."""


def new_session(settings: Settings) -> requests.Session:
    """A session that sends the key, and nothing that it was not told to: no cookie, no `~/.netrc`, no redirect."""
    session = keyless_session(settings.host)
    session.headers.update({"Accept": "application/json", "x-api-key": settings.api_key})
    return session


def keyless_session(url: str) -> requests.Session:
    """A session for this URL that sends no key, and nothing else that it was not told to; it follows no redirect."""
    session = _Session()
    adapter = _Adapter(pool_maxsize=2 * CONNECTIONS_MAX)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.headers["User-Agent"] = USER_AGENT
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # Otherwise requests would add the Authorization header of a ~/.netrc entry.
    session.auth = lambda request: request
    if is_loopback(url):
        session.trust_env = False
    return session


def read_body(response: requests.Response, clock: Clock, until: float) -> Body:
    """The answer's body. One that is endless, or trickles, is cut off.

    Args:
        response: a streamed one.
        clock: time.
        until: an instant of the clock; a body that is not there by then took too long.

    Raises:
        requests.RequestException: a good answer broke off.
    """
    content = bytearray()
    try:
        while block := next_block(response):
            content += block
            if len(content) > _BODY_MAX_BYTES:
                break
            if clock.monotonic() > until:
                raise requests.ReadTimeout("the answer's body took too long")
    except requests.RequestException:
        # With a refusal in hand the status says more than the missing rest of its body.
        if 200 <= response.status_code < 300:
            raise
    text = bytes(content).decode("utf-8", "replace")
    if len(content) > _BODY_MAX_BYTES:
        return Body(_shallow(what_came(text), _ANSWER_MAX_DEPTH) or text[:_TEXT_MAX_CHARS], is_cut=True)
    try:
        return Body(_shallow(json.loads(text), _ANSWER_MAX_DEPTH))
    except (ValueError, RecursionError):
        return Body(text[:_TEXT_MAX_CHARS])


_SPACE: Final = re.compile(r"[ \t\n\r]*")
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*', re.DOTALL)
_DECODER: Final = json.JSONDecoder()


def what_came(text: str, at: int = 0, depth: int = _ANSWER_MAX_DEPTH) -> JsonValue:
    """The JSON at `at` of a text that was cut off: of an object its fields, the last one as far as it came."""
    at = _after_space(text, at)
    if beginning := _STRING.match(text, at, at + _TEXT_MAX_CHARS):
        return _closed(beginning[0])
    if not text.startswith("{", at) or not depth:
        return None
    fields: dict[str, JsonValue] = {}
    while text[at : at + 1] in ("{", ","):
        try:
            key, at = _DECODER.raw_decode(text, _after_space(text, at + 1))
        except (ValueError, RecursionError):
            break
        if not isinstance(key, str):
            break
        value_at = _after_space(text, at) + 1  # after the colon
        try:
            fields[key], at = _DECODER.raw_decode(text, _after_space(text, value_at))
        except (ValueError, RecursionError):
            fields[key] = what_came(text, value_at, depth - 1)
            break
        at = _after_space(text, at)
    return fields


def _after_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _closed(beginning: str) -> str | None:
    for cut_escape in range(6):
        try:
            return str(json.loads(beginning[: len(beginning) - cut_escape] + '"'))
        except ValueError:
            continue
    return None


def next_block(response: requests.Response) -> bytes:
    """What has come of the body, b"" at its end: no full block, as each byte of a trickle would renew the timeout.

    Raises:
        requests.RequestException: it broke off.
    """
    try:
        return bytes(response.raw.read1(_BLOCK_BYTES, decode_content=True))
    except ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from error
    except HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from error


def transport_error(failure: BaseException | None) -> HTTPError:
    """What broke, as urllib3 counts it: before sending (connect), after (read), or beyond repair (other)."""
    cause: object = failure.args[0] if failure and failure.args else None
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    known = (ConnectTimeoutError, ReadTimeoutError, ProtocolError, ProxyError, SSLError)
    return cause if isinstance(cause, known) else ProtocolError(str(failure or "the answer is not of the contract"))


def never_sent(failure: Exception, cause: HTTPError) -> bool:
    """Whether the request can't have reached the platform."""
    if isinstance(cause, SSLError):
        # The same class is raised for a handshake that failed and for a connection that broke later.
        inner = cause.args[0] if cause.args else None
        return isinstance(inner, ssl.SSLCertVerificationError) or bool(
            re.search(r"handshake|wrong.version|certificate|hostname", str(cause), re.IGNORECASE)
        )
    return isinstance(cause, (ConnectTimeoutError, ProxyError)) or isinstance(failure, ValueError)


def _shallow(answer: JsonValue, depth: int) -> JsonValue:
    """An answer without what lies deeper than anything reads it."""
    if isinstance(answer, list):
        return [_shallow(item, depth - 1) for item in answer] if depth else []
    if isinstance(answer, dict):
        return {key: _shallow(value, depth - 1) for key, value in answer.items()} if depth else {}
    return answer
