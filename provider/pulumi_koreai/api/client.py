"""The typed client: one request, its retries, its errors."""

import copy
import json
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from random import Random
from threading import BoundedSemaphore
from typing import Final, Literal, Self
from urllib.parse import quote, urlsplit

import requests
from pydantic import JsonValue, ValidationError
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util import Retry

from ..base.clock import Clock, SystemClock
from ..base.progress import Reporter, Silent
from .declared import DeployRequest
from .dock_job import Action, DockJob
from .errors import (
    AnswerLost,
    ApiError,
    BadAnswer,
    Busy,
    Forbidden,
    NotDeployed,
    NotFound,
    NotSent,
    RateLimited,
    Refused,
    ServerError,
    Unauthorized,
    WrongJob,
)
from .messages import message_in, says_another_job, says_not_deployed
from .pacing import Pacer, published_limits
from .settings import Settings, is_loopback

USER_AGENT: Final = f"pulumi-koreai/{version('pulumi-koreai')}"

# What may be sent again, and how often (counts are retries, the backoff is in seconds). Only time bounds the waits
# for a 429 or for another job on the model: those are no failures, and the platform has certainly not taken the
# request.
_REPEATABLE: Final = Retry(
    total=None,
    connect=4,
    read=4,
    status=4,
    other=0,
    allowed_methods=None,
    status_forcelist=(408, 425, 500, 502, 503, 504),
    backoff_factor=0.5,
    backoff_max=20,
    raise_on_status=False,
)
# A deploy is not idempotent: once it may have been taken it is not sent again. 503 is the platform's "not now".
_DEPLOY: Final = _REPEATABLE.new(read=False, status_forcelist=(503,))

_ANSWER_MAX_DEPTH: Final = 16
_BODY_MAX_BYTES: Final = 1 << 18
# Of the whole process: hundreds of waits need few at a time, unless the platform hangs.
_CONNECTIONS_MAX: Final = 64
_CONNECTION_STEP_SECONDS: Final = 0.2  # between two looks for a free one
_PAUSE_FIRST_SECONDS, _PAUSE_MAX_SECONDS = 2.0, 30.0

# A 409 of a platform that does one thing to a model at a time says most of it by itself.
_BUSY: Final = re.compile(r"\b(another|running|in.progress|busy|being (un)?deployed|deploying)\b", re.IGNORECASE)
# With any other status it is not the platform that says what it knows of the model.
_OF_THE_MODEL: Final = (400, 404, 409, 422)


@dataclass(frozen=True)
class _Operation:
    """A kind of call: what it is for, what may be repeated, how long it waits for a connection and an answer."""

    method: Literal["GET", "POST"]
    path: str
    purpose: str
    scope: str
    retries: Retry
    connect_seconds: float
    read_seconds: float
    action: Action
    model_id: str
    job_id: str = ""

    @property
    def is_deploy(self) -> bool:
        return not self.job_id and self.action == "DEPLOY"


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Not followed, so not looked at either: requests parses it even where it isn't told to follow."""


