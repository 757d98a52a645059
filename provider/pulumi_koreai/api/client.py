"""The typed client: one request, its retries, its errors."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from threading import BoundedSemaphore, Event
from typing import Final, Literal, Self
from urllib.parse import quote

import requests
from pydantic import JsonValue, ValidationError
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError, SSLError
from urllib3.util import Retry as RetryPolicy

from ..base.clock import Clock, SystemClock
from ..base.progress import JobVerb, Note, NoteKind, RateLimitWait, Reporter, Retry, RetryReason, Silent
from .declared import DeployRequest
from .dock_job import Action, DockJob
from .errors import (
    Advice,
    AdviceKind,
    AnswerLost,
    ApiError,
    BadAnswer,
    Busy,
    NotDeployed,
    NotFound,
    NotSent,
    RateLimited,
    Refused,
    WrongJob,
)
from .messages import message_in
from .pacing import RETRY_AFTER_MAX_SECONDS, Pacer, published_limits
from .refusals import RefusedAnswer, retry_after
from .settings import Settings
from .transport import CONNECTIONS_MAX, never_sent, new_session, read_body, transport_error
from .watch import Watch, watched

# What may be sent again, and how often (counts are retries, the backoff is in seconds). Only time bounds the waits
# for a 429 or for another job on the model: those are no failures, and the platform has certainly not taken the
# request.
_REPEATABLE: Final = RetryPolicy(
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
# Where the model is down until the deploy is taken, only the deadline ends the attempts.
_DEPLOY_AFTER_UNDEPLOY: Final = _DEPLOY.new(connect=None, status=None)

_CONNECTION_STEP_SECONDS: Final = 0.2  # between two looks for a free one
_PAUSE_FIRST_SECONDS, _PAUSE_MAX_SECONDS = 2.0, 30.0


@dataclass(frozen=True)
class _Operation:
    """A kind of call: what it is for, what may be repeated, how long it waits for a connection and an answer."""

    method: Literal["GET", "POST"]
    path: str
    purpose: str
    scope: str
    retries: RetryPolicy
    connect_seconds: float
    read_seconds: float
    action: Action
    model_id: str
    job_id: str = ""

    @property
    def verb(self) -> JobVerb:
        return "deploy" if self.action == "DEPLOY" else "undeploy"


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
        sessions: Callable[[Settings], requests.Session] = new_session,
    ) -> None:
        """Open a client; nothing is sent yet.

        Args:
            settings: the platform, the key and the pace.
            clock: time; the machine's when not given.
            rng: the jitter of the retries.
            reporter: gets each pause for a limit or a retry before it begins, and each POST that was sent again.
            sessions: opens a session; a test's ends in a server of its own.
        """
        self.settings = settings
        self._clock = clock or SystemClock()
        self._rng = rng or Random()  # noqa: S311 - jitter, not a secret
        self._reporter = reporter or Silent()
        limits = published_limits(settings.requests_per_minute)
        self._pacer = Pacer(self._clock, limits)
        self._connections = BoundedSemaphore(CONNECTIONS_MAX)
        self._sessions = sessions
        self._session = sessions(settings)
        self._known = Event()

    @property
    def is_known(self) -> bool:
        """Whether the platform has answered a dock job to this key: it is itself, and knows whose key it is."""
        return self._known.is_set()

    def telling(self, reporter: Reporter) -> Self:
        """The same client, its pace and its connections shared, with another reporter."""
        other = copy.copy(self)
        other._reporter = reporter  # noqa: SLF001 - it is one of the same class
        return other

    def deploy(
        self,
        model_id: str,
        request: DeployRequest,
        until: float,
        *,
        ends_outage: bool = False,
        watch: Watch | None = None,
    ) -> DockJob:
        """Deploy a model. Sent again only where the platform can't have taken it.

        Args:
            model_id: the model.
            request: its parameters.
            until: the deadline, an instant of the clock.
            ends_outage: the model was undeployed for it: it is tried until the deadline, not five times.
            watch: is told of each attempt.

        Raises:
            AnswerLost, BadAnswer, WrongJob, ServerError: the platform may have taken it.
            ApiError: any other one; it did not.
        """
        operation = _Operation(
            "POST",
            f"/api/public/models/{quote(model_id, safe='')}/deploy",
            f"deploying {model_id}",
            "deploy models",
            _DEPLOY_AFTER_UNDEPLOY if ends_outage else _DEPLOY,
            10,
            60,
            "DEPLOY",
            model_id,
        )
        # A connection kept alive may have been closed by the other side meanwhile, and a request lost with it is one
        # of which nobody knows whether it was taken: a deploy is worth a connection of its own.
        with self._sessions(self.settings) as session:
            return self._send(session, operation, until, {"modelType": request.model_type}, request.body(), watch)

    def undeploy(self, model_id: str, until: float, *, watch: Watch | None = None) -> DockJob:
        """Undeploy a model. May be repeated, so it is, where sending it again can help.

        Raises:
            NotDeployed: there is nothing to undeploy.
            NotFound: there is no such model for this key, says who answers; see `is_known`.
            AbsenceInDoubt: it may be one of these two.
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
        return self._send(self._session, operation, until, watch=watch)

    def job(self, job_id: str, model_id: str, action: Action, until: float) -> DockJob:
        """Ask how a dock job of this model and action is.

        Raises:
            NotFound: the platform doesn't know the job (yet, or any more).
            AbsenceInDoubt: it may be that, or something else.
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
        watch: Watch | None = None,
    ) -> DockJob:
        retries, pause = operation.retries, _PAUSE_FIRST_SECONDS
        doubt: ApiError | None = None
        failures: list[Retry] = []
        try:
            while True:
                self._take_turn(operation, until)
                try:
                    with self._connection(operation, until):
                        job = watched(watch, lambda: self._exchange(session, operation, until, query, body))
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
                            Note(
                                NoteKind.SENT_AGAIN,
                                operation.model_id,
                                operation.verb,
                                attempts=len(failures) + 1,
                                last_failure=failures[-1],
                            )
                        )
                    return job
                asked = error.retry_after or 0.0
                delay = max(delay, min(asked, RETRY_AFTER_MAX_SECONDS) if operation.method == "GET" else asked)
                failures.append(_retry(error, delay))
                if self._clock.monotonic() + delay >= until:
                    raise error
                if delay > 0:
                    self._reporter.progress(failures[-1])
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
                advice=self._slow_down(),
            )
        if wait > 0:
            self._reporter.progress(RateLimitWait(wait))
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
                    f"{operation.purpose}: not sent, all {CONNECTIONS_MAX} connections of this process waited for"
                    " answers until the time was up",
                    method=operation.method,
                    path=operation.path,
                    advice=Advice(AdviceKind.CHECK_PLATFORM, self.settings.host),
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
                answer = read_body(response, self._clock, self._clock.monotonic() + operation.read_seconds)
        except requests.RequestException as failure:
            raise self._broken(operation, failure) from failure
        if not 200 <= response.status_code < 300:
            raise self._refusal(operation, response, answer)
        return self._dock_job(operation, response, answer)

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
                advice=Advice(AdviceKind.CHECK_SIGN_IN_PAGE),
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
                advice=Advice(AdviceKind.LOOK_AT_MODEL),
            )
        self._known.set()
        return job

    def _broken(self, operation: _Operation, failure: requests.RequestException) -> ApiError:
        cause = transport_error(failure)
        detail = message_in(self._redacted(str(cause)))
        certainly = never_sent(failure, cause)
        kind = NotSent if certainly else AnswerLost
        network = AdviceKind.TRUST_CERTIFICATE if isinstance(cause, SSLError) else AdviceKind.CHECK_NETWORK
        came_back = "no connection" if certainly else "sent, but no whole answer came"
        return kind(
            f"{operation.purpose} at {self.settings.host}: {came_back} ({detail})",
            method=operation.method,
            path=operation.path,
            advice=Advice(network) if certainly else None,
        )

    def _refusal(self, operation: _Operation, response: requests.Response, answer: JsonValue) -> Refused:
        refusal = RefusedAnswer(
            status=response.status_code,
            answer=self._redacted(answer),
            location=str(self._redacted(response.headers.get("Location", ""))),
            action=operation.action,
            model_id=operation.model_id,
            job_id=operation.job_id,
            scope=operation.scope,
            host=self.settings.host,
        )
        kind, advice = refusal.meaning()
        return kind(
            f"{operation.purpose}: refused with HTTP status {refusal.status}",
            method=operation.method,
            path=operation.path,
            status=refusal.status,
            platform_message=refusal.message,
            advice=self._slow_down() if kind is RateLimited else advice,
            retry_after=retry_after(response.headers),
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

    def _slow_down(self) -> Advice:
        return Advice(AdviceKind.SLOW_DOWN, str(self.settings.requests_per_minute))


def _retry(error: ApiError, wait_seconds: float) -> Retry:
    """Why a request is sent again, as the progress has it."""
    match error:
        case RateLimited():
            return Retry(RetryReason.RATE_LIMITED, wait_seconds=wait_seconds)
        case Busy():
            return Retry(RetryReason.BUSY, wait_seconds=wait_seconds)
        case Refused():
            return Retry(RetryReason.REFUSED, error.status, wait_seconds)
        case NotSent():
            return Retry(RetryReason.NOT_SENT, wait_seconds=wait_seconds)
        case AnswerLost():
            return Retry(RetryReason.ANSWER_LOST, wait_seconds=wait_seconds)
        case _:
            return Retry(RetryReason.BAD_ANSWER, wait_seconds=wait_seconds)


def _spend(retries: RetryPolicy, operation: _Operation, failure: ApiError) -> RetryPolicy | None:
    """The retries left after `failure`, None when the request must not be sent again."""
    try:
        if isinstance(failure, (NotSent, AnswerLost, BadAnswer)):
            return retries.increment(operation.method, operation.path, error=transport_error(failure.__cause__))
        if isinstance(failure, Refused) and retries.is_retry(operation.method, failure.status):
            return retries.increment(operation.method, operation.path, response=HTTPResponse(status=failure.status))
    except HTTPError:
        pass
    return None
