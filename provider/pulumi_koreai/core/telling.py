"""What is told of a job while it is waited on."""

from ..api.dock_job import Action, DockJob, JobAction, verb_of
from ..base.progress import JobProgress, Note, Progress, Reporter
from .rules import Record


class Overheard:
    """A reporter that passes on what it gets, and remembers that there was progress in it."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.progressed = False

    def progress(self, progress: Progress) -> None:
        self.progressed = True
        self._reporter.progress(progress)

    def note(self, note: Note) -> None:
        self._reporter.note(note)


def action_of(record: Record) -> Action:
    """What the last job, or request, was to do."""
    return "UNDEPLOY" if record.last_action == "UNDEPLOY" else "DEPLOY"


def progress_of(job: DockJob, action: JobAction, elapsed: float | None) -> JobProgress:
    """How a job is doing.

    Args:
        job: as it was answered last.
        action: what it does.
        elapsed: seconds since it was begun, None where an earlier call began it.
    """
    left = None
    if elapsed is not None and job.percent and job.percent >= 1 and not job.ended:
        left = elapsed * (100 - job.percent) / job.percent
    return JobProgress(
        verb_of(action),
        job.id,
        None if job.percent is None else int(job.percent),
        "" if job.status == "IN_PROGRESS" else job.status,
        elapsed,
        left,
    )