class Client:
    """Talks to one platform with one key. Safe to share between threads; one for each process is enough.

    Every method takes `until`, an instant of the clock: no pause for a limit, a connection or a retry goes past it.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        rng: Random | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        """Open a client; nothing is sent yet.

        Args:
            settings: the platform, the key and the pace.
            clock: time; the machine's when not given.
            rng: the jitter of the retries.
            reporter: told of each pause for a limit or a retry before it begins, and of a POST that was sent again.
        """
        self.settings = settings
        self._clock = clock or SystemClock()
        self._rng = rng or Random()  # noqa: S311 - jitter, not a secret
        self._reporter = reporter or Silent()
        limits = published_limits(settings.requests_per_minute)
        self._pacer = Pacer(self._clock, limits)
        self._connections = BoundedSemaphore(_CONNECTIONS_MAX)
        self._session = self._new_session()

    def telling(self, reporter: Reporter) -> Self:
        """The same client, its pace and its connections shared, with another reporter."""
        other = copy.copy(self)
        other._reporter = reporter  # noqa: SLF001 - it is one of the same class
        return other

    def deploy(self, model_id: str, request: DeployRequest, until: float) -> DockJob:
        """Deploy a model. Sent again only where the platform can't have taken it.

        Raises:
            AnswerLost, BadAnswer, WrongJob, ServerError: the platform may have taken it.
            ApiError: any other one; it did not.
        """
        operation = _Operation(
            "POST",
            f"/api/public/models/{quote(model_id, safe='')}/deploy",
            f"deploying {model_id}",
            "deploy models",
            _DEPLOY,
            10,
            60,
            "DEPLOY",
            model_id,
        )
        # A connection kept alive may have been closed by the other side meanwhile, and a request lost with it is one
        # of which nobody knows whether it was taken: a deploy is worth a connection of its own.
        with self._new_session() as session:
            return self._send(session, operation, until, {"modelType": request.model_type}, request.body())

    def undeploy(self, model_id: str, until: float) -> DockJob:
        """Undeploy a model. May be repeated, so it is, where sending it again can help.

        Raises:
            NotDeployed: there is nothing to undeploy.
            NotFound: there is no such model.
            ApiError: any other failure.
        """
        operation = _Operation(
            "POST",
            f"/api/public/models/{quote(model_id, safe='')}/undeploy",
            f"undeploying {model_id}",
            "undeploy models",
            _REPEATABLE,
            10,
            60,
            "UNDEPLOY",
            model_id,
        )
        return self._send(self._session, operation, until)

    def job(self, job_id: str, model_id: str, action: Action, until: float) -> DockJob:
        """Ask how a dock job of this model and action is.

        Raises:
            NotFound: the platform doesn't know the job (yet, or any more).
            WrongJob: it is a job of another model or action.
            ApiError: any other failure.
        """
        operation = _Operation(
            "GET",
            f"/api/public/dock-status/{quote(job_id, safe='')}",
            f"asking for job {job_id}",
            "read the dock status",
            _REPEATABLE,
            5,
            15,
            action,
            model_id,
            job_id,
        )
        job = self._send(self._session, operation, until)
        if job.ended:
            self._pacer.forget(job_id)
        return job

    def _send(
        self,
        session: requests.Session,
        operation: _Operation,
        until: float,
        query: Mapping[str, str] | None = None,
        body: JsonValue = None,
    ) -> DockJob:
        retries, pause = operation.retries, _PAUSE_FIRST_SECONDS
        doubt: ApiError | None = None
        failures: list[str] = []
        try:
            while True:
                self._take_turn(operation, until)
                try:
                    with self._connection(operation, until):
                        job = self._exchange(session, operation, until, query, body)
                except (RateLimited, Busy) as refusal:
                    error: ApiError = refusal
                    delay = pause * (0.5 + self._rng.random())
                    pause = min(pause * 2, _PAUSE_MAX_SECONDS)
                except ApiError as failure:
                    error = failure
                    doubt = failure if failure.may_be_taken else doubt
                    next_retries = _spend(retries, operation, failure)
                    if next_retries is None:
                        raise
                    retries = next_retries
                    delay = retries.get_backoff_time() * (0.5 + self._rng.random())
                else:
                    if failures and operation.method == "POST":
                        self._reporter.note(
                            f"{operation.purpose}: taken at attempt {len(failures) + 1} ({failures[-1]})."
                        )
                    return job
                delay = max(delay, error.retry_after or 0.0)
                failures.append(_why(error))
                if self._clock.monotonic() + delay >= until:
                    raise error
                if delay > 0:
                    self._reporter.progress(f"{_why(error)}; trying again in {delay:.0f} s")
                self._clock.sleep(delay)  # for no time too: an interruption ends it here, before anything is sent again
                if self._clock.monotonic() >= until:  # it was a long sleep: the reason is still this error
                    raise error
        except BaseException as end:
            # What ends the attempts (no connection, a limit, a revoked key, an interruption) says nothing of an earlier
            # one that the platform may have taken; only that there is nothing to undeploy settles that.
            settled = isinstance(end, (NotDeployed, NotFound))
            if doubt and doubt is not end and not settled and operation.method == "POST":
                raise doubt from end
            raise

    def _take_turn(self, operation: _Operation, until: float) -> None:
        wait = self._pacer.reserve(operation.job_id or "account", until)
        if wait is None:
            raise RateLimited(
                f"{operation.purpose}: not sent, the rate limit leaves no room before the time is up",
                method=operation.method,
                path=operation.path,
                hint=self._limit_hint(),
            )
        if wait > 0:
            self._reporter.progress(f"waiting {wait:.0f} s for the rate limit")
            self._clock.sleep(wait)

    @contextmanager
    def _connection(self, operation: _Operation, until: float) -> Iterator[None]:
        """Room for one more connection.

        Not the pool's own queue: nothing ends a wait in that, neither an interruption nor the time.
        """
        while not self._connections.acquire(blocking=False):
            left = until - self._clock.monotonic()
            if left <= 0:
                raise NotSent(
                    f"{operation.purpose}: not sent, all {_CONNECTIONS_MAX} connections of this process waited for"
                    " answers until the time was up",
                    method=operation.method,
                    path=operation.path,
                    hint=f"{self.settings.host} does not answer. Check it, and the network between here and there.",
                )
            self._clock.sleep(min(_CONNECTION_STEP_SECONDS, left))
        try:
            yield
        finally:
            self._connections.release()

    def _exchange(
        self,
        session: requests.Session,
        operation: _Operation,
        until: float,
        query: Mapping[str, str] | None,
        body: JsonValue,
    ) -> DockJob:
        """Send once and read the answer; every failure comes out as an `ApiError`."""
        left = max(until - self._clock.monotonic(), 1.0)
        try:
            with session.request(
                operation.method,
                self.settings.host + operation.path,
                params=query,
                json=body,
                timeout=(min(operation.connect_seconds, left), min(operation.read_seconds, left)),
                allow_redirects=False,
                stream=True,
            ) as response:
                answer = self._read(response, self._clock.monotonic() + operation.read_seconds)
        except requests.RequestException as failure:
            raise self._broken(operation, failure) from failure
        if not 200 <= response.status_code < 300:
            raise self._refusal(operation, response, answer)
        return self._dock_job(operation, response, answer)

    def _read(self, response: requests.Response, until: float) -> JsonValue:
        """The answer's body as JSON, or its text. A body that is endless, or trickles, is cut off."""
        content = bytearray()
        try:
            # Byte by byte: a larger read returns when it is full, and each byte that trickles in renews the
            # socket's timeout.
            for byte in response.iter_content(1):
                content += byte
                if len(content) > _BODY_MAX_BYTES:
                    break
                if self._clock.monotonic() > until:
                    raise requests.ReadTimeout("the answer's body took too long")
        except requests.RequestException:
            # With a refusal in hand the status says more than the missing rest of its body.
            if 200 <= response.status_code < 300:
                raise
        text = bytes(content).decode("utf-8", "replace")
        try:
            return _shallow(json.loads(text), _ANSWER_MAX_DEPTH)
        except (ValueError, RecursionError):
            return text

    def _dock_job(self, operation: _Operation, response: requests.Response, answer: JsonValue) -> DockJob:
        answer = self._redacted(answer)
        try:
            if not isinstance(answer, dict):
                raise TypeError
            job = DockJob.parse(answer)
        except (TypeError, ValidationError):
            raise BadAnswer(
                f"{operation.purpose}: the answer has HTTP status {response.status_code} but is not a dock job",
                method=operation.method,
                path=operation.path,
                status=response.status_code,
                platform_message=message_in(answer),
                hint="Check that koreai:host is the platform itself and not a sign-in page or a proxy before it.",
            ) from None
        # "A job is done" is not "my job is done".
        wrong_id = operation.job_id and job.id != operation.job_id
        wrong_model = job.model_id and job.model_id != operation.model_id
        if wrong_id or wrong_model or (job.action and job.action != operation.action):
            another = f"job {job.id}, action {job.action or '-'}, model {job.model_id or '-'}"
            raise WrongJob(
                f"{operation.purpose}: the platform answered with another job, expected {operation.action} of"
                f" {operation.model_id}",
                method=operation.method,
                path=operation.path,
                status=response.status_code,
                platform_message=message_in(another),
                hint="Look at the model in the console before going on.",
            )
        return job

    def _broken(self, operation: _Operation, failure: requests.RequestException) -> ApiError:
        cause = _transport_error(failure)
        detail = message_in(self._redacted(str(cause)))
        never_sent = _never_sent(failure, cause)
        if never_sent and isinstance(cause, SSLError):
            hint = "If the certificate is your organisation's own, name its authority in REQUESTS_CA_BUNDLE."
        elif never_sent:
            hint = "Nothing was sent. Check koreai:host and the network between here and there."
        else:
            hint = ""
        kind = NotSent if never_sent else AnswerLost
        came_back = "no connection" if never_sent else "sent, but no whole answer came"
        return kind(
            f"{operation.purpose} at {self.settings.host}: {came_back} ({detail})",
            method=operation.method,
            path=operation.path,
            hint=hint,
        )

    def _refusal(self, operation: _Operation, response: requests.Response, answer: JsonValue) -> Refused:
        status, said = response.status_code, message_in(self._redacted(answer))
        host = self.settings.host
        kind: type[Refused] = Refused
        hint = ""
        of_the_model = status in _OF_THE_MODEL and not operation.job_id and not _is_page(answer)
        if of_the_model and operation.action == "UNDEPLOY" and says_not_deployed(said):
            kind = NotDeployed
        elif (status == 409 and _BUSY.search(said)) or ((status == 400 or of_the_model) and says_another_job(said)):
            kind = Busy
            hint = "Another job is under way on the model. Wait until it has ended, then run this again."
        elif 300 <= status < 400:
            origin = message_in(self._redacted(_origin(response.headers.get("Location", ""))))
            hint = (
                f"The platform points to {origin}. A redirect is not followed, so that the key reaches no other host."
                " Set koreai:host to the address that answers itself."
            )
        elif status == 401:
            kind = Unauthorized
            hint = f"The key in koreai:apiKey is not accepted by {host}. Make one for an API app there, and set it."
        elif status == 403:
            kind = Forbidden
            hint = f"The key in koreai:apiKey lacks a scope: its API app must be allowed to {operation.scope}."
        elif status == 404 and _is_page(answer):
            # A proxy that has lost its way to the platform knows nothing of models and jobs.
            hint = (
                "The answer is a web page, which the platform's own answers are not. Check koreai:host and the proxy"
                " before it, then run this again."
            )
        elif status == 404:
            kind = NotFound
            hint = (
                f"{host} does not know the job {operation.job_id}."
                if operation.job_id
                else f"There is no model {operation.model_id} on {host}. Check the model id, and that the key is of the"
                " account that has the model."
            )
        elif status == 429:
            kind, hint = RateLimited, self._limit_hint()
        elif status >= 500:
            kind = ServerError
        elif operation.is_deploy:
            hint = (
                "The first deployment of a model is made by hand in the console; only later ones go through the API,"
                " and the model must be in the state Ready to Deploy. If it was never deployed, deploy it there once."
            )
        return kind(
            f"{operation.purpose}: refused with HTTP status {status}",
            method=operation.method,
            path=operation.path,
            status=status,
            platform_message=said,
            hint=hint,
            retry_after=_retry_after(response),
        )

    def _redacted(self, answer: JsonValue) -> JsonValue:
        """What came back, without the key, should the platform or a proxy echo it."""
        match answer:
            case str():
                return answer.replace(self.settings.api_key, "[koreai:apiKey]")
            case list():
                return [self._redacted(item) for item in answer]
            case dict():
                return {key: self._redacted(value) for key, value in answer.items()}
            case _:
                return answer

    def _limit_hint(self) -> str:
        return (
            f"This process keeps to {self.settings.requests_per_minute} calls a minute; others with keys of the same"
            " account count too. Lower koreai:requestsPerMinute, or run fewer pipelines at once."
        )

    def _new_session(self) -> requests.Session:
        session = _Session()
        adapter = HTTPAdapter(pool_maxsize=_CONNECTIONS_MAX)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.headers.update(
            {"User-Agent": USER_AGENT, "Accept": "application/json", "x-api-key": self.settings.api_key}
        )
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Otherwise requests would add the Authorization header of a ~/.netrc entry.
        session.auth = lambda request: request
        if is_loopback(self.settings.host):
            session.trust_env = False
        return session


