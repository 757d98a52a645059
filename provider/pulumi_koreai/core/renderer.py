"""Sentences out of facts, made once, at the edge: each front end has one `Renderer`, with its commands and names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..api.errors import Advice, AdviceKind, ConfigError, KoreaiError, SettingFault
from ..base.durations import spoken
from ..base.progress import Note, NoteKind
from ..journal import Trouble, TroubleKind
from .impact import CutOff, Impact, Order, Replacement, Unfinished, Why
from .rules import ModelState, Operation, Record, Step
from .stopped import Stopped

ADVICE: Mapping[AdviceKind, str] = {
    AdviceKind.TRUST_CERTIFICATE: "If the certificate is your organisation's own, name its authority in"
    " REQUESTS_CA_BUNDLE.",
    AdviceKind.CHECK_NETWORK: "No request was sent. Check {host} and your network.",
    AdviceKind.CHECK_PLATFORM: "{subject} does not answer. Check {host} and your network.",
    AdviceKind.CHECK_SIGN_IN_PAGE: "Check that {host} is the platform itself and not a sign-in page or a proxy before"
    " it.",
    AdviceKind.CHECK_PROXY: "Nothing shows that the platform itself gave this answer: it is not in its form, or does"
    " not speak of what was asked for. Check {host} and the proxy or gateway before it, then run this again.",
    AdviceKind.FOLLOW_REDIRECT: "The platform redirects to {subject}. A redirect is not followed, so that the key"
    " reaches no other host. Set {host} to the address that answers itself.",
    AdviceKind.NEW_KEY: "{subject} does not accept the key in {api_key}. Create one for an API app there and set it.",
    AdviceKind.ADD_SCOPE: "The key in {api_key} lacks a scope: its API app must be allowed to {subject}.",
    AdviceKind.WAIT_FOR_JOB: "Another job is running on the model. Wait until it has ended, then run this again.",
    AdviceKind.UNKNOWN_JOB: "{subject} does not know the job.",
    AdviceKind.UNKNOWN_MODEL: "{subject} does not know the model. Check the model id, and that the key belongs to the"
    " account that has the model.",
    AdviceKind.ABSENCE_IN_DOUBT: "It is not certain what that means, so nothing is concluded from it. Check {host}, the"
    " model id, and that the key in {api_key} belongs to the account that has the model.",
    AdviceKind.KEY_UNPROVEN: "{subject} has not answered a dock job to the key in {api_key} yet: the key may belong to"
    " another account, or {host} be another platform, which would know no model of this state.",
    AdviceKind.LET_GO: "{subject} stays in the state. If you know that it is not deployed, let go of it with"
    " `{forget}`.",
    AdviceKind.LET_GO_OF_JOB: "Job {subject} stays in the state; the next run asks for it again. If you know that it"
    " has ended and the platform has forgotten it, let go of the resource with `{forget}`, then declare the model anew,"
    " with `adopt` set to true if it is deployed as declared.",
    AdviceKind.SLOW_DOWN: "This process sends at most {subject} calls a minute; other processes with keys of the same"
    " account count too. Lower {requests_per_minute}, or run fewer pipelines at once.",
    AdviceKind.DEPLOY_BY_HAND_FIRST: "The first deployment of a model is made by hand in the console; only later ones"
    " go through the API, and the model must be in the state Ready to Deploy. If it was never deployed, deploy it there"
    " once.",
    AdviceKind.ADOPT_OR_UNDEPLOY: "The model is deployed already. If that deployment is as declared, set `adopt`"
    " to true: it is then adopted without a request. Otherwise undeploy the model in the console, then run `{apply}`"
    " again.",
    AdviceKind.LOOK_AT_MODEL: "Look at the model in the console before you go on.",
    AdviceKind.SETTLE_DEPLOY: "It is unknown whether {subject} is being deployed now, so the deploy is not sent again."
    " Look at the model in the console. If it is deployed as declared, set `adopt` to true (where it was not true"
    " before): nothing is sent then. Otherwise run `{apply}` again: it settles this by the update strategy.",
    AdviceKind.CONFIRM_DEPLOY: "Look at {subject} in the console. If it is deployed as declared, set `adopt` to true"
    " (where it was not true before): nothing is sent then. Otherwise run `{apply}` again: it goes on by the update"
    " strategy.",
    AdviceKind.REPEAT_UNDEPLOY: "It is unknown whether {subject} is being undeployed now. Run the command again: an"
    " undeploy may be repeated.",
    AdviceKind.FIX_AND_DEPLOY_AGAIN: "Fix the cause above, then run `{apply}` to deploy again.",
    AdviceKind.FIX_AND_UNDEPLOY_AGAIN: "Look at the model in the console, then run the command again.",
    AdviceKind.NOT_DEPLOYED_NOW: "The model is not deployed now.",
    AdviceKind.MAY_STILL_SERVE: "An earlier deployment may still serve; the API cannot report it.",
    AdviceKind.JOB_GIVEN_UP: "The status {subject} is not documented. The job is not waited on again: the next"
    " `{apply}` goes on by the update strategy.",
    AdviceKind.RESUME_AND_RAISE_TIMEOUT: "Run `{apply}` again: it resumes the job, and nothing is sent twice. If the"
    " model needs longer, raise its timeout ({timeouts}).",
    AdviceKind.RERUN_AND_RAISE_TIMEOUT: "Run `{apply}` again: it goes on from there. If the model needs longer, raise"
    " its timeout ({timeouts}).",
    AdviceKind.BRING_THE_OTHER_UP: "{subject} is left as it is and stays in the state. Fix what stopped the other"
    " resource, then run `{apply}` again; or take its entry out, and {subject} is undeployed.",
    AdviceKind.KEY_CANT_DEPLOY: "The deploy that is to follow would be refused too: the model was left running. Let the"
    " key in {api_key} deploy models, or set one that may, then run `{apply}` again.",
    AdviceKind.EXPORT_BY_HAND: "Export {subject} in the console instead, and make the entry of the `deployconfig.json`"
    " in that file.",
    AdviceKind.RUN_AGAIN: "Run the command again: an undeploy may be repeated.",
}
"""What to do, by its kind. `{apply}`, `{host}` and the like are the front end's own; `{subject}` is the advice's."""


@dataclass(frozen=True)
class Renderer:
    """How a front end names what a message speaks of. Everything else in a sentence is the same in all of them.

    Attributes:
        apply: the command that brings the models to what is declared, as `pulumi up`.
        settings: what the user writes for each field of `Settings`, as `koreai:host` for `host`.
        how_to_set: how the user sets `host` and `api_key`, as a whole sentence without the full stop.
        timeouts: what the user writes to raise a timeout.
        forget: the command that takes a resource out of the state and sends nothing, as `pulumi state delete URN`.
    """

    apply: str
    settings: Mapping[str, str]
    how_to_set: Mapping[str, str]
    timeouts: str
    forget: str

    def advice(self, advice: Advice) -> str:
        """What to do now."""
        names = {"apply": self.apply, "timeouts": self.timeouts, "forget": self.forget, **self.settings}
        return ADVICE[advice.kind].format_map({**names, "subject": advice.subject})

    def setting_fault(self, fault: SettingFault) -> str:
        """A setting that can't be used, by what the user writes for it, and what to do."""
        remedy = f". {self.how_to_set[fault.remedy.value]}." if fault.remedy else ""
        return f"{self.settings[fault.setting]}: {fault.problem}{remedy}"

    def error(self, error: KoreaiError) -> str:
        """What was tried, what came back, and what to do now, which has lines of its own."""
        if isinstance(error, ConfigError):
            return "\n".join(map(self.setting_fault, error.faults))
        return "\n".join([str(error), *map(self.advice, error.advice)])

    def note(self, note: Note) -> str:
        """A fact of a call that is worth keeping."""
        model, verb, job = note.model_id, note.verb, note.job_id
        match note.kind:
            case NoteKind.ADOPTED:
                return f"{model} is adopted as declared; nothing was sent."
            case NoteKind.NO_SUCH_MODEL:
                return f"the platform has no model {model}: there was nothing to undeploy."
            case NoteKind.NOT_DEPLOYED:
                return f"{model} was not deployed: there was nothing to undeploy."
            case NoteKind.STARTED:
                return f"{verb} of {model}: job {job} started"
            case NoteKind.RESUMING:
                return f"resuming {verb} job {job} of {model}"
            case NoteKind.JOB_GONE:
                return f"the platform no longer knows {verb} job {job} of {model}."
            case NoteKind.JOB_FAILED:
                reason = f'"{note.reason}"' if note.reason else "the platform gave no reason"
                return f"{verb} job {job} of {model} failed: {reason}"
            case NoteKind.SENT_AGAIN:
                why = f" ({note.last_failure.why})" if note.last_failure else ""
                return f"{verb}ing {model}: accepted at attempt {note.attempts}{why}."
            case NoteKind.STILL_RUNS:
                return f"{model} still runs as declared; nothing was sent."
            case NoteKind.ASTRAY:
                sent = f"{verb} job {job}" if job else f"a request to {verb}"
                return (
                    f"{model}: an earlier run sent {sent} and ended before the state had it. It is settled with the"
                    f" entry that declares {model}. If none does, declare it again and take it out with the next"
                    f" `{self.apply}`; or look at it in the console, then remove {note.reason}."
                )
            case NoteKind.ANSWER_CUT:
                about = f"{verb} job {job} of {model}"
                return f"{about}: the platform's answer is larger than 4 MiB, and only its beginning was read."
            case NoteKind.LEFT_ALONE:
                stays = f"{model} is now managed by another resource; not undeploying it."
                if not note.doubtful:
                    return stays
                return (
                    f"{stays} What was last sent for this resource may be what runs: if it is not what the other one"
                    f" declares, change the other one's `deployed`, run `{self.apply}`, and change it back."
                )

    def journal_trouble(self, trouble: Trouble) -> str:
        """What is wrong with a journal; a deployment goes on without it."""
        lost = "If this run is killed, the next one may not know of the jobs that it began."
        match trouble.kind:
            case TroubleKind.NOT_WRITTEN:
                return f"the journal {trouble.path} can't be written: {trouble.detail}. {lost}"
            case TroubleKind.NOT_READ:
                return (
                    f"the journal {trouble.path} can't be read: {trouble.detail}. Jobs that it knows of are not found."
                )
            case TroubleKind.NOT_PRIVATE:
                return (
                    f"the journal {trouble.path} is not used: another user could have written it, or a commit brought"
                    f" it. Remove it. {lost}"
                )
            case TroubleKind.CORRUPT:
                return f"the journal {trouble.path} has lines that can't be understood; they are passed over."
            case TroubleKind.NEWER:
                return (
                    f"the journal {trouble.path} has lines of a newer version of this package; they are passed over."
                    " Use that version."
                )

    def unfinished(self, subject: str, unfinished: Unfinished) -> str:
        """Why the recorded state is not the declared one.

        Args:
            subject: the model, as the sentence is to name it.
            unfinished: the reason.
        """
        verb, job = unfinished.verb, unfinished.job_id
        match unfinished.why:
            case Why.UNDER_WAY:
                return f"the {verb} of {subject} was still running when last seen; job {job} is resumed."
            case Why.OUTCOME_UNKNOWN:
                return f"the outcome of the last {verb} of {subject} is unknown."
            case Why.FAILED:
                return f"the last {verb} of {subject} failed{f' (job {job})' if job else ''}."
            case Why.NOT_FINISHED:
                return f"the last update of {subject} was not finished: it is {unfinished.state.value} now."
            case Why.CREATION_CUT_SHORT:
                return f"the run that created {subject} ended before its job did, which has succeeded since."

    def impact(self, subject: str, impact: Impact, *, durations: bool = True, in_place: bool = True) -> list[str]:
        """What happens to a model and what its callers notice, a sentence each.

        Args:
            subject: the model, as the sentences are to name it.
            impact: the facts.
            durations: whether to say how long the last deploy took.
            in_place: whether it is known that an update is one. An option of the user's may make it a replacement, by
                which the model fares otherwise.
        """
        lines = [self.unfinished(subject, impact.unfinished)] if impact.unfinished else []
        if Step.ASK in impact.steps:
            what = (
                f"`{self.apply}` stops once and sends nothing for it: look at {subject} in the console. If it is"
                f" deployed as declared, set `adopt` to true; otherwise run `{self.apply}` again."
            )
        elif impact.replacement is None:
            what = _what(subject, impact, durations=durations)
            if not in_place and impact.running is not False and impact.sent not in ((), (Step.UNDEPLOY,)):
                what = f"updated in place, {what}"
        elif impact.replacement.renews:
            lines.append(f"the resource of {subject} is replaced by another of the same model.")
            what = _renewed(subject, impact, durations=durations)
        else:
            what = _replaced(subject, impact, impact.replacement)
        return [*lines, what] if what else lines

    def interrupted(self, model_id: str, record: Record | None, what_now: str) -> str:
        """What an interruption leaves behind."""
        if record and record.under_way:
            unfinished = Unfinished.of(record)
            return (
                f"interrupted: {unfinished.verb} job {record.job_id} of {model_id} is still running on the platform;"
                f" {what_now}."
            )
        if record is None or record.state is ModelState.UNDEPLOYED:
            runs = f"nothing runs for {model_id}"
        elif record.state is ModelState.DEPLOYED:
            runs = f"{model_id} is deployed as before"
        else:
            runs = f"what runs for {model_id} is unknown"
        return f"interrupted; {runs}; {what_now}."

    def stopped(self, stopped: Stopped, *, bug: Callable[[BaseException], str], recordable: bool) -> str:
        """Why a call ended early and what to do now.

        Args:
            stopped: the facts.
            bug: what is said of a bug of this package.
            recordable: whether the engine records what is known of a model whose call failed.
        """
        model_id, now = stopped.model_id, stopped.now
        if stopped.is_interruption:
            lines = [self.interrupted(model_id, now, self._after_interruption(stopped))]
        elif isinstance(stopped.cause, KoreaiError):
            lines = [self.error(stopped.cause)]
        else:
            # The job goes on: forgotten, it would be begun a second time.
            lines = [self.unfinished(model_id, Unfinished.of(now))] if now else []
            lines.append(bug(stopped.cause))
        if stopped.undeployed_first:
            lines.append(f"{model_id} was undeployed first and is not deployed now.")
        if not recordable and stopped.has_news and now is not None:
            lines.append(self.not_recorded(model_id, now, stopped.operation))
        return "\n".join(lines)

    def _after_interruption(self, stopped: Stopped) -> str:
        if stopped.operation == "delete":
            return "run the same command again: it goes on from there"
        resumes = stopped.now is not None and stopped.now.under_way
        return f"the next `{self.apply}` {'resumes it' if resumes else 'goes on from there'}"

    def not_recorded(self, model_id: str, record: Record, operation: Operation) -> str:
        """What a host that can't record a half-made deployment means for the next run."""
        if record.under_way:
            runs = f"job {record.job_id} may still be running"
        elif record.state is ModelState.UNDEPLOYED:
            runs = "nothing runs"
        else:
            runs = "what runs is unknown"
        if operation == "create":
            return (
                f"This dynamic provider host can't record a half-made deployment: {runs} on the platform, and the next"
                f" `{self.apply}` deploys {model_id} again. Once it is deployed, set `adopt` to true: the next"
                f" `{self.apply}` then adopts it without a request."
            )
        return (
            f"This dynamic provider host can't record a half-made update: {runs} on the platform, and the state keeps"
            f" {model_id} as it was before. The next `{self.apply}` begins the update again."
        )


