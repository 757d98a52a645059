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
    """How the deployed model generates text."""

    temperature: Annotated[Number, Field(ge=0, le=2)] = Field(
        description="The higher, the more varied the text.",
    )
    max_tokens: Annotated[Whole, Field(ge=0, le=512)] = Field(description="The most tokens of an answer.")
    top_p: Annotated[Number, Field(ge=0, le=1)] = Field(
        description="Each token is drawn from the likeliest ones that together have this probability.",
    )
    top_k: Annotated[Whole, Field(ge=1, le=100)] = Field(
        description="Each token is drawn from this many of the likeliest ones.",
    )
    stop_sequence: list[Annotated[str, StringConstraints(min_length=1), WrapValidator(_pass_unknown)]] | None = Field(
        default=None, description="Strings that end the generation, none of them empty."
    )


class ScalingParameters(Declared):
    """How the deployment grows and shrinks."""

    max_batch_size: Annotated[Whole, Field(ge=1, le=256)] | None = Field(
        default=None, description="The most requests that a replica answers at once."
    )
    min_replicas: Annotated[Whole, Field(ge=1, le=10)] | None = Field(
        default=None, description="The fewest replicas, not more than `{max_replicas}`."
    )
    max_replicas: Annotated[Whole, Field(ge=1, le=50)] | None = Field(default=None, description="The most replicas.")
    scale_up_delay: Annotated[Whole, Field(ge=1, le=1000)] | None = Field(
        default=None,
        description="The delay before scaling up. Milliseconds by the vendor's API page, seconds by the console.",
    )
    scale_down_delay: Annotated[Whole, Field(ge=50, le=2000)] | None = Field(
        default=None, description="The delay before scaling down, in the unit of `{scale_up_delay}`."
    )


class OptimizationInfo(Declared):
    """How the platform optimizes the model (platform-hosted models only)."""

    optimization_type: Literal["ctranslate2", "vllm"] | None = Field(
        default=None, description="The engine that serves the model."
    )
    quantization_type: Literal["no_quantization", "int8_float16"] | None = Field(
        default=None, description="The precision of the weights; `int8_float16` needs an `{optimization_type}`."
    )


class DeployRequest(Declared):
    """The parameters of one deployment: all that a deploy sends.

    `deployment_name` is `name` on the wire, `model_type` goes into the query.
    """

    deployment_name: Text = Field(description="The deployment's name.")
    model_type: Literal["openSource", "fineTune"] = Field(
        default="openSource", description="`fineTune` for a model that was fine-tuned on the platform."
    )
    device_type: Literal[
        "g4dn.xlarge",
        "g5.xlarge",
        "g5.2xlarge",
        "g6e.xlarge",
        "g4dn.12xlarge",
        "g5.12xlarge",
        "g5.48xlarge",
        "g4dn.metal",
    ] = Field(description="The hardware of each replica.")
    hyper_parameters: HyperParameters = Field(description="How the deployed model generates text.")
    scaling_parameters: ScalingParameters | None = Field(
        default=None, description="How the deployment grows and shrinks."
    )
    optimization_info: OptimizationInfo | None = Field(
        default=None, description="How the platform optimizes the model (platform-hosted models only)."
    )

    def parameters(self) -> "DeployRequest":
        """The deploy parameters alone, out of a declaration that holds more."""
        return DeployRequest.model_construct(**{name: getattr(self, name) for name in DeployRequest.model_fields})

    def body(self) -> dict[str, JsonValue]:
        """The JSON body of the deploy call; what was left out is not sent."""
        body: dict[str, JsonValue] = self.model_dump(by_alias=True, exclude_none=True, exclude={"model_type"})
        return {"name": body.pop("deploymentName"), **body}
