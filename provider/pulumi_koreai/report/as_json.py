"""A report as data, for scripts: the facts that the Markdown is made of."""

from collections.abc import Mapping

from .changes import Change
from .engine_json import UNKNOWN_VALUE, Digest, Run
from .preview import Preview
from .run import OperationReport, Report

Json = Mapping[str, object]


def report_as_json(engine_json: Digest | Run) -> Json:
    """What `koreai report --format json` prints of a preview or a run. Durations are in seconds."""
    return _preview(Preview.of(engine_json)) if isinstance(engine_json, Digest) else _run(Report.of(engine_json))


def _preview(preview: Preview) -> Json:
    return {
        "failed": bool(preview.errors),
        "changes": preview.anything,
        "models": [_change(change) for change in preview.changes],
        "warnings": preview.warnings,
        "errors": preview.errors,
        "others": dict(preview.others),
    }


def _change(change: Change) -> Json:
    return {
        "name": change.name,
        "what": change.kind.value if change.kind else "unchanged",
        "words": change.words,
        "differences": [
            {"path": one.path, "old": _value(one.old), "new": _value(one.new)} for one in change.differences
        ],
        "cutsOff": change.cuts_off,
        "mayCutOff": change.may_cut_off,
        "mayUndeploy": change.may_undeploy,
        "lastDeploySeconds": change.cut_seconds or None,
    }


def _value(raw: object) -> object:
    return "known in the run" if raw == UNKNOWN_VALUE else raw


def _run(report: Report) -> Json:
    return {
        "failed": report.failed,
        "complete": report.run.complete,
        "seconds": report.run.last - report.run.first,
        "models": [_operation(one) for one in report.models],
        "notBegun": report.not_begun,
        "errors": [line.text for line in report.run.errors],
        "others": dict(report.others),
    }


def _operation(one: OperationReport) -> Json:
    return {
        "name": one.name,
        "outcome": one.outcome,
        "what": one.what,
        "reason": one.reason,
        "seconds": one.ended - one.begun,
        "jobs": [{"action": job.action, "id": job.id, "seconds": job.seconds} for job in one.jobs],
    }
