"""What every front end does with the platform: one service a process, made by the front end and handed to its calls.

It owns the one client, knows which models this process declares and which it has brought to what is declared, carries
out the calls that change something, and says of each that ended early what is known then. A front end translates.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ..api.dock_job import verb_of
from ..api.errors import Advice, AdviceKind, ConfigError, JobStuck, JobTimeout, KoreaiError
from ..api.settings import Settings
from ..base.clock import Clock
from ..base.progress import Note, NoteKind, Reporter
from ..journal import Journal
from .lifecycle import Lifecycle, OutcomeUnknown
from .recovery import Owner, Recovered, Trace, astray, held, is_pending
from .rules import Goal, ModelState, Operation, Record, next_step
from .stopped import Stopped

if TYPE_CHECKING:
    from ..api.client import Client

ClientFactory = Callable[[Settings, Clock, Random, Reporter], "Client"]


@dataclass(frozen=True)
class Declaration:
    """A resource of this process that declares a model.

    Attributes:
        urn: the resource, "" where the engine does not tell it.
        goal: what it declares, None where that is not known yet.
        in_state: whether the state has it with this model already, however it fares.
    """

    urn: str
    goal: Goal | None
    in_state: bool


Witness = Callable[[str], Sequence[Owner] | None]
"""Reads the state that has the resource of this URN, as it is now; None where it can't be read."""


@dataclass(frozen=True)
class Released:
    """A resource that was let go.

    Attributes:
        record: what is known of its model.
        left_alone: whether the model was not undeployed, as another resource has it.
    """

    record: Record
    left_alone: bool


class NotTakenOver(KoreaiError):
    """A resource can't go yet: the one that declares its model has not come up."""