def _spend(retries: Retry, operation: _Operation, failure: ApiError) -> Retry | None:
    """The retries left after `failure`, None when the request must not be sent again."""
    try:
        if isinstance(failure, (NotSent, AnswerLost, BadAnswer)):
            return retries.increment(operation.method, operation.path, error=_transport_error(failure.__cause__))
        if isinstance(failure, Refused) and retries.is_retry(operation.method, failure.status):
            return retries.increment(operation.method, operation.path, response=HTTPResponse(status=failure.status))
    except HTTPError:
        pass
    return None


def _transport_error(failure: BaseException | None) -> HTTPError:
    """What broke, as urllib3 counts it: before sending (connect), after (read), or beyond repair (other)."""
    cause: object = failure.args[0] if failure and failure.args else None
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    known = (ConnectTimeoutError, ReadTimeoutError, ProtocolError, ProxyError, SSLError)
    return cause if isinstance(cause, known) else ProtocolError(str(failure or "the answer is not of the contract"))


def _never_sent(failure: requests.RequestException, cause: HTTPError) -> bool:
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


def _is_page(answer: JsonValue) -> bool:
    return isinstance(answer, str) and answer.lstrip().startswith("<")


def _origin(location: str) -> str:
    try:
        to = urlsplit(location)
        host = to.hostname
    except ValueError:
        return "an address that can't be read"
    return f"{to.scheme}://{host}" if host else "another path"


def _retry_after(response: requests.Response) -> float | None:
    """`Retry-After` in seconds, from either of its forms; None when there is none that can be read."""
    given = response.headers.get("Retry-After", "").strip()
    if not given:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", given):
        return float(given)
    try:
        then = parsedate_to_datetime(given)
        # By the platform's own clock where it tells it: the two clocks need not agree.
        date = response.headers.get("Date")
        now = parsedate_to_datetime(date) if date else datetime.now(UTC)
        return max((then - now).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def _why(error: ApiError) -> str:
    match error:
        case RateLimited():
            return "rate limit reached"
        case Busy():
            return "another job is under way on the model"
        case Refused():
            return f"HTTP status {error.status}"
        case NotSent():
            return "no connection"
        case AnswerLost():
            return "the answer was lost"
        case _:
            return "an answer that can't be read"
