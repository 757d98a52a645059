"""What a journal adds to what a state remembers of a model: a job, or a request, that the state does not know of.

The journal tells what was sent. How it ended only the platform tells, so a job of the journal is one that is under way
until it was asked for, and a request without an answer is one whose outcome is unknown.
"""

import json
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final, Self
from uuid import uuid4

from ..api.declared import DeployRequest
from ..api.dock_job import Action, DockJob
from ..journal import Attempt, CallTrace, Journal, Kind, Line
from ..journal.calls import digest_of, new_salt
from .rules import PARAMETERS_UNKNOWN, UNCONFIRMED_STATUS, UNKNOWN_STATUS, ModelState, Record

BELIEVED_SECONDS: Final = 24 * 3600.0
"""An older call may have been settled by another machine, whose journal is not seen here: then a person is asked."""


@dataclass(frozen=True)
class Owner:
    """A resource that the state has, with its model.

    Attributes:
        urn: the resource.
        model_id: its model.
        record: what the state remembers of the model.
        dying: whether it is replaced and still to be deleted.
        pending: whether it is only a creation that never ended, as far as the state knows.
    """

    urn: str
    model_id: str
    record: Record
    dying: bool = False
    pending: bool = False


def held(owners: Iterable[Owner], model_id: str, urn: str) -> Record | None:
    """What a state remembers of a resource's model; of any that has the model where the resource is not told."""
    having = (owner for owner in owners if owner.model_id == model_id and not owner.pending)
    return next((owner.record for owner in having if urn in ("", owner.urn)), None)


def is_pending(owners: Iterable[Owner], urn: str) -> bool:
    """Whether a state has a creation of the resource that never ended."""
    return any(owner.pending and owner.urn == urn for owner in owners)


def open_call(
    calls: Sequence[CallTrace], urn: str, record: Record | None, *, pending: bool = False
) -> CallTrace | None:
    """The call whose result the state does not have; None where the state is up to date.

    Args:
        calls: those of the journal that may have changed something for the model, the oldest first.
        urn: the resource, "" where the engine does not tell it.
        record: what the state remembers, None where the resource is not in it.
        pending: whether the state has a creation of the resource that never ended.
    """
    if not calls:
        return None
    last = calls[-1]
    job_id = record.job_id if record else ""
    if job_id and job_id in {attempt.job_id for attempt in last.attempts}:
        # Of this very call: something may have been sent after what is recorded.
        return None if last.last is not None and last.last.job_id == job_id else last
    if last.urn == urn and last.base == base_of(record):
        # A creation that went well and is not in the state was lost with the backend, or let go of since.
        settled = last.closed and (last.shown or (record is None and not pending))
        return None if settled else last
    if last.urn == urn != "":
        return None  # the state has moved on since
    # Another resource's, for all that is known. That it went well is its own affair, unless this one's record is older.
    if record is None:
        return None if last.closed else last
    older = {attempt.job_id for call in calls[:-1] for attempt in call.attempts}
    return last if job_id and job_id in older else None


def astray(journal: Journal, calls: Iterable[CallTrace], owners: Sequence[Owner]) -> list[CallTrace]:
    """Those of some last calls whose result a state does not have, and of which nobody was told.

    Args:
        journal: the journal of the stack.
        calls: of some models the last call.
        owners: the resources of the state.
    """
    return [
        call
        for call in calls
        if not call.told
        and not _changed_nothing(call)
        and open_call(
            journal.calls(call.host, call.model_id),
            call.urn,
            held(owners, call.model_id, call.urn),
            pending=is_pending(owners, call.urn),
        )
    ]


def _changed_nothing(call: CallTrace) -> bool:
    """Whether the last that it sent was an undeploy that failed: then what the state has is so still."""
    return call.last is not None and (call.last.action, call.last.status) == ("UNDEPLOY", "FAILED")


