"""What a model's export says of its deployment: the job, the wait for it, the download. Changes nothing."""

import tempfile
from random import Random
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue

from ..api.dock_job import DockJob
from ..api.errors import (
    AbsenceInDoubt,
    Advice,
    AdviceKind,
    ApiError,
    ExportProblem,
    ExportUnusable,
    JobFailed,
    JobTimeout,
    NotFound,
)
from ..base.clock import Clock
from ..base.durations import spoken
from ..base.progress import Reporter
from .polling import pause_before_poll
from .telling import progress_of

if TYPE_CHECKING:
    from ..api.client import Client

EXPORT_TIMEOUT_SECONDS: Final = 1800.0
"""How long an export may take, from its request to the end of the download."""

_NOT_FOUND_GRACE_SECONDS: Final = 30.0
_IN_MEMORY_BYTES: Final = 1 << 24


class Exporter:
    """Exports models, one or several at once: all are begun before the first is waited on."""

    def __init__(
        self,
        client: "Client",
        clock: Clock,
        rng: Random,
        reporter: Reporter,
        timeout_seconds: float = EXPORT_TIMEOUT_SECONDS,
    ) -> None:
        """Nothing is sent yet.

        Args:
            client: the platform.
            clock: time.
            rng: spreads the looks at jobs.
            reporter: gets the progress of the jobs.
            timeout_seconds: how long all of it may take, from now on.
        """
        self._client, self._clock, self._rng, self._reporter = client, clock, rng, reporter
        self._began = clock.monotonic()
        self._until = self._began + timeout_seconds

    def begin(self, model_id: str) -> DockJob:
        """Begin an export.

        Raises:
            ApiError: the platform did not take it.
        """
        return self._client.export(model_id, self._until)

    def config(self, model_id: str, job: DockJob) -> JsonValue:
        """The content of the export's `deployconfig.json`, as soon as the job has ended well.

        Args:
            model_id: the model.
            job: its export, as it was begun.

        Raises:
            ApiError: the job can't be asked for.
            JobFailed, JobTimeout: it did not end well, or not in time.
            ExportUnusable: the export can't be downloaded or read.
        """
        # Imported here as the client is: see pulumi_koreai.api.
        from ..api.archive import config_in  # noqa: PLC0415
        from ..api.export import Downloads  # noqa: PLC0415

        address = self._address(model_id, job)
        if not address:
            raise ExportUnusable(model_id, ExportProblem.NO_ADDRESS)
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as file:
            Downloads(self._client.settings, self._clock).fetch(model_id, address, self._until, file)
            return config_in(file, model_id)

    def _address(self, model_id: str, job: DockJob) -> str:
        """Wait for the job's end. The address may be in any of its answers: the last one counts."""
        from ..api.export import download_address  # noqa: PLC0415

        address = download_address(job)
        while not job.ended:
            now = self._clock.monotonic()
            if now >= self._until:
                raise self._timeout(model_id, job)
            self._clock.sleep(min(self._pause(job), self._until - now))
            try:
                job = self._client.job(job.id, model_id, "EXPORT", self._until)
                address = download_address(job) or address
            except ApiError as error:
                not_yet = isinstance(error, (NotFound, AbsenceInDoubt)) and self._age < _NOT_FOUND_GRACE_SECONDS
                if not (error.transient or not_yet) or self._clock.monotonic() >= self._until:
                    raise
            self._reporter.progress(progress_of(job, "EXPORT", self._age))
        if job.failed:
            raise self._failure(model_id, job)
        return address

    @property
    def _age(self) -> float:
        return self._clock.monotonic() - self._began

    def _pause(self, job: DockJob) -> float:
        settings = self._client.settings
        shortest, longest = settings.poll_min_seconds, settings.poll_max_seconds
        return pause_before_poll(self._age, job.percent, shortest, longest, self._rng)

    def _failure(self, model_id: str, job: DockJob) -> JobFailed:
        reason = f'"{job.reason}"' if job.reason else "the platform gave no reason"
        text = f"export of {model_id}: job {job.id} failed: {reason}"
        error = JobFailed(text, job_id=job.id, action="EXPORT", status=job.status)
        return error.advising(Advice(AdviceKind.EXPORT_BY_HAND, model_id))

    def _timeout(self, model_id: str, job: DockJob) -> JobTimeout:
        text = f"export of {model_id}: job {job.id} has not ended after {spoken(self._age)} (last status {job.status})"
        error = JobTimeout(text, job_id=job.id, action="EXPORT", status=job.status)
        return error.advising(Advice(AdviceKind.EXPORT_BY_HAND, model_id))
