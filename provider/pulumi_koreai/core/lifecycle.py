"""Carries the rules out: sends what is next, waits on each dock job, and keeps `record` true at every moment.

So whatever ends a call (an error, the timeout, an interruption), the record says what is known of the platform then.
Knows the platform's API and no engine; `rules.next_step` says what is next.
"""

from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Final

from ..api.declared import DeployRequest
from ..api.dock_job import Action, DockJob, verb_of
from ..api.errors import (
    AbsenceInDoubt,
    Advice,
    AdviceKind,
    ApiError,
    ForeignAnswer,
    JobFailed,
    JobStuck,
    JobTimeout,
    KoreaiError,
    NotDeployed,
    NotFound,
)
from ..api.pacing import ODDITY_MAX_SECONDS, RETRY_AFTER_MAX_SECONDS
from ..base.clock import Clock
from ..base.durations import spoken
from ..base.progress import Note, NoteKind, Reporter
from .polling import pause_before_poll
from .recovery import Trace
from .rules import UNCONFIRMED_STATUS, UNKNOWN_STATUS, Goal, ModelState, Record, Step, next_step
from .telling import Overheard, action_of, progress_of

if TYPE_CHECKING:
    from ..api.client import Client

DEPLOY_TIMEOUT_SECONDS: Final = 60 * 60.0
UNDEPLOY_TIMEOUT_SECONDS: Final = 30 * 60.0

# A job may not be found at first: the platform answers with an id before every part of it knows the job.
_NOT_FOUND_GRACE_SECONDS: Final = 30.0
_PROGRESS_SECONDS: Final = 60.0
_LAST_LOOK_SECONDS: Final = 2.0
_REFRESH_SECONDS: Final = 120.0


class OutcomeUnknown(KoreaiError):
    """How the last deploy ended is not known, and the user was not told yet: nothing was sent."""


