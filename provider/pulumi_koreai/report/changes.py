"""What happens to each model, in the platform's terms. The facts are `core.impact`'s, the sentences the renderer's."""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from pydantic import ValidationError

from ..api.declared import UNKNOWN, DeployRequest, Unknown
from ..core import state
from ..core.impact import CutOff, Impact, Order, Unfinished
from ..core.rules import ModelState, Record, Step, steps_ahead
from ..core.spec import ProgramSpec, file_spelling
from ..stackfile.terms import PULUMI
from .custody import Custody, Fate, new_id, old_id
from .engine_json import SECRET, UNKNOWN_VALUE, EngineStep, Properties

_IT: Final = "the model"
_THE_OLD_ONE: Final = "the present model"
_MOVED: Final = "another entry declares it now, so the model is not undeployed."
_MOVED_DOUBTFUL: Final = "what was last sent for this entry may be later than what was sent for that one."
_MOVED_ON: Final = f"another entry declares {_THE_OLD_ONE} now, so it is not undeployed."
_RETAINED: Final = "is no longer managed and goes on as it is; nothing is sent."
_UNLESS_HELD: Final = "if another resource of the stack has it, which this preview does not show, it is not undeployed."
_ENDED: Final = "an earlier run has undeployed the model, to replace it; nothing is sent."
_UNSEEN: Final = "what is declared must be what runs: the platform has no call that could tell."


class ChangeKind(Enum):
    """What happens to a model, the gravest first; the value is the word for it."""

    UNDEPLOYED = "undeployed"
    REPLACED = "replaced"
    REDEPLOYED = "redeployed"
    RELEASED = "no longer managed"
    OPEN = "decided in the run"
    DEPLOYED = "deployed"
    RESUMED = "resumed"
    ADOPTED = "adopted"
    RECORDED = "only recorded"


@dataclass(frozen=True)
class Hardware:
    """What one model's replicas run on.

    Attributes:
        device_type: "" where it is not known yet, or secret.
        low: the fewest replicas; None where they are left to the platform, or not known yet.
        high: the most, likewise.
    """

    device_type: str
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class Difference:
    """A parameter that changes.

    Attributes:
        path: its name in the stack's file, such as `hyperParameters.temperature`.
        old: None where there was none; `SECRET` and `UNKNOWN_VALUE` stand for what can't be shown.
        new: likewise.
    """

    path: str
    old: object
    new: object


@dataclass(frozen=True)
class Change:
    """What a run would do to one model; `kind` is None where it stays as it is.

    Attributes:
        name: the entry's name.
        kind: what happens to it.
        words: the same in sentences, which may hold text of the platform's.
        differences: the parameters that change; none of a model that is new.
        cuts_off: whether those who call it are cut off, for a while or for good.
        may_cut_off: whether they may be, which is known only in the run.
        may_undeploy: whether it may be undeployed and not deployed again, which is known only in the run.
        cut_seconds: for how long the last deploy took, where they are cut off until the next; 0 when not known.
        before: what it runs on now, as far as is recorded; None when it does not run.
        after: what it will run on.
        unmanaged: what goes on running, though no resource of the stack has it any more.
        unprotected: whether the engine would no longer refuse to delete it.
    """

    name: str
    kind: ChangeKind | None
    words: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    cuts_off: bool = False
    cut_seconds: float = 0.0
    before: Hardware | None = None
    after: Hardware | None = None
    unprotected: bool = False
    may_cut_off: bool = False
    may_undeploy: bool = False
    unmanaged: Hardware | None = None


def changes(steps: Iterable[EngineStep], *, whole: bool = True) -> list[Change]:
    """What the engine's steps mean to the models that they are about, the gravest first, each kind by name.

    Args:
        steps: all of them.
        whole: whether each resource of the stack has a step among them.
    """
    models = [step for step in steps if step.is_model and not step.is_left_out]
    custody = Custody(models, whole=whole)
    order = {kind: index for index, kind in enumerate(ChangeKind)}
    found = (_change(step, custody) for step in models)
    return sorted(found, key=lambda change: (order[change.kind] if change.kind else len(order), change.name))


def _record(step: EngineStep) -> Record | None:
    return state.record(_for_the_rules(step.old.outputs)) if step.old else None