class Service:
    """One for each process. Safe to share between threads."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        *,
        clock: Clock,
        rng: Random,
        reporter: Reporter,
        interruption: type[BaseException],
        client: ClientFactory | None = None,
        journal: Callable[[str], Journal | None] = lambda _: None,
        witness: Witness = lambda _: None,
        creates_first: bool = True,
    ) -> None:
        """Make the service of this process; nothing is read or sent yet.

        Args:
            settings: reads the platform, the key and the pace; may raise `ConfigError`.
            clock: time; its `sleep` ends a wait by raising `interruption`.
            rng: the jitter of polls and retries.
            reporter: where progress and notes go.
            interruption: what ends a call that the engine wants to end.
            client: makes the client; that of `api.client` when not given.
            journal: the journal of the stack that a resource, by its URN, is in; None where there is none.
            witness: reads the state.
            creates_first: whether the engine creates before it deletes: what is declared and has not come up by then,
                will not come up in this process.
        """
        self._settings, self._make_client = settings, client
        self._clock, self._rng, self._reporter, self._interruption = clock, rng, reporter, interruption
        self._journal, self._witness, self._creates_first = journal, witness, creates_first
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._declared: dict[str, Declaration] = {}
        # The models that this process has brought to what is declared by a job of its own, the last one therefore.
        self._reached: set[str] = set()
        # Those of which a creation ended with nothing to record.
        self._came_to_nothing: set[str] = set()
        # The calls of this process that sent something: it need not be told of them by the journal.
        self._own: set[str] = set()
        self._read: set[Journal] = set()
        # Of each model: how many resources this process has let go, and the one that goes now.
        self._gone: Counter[str] = Counter()
        self._going: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def settings(self) -> Settings:
        """Where the platform is and how to talk to it.

        Raises:
            ConfigError: the host or the key is missing or wrong.
        """
        return self._settings()

    def reconfigure(self) -> None:
        """Read the settings again before the next request."""
        with self._lock:
            self._client = None

    def client(self) -> "Client":
        """The one client of this process: its pacing and its connections serve all models and threads.

        Raises:
            ConfigError: the host or the key is missing or wrong.
        """
        with self._lock:
            if self._client is None:
                factory = self._make_client or _client
                self._client = factory(self.settings(), self._clock, self._rng, self._reporter)
            return self._client

    def declare(self, model_id: str, goal: Goal | None, *, in_state: bool, urn: str = "") -> None:
        """Note that a resource of this process declares a model: the deletion of another one does not undeploy it.

        A renamed resource is a new one of the same model: created first, then the old one is deleted, in a later
        command when this one is interrupted between the two.

        Args:
            model_id: the model.
            goal: what is declared, None where that is not known yet.
            in_state: whether the state has that resource with this model already.
            urn: the resource.
        """
        self._declared[model_id] = Declaration(urn, goal, in_state)

    def known(self, model_id: str, record: Record, goal: Callable[[], Goal | None], urn: str = "") -> Record:
        """What is known of a model: what the state remembers, and what the journal adds to it. Sends nothing.

        Args:
            model_id: the model.
            record: what the state remembers.
            goal: makes what is declared, None where it is not known. It is asked only where the journal adds something,
                as a preview has a thousand models.
            urn: the resource.
        """
        try:
            recovered, now = self._recovered(model_id, record, urn)
            return _amended(recovered, goal(), now) or record if recovered.call else record
        except (ConfigError, ValidationError):  # the platform is not known, or what is declared is another version's
            return record

    def reach(
        self,
        operation: Operation,
        model_id: str,
        before: Record | None,
        goal: Goal,
        timeout_seconds: float | None,
        urn: str = "",
        *,
        handed: Record | None = None,
    ) -> Record:
        """Bring a model to what is declared.

        Args:
            operation: what the engine calls it.
            model_id: the model.
            before: what is recorded, None where it is new.
            goal: what is declared.
            timeout_seconds: bounds the whole call, None: each job has its default.
            urn: the resource.
            handed: what is known of the model instead, where another resource that had it went just now.

        Raises:
            Stopped: it ended early; its `now` is to be recorded.
            ConfigError: nothing was begun.
        """
        # Who adopts a model says that it is deployed as declared, whatever was sent for it before.
        adopts = before is None and handed is None and goal.adopt
        with self._call(operation, model_id, before, goal, urn, handed=handed, recover=not adopts) as lifecycle:
            lifecycle.reach(goal, timeout_seconds)
            assert lifecycle.record is not None
            if before is None or lifecycle.record.job_id != before.job_id:
                self._reached.add(model_id)
        return lifecycle.record

    def release(self, model_id: str, before: Record, timeout_seconds: float | None, urn: str = "") -> Released:
        """Undeploy a model for good, unless another resource has it: one that the state has, or that came up here.

        Who only declares the model has it not: if that resource did not come up, the model would run on in no state.

        Raises:
            Stopped: it ended early.
            ConfigError: nothing was begun.
        """
        # One at a time for a model: of two that go at once the last one undeploys it.
        with self._lock:
            going = self._going[model_id]
        with going, self._call("delete", model_id, before, None, urn) as lifecycle:
            left_alone = self._has_another_owner(model_id, before, urn)
            if left_alone:
                with suppress(JobStuck):
                    # Forgotten, a job of this one would go on beside what is sent for the other one.
                    lifecycle.settle(timeout_seconds)
                other = self._declared.get(model_id)
                doubtful = model_id not in self._reached and not _is_as(lifecycle.record or before, other)
                self._reporter.note(Note(NoteKind.LEFT_ALONE, model_id, doubtful=doubtful))
            else:
                lifecycle.retire(timeout_seconds)
            self._gone[model_id] += 1
        return Released(lifecycle.record or before, left_alone)

    def settle(self, model_id: str, before: Record, timeout_seconds: float | None, urn: str = "") -> Record:
        """Wait for the job under way of a creation that ended too early, if there is one, and begin nothing.

        Raises:
            Stopped: it ended early.
            ConfigError: nothing was begun.
        """
        with self._call("create", model_id, before, None, urn) as lifecycle:
            lifecycle.settle(timeout_seconds)
        return lifecycle.record or before

    def refresh(self, model_id: str, before: Record) -> Record:
        """Ask once for the last job: the platform has no call that reads a model's deployment.

        Raises:
            ApiError: the platform could not be asked.
            ConfigError: nothing was sent.
        """
        lifecycle = self._lifecycle(model_id, before, None)
        lifecycle.refresh()
        return lifecycle.record or before

    def _has_another_owner(self, model_id: str, before: Record, urn: str) -> bool:
        """Whether a model is not to be undeployed with the resource that goes.

        Raises:
            NotTakenOver: the resource that declares it has not come up.
        """
        if model_id in self._reached or before.state is ModelState.UNDEPLOYED:
            return model_id in self._declared
        declared = self._declared.get(model_id)
        if declared is not None and declared.urn == urn != "":
            declared = None  # it is the one that goes, of a program that runs while its stack is destroyed
        owners = self._witness(urn)
        if owners is not None:
            having = [owner for owner in owners if owner.model_id == model_id and not owner.pending]
            if not any(urn in ("", owner.urn) and owner.record.job_id == before.job_id for owner in having):
                owners = None  # it is of another stack of this name, of another organization
            elif len(having) - self._gone[model_id] > 1:
                return True
        if declared is None:
            return False
        if owners is None and declared.in_state:
            return True
        if not self._creates_first and model_id not in self._came_to_nothing:
            return True  # it may come up yet
        raise NotTakenOver(f"another resource declares {model_id} and has not come up").advising(
            Advice(AdviceKind.BRING_THE_OTHER_UP, model_id)
        )

    @contextmanager
    def _call(
        self,
        operation: Operation,
        model_id: str,
        before: Record | None,
        goal: Goal | None,
        urn: str,
        *,
        handed: Record | None = None,
        recover: bool = True,
    ) -> Iterator[Lifecycle]:
        """A call of an engine that changes something, written down in the journal.

        Raises:
            Stopped: whatever ended it early, with what is known then.
            ConfigError: nothing was begun.
        """
        host = self.client().settings.host
        recovered, now = Recovered(handed or before), 0.0
        if recover and handed is None:
            recovered, now = self._recovered(model_id, before, urn)
        if goal is None and recovered.call and recovered.call.closed:
            recovered = replace(recovered, call=None)  # no job is under way, and what is deployed does not matter
        record = _amended(recovered, goal, now)
        trace = Trace(self._journal(urn), host, model_id, urn, before)
        self._own.add(trace.call)
        lifecycle = self._lifecycle(model_id, record, trace)
        try:
            yield lifecycle
        except (Exception, self._interruption) as error:
            if isinstance(error, OutcomeUnknown) and recovered.call:
                trace.told(recovered.call.call)
            if operation != "delete":
                _advise_more_time(error, lifecycle.record)
            elif isinstance(error, JobTimeout):
                # Its timeout is that of the state, which no entry can raise any more.
                error.advising(*error.advice, Advice(AdviceKind.RUN_AGAIN))
            stopped = Stopped(operation, model_id, error, before, lifecycle.record, goal)
            if operation == "create" and not stopped.has_news:
                self._came_to_nothing.add(model_id)
            raise stopped from error
        trace.close(recovered.last)

    def _recovered(self, model_id: str, record: Record | None, urn: str) -> tuple[Recovered, float]:
        """What the journal has of a model besides the state, and the time, in seconds since 1970."""
        journal = self._journal(urn)
        if journal is None:
            return Recovered(record), 0.0
        self._tell_what_is_astray(journal, model_id, urn)
        host = self.settings().host
        if record is not None or not journal.calls(host, model_id):
            return Recovered.of(journal, host, model_id, urn, record, own=self._own), journal.now
        # A resource that is replaced by itself is created without what the state has of it.
        owners = self._witness(urn) or ()
        judged = Recovered.of(
            journal,
            host,
            model_id,
            urn,
            held(owners, model_id, urn),
            own=self._own,
            pending=is_pending(owners, urn),
        )
        return replace(judged, record=None), journal.now

    def _tell_what_is_astray(self, journal: Journal, but: str, urn: str) -> None:
        """Once for each journal: the models that may run in no state, but for one that is in hand."""
        with self._lock:
            if journal in self._read:
                return
            self._read.add(journal)
        host = self.settings().host
        unsettled = [
            call
            for call in journal.last_calls()
            if call.host == host and call.model_id != but and not (call.closed or call.call in self._own)
        ]
        owners = self._witness(urn) if unsettled else None
        for call in astray(journal, unsettled, owners) if owners is not None else ():
            assert call.last is not None
            job_id, verb = call.last.job_id, verb_of(call.last.action)
            self._reporter.note(Note(NoteKind.ASTRAY, call.model_id, verb, job_id, reason=str(journal.path)))

    def twin(self, model_id: str, goal: Goal, urn: str) -> Record | None:
        """What the state remembers of a model that a resource had before it was replaced, if it is as declared.

        Args:
            model_id: the model.
            goal: what the resource declares of it again.
            urn: the resource.
        """
        for owner in self._witness(urn) or ():
            if (owner.urn, owner.model_id, owner.dying) == (urn, model_id, True):
                record = self.known(model_id, owner.record, lambda: goal, urn)
                return record if next_step(record, goal) is None else None
        return None

    def _lifecycle(self, model_id: str, record: Record | None, trace: Trace | None) -> Lifecycle:
        return Lifecycle(
            self.client(),
            model_id,
            record,
            clock=self._clock,
            rng=self._rng,
            reporter=self._reporter,
            trace=trace,
        )


def _advise_more_time(error: BaseException, now: Record | None) -> None:
    """What to do when the time was up, where the timeout is the user's to raise."""
    if isinstance(error, JobTimeout) and not isinstance(error, JobStuck):
        resumes = now is not None and now.under_way
        error.advising(Advice(AdviceKind.RESUME_AND_RAISE_TIMEOUT if resumes else AdviceKind.RERUN_AND_RAISE_TIMEOUT))


def _client(settings: Settings, clock: Clock, rng: Random, reporter: Reporter) -> "Client":
    from ..api.client import Client  # noqa: PLC0415 - only when it is needed: see pulumi_koreai.api

    return Client(settings, clock, rng, reporter)


def _amended(recovered: Recovered, goal: Goal | None, now: float) -> Record | None:
    return recovered.with_parameters(goal.request if goal else None, now)


def _is_as(record: Record, other: Declaration | None) -> bool:
    """Whether what is recorded is all that another resource declares."""
    return other is not None and other.goal is not None and next_step(record, other.goal) is None