@dataclass(frozen=True)
class Recovered:
    """What is known of a model when a call begins.

    Attributes:
        record: what the state remembers of it, None where it has no such resource.
        call: the call whose result is not in the state; None where the state says all.
        last: the last call that sent something for the model, None where none is known.
    """

    record: Record | None
    call: CallTrace | None = None
    last: CallTrace | None = None

    @classmethod
    def of(
        cls,
        journal: Journal,
        host: str,
        model_id: str,
        urn: str,
        record: Record | None,
        *,
        own: Set[str],
        pending: bool = False,
    ) -> Self:
        """Look a model up in the journal.

        Args:
            journal: the journal of its stack.
            host: the platform.
            model_id: the model.
            urn: the resource.
            record: what the state remembers.
            own: the calls of this process, which it knows of by itself.
            pending: as for `open_call`.
        """
        calls = [call for call in journal.calls(host, model_id) if call.call not in own]
        last = calls[-1] if calls else None
        if last and last.last and record and last.last.job_id == record.job_id != "" and not last.shown:
            journal.write(Line(at=journal.now, call=last.call, kind=Kind.SHOWN), durable=False)
        return cls(record, open_call(calls, urn, record, pending=pending), last)

    def with_parameters(self, wanted: DeployRequest | None, now: float) -> Record | None:
        """The record, with what the journal adds to it.

        Args:
            wanted: the parameters that are declared, None where there are none or they are not known.
            now: the time, in seconds since 1970.
        """
        if self.call is None or (attempt := self.call.last) is None:
            return self.record
        before = self.record.request if self.record else None
        request = before if attempt.action == "UNDEPLOY" else _sent(attempt, wanted, before)
        known = Record(
            ModelState.FAILED,
            request,
            last_action=attempt.action,
            last_status=UNKNOWN_STATUS,
            last_job_seconds=self.record.last_job_seconds if self.record else 0.0,
        )
        if attempt.job_id and now - self.call.at < BELIEVED_SECONDS:
            under_way = ModelState.DEPLOYING if attempt.action == "DEPLOY" else ModelState.UNDEPLOYING
            return replace(known, state=under_way, job_id=attempt.job_id, last_status="IN_PROGRESS")
        asked = attempt.action == "UNDEPLOY" or self.call.told
        return known if asked else replace(known, last_status=UNCONFIRMED_STATUS)


class Trace:
    """Writes down what a call sends. One for each call of an engine.

    It is told of each request that changes something by the client, and of its end by the lifecycle.
    """

    def __init__(self, journal: Journal | None, host: str, model_id: str, urn: str, before: Record | None) -> None:
        self.call = uuid4().hex
        self._journal = journal
        self._about = {"host": host, "model_id": model_id, "urn": urn, "base": base_of(before)}
        self._request: DeployRequest | None = None
        self._action: Action = "DEPLOY"
        self._has_sent = False

    def about_to(self, action: Action, request: DeployRequest | None = None) -> Self:
        """The same, told what the next requests are to do."""
        self._action, self._request = action, request
        return self

    def sending(self) -> None:
        self._has_sent = True
        salt = new_salt() if self._request else ""
        digest = digest_of(_text(self._request), salt) if self._request else ""
        self._write(self.call, Kind.SENT, action=self._action, salt=salt, digest=digest, **self._about)

    def not_taken(self) -> None:
        self._write(self.call, Kind.NOT_TAKEN)

    def answered(self, job: DockJob) -> None:
        self._write(self.call, Kind.ANSWERED, job_id=job.id, status=job.status)

    def ended(self, job_id: str, status: str) -> None:
        self._write(self.call, Kind.ENDED, job_id=job_id, status=status)

    def close(self, last: CallTrace | None) -> None:
        """The call went well, and its result is handed to the engine.

        Args:
            last: the call before it that sent something for the model: whatever it left open is settled.
        """
        if self._has_sent:
            self._write(self.call, Kind.CLOSED)
        elif last is not None and not last.closed:
            self._write(last.call, Kind.CLOSED)

    def told(self, call: str) -> None:
        """The user was told that the outcome of a call is unknown."""
        self._write(call, Kind.TOLD)

    def _write(self, call: str, kind: Kind, **facts: object) -> None:
        if self._journal is not None:
            line = {"at": round(self._journal.now, 3), "call": call, "kind": kind, **facts}
            self._journal.write(Line.model_validate(line))


def base_of(record: Record | None) -> str:
    """What a state has of a model, in short: two states with the same are taken for the same."""
    return "" if record is None else f"{record.state} {record.job_id} {record.last_action} {record.last_status}"


def _sent(attempt: Attempt, wanted: DeployRequest | None, before: DeployRequest | None) -> DeployRequest:
    """The parameters that were sent, as far as a digest tells them."""
    for request in (wanted, before):
        if request is not None and attempt.sent_with(_text(request)):
            return request
    return PARAMETERS_UNKNOWN


def _text(request: DeployRequest) -> str:
    return json.dumps(request.plain(), sort_keys=True, default=str)