def _change(step: EngineStep, custody: Custody) -> Change:
    record = _record(step)
    before = None
    if record and record.state in (ModelState.DEPLOYED, ModelState.DEPLOYING) and custody.counts_before(step):
        before = _hardware(record.request)
    if step.new is None and record is not None:
        return _let_go(step, record, before, custody)
    protection: tuple[Difference, ...] = ()
    if step.old and step.new and step.protection_changes:
        protection = (Difference("protect", step.old.protect, step.new.protect),)
    unprotected = bool(protection) and not protection[0].new
    if step.op == "same":
        kind, words = (ChangeKind.RECORDED, ("nothing is sent.",)) if protection else (None, ())
        after = before if custody.counts_after(step) else None
        return Change(step.name, kind, words, protection, before=before, after=after, unprotected=unprotected)
    change = _declared(step, record, before, step.new.inputs if step.new else {}, custody)
    return replace(change, differences=change.differences + protection, unprotected=unprotected)


def _let_go(step: EngineStep, record: Record, before: Hardware | None, custody: Custody) -> Change:
    """What happens to a model whose resource goes."""
    why = "its entry is gone."
    if step.op == "delete-replaced":
        why = f"{old_id(step)}, which the entry had before, was not undeployed when it was replaced."
    fate = custody.fate(step)
    idle = record.state is ModelState.UNDEPLOYED
    match fate:
        case Fate.HELD:
            return _left_alone(step, record, before, custody)
        case Fate.ENDED:
            return Change(step.name, ChangeKind.RECORDED, (why, _ENDED))
        case Fate.RETAINED if not idle:
            released = (why, f"{_IT} {_RETAINED}")
            return Change(step.name, ChangeKind.RELEASED, released, before=before, unmanaged=before)
    impact = Impact.of_retiring(record)
    words = [why, *(PULUMI.impact(_IT, impact) or [f"{_IT} is undeployed already; nothing is sent."])]
    cuts_off = impact.cut_off is not CutOff.NEVER
    if cuts_off and fate is Fate.MAY_END:
        words.append(_UNLESS_HELD)
    kind = ChangeKind.UNDEPLOYED if cuts_off else ChangeKind.RESUMED if impact.steps else ChangeKind.RECORDED
    return Change(step.name, kind, tuple(words), cuts_off=cuts_off, before=before)


def _left_alone(step: EngineStep, record: Record, before: Hardware | None, custody: Custody) -> Change:
    """What happens to a model whose entry goes while another one has it."""
    waits = record.under_way and not (step.old and step.old.retain_on_delete)
    words = [PULUMI.unfinished(_IT, Unfinished.of(record))] if waits else []
    words.append(_MOVED)
    held = [_record(other) for other in custody.others_after(step) if old_id(other) == old_id(step)]
    if any(one and (record.state, record.request) != (one.state, one.request) for one in held):
        words.append(_MOVED_DOUBTFUL)
    return Change(step.name, ChangeKind.RESUMED if waits else ChangeKind.RECORDED, tuple(words), before=before)


def _declared(
    step: EngineStep, record: Record | None, before: Hardware | None, news: Properties, custody: Custody
) -> Change:
    differences = tuple(_differences(step, record, news))
    try:
        spec = _spec(step, news)
    except ValidationError:
        spec = None  # of another version, with other rules
    replaced = step.op == "replace"
    undecided = _undecided(None if replaced else record, spec)
    if spec is None or undecided:
        runs = record is None or record.state is not ModelState.UNDEPLOYED
        may_undeploy = runs and "deployed" in undecided
        spared = record is None or (spec is not None and spec.update_strategy == "redeploy" and not replaced)
        return Change(
            step.name,
            ChangeKind.OPEN,
            (f"what is declared is known only in the run, so what happens to {_IT} is too.",),
            differences,
            before=before,
            after=_hardware_of(spec),
            may_cut_off=may_undeploy or (runs and not spared),
            may_undeploy=may_undeploy,
        )
    change = Change(step.name, None, (), differences, before=before)
    if custody.counts_after(step):
        change = replace(change, after=_hardware_of(spec))
    if record is None:
        kind, said = _new(step, spec, custody)
        return replace(change, kind=kind, words=tuple(said), cuts_off=kind is ChangeKind.UNDEPLOYED)
    old = step.old.outputs if step.old else {}
    if replaced and new_id(step) is not None and new_id(step) == old_id(step):
        lets_go = custody.fate(step) in (Fate.ENDS, Fate.MAY_END)
        order = Order.NEW_FIRST if step.order is Order.OLD_FIRST and not lets_go else step.order
        impact = Impact.of_renewing(record, spec.goal(adopt=True), order)
    elif replaced or spec.model_id != old.get("model_id"):
        return _replaced(change, step, record, spec, custody)
    else:
        impact = Impact.ahead(record, spec.goal(adopt=not old.get("adopt")), settled=state.settled(old, record))
    # The duration is shown apart: models that differ in nothing else are one row.
    said = PULUMI.impact(_IT, impact, durations=False)
    kind = _kind(impact)
    if kind is ChangeKind.ADOPTED:
        said.append(_UNSEEN)
    return replace(
        change,
        kind=kind,
        words=tuple(said) or ("nothing is sent.",),
        cuts_off=impact.cut_off is not CutOff.NEVER,
        cut_seconds=impact.last_deploy_seconds if impact.cut_off is CutOff.UNTIL_DEPLOYED else 0.0,
    )