class Lifecycle:
    """One model, for the length of one call."""

    def __init__(
        self,
        client: "Client",
        model_id: str,
        record: Record | None,
        *,
        clock: Clock,
        rng: Random,
        reporter: Reporter,
        trace: Trace | None = None,
    ) -> None:
        """Begin a call.

        Args:
            client: the platform.
            model_id: the model.
            record: what is known of it, None when it is new.
            clock: time; its `sleep` may end a wait by raising.
            rng: the jitter of the polls.
            reporter: where progress goes.
            trace: writes down what is sent, if it is given.
        """
        self.record = record
        self._cut_off = False  # whether the model is down until this call deploys it
        self._model_id, self._clock, self._rng, self._reporter = model_id, clock, rng, reporter
        self._trace = trace or Trace(None, "", model_id, "", record)
        self._of_client = Overheard(reporter)
        self._client = client.telling(self._of_client)

    def reach(self, goal: Goal, timeout_seconds: float | None = None) -> None:
        """Do what is to be done until the model is as declared.

        Args:
            goal: what is declared.
            timeout_seconds: bounds the whole call; None: each job has the default, 60 minutes for a deploy and 30 for
                an undeploy.

        Raises:
            JobFailed: the platform could not do it.
            JobTimeout: the time was up first.
            ApiError: a request failed; `record` says whether it may have been taken.
        """
        deadline = None if timeout_seconds is None else self._clock.monotonic() + timeout_seconds
        try:
            while (step := next_step(self.record, goal)) is not None:
                self._clock.sleep(0)  # an interruption since the last wait ends the call here, before anything is sent
                sends = step in (Step.DEPLOY, Step.UNDEPLOY)
                if deadline is not None and sends and self._clock.monotonic() >= deadline:
                    raise self._too_late(step, timeout_seconds or 0.0)
                self._do(step, goal, deadline)
        finally:
            self._client.release_place(self._model_id)

    def retire(self, timeout_seconds: float | None = None) -> None:
        """Undeploy the model for good: that there is no such model (any more) is a success too, where that is certain.

        Args:
            timeout_seconds: as for `reach`; once more where a job is stuck.

        Raises:
            JobFailed, JobTimeout, ApiError: as `reach`.
            NotFound: there is no such model for this key, which the platform may not know.
        """
        try:
            with suppress(JobStuck):  # no engine records it of a deletion: the next one would wait on that job again
                self.reach(Goal(None), timeout_seconds)
            self.reach(Goal(None), timeout_seconds)
        except NotFound as error:
            if self.record and self.record.under_way:
                raise
            if not self._is_known():
                unproven = Advice(AdviceKind.KEY_UNPROVEN, self._client.settings.host)
                raise error.advising(*error.advice, unproven, Advice(AdviceKind.LET_GO, self._model_id)) from None
            self._note(NoteKind.NO_SUCH_MODEL)

    def _is_known(self) -> bool:
        """Whether the platform has shown that it knows this key: without that, every model is unknown to it."""
        record = self.record
        if not self._client.is_known and record and record.job_id:
            until = self._clock.monotonic() + _REFRESH_SECONDS
            with suppress(ApiError):
                self._client.job(record.job_id, self._model_id, action_of(record), until)
        return self._client.is_known

    def settle(self, timeout_seconds: float | None = None) -> None:
        """Wait for the job that is under way, if there is one, and record how it ended. Begins nothing.

        Args:
            timeout_seconds: as for `reach`.

        Raises:
            JobStuck: it is not waited on again; nothing else is left to do.
            JobTimeout, ApiError: as `reach`.
        """
        if self.record and self.record.under_way:
            self._resume(None if timeout_seconds is None else self._clock.monotonic() + timeout_seconds)

    def refresh(self) -> None:
        """Ask once for the last job and record what it says.

        That is all there is to read: the platform has no call for a model's deployment.

        Raises:
            ApiError: the platform could not be asked.
        """
        record = self.record
        if record is None or not record.job_id:
            return
        action = action_of(record)
        until = self._clock.monotonic() + _REFRESH_SECONDS
        try:
            job = self._client.job(record.job_id, self._model_id, action, until)
        except ForeignAnswer:
            raise
        except (NotFound, AbsenceInDoubt):
            return  # too young or too old; the wait that takes a job up again tells which
        if job.failed and record.under_way:
            self._note(NoteKind.JOB_FAILED, action, job.id, job.reason)
        self._took(job, action)

    def _do(self, step: Step, goal: Goal, deadline: float | None) -> None:
        match step:
            case Step.ADOPT:
                self._note(NoteKind.ADOPTED)
                self.record = Record(ModelState.DEPLOYED, goal.request)
            case Step.RESUME:
                self._resume(deadline)
            case Step.UNDEPLOY:
                self._undeploy(deadline, deploy_follows=goal.request is not None)
            case Step.DEPLOY:
                assert goal.request is not None
                self._deploy(goal.request, deadline)
            case Step.ASK:
                assert self.record is not None
                self.record = replace(self.record, last_status=UNKNOWN_STATUS)
                raise OutcomeUnknown(
                    f"the outcome of the last deploy of {self._model_id} is unknown; nothing was sent"
                ).advising(Advice(AdviceKind.CONFIRM_DEPLOY, self._model_id))

    def _until(self, deadline: float | None, default_seconds: float) -> float:
        return deadline if deadline is not None else self._clock.monotonic() + default_seconds

    def _deploy(self, request: DeployRequest, deadline: float | None) -> None:
        before, until = self.record, self._until(deadline, DEPLOY_TIMEOUT_SECONDS)
        lost = Record(
            ModelState.FAILED,
            request,
            last_action="DEPLOY",
            last_status=UNKNOWN_STATUS,
            last_job_seconds=before.last_job_seconds if before else 0.0,
        )
        try:
            job = self._client.deploy(
                self._model_id,
                request,
                until,
                ends_outage=self._cut_off,
                watch=self._trace.about_to("DEPLOY", request),
            )
        except ApiError as error:
            if error.may_be_taken:
                self.record = lost
                raise error.advising(Advice(AdviceKind.SETTLE_DEPLOY, self._model_id)) from error.__cause__
            raise
        except Exception:
            self.record = lost  # a bug of ours: what was sent before it shows is not known
            raise
        self.record = replace(before or Record(ModelState.DEPLOYING), request=request)
        job = self._wait(job, "DEPLOY", until, sent_here=True)
        if job.failed:
            off = before is not None and before.state is ModelState.UNDEPLOYED
            raise self._failure(job, "DEPLOY").advising(
                Advice(AdviceKind.NOT_DEPLOYED_NOW if off else AdviceKind.MAY_STILL_SERVE),
                Advice(AdviceKind.FIX_AND_DEPLOY_AGAIN),
            )

    def _bears(self, error: ApiError, since: float) -> bool:
        """Whether an oddity is borne a while longer, as the model is down until this call deploys it."""
        return self._cut_off and error.may_pass and self._clock.monotonic() - since < ODDITY_MAX_SECONDS

    def _undeploy(self, deadline: float | None, *, deploy_follows: bool) -> None:
        before, until = self.record or Record(ModelState.FAILED), self._until(deadline, UNDEPLOY_TIMEOUT_SECONDS)
        lost = replace(before, state=ModelState.FAILED, job_id="", last_action="UNDEPLOY", last_status=UNKNOWN_STATUS)
        try:
            job = self._client.undeploy(
                self._model_id, until, deploy_follows=deploy_follows, watch=self._trace.about_to("UNDEPLOY")
            )
        except NotDeployed:
            self._was_not_deployed(before)
            return
        except AbsenceInDoubt as doubt:
            if self.record is None:
                raise
            raise doubt.advising(*doubt.advice, Advice(AdviceKind.LET_GO, self._model_id)) from None
        except ApiError as error:
            if error.may_be_taken:
                self.record = lost
                raise error.advising(Advice(AdviceKind.REPEAT_UNDEPLOY, self._model_id)) from error.__cause__
            raise
        except Exception:
            self.record = lost
            raise
        self._cut_off = deploy_follows
        job = self._wait(job, "UNDEPLOY", until, sent_here=True)
        if job.failed:
            raise self._failure(job, "UNDEPLOY").advising(Advice(AdviceKind.FIX_AND_UNDEPLOY_AGAIN))

    def _resume(self, deadline: float | None) -> None:
        record = self.record
        assert record is not None
        action = action_of(record)
        default = DEPLOY_TIMEOUT_SECONDS if action == "DEPLOY" else UNDEPLOY_TIMEOUT_SECONDS
        self._note(NoteKind.RESUMING, action, record.job_id)
        job = DockJob.model_construct(id=record.job_id, status=UNKNOWN_STATUS)
        try:
            job = self._wait(job, action, self._until(deadline, default), sent_here=False)
        except NotFound:
            self._note(NoteKind.JOB_GONE, action, record.job_id)
            # It may have ended well long ago: what it deployed is not cut off before somebody has looked.
            self._forget_job(record, UNCONFIRMED_STATUS if action == "DEPLOY" else UNKNOWN_STATUS)
            return
        except AbsenceInDoubt as doubt:
            raise doubt.advising(*doubt.advice, Advice(AdviceKind.LET_GO_OF_JOB, record.job_id)) from None
        except JobTimeout as timeout:
            if timeout.status in ("IN_PROGRESS", UNKNOWN_STATUS):
                raise
            self._forget_job(self.record or record, UNKNOWN_STATUS)
            raise JobStuck(str(timeout), job_id=timeout.job_id, action=timeout.action, status=timeout.status).advising(
                Advice(AdviceKind.JOB_GIVEN_UP, timeout.status)
            ) from None
        if job.failed:
            self._note(NoteKind.JOB_FAILED, action, job.id, job.reason)
        elif action == "UNDEPLOY":
            self._cut_off = True  # by an earlier call: what follows ends that outage

    def _wait(self, job: DockJob, action: Action, until: float, *, sent_here: bool) -> DockJob:
        """Wait until the job has ended, well or not, keeping `record` up with it.

        A job that was sent in this call is looked at after a pause, one that is taken up again at once.
        """
        began = self._clock.monotonic()
        if sent_here:
            self._took(job, action)
            self._note(NoteKind.STARTED, action, job.id)
        reported: tuple[str, int] | None = None
        reported_at = began
        pause = self._pause(began, job) if sent_here else 0.0
        trouble: ApiError | None = None
        odd_since: float | None = None
        while not job.ended:
            now = self._clock.monotonic()
            if now >= until and pause > 0:
                raise self._timeout(job, action, now - began, trouble)
            self._clock.sleep(min(pause, max(until - now, 0.0)))
            try:
                now = self._clock.monotonic()
                job = self._client.job(job.id, self._model_id, action, max(until, now + _LAST_LOOK_SECONDS))
                trouble = odd_since = None
                self._took(job, action)
            except ApiError as error:
                trouble = error
                not_yet = isinstance(error, (NotFound, AbsenceInDoubt)) and now - began < _NOT_FOUND_GRACE_SECONDS
                odd_since = now if odd_since is None else odd_since
                if not (error.transient or not_yet or self._bears(error, odd_since)):
                    raise
            asked = (trouble.retry_after or 0.0) if trouble else 0.0
            pause = max(self._pause(began, job), min(asked, RETRY_AFTER_MAX_SECONDS))
            what = (job.status, int(job.percent or 0))
            now = self._clock.monotonic()
            # What the client reported of its trouble with a look is over when a look goes well.
            replaces = self._of_client.progressed and not trouble
            if what != reported or replaces or now - reported_at >= _PROGRESS_SECONDS:
                self._reporter.progress(progress_of(job, action, now - began if sent_here else None))
                self._of_client.progressed = False
                reported, reported_at = what, now
        if sent_here:
            assert self.record is not None
            self.record = replace(self.record, last_job_seconds=round(self._clock.monotonic() - began, 1))
            self._trace.ended(job.id, job.status)
        return job

    def _pause(self, began: float, job: DockJob) -> float:
        settings = self._client.settings
        return pause_before_poll(
            self._clock.monotonic() - began,
            job.percent,
            settings.poll_min_seconds,
            settings.poll_max_seconds,
            self._rng,
        )

    def _took(self, job: DockJob, action: Action) -> None:
        """Record what a job says of itself."""
        if job.failed:
            state = ModelState.FAILED
        elif action == "DEPLOY":
            state = ModelState.DEPLOYED if job.succeeded else ModelState.DEPLOYING
        else:
            state = ModelState.UNDEPLOYED if job.succeeded else ModelState.UNDEPLOYING
        record = self.record or Record(state)
        if record.job_id != job.id:
            record = replace(record, last_job_seconds=0.0)  # those of another job
        self.record = replace(
            record,
            state=state,
            job_id=job.id,
            last_action=action,
            last_status=job.status,
        )

    def _forget_job(self, record: Record, status: str) -> None:
        self.record = replace(record, state=ModelState.FAILED, job_id="", last_status=status)

    def _was_not_deployed(self, before: Record) -> None:
        self._note(NoteKind.NOT_DEPLOYED, "UNDEPLOY")
        self._trace.ended("", "SUCCESS")
        self.record = replace(
            before, state=ModelState.UNDEPLOYED, job_id="", last_action="UNDEPLOY", last_status="SUCCESS"
        )

    def _note(self, kind: NoteKind, action: Action = "DEPLOY", job_id: str = "", reason: str = "") -> None:
        self._reporter.note(Note(kind, self._model_id, verb_of(action), job_id, reason))

    def _failure(self, job: DockJob, action: Action) -> JobFailed:
        reason = f'"{job.reason}"' if job.reason else "the platform gave no reason"
        return JobFailed(
            f"{verb_of(action)} of {self._model_id}: job {job.id} failed: {reason}",
            job_id=job.id,
            action=action,
            status=job.status,
        )

    def _too_late(self, step: Step, timeout_seconds: float) -> JobTimeout:
        record = self.record or Record(ModelState.FAILED)
        return JobTimeout(
            f"{step.value} of {self._model_id}: not sent, the time for the whole operation"
            f" ({spoken(timeout_seconds)}) was up before",
            job_id=record.job_id,
            action=record.last_action,
            status=record.last_status,
        )

    def _timeout(self, job: DockJob, action: Action, elapsed: float, trouble: ApiError | None) -> JobTimeout:
        percent = "" if job.percent is None else f", {job.percent:.0f} %"
        lately = f" The last look at it failed: {trouble}." if trouble else ""
        return JobTimeout(
            f"{verb_of(action)} of {self._model_id}: job {job.id} has not ended after {spoken(elapsed)}"
            f" (last status {job.status}{percent}); it may still be running on the platform.{lately}",
            job_id=job.id,
            action=action,
            status=job.status,
        )
