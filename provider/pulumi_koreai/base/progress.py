"""What a call reports while it goes on, as facts: handed to a `Reporter`, which is handed in, as time is.

`formatted` makes the line that a front end shows of a progress, `parsed` reads a job's line back out of an engine's
log: the two stand side by side, and a property test holds them together.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, Protocol, TypeAlias, cast

from .durations import seconds, spoken

JobVerb: TypeAlias = Literal["deploy", "undeploy", "export"]


@dataclass(frozen=True)
class JobProgress:
    """A dock job that is waited on.

    Attributes:
        verb: what the job does.
        job_id: `ds-…`, without a space.
        percent: 0–100, None where the platform does not say.
        status: the job's status where it is not `IN_PROGRESS`, else "".
        elapsed_seconds: since the job was begun, None where an earlier call began it.
        left_seconds: until its end at the pace so far, None where that can't be told.
    """

    verb: JobVerb
    job_id: str
    percent: int | None = None
    status: str = ""
    elapsed_seconds: float | None = None
    left_seconds: float | None = None


@dataclass(frozen=True)
class RateLimitWait:
    """A request waits for its place under the rate limit.

    Attributes:
        wait_seconds: until it is sent.
    """

    wait_seconds: float


class RetryReason(Enum):
    """Why a request is sent again; the value is the phrase for it."""

    RATE_LIMITED = "rate limit reached"
    BUSY = "another job is running on the model"
    REFUSED = "HTTP status"
    NOT_SENT = "no connection"
    ANSWER_LOST = "the answer was lost"
    BAD_ANSWER = "the answer can't be read"


@dataclass(frozen=True)
class Retry:
    """A request is about to be sent again.

    Attributes:
        reason: why the attempt before failed.
        status: its HTTP status where the reason is `REFUSED`, else 0.
        wait_seconds: until then.
    """

    reason: RetryReason
    status: int = 0
    wait_seconds: float = 0.0

    @property
    def why(self) -> str:
        """The reason as a phrase."""
        return f"{self.reason.value} {self.status}" if self.status else self.reason.value


@dataclass(frozen=True)
class AnswerWait:
    """A request that changes something was sent, and its answer is waited for.

    Attributes:
        verb: what it asks for.
        elapsed_seconds: since it was sent.
    """

    verb: JobVerb
    elapsed_seconds: float


Progress: TypeAlias = JobProgress | RateLimitWait | Retry | AnswerWait


class NoteKind(Enum):
    """A fact of a call that is worth keeping when the call is over."""

    ADOPTED = "the running deployment was adopted, nothing was sent"
    NO_SUCH_MODEL = "the platform has no such model"
    NOT_DEPLOYED = "the model was not deployed"
    STARTED = "the platform has answered with a job"
    RESUMING = "a job that an earlier call began is waited on"
    JOB_GONE = "the platform does not know the job any more"
    JOB_FAILED = "a job that an earlier call began has failed"
    SENT_AGAIN = "a request that changes something was taken at a later attempt"
    LEFT_ALONE = "the model is another resource's now"
    ASTRAY = "an earlier run sent something for the model and ended before the state had it"
    STILL_RUNS = "the model was to be replaced and still runs as declared"
    ANSWER_CUT = "an answer was too large, and only its beginning was read"


@dataclass(frozen=True)
class Note:
    """A fact with what it is about.

    Attributes:
        kind: which fact.
        model_id: the model.
        verb: what the job, or the request, does.
        job_id: the job, "" where there is none.
        reason: the platform's words, "" where it gave none; of `ASTRAY` the journal's file.
        attempts: how many were needed, of `SENT_AGAIN`.
        last_failure: why the attempt before failed, of `SENT_AGAIN`.
        doubtful: of `LEFT_ALONE`: what was last sent for this resource may be later than what was sent for the other.
    """

    kind: NoteKind
    model_id: str
    verb: JobVerb = "deploy"
    job_id: str = ""
    reason: str = ""
    attempts: int = 0
    last_failure: Retry | None = None
    doubtful: bool = False


class Reporter(Protocol):
    """Where a call's progress goes."""

    def progress(self, progress: Progress) -> None:
        """What is going on now; the next one replaces it."""
        ...

    def note(self, note: Note) -> None:
        """Something worth keeping when the call is over."""
        ...


class Silent:
    """A reporter that reports to nobody."""

    def progress(self, progress: Progress) -> None:
        pass

    def note(self, note: Note) -> None:
        pass


def formatted(progress: Progress) -> str:
    """The line for a status column: what changes comes first, the long id last, where a narrow terminal cuts it off."""
    match progress:
        case RateLimitWait():
            return f"waiting {progress.wait_seconds:.0f} s for the rate limit"
        case Retry():
            return f"{progress.why}; trying again in {progress.wait_seconds:.0f} s"
        case AnswerWait():
            return f"waiting for the answer to the {progress.verb}, {spoken(progress.elapsed_seconds)} so far"
        case JobProgress():
            parts = [f"{progress.verb}ing" + ("" if progress.percent is None else f" {progress.percent} %")]
            if progress.elapsed_seconds is not None:
                parts.append(f"{spoken(progress.elapsed_seconds)} so far")
            if progress.left_seconds is not None:
                parts.append(f"~{spoken(progress.left_seconds)} left")
            if progress.status:
                parts.append(f'status "{progress.status}"')
            return ", ".join([*parts, f"job {progress.job_id}"])


_DURATION: Final = r"(?:\d+[hms]){1,2}"
_JOB_LINE: Final = re.compile(
    rf"(?P<verb>deploy|undeploy|export)ing(?: (?P<percent>\d+) %)?(?:, (?P<elapsed>{_DURATION}) so far)?"
    rf'(?:, ~(?P<left>{_DURATION}) left)?(?:, status "(?P<status>.+)")?, job (?P<job_id>\S+)'
)


def parsed(line: str) -> JobProgress | None:
    """The job's progress whose line this is, None where it is no such line. Durations are as exact as shown."""
    parts = _JOB_LINE.fullmatch(line)
    if parts is None:
        return None
    return JobProgress(
        cast("JobVerb", parts["verb"]),
        parts["job_id"],
        None if parts["percent"] is None else int(parts["percent"]),
        parts["status"] or "",
        _shown_seconds(parts["elapsed"]),
        _shown_seconds(parts["left"]),
    )


def _shown_seconds(text: str | None) -> float | None:
    if text is None:
        return None
    return 0.0 if text == "0s" else seconds(text)
