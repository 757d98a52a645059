"""Stand-ins for the platform, for time and for who is told of progress. Nothing here waits."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Self

from pulumi_koreai.api.client import Client
from pulumi_koreai.api.declared import DeployRequest
from pulumi_koreai.api.dock_job import DockJob, JobAction
from pulumi_koreai.api.errors import AbsenceInDoubt, ForeignAnswer, NotFound, RateLimited, ServerError
from pulumi_koreai.api.settings import Settings
from pulumi_koreai.api.watch import Watch, watched
from pulumi_koreai.base.progress import Note, Progress, Reporter, formatted
from pulumi_koreai.stackfile.terms import PULUMI

MODEL = "cm-1"
KEY = "kg-secret-0123456789"
SETTINGS = Settings("https://platform.example.com", KEY)

HYPER: dict[str, object] = {"temperature": 0.5, "max_tokens": 256, "top_p": 1.0, "top_k": 50}
PARAMETERS: dict[str, object] = {"deployment_name": "chat", "device_type": "g5.xlarge", "hyper_parameters": HYPER}
REQUEST = DeployRequest.model_validate(PARAMETERS)
OTHER = DeployRequest.model_validate({**PARAMETERS, "device_type": "g5.2xlarge"})


class SimClock:
    """Time that passes only in `sleep`."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.sleeps: list[float] = []
        self.on_sleep: Callable[[float], None] = lambda _: None
        self.on_moment: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.on_moment()
        if seconds <= 0:
            return
        self.sleeps.append(seconds)
        assert len(self.sleeps) < 20_000, "this sleeps for ever"
        self.on_sleep(seconds)
        self.now += max(seconds, 0.0)

    def wait(self, done: threading.Event, seconds: float) -> bool:
        """A real wait, in which no time passes here: what runs meanwhile is the only thread that does."""
        return done.wait(60)


class Interrupted(BaseException):
    """What a sleep raises when the wait is to end, as the host's `Cancelled`: no `Exception`."""


@dataclass
class Told:
    """Keeps what a reporter gets, as Pulumi's users read it."""

    progressed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def progress(self, progress: Progress) -> None:
        self.progressed.append(formatted(progress))

    def note(self, note: Note) -> None:
        assert len(self.notes) < 1000, "this goes round in circles"
        self.notes.append(PULUMI.note(note))


def job(status: str, percent: float | None = None, *, id: str = "ds-1", reason: str = "") -> DockJob:  # noqa: A002
    """A dock job as the client gives it back."""
    answer: dict[str, object] = {"dockStatusId": id, "status": status}
    if percent is not None:
        answer["percentageComplete"] = percent
    if reason:
        answer["response"] = {"message": reason}
    return DockJob.parse(answer)  # type: ignore[arg-type]


def not_found() -> NotFound:
    return NotFound("asking", method="GET", path="/p", status=404)


def foreign() -> ForeignAnswer:
    return ForeignAnswer("asking", method="GET", path="/p", status=404)


def in_doubt() -> AbsenceInDoubt:
    return AbsenceInDoubt("asking", method="GET", path="/p", status=404)


def server_error(status: int = 500, retry_after: float | None = None) -> ServerError:
    return ServerError("asking", method="GET", path="/p", status=status, retry_after=retry_after)


def rate_limited(retry_after: float | None = None) -> RateLimited:
    return RateLimited("asking", method="GET", path="/p", status=429, retry_after=retry_after)


Answer = DockJob | BaseException


@dataclass(frozen=True)
class Asked:
    """One call on the fake platform."""

    at: float
    what: str
    until: float


class FakePlatform(Client):
    """Answers what it was told to, in order; a call too many fails the test.

    `looks`, when set, answers the status calls in the place of the script: it is given the seconds since the last job
    was begun.
    """

    def __init__(self, clock: SimClock, answers: Iterable[Answer] = (), settings: Settings = SETTINGS) -> None:
        super().__init__(settings, clock)
        self.now = clock
        self.answers = list(answers)
        self.looks: Callable[[float], Answer] | None = None
        self.asked: list[Asked] = []
        self.requests: list[DeployRequest] = []
        self.began = clock.now

    @property
    def sent(self) -> list[str]:
        return [asked.what for asked in self.asked]

    @property
    def commands(self) -> list[str]:
        """What was sent, without the looks at jobs."""
        return [what for what in self.sent if not what.startswith("job ")]

    def telling(self, reporter: Reporter) -> Self:
        return self

    def deploy(
        self,
        model_id: str,
        request: DeployRequest,
        until: float,
        *,
        ends_outage: bool = False,
        watch: Watch | None = None,
    ) -> DockJob:
        self.ends_outage = ends_outage
        self.requests.append(request)
        self.began = self.now.now
        return watched(watch, lambda: self._next(f"deploy {model_id}", until))

    def undeploy(
        self, model_id: str, until: float, *, deploy_follows: bool = False, watch: Watch | None = None
    ) -> DockJob:
        self.deploy_follows = deploy_follows
        self.began = self.now.now
        return watched(watch, lambda: self._next(f"undeploy {model_id}", until))

    def job(self, job_id: str, model_id: str, action: JobAction, until: float) -> DockJob:
        what = f"job {job_id} {action} {model_id}"
        if self.looks is None:
            return self._next(what, until)
        self.asked.append(Asked(self.now.now, what, until))
        return self._given(self.looks(self.now.now - self.began))

    def _next(self, what: str, until: float) -> DockJob:
        self.asked.append(Asked(self.now.now, what, until))
        assert self.answers, f"not expected: {what}"
        return self._given(self.answers.pop(0))

    def _given(self, answer: Answer) -> DockJob:
        if isinstance(answer, BaseException):
            raise answer
        self._known.set()
        return answer


def takes(seconds: float, *, end: Answer | None = None, percent: bool = True) -> Callable[[float], Answer]:
    """A job that ends after so many seconds."""

    def look(age: float) -> Answer:
        if age >= seconds:
            return end or job("SUCCESS", 100 if percent else None)
        return job("IN_PROGRESS", 100 * age / seconds if percent else None)

    return look
