"""What a user declares of a model, and how its faults are told.

Two spellings of one thing: snake_case in a Python program, camelCase in a stack's file. Checking gives every fault of
a model at once, each with its path as the user wrote it, what was given and what is allowed.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Final, Literal, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import AfterValidator, BaseModel, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel, to_snake
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from ..api.declared import Declared, DeployRequest, ModelId
from ..base.durations import seconds
from .rules import Goal, Strategy

Path = tuple[str | int, ...]
Spelling = Callable[[str], str]

_GIVEN_MAX_CHARS: Final = 60
_NEAREST: Final = "unknown key; nearest known key: "


def python_spelling(name: str) -> str:
    """Names as in a Python program: `max_tokens`."""
    return name


def file_spelling(name: str) -> str:
    """Names as in a stack's file: `maxTokens`."""
    return to_camel(name)


def _a_duration(text: str) -> str:
    try:
        seconds(text)
    except ValueError as error:
        raise PydanticCustomError("duration", "{reason}", {"reason": str(error)}) from None
    return text


# The schema's pattern says what `seconds` takes: at least one digit is not 0.
Duration = Annotated[
    str,
    AfterValidator(_a_duration),
    WithJsonSchema({"type": "string", "pattern": r"^(?=.*[1-9])([0-9]+(\.[0-9]+)?(h|ms|m|s))+$"}),
]


class Timeouts(Declared):
    """How long an operation may take as a whole, as `45m` or `1h30m`. The engine's `customTimeouts`.

    Attributes:
        create: the first deploy, or undeploy.
        update: a change; with `undeploy-first` the undeploy and the deploy together.
        delete: the undeploy of an entry that is gone.
    """

    create: Duration | None = None
    update: Duration | None = None
    delete: Duration | None = None

    def of(self, operation: Literal["create", "update", "delete"]) -> float | None:
        """The timeout of an operation in seconds, None when none is declared."""
        text: str | None = getattr(self, operation)
        return None if text is None else seconds(text)


class ModelSpec(DeployRequest):
    """A model's declaration, as far as a program and a stack's file have it in common.

    Attributes:
        model_id: the model, `cm-…`. Another id is another model: a replacement.
        deployed: whether it is to be deployed.
        adopt: take over a deployment that is already running, as declared, without a request.
        update_strategy: `undeploy-first` or `redeploy` (deploy over the running one).
    """

    model_id: ModelId
    deployed: bool = True
    adopt: bool = False
    update_strategy: Strategy = "undeploy-first"

    def goal(self, *, adopt: bool) -> Goal:
        """What the lifecycle is to reach. `adopt`: whether the declaration's `adopt` counts in this call."""
        request = self.parameters() if self.deployed else None
        return Goal(request, self.update_strategy, adopt and self.adopt)


class ProgramSpec(ModelSpec):
    """The inputs of a `ModelDeployment`.

    `custom_timeouts` are among them, as the stock host does not pass the resource option on.
    """

    custom_timeouts: Timeouts | None = None


class FileSpec(ModelSpec):
    """An entry of a stack's file: the declaration, and the resource options that people need there.

    Attributes:
        depends_on: names of entries that come first.
        protect: refuse to delete the resource.
        timeouts: the engine's `customTimeouts`.
    """

    depends_on: list[str] | None = None
    protect: bool = False
    timeouts: Timeouts | None = None


def written(path: Path) -> str:
    """A path as faults have it: `hyperParameters.stopSequence[1]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{fit(part)}" for part in path).removeprefix(".")


def fit(key: str) -> str:
    """A user's own word as a message can have it: short, and escaped where a terminal would not show it as it is."""
    text = key if key.isprintable() else json.dumps(key)[1:-1]
    return text if len(text) <= _GIVEN_MAX_CHARS else text[: _GIVEN_MAX_CHARS - 1] + "…"


@dataclass(frozen=True)
class DeclarationFault:
    """One thing that is wrong with a declaration.

    Attributes:
        path: where, as the user wrote it (`hyperParameters.maxTokens`).
        text: what was given and what is allowed.
        discreet: the same for who must not see what was given; "" where `text` does not show it.
    """

    path: str
    text: str
    discreet: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text

    def without_value(self) -> "DeclarationFault":
        """The same without what was given, unless that is a number or the like."""
        return DeclarationFault(self.path, self.discreet or self.text)


Spec = TypeVar("Spec", bound=ModelSpec)


def check(kind: type[Spec], given: object, spelling: Spelling) -> tuple[dict[str, object], list[DeclarationFault]]:
    """Check a declaration that may hold `UNKNOWN` at any depth.

    Returns:
        The declaration in snake_case with its defaults written in and every value in its own type, and no fault; or
        an empty one and all the faults. `UNKNOWN` stays where it was: such a value is checked when it is known.
    """
    if not isinstance(given, Mapping):
        return {}, [DeclarationFault("", f"{_shown(given)} given; allowed: a map of the model's settings")]
    faults: list[DeclarationFault] = []
    inputs: dict[str, object] = {}
    by_alias = spelling is file_spelling
    try:
        spec = kind.model_validate(dict(given), by_alias=by_alias, by_name=not by_alias)
        inputs = spec.plain()
        faults = list(_cross_faults(inputs, python_spelling, spelling))
    except ValidationError as error:
        faults = _faults_of(kind, error, spelling)
        faults += _cross_faults(given, spelling, spelling)
    return ({}, faults) if faults else (inputs, [])