def _what(subject: str, impact: Impact, *, durations: bool) -> str:
    took = impact.last_deploy_seconds if durations else 0.0
    last = f" (last deploy: {spoken(took)})" if took else ""
    match impact.sent:
        case (Step.UNDEPLOY, Step.DEPLOY):
            callers = "its callers get" if impact.running else "its callers, if it has any, get"
            for_long = f"for about {_about(took)}" if took else "until then"
            return f"{subject} is undeployed, then deployed as declared; {callers} no answers {for_long}{last}."
        case (Step.UNDEPLOY,):
            active = "every active instance" if impact.running else "whatever is active"
            return f"{subject} is undeployed; {active} is cut off at once."
        case (Step.DEPLOY,) if impact.running:
            return f"{subject} is deployed over the running deployment by the strategy redeploy{last}."
        case (Step.DEPLOY,):
            over = " over what may be running" if impact.running is None else ""
            return f"{subject} is deployed{over}{last}."
        case (Step.ADOPT,):
            return f"{subject} is adopted as declared; nothing is sent."
        case _:
            return ""


def _about(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _renewed(subject: str, impact: Impact, *, durations: bool) -> str:
    match impact.sent:
        case (Step.DEPLOY,) if impact.running is not False:
            over = "the running deployment" if impact.running else "what may be running"
            return f"{subject} is deployed over {over}; nothing is undeployed."
        case (Step.UNDEPLOY,) if impact.running is False:
            return f"{subject} is undeployed already; the undeploy is sent once more."
        case (Step.UNDEPLOY, Step.ADOPT):
            return f"{subject} is undeployed, then recorded as deployed (`adopt`) though it is not deployed again."
        case (Step.UNDEPLOY, Step.UNDEPLOY):
            return _what(subject, Impact((Step.UNDEPLOY,), None, impact.running), durations=durations)
        case _:
            return _what(subject, impact, durations=durations)


def _replaced(subject: str, impact: Impact, replacement: Replacement) -> str:
    new = replacement.model_id or "another model"
    done = {Step.DEPLOY: "is deployed", Step.ADOPT: "is adopted as declared", Step.UNDEPLOY: "is undeployed"}
    new_first = f"{done[replacement.step]}{' first' if replacement.step is Step.DEPLOY else ''}"
    if replacement.order is Order.OLD_GONE:
        return f"{subject}, which an earlier run has undeployed, is replaced by {new}, which {done[replacement.step]}."
    if impact.cut_off is CutOff.NEVER:
        return f"{subject} is replaced by {new}, which {new_first}."
    callers = "its callers are" if impact.running else "its callers, if it has any, are"
    match replacement.order:
        case Order.OLD_FIRST:
            then = f"{new}, which replaces it, {done[replacement.step]}"
            return f"{subject} is undeployed first and {callers} cut off; then {then}."
        case Order.OPEN:
            by_default = f"by default {new} {new_first}, then {subject} is undeployed and {callers} cut off"
            return f"{subject} is replaced by {new}; {by_default}."
        case _:
            then = f"then {subject} is undeployed and {callers} cut off"
            return f"{subject} is replaced by {new}, which {new_first}, {then}."
