"""What every front end does with the platform: one service a process, made by the front end and handed to its calls.

It owns the one client, knows which models this process declares and which it has brought to what is declared, carries
out the calls that change something, and says of each that ended early what is known then. A front end translates.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from ..api.errors import Advice, AdviceKind, JobStuck, JobTimeout, KoreaiError
from ..api.settings import Settings
from ..base.clock import Clock
from ..base.progress import Note, NoteKind, Reporter
from .lifecycle import Lifecycle
from .rules import Goal, ModelState, Operation, Record, next_step
from .stopped import Stopped

if TYPE_CHECKING:
    from ..api.client import Client

ClientFactory = Callable[[Settings, Clock, Random, Reporter], "Client"]


@dataclass(frozen=True)
class Declaration:
    """A resource of this process that has a model.

    Attributes:
        goal: what it declares, None where that is not known yet.
        in_state: whether the state has it with this model already, however it fares.
    """

    goal: Goal | None
    in_state: bool


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
    ) -> None:
        """Make the service of this process; nothing is read or sent yet.

        Args:
            settings: reads the platform, the key and the pace; may raise `ConfigError`.
            clock: time; its `sleep` ends a wait by raising `interruption`.
            rng: the jitter of polls and retries.
            reporter: where progress and notes go.
            interruption: what ends a call that the engine wants to end.
            client: makes the client; that of `api.client` when not given.
        """
        self._settings, self._make_client = settings, client
        self._clock, self._rng, self._reporter, self._interruption = clock, rng, reporter, interruption
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._declared: dict[str, Declaration] = {}
        # The models that this process has brought to what is declared by a job of its own, the last one therefore.
        self._reached: set[str] = set()

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

    def declare(self, model_id: str, goal: Goal | None, *, in_state: bool) -> None:
        """Note that a resource of this process declares a model: the deletion of another one does not undeploy it.

        A renamed resource is a new one of the same model: created first, then the old one is deleted, in a later
        command when this one is interrupted between the two.

        Args:
            model_id: the model.
            goal: what is declared, None where that is not known yet.
            in_state: whether the state has that resource with this model already.
        """
        self._declared[model_id] = Declaration(goal, in_state)

    def reach(
        self,
        operation: Operation,
        model_id: str,
        before: Record | None,
        goal: Goal,
        timeout_seconds: float | None,
    ) -> Record:
        """Bring a model to what is declared.

        Args:
            operation: what the engine calls it.
            model_id: the model.
            before: what is recorded, None where it is new.
            goal: what is declared.
            timeout_seconds: bounds the whole call, None: each job has its default.

        Raises:
            Stopped: it ended early; its `now` is to be recorded.
            ConfigError: nothing was begun.
        """
        lifecycle = self._lifecycle(model_id, before)
        try:
            lifecycle.reach(goal, timeout_seconds)
        except (Exception, self._interruption) as error:
            _advise_more_time(error, lifecycle.record)
            raise Stopped(operation, model_id, error, before, lifecycle.record, goal) from error
        assert lifecycle.record is not None
        if lifecycle.has_begun_the_last:
            self._reached.add(model_id)
        return lifecycle.record

    def release(self, model_id: str, before: Record, timeout_seconds: float | None) -> Record:
        """Undeploy a model for good, unless another resource of this process has it.

        Who only declares the model has it not: if that resource did not come up, the model would run on in no state.

        Raises:
            Stopped: it ended early.
            ConfigError: nothing was begun.
        """
        lifecycle = self._lifecycle(model_id, before)
        try:
            if (other := self._declared.get(model_id)) is None:
                lifecycle.retire(timeout_seconds)
            elif not (other.in_state or model_id in self._reached or before.state is ModelState.UNDEPLOYED):
                raise NotTakenOver(f"another resource declares {model_id} and has not come up").advising(
                    Advice(AdviceKind.BRING_THE_OTHER_UP, model_id)
                )
            else:
                with suppress(JobStuck):
                    # Forgotten, a job of this one would go on beside what is sent for the other one.
                    lifecycle.settle(timeout_seconds)
                doubtful = model_id not in self._reached and not _is_as(lifecycle.record or before, other)
                self._reporter.note(Note(NoteKind.LEFT_ALONE, model_id, doubtful=doubtful))
        except (Exception, self._interruption) as error:
            if isinstance(error, JobTimeout):
                # Its timeout is that of the state, which no entry can raise any more.
                error.advising(*error.advice, Advice(AdviceKind.RUN_AGAIN))
            raise Stopped("delete", model_id, error, before, lifecycle.record, None) from error
        return lifecycle.record or before

    def settle(self, model_id: str, before: Record, timeout_seconds: float | None) -> Record:
        """Wait for the job under way of a creation that ended too early, if there is one, and begin nothing.

        Raises:
            Stopped: it ended early.
            ConfigError: nothing was begun.
        """
        lifecycle = self._lifecycle(model_id, before)
        try:
            lifecycle.settle(timeout_seconds)
        except (Exception, self._interruption) as error:
            _advise_more_time(error, lifecycle.record)
            raise Stopped("create", model_id, error, before, lifecycle.record, None) from error
        return lifecycle.record or before

    def refresh(self, model_id: str, before: Record) -> Record:
        """Ask once for the last job: the platform has no call that reads a model's deployment.

        Raises:
            ApiError: the platform could not be asked.
            ConfigError: nothing was sent.
        """
        lifecycle = self._lifecycle(model_id, before)
        lifecycle.refresh()
        return lifecycle.record or before

    def _lifecycle(self, model_id: str, record: Record | None) -> Lifecycle:
        return Lifecycle(self.client(), model_id, record, clock=self._clock, rng=self._rng, reporter=self._reporter)


def _advise_more_time(error: BaseException, now: Record | None) -> None:
    """What to do when the time was up, where the timeout is the user's to raise."""
    if isinstance(error, JobTimeout) and not isinstance(error, JobStuck):
        resumes = now is not None and now.under_way
        error.advising(Advice(AdviceKind.RESUME_AND_RAISE_TIMEOUT if resumes else AdviceKind.RERUN_AND_RAISE_TIMEOUT))


def _client(settings: Settings, clock: Clock, rng: Random, reporter: Reporter) -> "Client":
    from ..api.client import Client  # noqa: PLC0415 - only when it is needed: see pulumi_koreai.api

    return Client(settings, clock, rng, reporter)


def _is_as(record: Record, other: Declaration) -> bool:
    """Whether what is recorded is all that another resource declares."""
    return other.goal is not None and next_step(record, other.goal) is None
