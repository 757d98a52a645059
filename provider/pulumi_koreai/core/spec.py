"""What a user declares of a model: its fields, and the rules between them.

Two spellings of one thing: snake_case in a Python program, camelCase in a stack's file. Checking finds every fault of
a model at once.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Final, Literal, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import AfterValidator, BaseModel, Field, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel, to_snake
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from ..api.declared import Declared, DeployRequest, ModelId
from ..base.durations import seconds
from .faults import ABSENT, DeclarationFault, FaultKind, Path
from .rules import Goal, Strategy

Spelling = Callable[[str], str]

RESULTS: Final = ("state", "dock_status_id", "last_action", "last_status", "last_job_seconds")
"""The outputs of a deployment that are no arguments."""

TIMEOUTS: Final = "How long each operation may take as a whole, as `45m` or `1h30m`."
"""The description of a declaration's timeouts, whatever they are called in it."""


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
    """How long each operation may take as a whole. The engine's `customTimeouts`."""

    create: Duration | None = Field(default=None, description="The first deploy, or undeploy.")
    update: Duration | None = Field(
        default=None, description="A change; with `undeploy-first` the undeploy and the deploy together."
    )
    delete: Duration | None = Field(default=None, description="The undeploy of an entry that is gone.")

    @classmethod
    def recorded(cls, state: object) -> "Timeouts":
        """The timeouts in a state, which another version may have written: what can't be read counts as not set."""
        values = state if isinstance(state, Mapping) else {}
        readable: dict[str, str | None] = {}
        for name in cls.model_fields:
            with suppress(ValidationError):
                readable[name] = getattr(cls.model_validate({name: values.get(name)}), name)
        return cls.model_validate(readable)

    def of(self, operation: Literal["create", "update", "delete"]) -> float | None:
        """The timeout of an operation in seconds, None when none is declared."""
        text: str | None = getattr(self, operation)
        return None if text is None else seconds(text)


class ModelSpec(DeployRequest):
    """A model's declaration, as far as a program and a stack's file have it in common."""

    model_id: ModelId = Field(
        description="The model, `cm-…`. Another id is another model: the deployment is replaced.",
    )
    deployed: bool = Field(default=True, description="Whether the model is to be deployed.")
    adopt: bool = Field(
        default=False,
        description="Adopt a deployment that is already running, as declared here, without sending a request.",
    )
    update_strategy: Strategy = Field(
        default="undeploy-first",
        description="How to change a running deployment: `undeploy-first`, or `redeploy` to deploy over it.",
    )

    def goal(self, *, adopt: bool) -> Goal:
        """What the lifecycle is to reach. `adopt`: whether the declaration's `adopt` counts in this call."""
        request = self.parameters() if self.deployed else None
        return Goal(request, self.update_strategy, adopt and self.adopt)


class ProgramSpec(ModelSpec):
    """The inputs of a `ModelDeployment`.

    `custom_timeouts` are among them, as the stock host does not pass the resource option on.
    """

    custom_timeouts: Timeouts | None = Field(default=None, description=TIMEOUTS)


class FileSpec(ModelSpec):
    """An entry of a stack's file: the declaration, and the resource options that people need there."""

    depends_on: list[str] | None = Field(default=None, description="The names of the entries that come first.")
    protect: bool = Field(default=False, description="Refuse to delete the resource.")
    timeouts: Timeouts | None = Field(default=None, description=f"{TIMEOUTS} The engine's `customTimeouts`.")


Spec = TypeVar("Spec", bound=ModelSpec)


def check(kind: type[Spec], raw: object, spelling: Spelling) -> tuple[dict[str, object], list[DeclarationFault]]:
    """Check a declaration that may hold `UNKNOWN` at any depth.

    Returns:
        The declaration in snake_case with its defaults written in and every value in its own type, and no fault; or
        an empty one and all the faults. `UNKNOWN` stays where it was: such a value is checked when it is known.
    """
    if not isinstance(raw, Mapping):
        return {}, [DeclarationFault((), FaultKind.INVALID, got=raw, expected="a map of the model's settings")]
    known, unknown = _known(kind, raw, spelling, ())
    faults: list[DeclarationFault] = []
    inputs: dict[str, object] = {}
    by_alias = spelling is file_spelling
    try:
        inputs = kind.model_validate(known, by_alias=by_alias, by_name=not by_alias).plain()
    except ValidationError as error:
        faults = [_fault(kind, details, spelling) for details in error.errors(include_url=False)]
    if faults or unknown:
        # A key that is misspelt is not missing besides.
        meant = {(*fault.path[:-1], fault.nearest) for fault in unknown}
        faults = [fault for fault in faults if not (fault.kind is FaultKind.MISSING and fault.path in meant)]
        return {}, [*faults, *unknown, *_conflicts(raw, spelling, spelling)]
    faults = list(_conflicts(inputs, python_spelling, spelling))
    return ({}, faults) if faults else (inputs, [])