def _cross_faults(given: Mapping[str, object], keys: Spelling, spelling: Spelling) -> Iterator[DeclarationFault]:
    """The rules between fields.

    They speak even when another field is at fault, and then read what was given as it is.

    Args:
        given: the declaration.
        keys: how it spells its keys.
        spelling: how the user does.
    """

    def value(*path: str) -> object:
        found: object = given
        for name in path:
            found = found.get(keys(name)) if isinstance(found, Mapping) else None
        return found

    def path(*names: str) -> str:
        return ".".join(map(spelling, names))

    low, high = value("scaling_parameters", "min_replicas"), value("scaling_parameters", "max_replicas")
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low > high:
        yield DeclarationFault(
            path("scaling_parameters", "min_replicas"),
            f"{_shown(low)} given; allowed: not more than {spelling('max_replicas')} ({_shown(high)})",
        )
    quantization = value("optimization_info", "quantization_type")
    optimization = value("optimization_info", "optimization_type")
    if quantization == "int8_float16" and not optimization:
        yield DeclarationFault(
            path("optimization_info", "quantization_type"),
            f"{_shown(quantization)} given without an {spelling('optimization_type')}; a quantization needs one:"
            " ctranslate2 or vllm",
        )
    if value("adopt") is True and value("deployed") is False:
        yield DeclarationFault(
            path("adopt"),
            f"true given with {spelling('deployed')}: false; only a deployment that is running can be taken over",
        )


def counted(faults: int) -> str:
    """`1 fault`, `3 faults`."""
    return f"{faults} fault" + ("s" if faults != 1 else "")


def _faults_of(kind: type[BaseModel], error: ValidationError, spelling: Spelling) -> list[DeclarationFault]:
    all_details = error.errors(include_url=False)
    faults = [_fault(kind, details, spelling) for details in all_details]
    # A key that is misspelt is not missing besides.
    meant = {
        f"{fault.path.rpartition('.')[0]}.{fault.text.removeprefix(_NEAREST)}".removeprefix(".")
        for fault in faults
        if fault.text.startswith(_NEAREST)
    }
    return [
        fault
        for fault, details in zip(faults, all_details, strict=True)
        if not (details["type"] == "missing" and fault.path in meant)
    ]


def _fault(kind: type[BaseModel], details: ErrorDetails, spelling: Spelling) -> DeclarationFault:
    loc: Path = details["loc"]
    owner, field = _field_at(kind, loc, spelling)
    path = written(loc)
    if details["type"] == "extra_forbidden":
        names = [spelling(name) for name in owner.model_fields]
        key = str(loc[-1])
        # The other spelling of a known key is the likeliest slip of all.
        near = [spelling(to_snake(key))] if spelling(to_snake(key)) in names else get_close_matches(key, names, 1)
        return DeclarationFault(
            path, f"{_NEAREST}{near[0]}" if near else f"unknown key; known keys: {', '.join(names)}"
        )
    allowed = allowed_in(field, spelling)
    if details["type"] == "missing":
        return DeclarationFault(path, f"missing; needed: {allowed}")
    given: object = details["input"]
    allowed = f"allowed: {allowed}"
    discreet = "" if isinstance(given, (bool, int, float, NoneType)) else f"not shown, as it may be secret; {allowed}"
    return DeclarationFault(path, f"{_shown(given)} given; {allowed}", discreet)


def _field_at(kind: type[BaseModel], loc: Path, spelling: Spelling) -> tuple[type[BaseModel], FieldInfo | None]:
    """The model that a fault's path ends in, and its field there; None when it has no such field."""
    owner, field = kind, None
    for part in loc:
        if isinstance(part, int):
            return owner, field
        inner = type_of(field)[0] if field else kind
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            owner = inner
        field = {spelling(name): info for name, info in owner.model_fields.items()}.get(part)
    return owner, field


def type_of(field: FieldInfo) -> tuple[object, list[object]]:
    """A field's type without its `None`, and the rules that go with it."""
    kind: object = field.annotation
    rules: list[object] = list(field.metadata)
    if get_origin(kind) in (Union, UnionType):
        kind = next(option for option in get_args(kind) if option is not NoneType)
    if get_origin(kind) is Annotated:
        kind, *inner = get_args(kind)
        for rule in inner:
            rules += rule.metadata if isinstance(rule, FieldInfo) else [rule]
    return kind, rules


def allowed_in(field: FieldInfo | None, spelling: Spelling) -> str:
    """What a field takes, in words, out of its own type."""
    if field is None:
        return "nothing"
    kind, rules = type_of(field)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, get_args(kind)))
    if get_origin(kind) is list:
        return "a list of texts, none of them empty"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "a map with the keys " + ", ".join(map(spelling, kind.model_fields))
    if kind in (int, float):
        low = next(rule.ge for rule in rules if isinstance(rule, Ge))
        high = next(rule.le for rule in rules if isinstance(rule, Le))
        return f"a {'whole ' if kind is int else ''}number from {low} to {high}"
    if kind is bool:
        return "true or false"
    if any(isinstance(rule, AfterValidator) for rule in rules):
        return "a duration such as 45m or 1h30m"
    if field.alias == "modelId":
        return "a model id such as cm-… (letters, digits, '-', '_', '.', '~')"
    return "a text of one line, not empty, without spaces at its ends"


def _shown(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # the engine knows no whole numbers: 600 comes back from it as 600.0
    text = f"a value of type {type(value).__name__}"
    for shown in (json.dumps, ascii):
        with suppress(TypeError, ValueError, RecursionError):
            text = shown(value)
            break
    return text if len(text) <= _GIVEN_MAX_CHARS else text[: _GIVEN_MAX_CHARS - 1] + "…"
