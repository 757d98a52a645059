"""The lines of a journal, and the calls that they tell of."""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

Action = Literal["DEPLOY", "UNDEPLOY"]

_Id = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{0,300}$")]
_Text = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00-\x1f\x7f]*$")]

# A guess at the parameters of a request takes a millisecond and half a MiB: they may be secrets.
_SCRYPT_COST: Final = 1 << 9
# Hundreds of deploys at once would take as many times that memory.
_ONE_AT_A_TIME: Final = threading.Lock()
_SALT_BYTES: Final = 16


class Kind(StrEnum):
    """What a line tells."""

    SENT = "sent"  # a request that changes something is about to be sent
    NOT_TAKEN = "not taken"  # the platform has certainly not taken it
    ANSWERED = "answered"  # the platform has answered with a job
    ENDED = "ended"  # that job has ended; without a job: there was nothing to undeploy
    CLOSED = "closed"  # the call went well, and its result was handed to the engine
    SHOWN = "shown"  # the state has it
    TOLD = "told"  # the user was told that the outcome is unknown


class Line(BaseModel):
    """A line of a journal.

    Attributes:
        version: of the format.
        at: when it was written, seconds since 1970.
        call: of which call it is.
        kind: what it tells.
        host: the platform; this and what follows, to `digest`, only of `SENT`.
        model_id: the model.
        urn: the resource; "" where the engine does not tell it.
        base: what the state had of the model when the call began, in short; "" where nothing.
        action: what was sent.
        salt: with the parameters it makes the digest.
        digest: of the parameters that were sent; "" of an undeploy.
        job_id: the dock job; "" where there is none.
        status: its last status.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Literal[1] = 1
    at: float
    call: _Id
    kind: Kind
    host: _Text = ""
    model_id: _Text = ""
    urn: _Text = ""
    base: _Text = ""
    action: Action | None = None
    salt: _Id = ""
    digest: _Id = ""
    job_id: _Id = ""
    status: _Text = ""

    def text(self) -> str:
        """The line as it is written, without what it does not tell."""
        return self.model_dump_json(exclude_defaults=True)


@dataclass
class Attempt:
    """A request that changes something, and what became of it.

    Attributes:
        action: what was sent.
        salt: as in `Line`.
        digest: as in `Line`.
        job_id: the job; "" where the platform has not answered with one.
        status: the job's last status; "" where nothing came back, as far as the journal knows.
        taken: False where the platform has certainly not taken it.
    """

    action: Action
    salt: str = ""
    digest: str = ""
    job_id: str = ""
    status: str = ""
    taken: bool = True

    def sent_with(self, parameters: str) -> bool:
        """Whether it was sent with these parameters, in the text that `digest_of` was given."""
        return bool(self.digest) and hmac.compare_digest(self.digest, digest_of(parameters, self.salt))


@dataclass
class CallTrace:
    """A call of an engine, as far as it sent something.

    Attributes:
        call: its name in the journal.
        at: when it first sent something, seconds since 1970.
        host: the platform.
        model_id: the model.
        urn: the resource; "" where it is not known.
        base: what the state had of the model when it began, in short.
        attempts: its requests, in order.
        closed: whether it went well and its result was handed to the engine.
        shown: whether the state was seen to have its result.
        told: whether the user was told that its outcome is unknown.
    """

    call: str
    at: float
    host: str
    model_id: str
    urn: str
    base: str
    attempts: list[Attempt] = field(default_factory=list)
    closed: bool = False
    shown: bool = False
    told: bool = False

    @property
    def last(self) -> Attempt | None:
        """The last request that the platform may have taken."""
        return next((attempt for attempt in reversed(self.attempts) if attempt.taken), None)

    def take(self, line: Line) -> None:
        """Take in what a later line of the call tells."""
        if line.kind is Kind.SENT:
            self.attempts.append(Attempt(line.action or "DEPLOY", line.salt, line.digest))
            return
        attempt = self.attempts[-1]
        match line.kind:
            case Kind.NOT_TAKEN:
                attempt.taken = False
            case Kind.ANSWERED | Kind.ENDED:
                attempt.job_id, attempt.status = line.job_id, line.status
            case Kind.CLOSED:
                self.closed = True
            case Kind.SHOWN:
                self.shown = True
            case Kind.TOLD:
                self.told = True


class Calls:
    """The calls that lines tell of, in the order in which they began."""

    def __init__(self) -> None:
        self._by_name: dict[str, CallTrace] = {}
        self._by_model: dict[tuple[str, str], list[CallTrace]] = {}

    def take(self, line: Line) -> None:
        """Take in a line."""
        call = self._by_name.get(line.call)
        if call is None:
            if line.kind is not Kind.SENT:
                return  # its beginning was dropped
            call = CallTrace(line.call, line.at, line.host, line.model_id, line.urn, line.base)
            self._by_name[line.call] = call
            self._by_model.setdefault((line.host, line.model_id), []).append(call)
        call.take(line)

    def of(self, host: str, model_id: str) -> Sequence[CallTrace]:
        """Those that may have changed something for a model."""
        return [call for call in self._by_model.get((host, model_id), ()) if call.last]

    def models(self) -> Iterator[Sequence[CallTrace]]:
        """The same for each model of which there are any."""
        return filter(None, (self.of(*key) for key in self._by_model))


def new_salt() -> str:
    """What makes a digest another one each time."""
    return secrets.token_hex(_SALT_BYTES)


def digest_of(parameters: str, salt: str) -> str:
    """What tells whether two requests have the same parameters, and nothing of these."""
    with _ONE_AT_A_TIME:
        return hashlib.scrypt(parameters.encode(), salt=salt.encode(), n=_SCRYPT_COST, r=8, p=1, dklen=16).hex()
