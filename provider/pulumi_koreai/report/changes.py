"""What happens to each model, in the platform's terms. The facts are `core.impact`'s, the sentences the renderer's."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from pydantic import ValidationError

from ..api.declared import UNKNOWN, DeployRequest, Unknown
from ..core import state
from ..core.impact import CutOff, Impact, Unfinished
from ..core.rules import ModelState, Record, Step, steps_ahead
from ..core.spec import ProgramSpec, file_spelling
from ..stackfile.terms import PULUMI
from .engine_json import SECRET, UNKNOWN_VALUE, EngineStep, Properties

_IT: Final = "the model"
_THE_OLD_ONE: Final = "the present model"
_MOVED: Final = "another entry declares it now, so the model is not undeployed."
_MOVED_DOUBTFUL: Final = "what was last sent for this entry may be later than what was sent for that one."
_MOVED_ON: Final = f"another entry declares {_THE_OLD_ONE} now, so it is not undeployed."
_LETTING_GO: Final = ("delete", "delete-replaced", "replace")
"""What the engine does to a resource whose model is undeployed, unless another resource has it now."""
_UNSEEN: Final = "what is declared must be what runs: the platform has no call that could tell."


class ChangeKind(Enum):
    """What happens to a model, the gravest first; the value is the word for it."""

    UNDEPLOYED = "undeployed"
    REPLACED = "replaced"
    REDEPLOYED = "redeployed"
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


@dataclass(frozen=True)
class _Moved:
    """A model that one entry lets go and another one has in the end.

    Attributes:
        idle: whether nothing of it runs, by what is recorded with those that let it go.
        held: what is recorded with the other one, None where the model is new to it.
    """

    idle: bool
    held: Record | None


def changes(steps: Iterable[EngineStep]) -> list[Change]:
    """What the engine's steps mean to the models that they are about, the gravest first, each kind by name."""
    models = [step for step in steps if step.is_model]
    moved = _moved(models)
    order = {kind: index for index, kind in enumerate(ChangeKind)}
    found = (_change(step, moved) for step in models)
    return sorted(found, key=lambda change: (order[change.kind] if change.kind else len(order), change.name))


def _moved(models: Sequence[EngineStep]) -> dict[object, _Moved]:
    let_go: dict[object, list[Record]] = {}
    have: dict[object, Record | None] = {}
    for step in models:
        old_id = step.old.outputs.get("model_id") if step.old else None
        record = _record(step)
        if record and step.op in _LETTING_GO:
            let_go.setdefault(old_id, []).append(record)
        if step.new:
            new_id = step.new.inputs.get("model_id")
            have[new_id] = record if new_id == old_id else None
    return {
        model_id: _Moved(all(one.state is ModelState.UNDEPLOYED for one in records), have[model_id])
        for model_id, records in let_go.items()
        if model_id in have
    }


def _record(step: EngineStep) -> Record | None:
    return state.record(_for_the_rules(step.old.outputs)) if step.old else None


def _change(step: EngineStep, moved: Mapping[object, _Moved]) -> Change:
    old = step.old.outputs if step.old else {}
    record = _record(step)
    before = (
        _hardware(record.request) if record and record.state in (ModelState.DEPLOYED, ModelState.DEPLOYING) else None
    )
    if step.new is None and record is not None:
        if to := moved.get(old.get("model_id")):
            return _left_alone(step.name, record, to, before)
        why = "its entry is gone."
        if step.op != "delete":
            why = f"{old.get('model_id')}, which the entry had before, was not undeployed when it was replaced."
        return _retired(step.name, why, record, before)
    protection: tuple[Difference, ...] = ()
    if step.old and step.new and step.protection_changes:
        protection = (Difference("protect", step.old.protect, step.new.protect),)
    unprotected = bool(protection) and not protection[0].new
    if step.op == "same":
        kind, words = (ChangeKind.RECORDED, ("nothing is sent.",)) if protection else (None, ())
        return Change(step.name, kind, words, protection, before=before, after=before, unprotected=unprotected)
    change = _declared(step, record, before, step.new.inputs if step.new else {}, moved)
    return replace(change, differences=change.differences + protection, unprotected=unprotected)


