"""What a user declares of a deployment, and sends: the vendor's fields and ranges.

Strict: an unknown key or a value out of its range is an error. Source: the vendor's page *Deploy a Model API*
(AI for Process, APIs).
"""

import re
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


class Unknown:
    """Stands for a declared value that is not known yet (an output of another resource, in a preview)."""

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN: Final = Unknown()


def _pass_unknown(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    return value if isinstance(value, Unknown) else handler(value)


# A number may come as a text: `pulumi config set --path …temperature 0.7` writes one.
NUMBER_TEXT: Final = r"[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"
WHOLE_TEXT: Final = r"[0-9]+(\.0+)?"


def _number(text: str) -> BeforeValidator:
    def check(value: object) -> object:
        # To Python, True is the number 1; to who writes a stack file, `temperature: true` is a mistake.
        if isinstance(value, bool) or (isinstance(value, str) and not re.fullmatch(text, value)):
            raise PydanticCustomError("not_a_number", "it is not a number")
        return value

    return BeforeValidator(check)


# Blanks are listed: `\s` is another set in each of the dialects that read these patterns (pydantic's, the editors').
_BLANK: Final = r" \x00-\x1f\x7f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

Number = Annotated[float, _number(NUMBER_TEXT), Field(allow_inf_nan=False)]
Whole = Annotated[int, _number(WHOLE_TEXT)]
Text = Annotated[str, StringConstraints(pattern=rf"^[^{_BLANK}]([^\x00-\x1f\x7f]*[^{_BLANK}])?$")]
ModelId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]*$")]


class Declared(BaseModel):
    """Something a user declares: snake_case in Python, camelCase in a stack's file and on the wire.

    Immutable; unknown keys are refused. An optional field that is empty (`None`, `""`, `[]`, `{}`) is the same as one
    that is left out. Where a preview validates values that are not known yet, `UNKNOWN` passes in the place of any
    value.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    @field_validator("*", mode="wrap")
    @classmethod
    def _unknown_or_empty(cls, value: object, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
        if isinstance(value, Unknown):
            return value
        field = cls.model_fields[info.field_name or ""]
        optional = not field.is_required()
        if optional and (value is None or value == "" or value == [] or value == {}):
            return field.default
        result = handler(value)
        if optional and isinstance(result, Declared) and result == type(result).model_construct():
            return field.default
        return result

    def plain(self) -> dict[str, object]:
        """As nested dictionaries with snake_case keys, without what was left out; `UNKNOWN` stays."""
        # Not model_dump: it would try to serialize what is not known yet.
        return {
            name: value.plain() if isinstance(value, Declared) else value for name, value in self if value is not None
        }


class HyperParameters(Declared):
    """How the deployed model generates text.

    Attributes:
        temperature: 0–2. The higher, the more varied the text.
        max_tokens: 0–512. The most tokens of an answer.
        top_p: 0–1. Each token is drawn from the likeliest ones that together have this probability.
        top_k: 1–100. Each token is drawn from so many of the likeliest.
        stop_sequence: texts that end the generation, none of them empty.
    """

    temperature: Annotated[Number, Field(ge=0, le=2)]
    max_tokens: Annotated[Whole, Field(ge=0, le=512)]
    top_p: Annotated[Number, Field(ge=0, le=1)]
    top_k: Annotated[Whole, Field(ge=1, le=100)]
    stop_sequence: list[Annotated[str, StringConstraints(min_length=1), WrapValidator(_pass_unknown)]] | None = None


class ScalingParameters(Declared):
    """How the deployment grows and shrinks.

    Attributes:
        max_batch_size: 1–256. The most requests that a replica answers at once.
        min_replicas: 1–10. The fewest replicas, not more than `max_replicas`.
        max_replicas: 1–50. The most replicas.
        scale_up_delay: 1–1000. The vendor's API page says milliseconds, the console's pages say seconds.
        scale_down_delay: 50–2000, likewise.
    """

    max_batch_size: Annotated[Whole, Field(ge=1, le=256)] | None = None
    min_replicas: Annotated[Whole, Field(ge=1, le=10)] | None = None
    max_replicas: Annotated[Whole, Field(ge=1, le=50)] | None = None
    scale_up_delay: Annotated[Whole, Field(ge=1, le=1000)] | None = None
    scale_down_delay: Annotated[Whole, Field(ge=50, le=2000)] | None = None


class OptimizationInfo(Declared):
    """How the platform optimizes the model (platform-hosted models only).

    Attributes:
        optimization_type: the engine that serves the model.
        quantization_type: `int8_float16` needs an `optimization_type`.
    """

    optimization_type: Literal["ctranslate2", "vllm"] | None = None
    quantization_type: Literal["no_quantization", "int8_float16"] | None = None


class DeployRequest(Declared):
    """The parameters of one deployment: all that a deploy sends.

    Attributes:
        deployment_name: the deployment's name (`name` on the wire).
        model_type: `fineTune` for a model that was fine-tuned on the platform; goes into the query.
        device_type: the hardware of each replica.
    """

    deployment_name: Text
    model_type: Literal["openSource", "fineTune"] = "openSource"
    device_type: Literal[
        "g4dn.xlarge",
        "g5.xlarge",
        "g5.2xlarge",
        "g6e.xlarge",
        "g4dn.12xlarge",
        "g5.12xlarge",
        "g5.48xlarge",
        "g4dn.metal",
    ]
    hyper_parameters: HyperParameters
    scaling_parameters: ScalingParameters | None = None
    optimization_info: OptimizationInfo | None = None

    def parameters(self) -> "DeployRequest":
        """The deploy parameters alone, out of a declaration that holds more."""
        return DeployRequest.model_construct(**{name: getattr(self, name) for name in DeployRequest.model_fields})

    def body(self) -> dict[str, JsonValue]:
        """The JSON body of the deploy call; what was left out is not sent."""
        body: dict[str, JsonValue] = self.model_dump(by_alias=True, exclude_none=True, exclude={"model_type"})
        return {"name": body.pop("deploymentName"), **body}