def _replaced(change: Change, step: EngineStep, record: Record, spec: ProgramSpec, custody: Custody) -> Change:
    """What happens where another model takes an entry's place."""
    takes_over = f"another model takes the place of {_THE_OLD_ONE}."
    fate = custody.fate(step)
    match fate:
        case Fate.HELD:
            return replace(change, kind=ChangeKind.REPLACED, words=(takes_over, _MOVED_ON))
        case Fate.RETAINED if record.state is not ModelState.UNDEPLOYED:
            words = (takes_over, f"{_THE_OLD_ONE} {_RETAINED}")
            return replace(change, kind=ChangeKind.REPLACED, words=words, unmanaged=change.before)
    # The ids are among what changes.
    impact = Impact.of_replacing(record, None, spec.goal(adopt=True), step.order)
    cuts_off = impact.cut_off is not CutOff.NEVER
    words = (*PULUMI.impact(_THE_OLD_ONE, impact), *((_UNLESS_HELD,) if cuts_off and fate is Fate.MAY_END else ()))
    return replace(change, kind=ChangeKind.REPLACED, words=words, cuts_off=cuts_off)


def _new(step: EngineStep, spec: ProgramSpec, custody: Custody) -> tuple[ChangeKind, list[str]]:
    """What happens to a model that the stack does not know under this name."""
    (first,) = steps_ahead(None, spec.goal(adopt=True))
    others = list(custody.others_before(step))
    idle = all((record := _record(other)) and record.state is ModelState.UNDEPLOYED for other in others)
    whose = "as it was another entry's before" if all(map(_lets_go, others)) else "as another entry has it too"
    match first:
        case Step.ADOPT:
            return ChangeKind.ADOPTED, [f"{_IT} is adopted as declared; nothing is sent.", _UNSEEN]
        case Step.UNDEPLOY if others and idle:
            return ChangeKind.RECORDED, [
                f"{_IT} is undeployed already, as another entry's; the undeploy is sent once more."
            ]
        case Step.UNDEPLOY:
            return ChangeKind.UNDEPLOYED, [f"{_IT} is undeployed; whatever is active is cut off at once."]
        case _ if others and not idle:
            return ChangeKind.REDEPLOYED, [f"{_IT} is deployed over the running deployment, {whose}."]
        case _:
            return ChangeKind.DEPLOYED, [f"{_IT} is deployed."]


def _lets_go(step: EngineStep) -> bool:
    return step.new is None or new_id(step) != old_id(step)


def _kind(impact: Impact) -> ChangeKind:
    match impact.sent:
        case ():
            return ChangeKind.RESUMED if impact.steps else ChangeKind.RECORDED
        case (Step.ASK,):
            return ChangeKind.RECORDED
        case (Step.ADOPT,):
            return ChangeKind.ADOPTED
        case (Step.UNDEPLOY,) if impact.cut_off is CutOff.NEVER:
            return ChangeKind.RECORDED
        case (Step.UNDEPLOY,) | (Step.UNDEPLOY, Step.UNDEPLOY | Step.ADOPT):
            return ChangeKind.UNDEPLOYED
        case (Step.DEPLOY,) if not impact.running:
            return ChangeKind.DEPLOYED
        case _:
            return ChangeKind.REDEPLOYED