def _known(
    kind: type[BaseModel], raw: Mapping[object, object], spelling: Spelling, above: Path
) -> tuple[dict[str, object], list[DeclarationFault]]:
    """The keys of a declaration that are known, at every depth, and a fault for each other one.

    Not pydantic's `extra`: before 2.14 it takes either spelling below the top, whatever it is asked for.
    """
    fields = {spelling(name): field for name, field in kind.model_fields.items()}
    known: dict[str, object] = {}
    faults: list[DeclarationFault] = []
    for key, value in raw.items():
        if not isinstance(key, str) or key not in fields:
            name = str(key)
            # The other spelling of a known key is the likeliest slip of all.
            other = spelling(to_snake(name))
            near = [other] if other in fields else get_close_matches(name, fields, 1)
            faults.append(
                DeclarationFault(
                    (*above, name), FaultKind.UNKNOWN_KEY, nearest=near[0] if near else "", names=tuple(fields)
                )
            )
            continue
        inner = type_of(fields[key])[0]
        if isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(value, Mapping):
            known[key], below = _known(inner, value, spelling, (*above, key))
            faults += below
        else:
            known[key] = value
    return known, faults


def _conflicts(declared: Mapping[str, object], keys: Spelling, spelling: Spelling) -> Iterator[DeclarationFault]:
    """The rules between fields.

    They speak even when another field is at fault, and then read what was declared as it is.

    Args:
        declared: the declaration.
        keys: how it spells its keys.
        spelling: how the user does.
    """

    def value(*path: str) -> object:
        inner: object = declared
        for name in path:
            inner = inner.get(keys(name)) if isinstance(inner, Mapping) else None
        return inner

    def conflict(path: tuple[str, ...], other: str, expected: str) -> DeclarationFault:
        beside = value(*path[:-1], other)
        return DeclarationFault(
            tuple(map(spelling, path)),
            FaultKind.CONFLICT,
            got=value(*path),
            expected=expected,
            other=spelling(other),
            other_got=ABSENT if beside in (None, "") else beside,
        )

    low, high = ("scaling_parameters", "min_replicas"), ("scaling_parameters", "max_replicas")
    fewest, most = value(*low), value(*high)
    if isinstance(fewest, (int, float)) and isinstance(most, (int, float)) and fewest > most:
        yield conflict(low, "max_replicas", f"at most {spelling('max_replicas')}")
    quantization = ("optimization_info", "quantization_type")
    if value(*quantization) == "int8_float16" and not value("optimization_info", "optimization_type"):
        yield conflict(quantization, "optimization_type", "one with it: ctranslate2 or vllm")
    if value("adopt") is True and value("deployed") is False:
        expected = f"{spelling('deployed')}: true, as only a running deployment can be adopted"
        yield conflict(("adopt",), "deployed", expected)


def _fault(kind: type[BaseModel], details: ErrorDetails, spelling: Spelling) -> DeclarationFault:
    path: Path = details["loc"]
    if details["type"] == "missing":
        # Before 2.14 pydantic names it by its alias below the top.
        path = (*path[:-1], spelling(to_snake(str(path[-1]))))
        return DeclarationFault(
            path, FaultKind.MISSING, expected=expected_in(_field_at(kind, path, spelling), spelling)
        )
    field = _field_at(kind, path, spelling)
    return DeclarationFault(path, FaultKind.INVALID, got=details["input"], expected=expected_in(field, spelling))


def _field_at(kind: type[BaseModel], loc: Path, spelling: Spelling) -> FieldInfo | None:
    """The field that a fault's path ends in; None when there is no such field."""
    owner, field = kind, None
    for part in loc:
        if isinstance(part, int):
            return field
        inner = type_of(field)[0] if field else kind
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            owner = inner
        field = {spelling(name): info for name, info in owner.model_fields.items()}.get(part)
    return field


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


def range_of(field: FieldInfo) -> tuple[int | float, int | float] | None:
    """The least and the greatest number that a field takes; None where it takes no number."""
    kind, rules = type_of(field)
    if kind not in (int, float):
        return None
    low = next(rule.ge for rule in rules if isinstance(rule, Ge))
    high = next(rule.le for rule in rules if isinstance(rule, Le))
    assert isinstance(low, (int, float))
    assert isinstance(high, (int, float))
    return low, high


def expected_in(field: FieldInfo | None, spelling: Spelling) -> str:
    """What a field takes, in words, out of its own type."""
    if field is None:
        return "nothing"
    kind, rules = type_of(field)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, get_args(kind)))
    if get_origin(kind) is list:
        return "a list of strings, none of them empty"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "a map with the keys " + ", ".join(map(spelling, kind.model_fields))
    if limits := range_of(field):
        return f"a {'whole ' if kind is int else ''}number from {limits[0]} to {limits[1]}"
    if kind is bool:
        return "true or false"
    if any(isinstance(rule, AfterValidator) for rule in rules):
        return "a duration such as 45m or 1h30m"
    if field.alias == "modelId":
        return "a model id such as cm-… (letters, digits, '-', '_', '.', '~')"
    return "one line of text, not empty, without spaces at its ends"


def descriptions(kind: type[BaseModel], spelling: Spelling) -> dict[str, str]:
    """What each field is for, by its Python name. A description has other fields as `{name}`: they are spelled here."""
    names = {name: spelling(name) for name in kind.model_fields}
    return {name: (field.description or "").format_map(names) for name, field in kind.model_fields.items()}
