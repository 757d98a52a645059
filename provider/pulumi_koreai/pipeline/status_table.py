"""What `koreai status` found, as Markdown and as JSON."""

from collections.abc import Iterator, Sequence
from typing import Final

from pulumi_koreai.api.dock_job import verb_of
from pulumi_koreai.api.errors import KoreaiError, NotFound
from pulumi_koreai.api.messages import clean
from pulumi_koreai.base.durations import spoken
from pulumi_koreai.pipeline.project_engine import EngineFailed
from pulumi_koreai.pipeline.status import ModelStatus, StackStatus
from pulumi_koreai.report import markdown
from pulumi_koreai.stackfile.terms import PULUMI

Json = dict[str, object]

_HEADER: Final = ("resource", "model", "declared", "state", "last job", "took", "now")
_NONE: Final = "–"


def status_markdown(stacks: Sequence[StackStatus]) -> str:
    """A heading and a table for each stack."""
    return "\n\n".join(part for stack in stacks for part in _parts(stack)) + "\n"


def status_json(stacks: Sequence[StackStatus]) -> list[Json]:
    """The same for a script."""
    return [
        {
            "stack": stack.stack,
            "error": str(stack.failure) if stack.failure else None,
            "notAsked": _words(stack.unasked) if stack.unasked else None,
            "models": list(map(_model, stack.models)),
        }
        for stack in stacks
    ]


def _parts(stack: StackStatus) -> Iterator[str]:
    yield f"## {markdown.code(stack.stack)}"
    if stack.failure:
        yield f"**Its state can't be read.** {markdown.prose(str(stack.failure))}"
        return
    if not stack.models:
        yield "There are no models in its state."
        return
    if stack.unasked:
        yield (
            "**The platform can't be asked for the jobs under way**, so this is what the state says."
            f" {markdown.prose(_words(stack.unasked))}"
        )
    yield markdown.table(_HEADER, map(_row, stack.models))
    if any(model.is_astray for model in stack.models):
        yield (
            "`not in the state`: sent by a run that ended early. The next `pulumi up` takes up what an entry declares."
        )


def _row(model: ModelStatus) -> list[str]:
    job = [model.action.lower(), markdown.prose(model.last_status), markdown.code(model.job_id) if model.job_id else ""]
    return [
        markdown.code(model.name) if model.name else _NONE,
        markdown.code(model.model_id),
        model.declared or _NONE,
        _state(model),
        " ".join(filter(None, job)) or _NONE,
        spoken(model.seconds) if model.seconds else _NONE,
        _now(model),
    ]


def _state(model: ModelStatus) -> str:
    if model.is_astray:
        return "`not in the state`"
    if model.recorded is None:
        return "being created"
    return f"{model.recorded}, to be deleted" if model.is_dying else str(model.recorded)


def _now(model: ModelStatus) -> str:
    """What the platform says of a job under way."""
    if isinstance(model.trouble, NotFound):
        return "the platform does not know the job (any more)"
    if model.trouble:
        return markdown.prose(str(model.trouble))
    if model.job is None:
        return _NONE if not model.under_way else "not asked"
    if model.job.failed:
        reason = markdown.prose(model.job.reason) if model.job.reason else "the platform gave no reason"
        return f"failed: {reason}"
    if model.job.succeeded:
        return "has ended well; the next `pulumi up` or `pulumi refresh` records it"
    assert model.action
    percent = "" if model.job.percent is None else f" {model.job.percent:.0f} %"
    odd = "" if model.job.status == "IN_PROGRESS" else f", status {markdown.code(model.job.status)}"
    return f"{verb_of(model.action)}ing{percent}{odd}"


def _model(model: ModelStatus) -> Json:
    job = model.job
    return {
        "name": model.name,
        "modelId": model.model_id,
        "declared": model.declared,
        "state": None if model.recorded is None else model.recorded.value,
        "toBeDeleted": model.is_dying,
        "notInState": model.is_astray,
        "lastJob": {
            "id": model.job_id or None,
            "action": model.action or None,
            "status": model.last_status or None,
            "seconds": model.seconds or None,
        },
        "now": {"status": job.status, "percent": job.percent, "reason": job.reason or None} if job else None,
        "error": clean(str(model.trouble)) if model.trouble else None,
    }


def _words(failure: KoreaiError | EngineFailed) -> str:
    return PULUMI.error(failure) if isinstance(failure, KoreaiError) else str(failure)
