"""The resource's schema, out of the pydantic models, and values between Terraform and them.

Terraform's values are dictionaries in which an attribute that is not set is None. A name, a type, a range or a default
is written once, in `api/declared.py` and `spec.py`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, get_origin

from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo
from tf.gen import tfplugin_pb2 as pb  # type: ignore[import-untyped] # it has no types, here and below
from tf.schema import Attribute, Schema  # type: ignore[import-untyped]
from tf.types import Bool, List, String, TfType, Unknown  # type: ignore[import-untyped]
from tf.types import Number as AnyNumber

from ..api.declared import UNKNOWN
from ..core.spec import TIMEOUTS, ModelSpec, Timeouts, descriptions, expected_in, python_spelling, type_of

Values = dict[str, Any]
"""An object as Terraform has it: an attribute that is not set is None, one that is not known yet is tf's `Unknown`."""

VERSION: Final = 2
"""Of the state's format. Version 1 was never released; it had `custom_timeouts`, as a Pulumi stack has."""


class TerraformSpec(ModelSpec):
    """The arguments of a `koreai_model_deployment`."""

    timeouts: Timeouts | None = Field(default=None, description=TIMEOUTS)


class Exact(float):
    """A number with the text that it came as. What Terraform sent has to come back to the last digit."""

    def __init__(self, text: str) -> None:
        self.text = text


class Number(AnyNumber):  # type: ignore[misc]
    """A number. Terraform's are decimals: one that no float is exactly, such as 0.7, travels as text both ways."""

    def encode(self, value: Any) -> Any:
        if isinstance(value, Exact):
            return value.text
        return repr(value) if isinstance(value, float) else value

    def decode(self, value: Any) -> Any:
        return Exact(value) if isinstance(value, str) else value


class Nested(TfType):  # type: ignore[misc]
    """An object with attributes of its own."""

    def __init__(self, attributes: Iterable[Attribute]) -> None:
        self.attributes = tuple(attributes)

    def encode(self, value: Any) -> Any:
        return value if value is None or value is Unknown else encoded(self.attributes, value)

    def decode(self, value: Any) -> Any:
        return value if value is None or value is Unknown else decoded(self.attributes, value)

    def tf_type(self) -> bytes:
        return b""  # see NestedAttribute


class NestedAttribute(Attribute):  # type: ignore[misc]
    """`name = { … }`, each attribute inside with its own description: in the protocol, but not in tf 1.2."""

    def to_pb(self) -> Any:
        message = super().to_pb()
        inner = [attribute.to_pb() for attribute in self.type.attributes]
        message.nested_type.CopyFrom(pb.Schema.Object(attributes=inner, nesting=pb.Schema.Object.NestingMode.SINGLE))
        return message


def attributes_of(model: type[BaseModel]) -> list[Attribute]:
    """An attribute for each field of a declaration."""
    described = descriptions(model, python_spelling)
    return [_attribute(name, field, described[name]) for name, field in model.model_fields.items()]


def _attribute(name: str, field: FieldInfo, description: str) -> Attribute:
    kind = type_of(field)[0]
    has_default = not field.is_required() and field.default is not None
    nested = isinstance(kind, type) and issubclass(kind, BaseModel)
    says = [description]
    if not nested:
        says.append(f"Allowed: {expected_in(field, python_spelling)}.")
    if has_default:
        says.append(f"Default: {str(field.default).lower() if kind is bool else field.default}.")
    return (NestedAttribute if nested else Attribute)(
        name,
        Nested(attributes_of(kind)) if nested else _leaf(kind),  # type: ignore[arg-type] # narrowed by `nested`
        description=" ".join(says),
        required=field.is_required(),
        optional=not field.is_required(),
        computed=has_default,  # Terraform lets a provider write in a value that is not set only where it is computed
        default=field.default,
        requires_replace=name == "model_id",
    )


def _leaf(kind: object) -> TfType:
    if kind is bool:
        return Bool()
    if kind in (int, float):
        return Number()
    return List(String()) if get_origin(kind) is list else String()


_RESULTS: Final = {
    "state": "`deployed`, `undeployed`, `deploying`, `undeploying` or `failed`.",
    "dock_status_id": "The last dock job, `ds-…`; empty when there was none.",
    "last_action": "`DEPLOY` or `UNDEPLOY`; empty after a take-over.",
    "last_status": "The last job's status; `UNKNOWN` when it can't be told, empty after a take-over.",
    "last_job_seconds": "How long the last job took that was watched from its start to its end.",
    "unfinished_creation": "Whether the apply that created it ended too early, and none since has finished its work.",
}
_TYPES: Final = {"last_job_seconds": Number(), "unfinished_creation": Bool()}

ARGUMENTS: Final = tuple(TerraformSpec.model_fields)
RESULTS: Final = tuple(_RESULTS)
"""The attributes that are no arguments."""
ATTRIBUTES: Final = (
    *attributes_of(TerraformSpec),
    *(Attribute(name, _TYPES.get(name, String()), description=text, computed=True) for name, text in _RESULTS.items()),
)


def resource_schema() -> Schema:
    """The schema of `koreai_model_deployment`."""
    return Schema(
        attributes=list(ATTRIBUTES),
        version=VERSION,
        description="The deployment of one model on the AI for Process platform.",
    )


def decoded(attributes: Iterable[Attribute], values: Mapping[str, Any]) -> Values:
    """Values from the wire, all attributes there."""
    return {attribute.name: attribute.type.decode(values.get(attribute.name)) for attribute in attributes}


def encoded(attributes: Iterable[Attribute], values: Mapping[str, Any]) -> Values:
    """Values for the wire, all attributes there."""
    return {attribute.name: attribute.type.encode(values.get(attribute.name)) for attribute in attributes}


def declared(values: Mapping[str, Any]) -> dict[str, object]:
    """The arguments among the values, as `spec.check` takes them."""
    return {name: _declared(values[name]) for name in ARGUMENTS if values.get(name) is not None}


def _declared(value: Any) -> object:
    if value is Unknown:
        return UNKNOWN
    if isinstance(value, Mapping):
        return {name: _declared(inner) for name, inner in value.items() if inner is not None}
    return [_declared(item) for item in value] if isinstance(value, list) else value


def holds_unknown(value: Any) -> bool:
    """Whether something in it is not known yet."""
    if isinstance(value, Mapping):
        return any(map(holds_unknown, value.values()))
    return any(map(holds_unknown, value)) if isinstance(value, list) else value is Unknown
