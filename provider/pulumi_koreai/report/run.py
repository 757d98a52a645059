"""The report on a run: what came of it for each model, how long its jobs took, and what failed with which reason."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from ..base.durations import spoken
from ..base.progress import parsed
from ..core.rules import ModelState
from . import gantt, markdown
from .engine_json import Operation, Run
from .gantt import Bar

_COUNT_OF_ERRORS: Final = re.compile(r"^\d+ errors? occurred:\s*\* ")
_ROWS_SHOWN: Final = 20
_NOTES_MAX_CHARS: Final = 300
_ROLES: Final = {"create-replacement": "the new model: ", "delete-replaced": "the old model: "}

Outcome = Literal["failed", "not finished", "done", "unchanged"]


@dataclass(frozen=True)
class ReportedJob:
    """A dock job, as far as the run shows it.

    Attributes:
        action: `deploy` or `undeploy`.
        id: `ds-…`, "" where no line has it.
        begun: seconds since 1970.
        ended: likewise, to within a few seconds where another job came after it.
        seconds: how long it took; exact where the provider has watched it, for a model's last job.
    """

    action: str
    id: str
    begun: int
    ended: int
    seconds: float


@dataclass(frozen=True)
class OperationReport:
    """What came of one operation on a model.

    Attributes:
        name: the entry's name.
        outcome: how it ended.
        what: what was done or recorded, in a few words.
        jobs: its dock jobs.
        reason: why it failed, in the words of the error; "" otherwise.
        begun: seconds since 1970.
        ended: seconds since 1970; the stream's end where it had not ended.
    """

    name: str
    outcome: Outcome
    what: str
    jobs: tuple[ReportedJob, ...]
    reason: str
    begun: int
    ended: int

    @classmethod
    def of(cls, operation: Operation, last: int) -> "OperationReport":
        """Work out what an operation's events mean.

        Args:
            operation: the operation, on a model.
            last: the stream's last second.
        """
        ended = last if operation.ended is None else operation.ended
        outputs = operation.step.new.outputs if operation.step.new else {}
        goes_on = operation.failed and outputs.get("state") in (ModelState.DEPLOYING, ModelState.UNDEPLOYING)
        outcome: Outcome = "done"
        if operation.step.op == "same":
            outcome = "unchanged"
        elif operation.ended is None or goes_on:
            outcome = "not finished"
        elif operation.failed:
            outcome = "failed"
        jobs = tuple(_jobs(operation, ended))
        what = _what(operation, jobs, outcome)
        return cls(operation.step.name, outcome, what, jobs, _reason(operation), operation.begun, ended)


@dataclass(frozen=True)
class Report:
    """What a run comes to.

    Attributes:
        run: what was read of it.
        models: what came of each operation on a model.
        others: how many resources that are no models had which operation.
    """

    run: Run
    models: list[OperationReport]
    others: Counter[str]

    @classmethod
    def of(cls, run: Run) -> "Report":
        """Work out what the events mean."""
        # A replacement is reported in its halves; the whole of it is no work of the engine's.
        real = [operation for operation in run.operations if operation.step.op != "replace"]
        models = [OperationReport.of(operation, run.last) for operation in real if operation.step.is_model]
        foreign = [one.step for one in real if not one.step.is_model and not one.step.is_the_engine_s]
        return cls(run, models, Counter(step.op for step in foreign))

    @property
    def failed(self) -> bool:
        """Whether the run is not what was wanted of it."""
        return bool(self.run.errors) or not self.run.complete or any(one.reason for one in self.models)

    @property
    def worked_on(self) -> list[OperationReport]:
        return [one for one in self.models if one.outcome != "unchanged"]

    @property
    def not_begun(self) -> list[str]:
        """The models of the stack's file that the run never came to."""
        seen = {one.name for one in self.models}
        return [name for name in self.run.declared if name not in seen] if self.failed else []

    def markdown(self, max_chars: int) -> str:
        """The report, the summary first; what finds no room is counted in it."""
        blocks = [self._summary(), *self._failures(max_chars // 3)]
        after: list[str] = []
        unchanged = [one.name for one in self.models if one.outcome == "unchanged"]
        if unchanged:
            after.append(f"{markdown.counted(len(unchanged), 'model')} unchanged: {markdown.names(unchanged)}.")
        if self.not_begun:
            after.append(
                f"{markdown.counted(len(self.not_begun), 'model')} not begun: {markdown.names(self.not_begun)}."
            )
        if self.others:
            kinds = markdown.listed([f"{count} {markdown.prose(op)}" for op, count in sorted(self.others.items())])
            after.append(f"Resources of other kinds, not described here: {kinds}.")
        if bars := self.bars():
            after.append(markdown.folded("When each job ran", gantt.mermaid(bars)))
        room = max_chars - sum(len(block) + 2 for block in blocks + after)
        return "\n\n".join([*blocks, *self._table(room), *after]) + "\n"

    def bars(self) -> list[Bar]:
        """The jobs, for a picture; one for the whole operation where no job was reported."""
        found = []
        for one in self.worked_on:
            ill = one.outcome in ("failed", "not finished")
            for index, job in enumerate(one.jobs):
                failed = ill and index == len(one.jobs) - 1
                kind = "failed" if failed else _kind_of(job)
                found.append(Bar(one.name, kind, job.action, job.begun, job.ended, job.seconds))
        return found

    def _summary(self) -> str:
        counts = Counter(one.outcome for one in self.worked_on)
        took = spoken(self.run.last - self.run.first)
        parts = [f"{counts[outcome]} {outcome}" for outcome in ("failed", "not finished", "done") if counts[outcome]]
        if self.not_begun:
            parts.append(f"{len(self.not_begun)} not begun")
        counted = f": {', '.join(parts)}" if parts else "; no model was worked on"
        if not self.run.complete:
            return f"**The run broke off after {took}{counted}.**"
        return f"**The run {'failed' if self.failed else 'ended well'} after {took}{counted}.**"

    def _failures(self, room: int) -> Iterator[str]:
        failures = [
            f"{markdown.code(one.name)} {one.outcome}:\n\n{markdown.fenced(one.reason)}"
            for one in self.models
            if one.reason
        ]
        if not failures:
            failures = [markdown.fenced(line.text) for line in self.run.errors]
        shown = markdown.fitting(failures, room)
        yield from shown
        if len(shown) < len(failures):
            yield f"Left out here, for want of room: the reasons of {len(failures) - len(shown)} more."

    def _table(self, room: int) -> Iterator[str]:
        order: dict[Outcome, int] = {"failed": 0, "not finished": 1, "done": 2, "unchanged": 3}
        header = ["", "model", "what was done", "jobs", "time"]
        head = markdown.table(header, [])
        rows = [_row(one) for one in sorted(self.worked_on, key=lambda one: (order[one.outcome], one.name))]
        lines = [markdown.table(header, [row]).splitlines()[-1] for row in rows]
        kept = markdown.fitting(lines, room - 2 * len(head) - 400)
        if kept:
            yield "\n".join([head, *kept[:_ROWS_SHOWN]])
        if rest := kept[_ROWS_SHOWN:]:
            yield markdown.folded(markdown.counted(len(rest), "more model"), "\n".join([head, *rest]))
        if len(kept) < len(lines):
            yield f"Left out here, for want of room: {markdown.counted(len(lines) - len(kept), 'more model')}."


def _row(one: OperationReport) -> Sequence[str]:
    mark = {"failed": "✗", "not finished": "…", "done": "✓", "unchanged": ""}[one.outcome]
    jobs = "<br>".join(
        f"{job.action} {markdown.code(job.id) if job.id else ''} {spoken(job.seconds)}".replace("  ", " ")
        for job in one.jobs
    )
    outcome = f"{mark} {one.outcome}".replace(" ", "\N{NO-BREAK SPACE}")
    return [outcome, markdown.code(one.name), markdown.prose(one.what), jobs, spoken(one.ended - one.begun)]


def _kind_of(job: ReportedJob) -> Literal["deploy", "undeploy"]:
    return "undeploy" if job.action == "undeploy" else "deploy"


def _jobs(operation: Operation, ended: int) -> list[ReportedJob]:
    """The jobs that the lines of progress tell of, and the last one that was recorded, where no line came of it."""
    jobs: list[ReportedJob] = []
    under_way = False
    for second, line in operation.lines:
        progress = parsed(line.text)
        if under_way and (progress is None or progress.job_id != jobs[-1].id):
            jobs[-1] = _until(jobs[-1], second)  # what comes next is reported, so this one has ended
            under_way = False
        if progress and not under_way:
            # Of a job that an earlier run began, no line says how long it has been going on.
            elapsed = progress.elapsed_seconds
            begun = operation.begun if elapsed is None else max(second - round(elapsed), operation.begun)
            jobs.append(_until(ReportedJob(progress.verb, progress.job_id, begun, begun, 0), ended))
            under_way = True
    outputs = operation.step.new.outputs if operation.step.new else {}
    olds = operation.step.old.outputs if operation.step.old else {}
    last, took = outputs.get("dock_status_id"), outputs.get("last_job_seconds")
    exact = float(took) if isinstance(took, (int, float)) else 0.0
    if isinstance(last, str) and last and last != olds.get("dock_status_id") and last not in {job.id for job in jobs}:
        action = "undeploy" if outputs.get("last_action") == "UNDEPLOY" else "deploy"
        begun = max(operation.begun, ended - round(exact)) if exact else operation.begun
        jobs.append(_until(ReportedJob(action, last, begun, begun, 0), ended))
    return [replace(job, seconds=exact) if job.id == last and exact else job for job in jobs]


def _until(job: ReportedJob, ended: int) -> ReportedJob:
    return replace(job, ended=ended, seconds=ended - job.begun)


def _what(operation: Operation, jobs: Sequence[ReportedJob], outcome: Outcome) -> str:
    done = [f"{job.action}ed" for job in jobs]
    if outcome == "done" and not jobs:
        notes = " ".join(line.text for _, line in operation.lines if not line.ephemeral and line.severity == "info")
        return notes[:_NOTES_MAX_CHARS] or "nothing was sent"
    if outcome in ("failed", "not finished"):
        done = [*done[:-1], f"{jobs[-1].action} {outcome}"] if jobs else ["no job was seen"]
    return _ROLES.get(operation.step.op, "") + ", then ".join(done)


def _reason(operation: Operation) -> str:
    if not operation.failed:
        return ""
    if operation.step.new and operation.step.new.init_errors:
        return "\n".join(operation.step.new.init_errors)
    errors = [line.text for _, line in operation.lines if line.severity == "error"]
    return "\n".join(_COUNT_OF_ERRORS.sub("", text) for text in errors)
