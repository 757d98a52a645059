"""What lies ahead for a model and for those who call it, in words: for a preview, a refresh, an interrupted run."""

from typing import Literal

from ..base.durations import spoken
from .rules import UNKNOWN_STATUS, Goal, ModelState, Record, Step, steps_ahead


def outlook(model_id: str, declared_id: object, record: Record, goal: Goal) -> list[str]:
    """What brings the model from what is recorded to what is declared, and what its callers notice.

    True whenever it is read: in a preview, while an update begins, and after a refresh.

    Args:
        model_id: the model that is recorded.
        declared_id: the model that is declared; not a text where it is not known yet.
        record: what is recorded.
        goal: what is declared.
    """
    if declared_id != model_id:
        return [_replaced(model_id, declared_id, record, goal)]
    running = record.state is ModelState.DEPLOYED
    idle = record.state in (ModelState.UNDEPLOYED, ModelState.UNDEPLOYING)
    why = [] if record.state in (ModelState.DEPLOYED, ModelState.UNDEPLOYED) else [unfinished(model_id, record)]
    steps = [step for step in steps_ahead(record, goal) if step is not Step.RESUME]
    last = _last_time(record)
    match steps:
        case [Step.UNDEPLOY, Step.DEPLOY]:
            callers = "its callers" if running else "its callers, if it has any,"
            cut = f"{callers} are cut off until then"
            what = f"{model_id} is undeployed, then deployed with what is declared; {cut}{last}."
        case [Step.UNDEPLOY]:
            active = "every active instance" if running else "whatever is active"
            what = f"{model_id} is undeployed; {active} is cut off at once."
        case [Step.DEPLOY] if running:
            what = f"{model_id} is deployed over the running deployment, by the strategy redeploy{last}."
        case [Step.DEPLOY]:
            over = "" if idle else " over what may be running"
            what = f"{model_id} is deployed{over}{last}."
        case [Step.TAKE_OVER]:
            what = f"{model_id} is taken over as declared; nothing is sent."
        case _:
            return why
    return [*why, what]


def _replaced(model_id: str, declared_id: object, record: Record, goal: Goal) -> str:
    new = declared_id if isinstance(declared_id, str) else "another model"
    first = {
        Step.DEPLOY: "is deployed first",
        Step.TAKE_OVER: "is taken over as declared",
        Step.UNDEPLOY: "is undeployed",
    }
    (step,) = steps_ahead(None, goal)
    old = ""
    if Step.UNDEPLOY in steps_ahead(record, Goal(None)):
        callers = "its callers are" if record.state is ModelState.DEPLOYED else "its callers, if it has any, are"
        old = f", then {model_id} is undeployed and {callers} cut off"
    return f"{model_id} is replaced by {new}, which {first[step]}{old}."


def unfinished(model_id: str, record: Record) -> str:
    """Why the recorded state is not the declared one."""
    action = (record.last_action or "deploy").lower()
    if record.under_way:
        return f"the {action} of {model_id} had not ended when last seen; job {record.job_id} is taken up again."
    if record.last_status == UNKNOWN_STATUS:
        return f"how the last {action} of {model_id} ended is not known."
    job = f" (job {record.job_id})" if record.job_id else ""
    if record.state is ModelState.FAILED:
        return f"the last {action} of {model_id} failed{job}."
    return f"the last update of {model_id} was not finished: it is {record.state.value} now."


def timed_out(operation: Literal["create", "update", "delete"], record: Record | None) -> str:
    """What to do when the time was up."""
    if operation == "delete":  # its timeout is that of the state, which no entry can raise any more
        return "Run the command again: an undeploy may be repeated."
    if record and record.under_way:
        goes_on = "Run `pulumi up` again: the job is asked for first, and nothing is sent twice."
    else:
        goes_on = "Run `pulumi up` again: it goes on from there."
    return (
        f"{goes_on} If the model needs longer, raise its timeout (`timeouts` in the stack's file, `custom_timeouts` in"
        " a program)."
    )


def interrupted(model_id: str, record: Record | None, what_now: str) -> str:
    """What an interruption leaves behind."""
    if record and record.under_way:
        return (
            f"interrupted: job {record.job_id} ({record.last_action.lower()} of {model_id}) is still running on the"
            f" platform; {what_now}."
        )
    if record is None or record.state is ModelState.UNDEPLOYED:
        running = "nothing is running on the platform for it"
    elif record.state is ModelState.DEPLOYED:
        running = "it is deployed as before"
    else:
        running = "what is running on the platform for it is not known"
    return f"interrupted before {model_id} was as declared; {running}; {what_now}."


def left_alone(model_id: str, *, doubtful: bool) -> str:
    """What becomes of a model whose resource goes while another one has it.

    Args:
        model_id: the model.
        doubtful: whether what was last sent for the one that goes may be later than what was sent for the other one.
    """
    stays = f"{model_id} belongs to another resource now, so it is not undeployed."
    if not doubtful:
        return stays
    return (
        f"{stays} What was last sent for the one that goes may be what holds now: if it is not what the other one"
        " declares, change the other one's `deployed`, run `pulumi up`, and change it back."
    )


def not_recorded(model_id: str, record: Record, operation: Literal["create", "update"]) -> str:
    """What a host that can't record a half-made deployment means for the next run."""
    if record.under_way:
        running = f"job {record.job_id} may still be running"
    else:
        running = "nothing is running" if record.state is ModelState.UNDEPLOYED else "it is not known what is running"
    if operation == "create":
        return (
            f"This dynamic provider host can't record a half-made deployment: {running} on the platform, and the"
            f" next `pulumi up` deploys {model_id} again. Once it is deployed, set `adopt` to true: the next"
            " `pulumi up` then takes it over without a request."
        )
    return (
        f"This dynamic provider host can't record a half-made update: {running} on the platform, and the state keeps"
        f" {model_id} as it was before. The next `pulumi up` begins the update anew."
    )


def _last_time(record: Record) -> str:
    if record.last_action == "DEPLOY" and record.last_status == "SUCCESS" and record.last_job_seconds:
        return f" (the last deploy took {spoken(record.last_job_seconds)})"
    return ""
