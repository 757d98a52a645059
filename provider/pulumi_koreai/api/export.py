"""Fetches a model's export from the address that its job answers: without the key, and never more than fits.

The address is a secret, as whoever has it can download the model: it is in no error and in no log. The vendor's pages
say to paste it into a browser, so it needs no key, and none is sent.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import SSLError

from ..base.clock import Clock
from .dock_job import DockJob
from .errors import Advice, AdviceKind, ExportProblem, ExportUnusable
from .messages import clean
from .settings import Settings, is_loopback
from .transport import keyless_session, never_sent, next_block, transport_error

EXPORT_MAX_BYTES: Final = 1 << 30
"""A larger export is not downloaded: the model itself may be in it."""

_CONNECT_SECONDS: Final = 10.0
_READ_SECONDS: Final = 60.0
_REDIRECTS_MAX: Final = 3
_LOGGERS: Final = ("urllib3.connectionpool", "urllib3.util.retry", "urllib3.poolmanager")


def download_address(job: DockJob) -> str:
    """The address in a job's answer, "" where it has none. On the vendor's page it begins with a space."""
    response = job.raw.get("response")
    address = response.get("downloadUrl") if isinstance(response, dict) else None
    return address.strip() if isinstance(address, str) else ""


class Downloads:
    """Downloads the exports of one platform."""

    def __init__(self, settings: Settings, clock: Clock, max_bytes: int = EXPORT_MAX_BYTES) -> None:
        """Nothing is sent yet.

        Args:
            settings: the platform; its key is not used.
            clock: time.
            max_bytes: the largest export that is taken.
        """
        self._settings, self._clock, self._max_bytes = settings, clock, max_bytes

    def fetch(self, model_id: str, address: str, until: float, into: IO[bytes]) -> None:
        """Download an export.

        Args:
            model_id: the model.
            address: where it is; one without a host is the platform's.
            until: the deadline, an instant of the clock.
            into: takes the content.

        Raises:
            ExportUnusable: it can't be had.
        """
        at = _joined(model_id, f"{self._settings.host}/", address)
        with _unlogged():
            for _ in range(1 + _REDIRECTS_MAX):
                self._want_safe(model_id, at)
                try:
                    location = self._fetch(model_id, at, until, into)
                except requests.RequestException as failure:
                    # Its words have the address: they end here.
                    raise _broken(model_id, failure) from None
                if location is None:
                    return
                at = _joined(model_id, at, location)
        raise ExportUnusable(model_id, ExportProblem.REDIRECTED)

    def _want_safe(self, model_id: str, address: str) -> None:
        try:
            url = urlsplit(address)
            here = is_loopback(address)
            _ = url.port
        except ValueError:
            raise ExportUnusable(model_id, ExportProblem.BAD_ADDRESS) from None
        # What is on this machine alone is nothing that a platform elsewhere may point to.
        as_platform = is_loopback(self._settings.host)
        if url.scheme != "https" and not (url.scheme == "http" and here and as_platform):
            raise ExportUnusable(model_id, ExportProblem.BAD_ADDRESS)
        if not url.hostname or "@" in url.netloc or not address.isprintable() or (here and not as_platform):
            raise ExportUnusable(model_id, ExportProblem.BAD_ADDRESS)

    def _fetch(self, model_id: str, address: str, until: float, into: IO[bytes]) -> str | None:
        """Download what is there; where to where that is said instead."""
        left = max(until - self._clock.monotonic(), 1.0)
        patience = min(_CONNECT_SECONDS, left), min(_READ_SECONDS, left)
        # An encoded body may be a thousand times as large as it came.
        as_it_is = {"Accept-Encoding": "identity"}
        with (
            keyless_session(address) as session,
            session.get(address, headers=as_it_is, timeout=patience, allow_redirects=False, stream=True) as response,
        ):
            if 300 <= response.status_code < 400 and "Location" in response.headers:
                return response.headers["Location"]
            if response.status_code != 200:
                detail = f"HTTP status {response.status_code}"
                raise ExportUnusable(model_id, ExportProblem.REFUSED, detail)
            size = 0
            while block := next_block(response):
                size += len(block)
                if size > self._max_bytes:
                    detail = f"more than {self._max_bytes >> 20} MiB"
                    raise ExportUnusable(model_id, ExportProblem.TOO_LARGE, detail)
                if self._clock.monotonic() > until:
                    raise ExportUnusable(model_id, ExportProblem.TOO_SLOW)
                try:
                    into.write(block)
                except OSError as error:
                    detail = error.strerror or type(error).__name__
                    raise ExportUnusable(model_id, ExportProblem.NOT_STORED, clean(detail)) from error
            if size < int(response.headers.get("Content-Length", "0") or 0):
                raise ExportUnusable(model_id, ExportProblem.BROKEN)
        return None


def _joined(model_id: str, base: str, address: str) -> str:
    try:
        return urljoin(base, address)
    except ValueError:
        raise ExportUnusable(model_id, ExportProblem.BAD_ADDRESS) from None


def _broken(model_id: str, failure: requests.RequestException) -> ExportUnusable:
    cause = transport_error(failure)
    problem = ExportProblem.NOT_REACHED if never_sent(failure, cause) else ExportProblem.BROKEN
    error = ExportUnusable(model_id, problem, type(cause).__name__)
    if isinstance(cause, SSLError):
        error.advising(Advice(AdviceKind.TRUST_CERTIFICATE), *error.advice)
    return error


@contextmanager
def _unlogged() -> Iterator[None]:
    """Have the HTTP library log nothing of this thread: at its most talkative it writes each path down."""
    thread = threading.get_ident()

    def of_another(record: logging.LogRecord) -> bool:
        return record.thread != thread

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(of_another)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(of_another)