def _left_alone(name: str, record: Record, to: _Moved, before: Hardware | None) -> Change:
    """What happens to a model whose entry goes while another one has it."""
    words = [PULUMI.unfinished(_IT, Unfinished.of(record))] if record.under_way else []
    words.append(_MOVED)
    if to.held and (record.state, record.request) != (to.held.state, to.held.request):
        words.append(_MOVED_DOUBTFUL)
    kind = ChangeKind.RESUMED if record.under_way else ChangeKind.RECORDED
    # What runs is counted once: with the other entry, where that has had it before.
    return Change(name, kind, tuple(words), before=None if to.held else before)


def _retired(name: str, why: str, record: Record, before: Hardware | None) -> Change:
    impact = Impact.of_retiring(record)
    words = PULUMI.impact(_IT, impact) or [f"{_IT} is undeployed already; nothing is sent."]
    cuts_off = impact.cut_off is not CutOff.NEVER
    kind = ChangeKind.UNDEPLOYED if cuts_off else ChangeKind.RESUMED if impact.steps else ChangeKind.RECORDED
    return Change(name, kind, (why, *words), cuts_off=cuts_off, before=before)


def _declared(
    step: EngineStep,
    record: Record | None,
    before: Hardware | None,
    news: Properties,
    moved: Mapping[object, _Moved],
) -> Change:
    differences = tuple(_differences(step, record, news))
    try:
        spec = _spec(step, news)
    except ValidationError:
        spec = None  # of another version, with other rules
    undecided = _undecided(record, spec)
    if spec is None or undecided:
        runs = record is None or record.state is not ModelState.UNDEPLOYED
        may_undeploy = runs and "deployed" in undecided
        spared = record is None or (spec is not None and spec.update_strategy == "redeploy")
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
    after = _hardware_of(spec)
    if record is None:
        kind, said = _new(spec, moved.get(spec.model_id))
        cuts_off = kind is ChangeKind.UNDEPLOYED
        return Change(step.name, kind, tuple(said), differences, cuts_off=cuts_off, before=before, after=after)
    old = step.old.outputs if step.old else {}
    if step.op == "replace" or spec.model_id != old.get("model_id"):
        replaced = Impact.of_replacing(record, None, spec.goal(adopt=True))  # the ids are among what changes
        said = PULUMI.impact(_THE_OLD_ONE, replaced)
        cuts_off = replaced.cut_off is not CutOff.NEVER
        if old.get("model_id") in moved and old.get("model_id") != spec.model_id:
            said, cuts_off = [f"another model takes the place of {_THE_OLD_ONE}.", _MOVED_ON], False
        return Change(
            step.name, ChangeKind.REPLACED, tuple(said), differences, cuts_off=cuts_off, before=before, after=after
        )
    impact = Impact.ahead(record, spec.goal(adopt=not old.get("adopt")), settled=state.settled(old, record))
    # The duration is shown apart: models that differ in nothing else are one row.
    said = PULUMI.impact(_IT, impact, durations=False)
    kind = _kind(impact)
    seconds = impact.last_deploy_seconds if impact.cut_off is CutOff.UNTIL_DEPLOYED else 0.0
    if kind is ChangeKind.ADOPTED:
        said.append(_UNSEEN)
    words = tuple(said) or ("nothing is sent.",)
    cuts_off = impact.cut_off is not CutOff.NEVER
    return Change(step.name, kind, words, differences, cuts_off, seconds, before, after)


def _new(spec: ProgramSpec, moved: _Moved | None) -> tuple[ChangeKind, list[str]]:
    """What happens to a model that the stack does not know under this name."""
    (step,) = steps_ahead(None, spec.goal(adopt=True))
    match step:
        case Step.ADOPT:
            return ChangeKind.ADOPTED, [f"{_IT} is adopted as declared; nothing is sent.", _UNSEEN]
        case Step.UNDEPLOY if moved and moved.idle:
            return ChangeKind.RECORDED, [
                f"{_IT} is undeployed already, as another entry's; the undeploy is sent once more."
            ]
        case Step.UNDEPLOY:
            return ChangeKind.UNDEPLOYED, [f"{_IT} is undeployed; whatever is active is cut off at once."]
        case _ if moved and not moved.idle:
            words = f"{_IT} is deployed over the running deployment, as it was another entry's before."
            return ChangeKind.REDEPLOYED, [words]
        case _:
            return ChangeKind.DEPLOYED, [f"{_IT} is deployed."]


def _kind(impact: Impact) -> ChangeKind:
    match impact.sent:
        case ():
            return ChangeKind.RESUMED if impact.steps else ChangeKind.RECORDED
        case (Step.ADOPT,):
            return ChangeKind.ADOPTED
        case (Step.UNDEPLOY,):
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
