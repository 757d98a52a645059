"""The typed client: one request, its retries, its errors."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from random import Random
from threading import BoundedSemaphore, Event
from typing import Final, Self
from urllib.parse import quote

import requests
from pydantic import JsonValue
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError
from urllib3.util import Retry as RetryPolicy

from ..base.clock import Clock, SystemClock
from ..base.progress import Note, NoteKind, RateLimitWait, Reporter, Retry, RetryReason, Silent
from .declared import DeployRequest
from .dock_job import DockJob, JobAction
from .errors import (
    Advice,
    AdviceKind,
    AnswerLost,
    ApiError,
    BadAnswer,
    Busy,
    Forbidden,
    NotDeployed,
    NotFound,
    NotSent,
    OutageRefused,
    RateLimited,
    Refused,
    Unauthorized,
)
from .exchange import ApiCall, Exchanger, slow_down
from .pacing import ODDITY_MAX_SECONDS, RETRY_AFTER_MAX_SECONDS, Pacer, published_limits
from .settings import Settings
from .transport import CONNECTIONS_MAX, new_session, transport_error
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

_ACCOUNT: Final = "account"  # the windows of all that is no look at a job
_CONNECTION_STEP_SECONDS: Final = 0.2  # between two looks for a free one
_ODDITY_PAUSE_SECONDS: Final = 5.0
_PAUSE_FIRST_SECONDS, _PAUSE_MAX_SECONDS = 2.0, 30.0


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
        # A platform that holds its answers to commands back must not keep the looks at jobs from being sent.
        self._connections = {method: BoundedSemaphore(CONNECTIONS_MAX) for method in ("GET", "POST")}
        self._exchanger = Exchanger(settings, self._clock)
        # The models whose deploys this key was refused since one was taken.
        self._may_not_deploy: dict[str, int] = {}
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
            ends_outage: the model was undeployed for it: it is tried until the deadline, not five times, and goes
                before all that does not end an outage.
            watch: is told of each attempt.

        Raises:
            AnswerLost, BadAnswer, WrongJob, ServerError: the platform may have taken it.
            ApiError: any other one; it did not.
        """
        operation = ApiCall(
            "POST",
            f"/api/public/models/{quote(model_id, safe='')}/deploy",
            f"deploying {model_id}",
            "deploy models",
            _DEPLOY_AFTER_UNDEPLOY if ends_outage else _DEPLOY,
            10,
            60,
            "DEPLOY",
            model_id,
            ends_outage=ends_outage,
        )
        # A connection kept alive may have been closed by the other side meanwhile, and a request lost with it is one
        # of which nobody knows whether it was taken: a deploy is worth a connection of its own.
        with self._sessions(self.settings) as session:
            try:
                job = self._send(session, operation, until, {"modelType": request.model_type}, request.body(), watch)
            except (Forbidden, Unauthorized) as refusal:
                self._may_not_deploy[model_id] = refusal.status
                raise
        self._may_not_deploy.clear()
        return job

    def undeploy(
        self, model_id: str, until: float, *, deploy_follows: bool = False, watch: Watch | None = None
    ) -> DockJob:
        """Undeploy a model. May be repeated, so it is, where sending it again can help.

        Args:
            model_id: the model.
            until: the deadline, an instant of the clock.
            deploy_follows: the model is to be deployed again: nothing is sent before there is room under the rate limit
                for that deploy too, nor when this key was refused a deploy. The room is held until the deploy, or
                `release_place`.
            watch: is told of each attempt.

        Raises:
            OutageRefused: it was not sent, as the deploy that follows would be refused.
            NotDeployed: there is nothing to undeploy.
            NotFound: there is no such model for this key, says who answers; see `is_known`.
            AbsenceInDoubt: it may be one of these two.
            ApiError: any other failure.
        """
        operation = ApiCall(
            "POST",
            f"/api/public/models/{quote(model_id, safe='')}/undeploy",
            f"undeploying {model_id}",
            "undeploy models",
            _REPEATABLE,
            10,
            60,
            "UNDEPLOY",
            model_id,
            deploy_follows=deploy_follows,
        )
        if deploy_follows and model_id not in self._may_not_deploy:  # that one is down already
            self._expect_no_refusal(operation)
        return self._send(self._session, operation, until, watch=watch)

    def _expect_no_refusal(self, operation: ApiCall) -> None:
        for refused, status in list(self._may_not_deploy.items())[-1:]:
            raise OutageRefused(
                f"{operation.purpose}: not sent, the deploy of {refused} was refused with HTTP status {status}",
                method=operation.method,
                path=operation.path,
                advice=Advice(AdviceKind.KEY_CANT_DEPLOY),
            )

    def release_place(self, model_id: str) -> None:
        """Hold no place under the rate limit for a deploy of this model any more: none follows."""
        self._pacer.give_back(_ACCOUNT, model_id)

    def export(self, model_id: str, until: float) -> DockJob:
        """Begin an export of a model, which changes nothing: it is sent again where that can help.

        Args:
            model_id: the model.
            until: the deadline, an instant of the clock.

        Raises:
            NotFound: there is no such model for this key, says who answers; see `is_known`.
            ApiError: any other failure.
        """
        path = f"/api/public/models/{quote(model_id, safe='')}/export"
        purpose = f"exporting {model_id}"
        operation = ApiCall("POST", path, purpose, "export models", _REPEATABLE, 10, 60, "EXPORT", model_id)
        return self._send(self._session, operation, until)

    def job(self, job_id: str, model_id: str, action: JobAction, until: float) -> DockJob:
        """Ask how a dock job of this model and action is.

        Raises:
            NotFound: the platform doesn't know the job (yet, or any more).
            AbsenceInDoubt: it may be that, or something else.
            WrongJob: it is a job of another model or action.
            ApiError: any other failure.
        """
        operation = ApiCall(
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
        operation: ApiCall,
        until: float,
        query: Mapping[str, str] | None = None,
        body: JsonValue = None,
        watch: Watch | None = None,
    ) -> DockJob:
        retries, pause = operation.retries, _PAUSE_FIRST_SECONDS
        doubt: ApiError | None = None
        odd_since: float | None = None
        failures: list[Retry] = []
        try:
            while True:
                self._take_turn(operation, until, in_doubt=doubt is not None)
                try:
                    with self._connection(operation, until):
                        job = watched(
                            watch,
                            lambda: self._exchanger.send(session, operation, until, self._reporter, query, body),
                        )
                except (RateLimited, Busy) as refusal:
                    error: ApiError = refusal
                    delay = pause * (0.5 + self._rng.random())
                    pause = min(pause * 2, _PAUSE_MAX_SECONDS)
                except ApiError as failure:
                    error = failure
                    doubt = failure if failure.may_be_taken else doubt
                    next_retries = _spend(retries, operation, failure)
                    if next_retries is not None:
                        retries = next_retries
                        delay = retries.get_backoff_time() * (0.5 + self._rng.random())
                    else:
                        now = self._clock.monotonic()
                        odd_since = now if odd_since is None else odd_since
                        if not _is_borne(operation, failure) or now - odd_since >= ODDITY_MAX_SECONDS:
                            raise
                        delay = _ODDITY_PAUSE_SECONDS
                else:
                    self._known.set()
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

    def _take_turn(self, operation: ApiCall, until: float, *, in_doubt: bool) -> None:
        def waiting(seconds: float) -> None:
            self._reporter.progress(RateLimitWait(seconds))

        model_id = "" if operation.job_id else operation.model_id
        if not self._pacer.take(
            operation.job_id or _ACCOUNT,
            until,
            waiting,
            uses=model_id if operation.action == "DEPLOY" else "",
            holds=model_id if operation.deploy_follows else "",
            # An undeploy that may have been taken has begun the outage.
            urgent=operation.ends_outage or (operation.deploy_follows and in_doubt),
        ):
            raise RateLimited(
                f"{operation.purpose}: not sent, the rate limit leaves no room before the time is up",
                method=operation.method,
                path=operation.path,
                advice=slow_down(self.settings),
            )

    @contextmanager
    def _connection(self, operation: ApiCall, until: float) -> Iterator[None]:
        """Room for one more connection. What ends an outage needs none: there are no more of them than undeploys.

        Not the pool's own queue: nothing ends a wait in that, neither an interruption nor the time.
        """
        if operation.ends_outage:
            yield
            return
        connections = self._connections[operation.method]
        while not connections.acquire(blocking=False):
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
            connections.release()


def _is_borne(operation: ApiCall, failure: ApiError) -> bool:
    """Whether an oddity keeps a deploy that ends an outage from the platform, and may be over in a few minutes."""
    return operation.ends_outage and failure.may_pass and not failure.may_be_taken


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


def _spend(retries: RetryPolicy, operation: ApiCall, failure: ApiError) -> RetryPolicy | None:
    """The retries left after `failure`, None when the request must not be sent again."""
    try:
        if isinstance(failure, (NotSent, AnswerLost, BadAnswer)):
            return retries.increment(operation.method, operation.path, error=transport_error(failure.__cause__))
        if isinstance(failure, Refused) and retries.is_retry(operation.method, failure.status):
            return retries.increment(operation.method, operation.path, response=HTTPResponse(status=failure.status))
    except HTTPError:
        pass
    return None
