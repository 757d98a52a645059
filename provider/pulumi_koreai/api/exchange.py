"""One request, sent once: its answer as a dock job, or what went wrong as an `ApiError`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import requests
from pydantic import JsonValue, ValidationError
from urllib3.exceptions import SSLError
from urllib3.util import Retry as RetryPolicy

from ..base.clock import Clock
from ..base.progress import AnswerWait, JobVerb, Note, NoteKind, Reporter
from .dock_job import DockJob, JobAction, verb_of
from .errors import Advice, AdviceKind, AnswerLost, ApiError, BadAnswer, NotSent, RateLimited, Refused, WrongJob
from .inflight import GivenUp, InFlight
from .messages import message_in
from .refusals import RefusedAnswer, retry_after
from .settings import Settings
from .transport import Body, never_sent, read_body, transport_error

# What an answer may take beyond its time before it is given up: the socket's own timeouts come first.
_GIVE_UP_SECONDS: Final = 5.0


@dataclass(frozen=True)
class ApiCall:
    """A kind of call: what it is for, what may be repeated, how long it waits for a connection and an answer.

    Attributes:
        ends_outage: a deploy of a model that was undeployed for it.
        deploy_follows: an undeploy of such a model.
    """

    method: Literal["GET", "POST"]
    path: str
    purpose: str
    scope: str
    retries: RetryPolicy
    connect_seconds: float
    read_seconds: float
    action: JobAction
    model_id: str
    job_id: str = ""
    ends_outage: bool = False
    deploy_follows: bool = False

    @property
    def verb(self) -> JobVerb:
        return verb_of(self.action)


class Exchanger:
    """Sends the requests of one client, each once. Safe to share between threads."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        # By the path: the seconds that the next answer may take, where the last one took too long.
        self._longer: dict[str, float] = {}

    def send(
        self,
        session: requests.Session,
        operation: ApiCall,
        until: float,
        reporter: Reporter,
        query: Mapping[str, str] | None = None,
        body: JsonValue = None,
    ) -> DockJob:
        """Send a request and read its answer.

        Args:
            session: what it is sent with.
            operation: what it is.
            until: the deadline, an instant of the clock.
            reporter: hears of a long wait for the answer to a command.
            query: the parameters of its URL.
            body: its JSON.

        Raises:
            ApiError: whatever went wrong.
        """
        connect, read = self._patience(operation, until)

        def exchange() -> tuple[requests.Response, Body]:
            answer_until = self._clock.monotonic() + connect + read
            with session.request(
                operation.method,
                self._settings.host + operation.path,
                params=query,
                json=body,
                timeout=(connect, read),
                allow_redirects=False,
                stream=True,
            ) as response:
                return response, read_body(response, self._clock, answer_until)

        def waiting(seconds: float) -> None:
            reporter.progress(AnswerWait(operation.verb, seconds))

        try:
            response, answer = InFlight(exchange).answer(
                self._clock, connect + read + _GIVE_UP_SECONDS, waiting if operation.method == "POST" else None
            )
        except GivenUp as failure:
            self._took_too_long(operation)
            raise self._broken(operation, failure) from failure.__cause__
        except requests.RequestException as failure:
            if isinstance(failure, requests.ReadTimeout):
                self._took_too_long(operation)
            raise self._broken(operation, failure) from failure
        if not 200 <= response.status_code < 300:
            raise self._refusal(operation, response, answer.content)
        job = self._dock_job(operation, response, answer.content)
        if job.ended or operation.method == "POST":
            self._longer.pop(operation.path, None)
        if answer.is_cut and (job.ended or operation.method == "POST"):
            reporter.note(Note(NoteKind.ANSWER_CUT, operation.model_id, operation.verb, job.id))
        return job

    def _took_too_long(self, operation: ApiCall) -> None:
        seconds = self._longer.get(operation.path, operation.read_seconds)
        self._longer[operation.path] = min(2 * seconds, self._settings.answer_max_seconds)

    def _patience(self, operation: ApiCall, until: float) -> tuple[float, float]:
        """The seconds for a connection and for an answer.

        What changes something has time of its own, whatever the deadline. A deploy has the operation's too: nobody can
        tell whether one that was given up was taken. What may be repeated has twice as much each time: its answer may
        be lost as well as late.
        """
        left, most = max(until - self._clock.monotonic(), 1.0), self._settings.answer_max_seconds
        if operation.method == "POST" and operation.action == "DEPLOY":
            read = max(left, operation.read_seconds)
        else:
            read = min(left, self._longer.get(operation.path, operation.read_seconds))
        if operation.method == "POST":
            read = max(read, operation.read_seconds)
        return min(operation.connect_seconds, left), min(read, most)

    def _dock_job(self, operation: ApiCall, response: requests.Response, answer: JsonValue) -> DockJob:
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
        return job

    def _broken(self, operation: ApiCall, failure: requests.RequestException | GivenUp) -> ApiError:
        cause = transport_error(failure)
        detail = message_in(self._redacted(str(cause)))
        certainly = never_sent(failure, cause)
        kind = NotSent if certainly else AnswerLost
        network = AdviceKind.TRUST_CERTIFICATE if isinstance(cause, SSLError) else AdviceKind.CHECK_NETWORK
        came_back = "no connection" if certainly else "sent, but no whole answer came"
        return kind(
            f"{operation.purpose} at {self._settings.host}: {came_back} ({detail})",
            method=operation.method,
            path=operation.path,
            advice=Advice(network) if certainly else None,
        )

    def _refusal(self, operation: ApiCall, response: requests.Response, answer: JsonValue) -> Refused:
        refusal = RefusedAnswer(
            status=response.status_code,
            answer=self._redacted(answer),
            location=str(self._redacted(response.headers.get("Location", ""))),
            action=operation.action,
            model_id=operation.model_id,
            job_id=operation.job_id,
            scope=operation.scope,
            host=self._settings.host,
        )
        kind, advice = refusal.meaning()
        return kind(
            f"{operation.purpose}: refused with HTTP status {refusal.status}",
            method=operation.method,
            path=operation.path,
            status=refusal.status,
            platform_message=refusal.message,
            advice=slow_down(self._settings) if kind is RateLimited else advice,
            retry_after=retry_after(response.headers),
        )

    def _redacted(self, answer: JsonValue) -> JsonValue:
        """What came back, without the key, should the platform or a proxy echo it."""
        match answer:
            case str():
                return answer.replace(self._settings.api_key, "[koreai:apiKey]")
            case list():
                return [self._redacted(item) for item in answer]
            case dict():
                return {key: self._redacted(value) for key, value in answer.items()}
            case _:
                return answer


def slow_down(settings: Settings) -> Advice:
    """What to do about a limit that is reached."""
    return Advice(AdviceKind.SLOW_DOWN, str(settings.requests_per_minute))
