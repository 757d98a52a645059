"""What a refusal means: its class, and what there is to do, out of the status and the platform's words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from pydantic import JsonValue

from . import evidence
from .dock_job import JobAction
from .errors import (
    AbsenceInDoubt,
    Advice,
    AdviceKind,
    Busy,
    Forbidden,
    ForeignAnswer,
    NotDeployed,
    NotFound,
    RateLimited,
    Refused,
    ServerError,
    Unauthorized,
)
from .evidence import Evidence
from .messages import clean, message_in, says_already_deployed, says_another_job

# A 409 of a platform that does one thing to a model at a time says most of it by itself.
_BUSY: Final = re.compile(r"\b(another|running|in.progress|busy|being (un)?deployed|deploying)\b", re.IGNORECASE)
# With any other status it is not the platform that says what it knows of the model.
_OF_THE_MODEL: Final = (400, 404, 409, 422)

Meaning = tuple[type[Refused], Advice | None]


@dataclass(frozen=True)
class RefusedAnswer:
    """An answer with a status that is not 2xx.

    Attributes:
        status: the HTTP status.
        answer: the body, without the key.
        location: where a redirect points to.
        action: what was asked for, or of which action the job is that was asked for.
        model_id: the model that it is about.
        job_id: the job that was looked at, "" where it was no look at one.
        scope: what the key must be allowed to do for it.
        host: the platform.
    """

    status: int
    answer: JsonValue
    location: str
    action: JobAction
    model_id: str
    job_id: str
    scope: str
    host: str

    @property
    def message(self) -> str:
        """The platform's words, cleaned; "" where it said nothing."""
        return message_in(self.answer)

    def meaning(self) -> Meaning:
        """The error's class, and what to do."""
        of_the_model = self.status in _OF_THE_MODEL and not self.job_id and not _is_page(self.answer)
        not_deployed = Evidence.FOREIGN
        if of_the_model and self.action == "UNDEPLOY":
            not_deployed = evidence.of_not_deployed(self.answer, self.model_id)
        if not_deployed is Evidence.CERTAIN:
            return NotDeployed, None
        if of_the_model and self.action == "DEPLOY" and says_already_deployed(self.message):
            return Refused, Advice(AdviceKind.ADOPT_OR_UNDEPLOY)  # no job will end: trying again can't help
        if (self.status == 409 and _BUSY.search(self.message)) or (
            (self.status == 400 or of_the_model) and says_another_job(self.message)
        ):
            return Busy, Advice(AdviceKind.WAIT_FOR_JOB)
        if not_deployed is Evidence.DOUBTFUL:
            return AbsenceInDoubt, Advice(AdviceKind.ABSENCE_IN_DOUBT)
        if 300 <= self.status < 400:
            return Refused, Advice(AdviceKind.FOLLOW_REDIRECT, _origin(self.location))
        match self.status:
            case 401:
                return Unauthorized, Advice(AdviceKind.NEW_KEY, self.host)
            case 403:
                return Forbidden, Advice(AdviceKind.ADD_SCOPE, self.scope)
            case 404:
                return self._not_found()
            case 429:
                return RateLimited, None  # what to do about it the client knows
            case status if status >= 500:
                return ServerError, None
        if self.action == "DEPLOY" and not self.job_id:
            return Refused, Advice(AdviceKind.DEPLOY_BY_HAND_FIRST)
        return Refused, None

    def _not_found(self) -> Meaning:
        if self.job_id:
            unknown, found = AdviceKind.UNKNOWN_JOB, evidence.of_no_job(self.answer, self.job_id)
        else:
            unknown, found = AdviceKind.UNKNOWN_MODEL, evidence.of_no_model(self.answer, self.model_id)
        match found:
            case Evidence.CERTAIN:
                return NotFound, Advice(unknown, self.host)
            case Evidence.DOUBTFUL:
                return AbsenceInDoubt, Advice(AdviceKind.ABSENCE_IN_DOUBT)
            case Evidence.FOREIGN:
                return ForeignAnswer, Advice(AdviceKind.CHECK_PROXY)


def _is_page(answer: JsonValue) -> bool:
    """Whether a body is a web page, which the platform's own answers are not."""
    return isinstance(answer, str) and answer.lstrip().startswith("<")


def _origin(location: str) -> str:
    try:
        to = urlsplit(location)
        host = to.hostname
    except ValueError:
        return "an address that can't be read"
    return clean(f"{to.scheme}://{host}") if host else "another path"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds, from either of its forms; None when there is none that can be read."""
    raw = headers.get("Retry-After", "").strip()
    if not raw:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", raw):
        return float(raw)
    try:
        then = parsedate_to_datetime(raw)
        # By the platform's own clock where it tells it: the two clocks need not agree.
        date = headers.get("Date")
        now = parsedate_to_datetime(date) if date else datetime.now(UTC)
        return max((then - now).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None