def _undecided(record: Record | None, spec: ProgramSpec | None) -> Set[str]:
    """The arguments whose values are not known yet, and on which depends what happens."""
    deciding = ["deployed", "adopt", "update_strategy"]
    if spec is None:
        return set(deciding)
    declared = spec.plain()
    if record is not None and declared["deployed"] is True:
        deciding += state.PARAMETERS
    return {name for name in deciding if any(isinstance(leaf, _Later) for leaf in _leaves(declared.get(name)))}


class _Later(Unknown):
    """A value that the engine does not know yet."""


def _for_the_rules(properties: Properties) -> Properties:
    """Recorded properties with `UNKNOWN` for each secret, which passes for any value."""
    return {key: _swapped(value, {SECRET: UNKNOWN}) for key, value in properties.items()}


def _spec(step: EngineStep, news: Properties) -> ProgramSpec:
    """What is declared. A secret that has not changed equals the recorded one, one that has equals nothing.

    Raises:
        ValidationError: it breaks the rules of this version.
    """
    differing = {path.partition(".")[0].partition("[")[0] for path in step.detailed_diff or {}}
    return ProgramSpec.model_validate(
        {
            name: _swapped(news[name], {SECRET: Unknown() if name in differing else UNKNOWN, UNKNOWN_VALUE: _Later()})
            for name in state.ARGUMENTS
            if name in news
        }
    )


def _swapped(value: object, put: Mapping[str, object]) -> object:
    match value:
        case dict():
            return {key: _swapped(inner, put) for key, inner in value.items()}
        case list():
            return [_swapped(inner, put) for inner in value]
        case str():
            return put.get(value, value)
        case _:
            return value


def _leaves(value: object) -> Iterator[object]:
    match value:
        case dict():
            for inner in value.values():
                yield from _leaves(inner)
        case list():
            for inner in value:
                yield from _leaves(inner)
        case _:
            yield value


def _hardware_of(spec: ProgramSpec | None) -> Hardware | None:
    return _hardware(spec) if spec is not None and spec.deployed is True else None


def _hardware(request: DeployRequest | None) -> Hardware | None:
    if request is None:  # nothing is known to have been sent
        return None
    # Of another version's state, the parts may be plain dictionaries, or anything.
    scaling = request.scaling_parameters
    low, high = getattr(scaling, "min_replicas", None), getattr(scaling, "max_replicas", None)
    device = getattr(request, "device_type", "")
    return Hardware(
        device if isinstance(device, str) else "",
        low if isinstance(low, int) else None,
        high if isinstance(high, int) else None,
    )


_FILE_NAMES: Final = {"custom_timeouts": "timeouts"}


def _path_in_the_file(path: str) -> str:
    first, dot, rest = path.partition(".")
    return f"{_FILE_NAMES.get(first) or file_spelling(first)}{dot}{'.'.join(map(file_spelling, rest.split('.')))}"


def _differences(step: EngineStep, record: Record | None, news: Properties) -> Iterator[Difference]:
    """The parameters that change, in the order of the stack's file's reference."""
    if step.old is None or record is None:
        return
    olds = step.old.outputs
    if record.state is ModelState.UNDEPLOYED and state.settled(olds, record) and not news.get("deployed", True):
        olds = {**olds, **step.old.inputs}  # nothing runs: the outputs keep the parameters of what ran last
    paths_found = dict.fromkeys(state.differing(olds, news))
    for path in step.detailed_diff or {}:  # a secret that changes looks like one that does not
        plain = path.partition("[")[0]
        if any(value == SECRET for value in _leaves(_at(news, plain))):
            paths_found[plain] = None
    for path in sorted(paths_found, key=lambda path: state.ARGUMENTS.index(path.partition(".")[0])):
        yield from _leaf_differences(path, _at(olds, path), _at(news, path))


def _leaf_differences(path: str, old: object, new: object) -> Iterator[Difference]:
    """A group of parameters that comes or goes as a whole is told of by each of them."""
    if isinstance(old or new, dict):
        olds, news = old if isinstance(old, dict) else {}, new if isinstance(new, dict) else {}
        for key in {**olds, **news}:
            yield from _leaf_differences(f"{path}.{key}", olds.get(key), news.get(key))
    else:
        yield Difference(_path_in_the_file(path), old, new)


def _at(properties: Mapping[str, object], path: str) -> object:
    found: object = properties
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found
