"""What goes over the wire, both ways: the one place that knows the vendor's names.

What a user declares is strict (`Declared`): an unknown key or a value out of its range is an error. What the
platform answers is not (`DockJob`): every spelling seen is understood, what is new is kept and does no harm.

Source of the fields and ranges: the vendor's pages *Deploy a Model API*, *Undeploy a Model API* and *Get Dock
Status API* (AI for Process, APIs).
"""

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
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

Action = Literal["DEPLOY", "UNDEPLOY"]


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


_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_MARKUP = re.compile(r"<(script|style|head)\b.*?</\1\s*>|</?[a-zA-Z!][^<>]*>", re.DOTALL | re.IGNORECASE)
_MESSAGE_MAX_CHARS: Final = 400
_MESSAGE_MAX_DEPTH: Final = 8
_MESSAGE_KEYS: Final = (
    "msg",
    "message",
    "error",
    "errors",
    "errorMessage",
    "error_description",
    "reason",
    "failureReason",
    "statusMessage",
    "detail",
    "details",
    "description",
    "title",
)


def clean(text: str) -> str:
    """`text` of a foreign source, fit for a terminal: one line, nothing unprintable, at most 400 characters."""
    printable = "".join(letter if letter.isprintable() else " " for letter in _ESCAPE_SEQUENCE.sub(" ", text))
    line = " ".join(printable.split())
    return line if len(line) <= _MESSAGE_MAX_CHARS else line[: _MESSAGE_MAX_CHARS - 1] + "…"


def message_in(body: JsonValue) -> str:
    """What the platform says in `body`, whatever its shape; "" when it says nothing.

    The vendor does not document its error bodies: `{"errors":[{"msg":…}]}`, `{"message":…}`, plain text and HTML
    pages are all understood.
    """
    return clean(_find_message(body, _MESSAGE_MAX_DEPTH))


_NOT_DEPLOYED = re.compile(
    r"not\s+(currently\s+|yet\s+)?deployed|already\s+(been\s+)?undeployed|no\s+(active\s+|running\s+)?deployment",
    re.IGNORECASE,
)
_ANOTHER_JOB = re.compile(
    r"\banother (job|(un)?deploy\w*|operation)\b"
    r"|\b(job|(un)?deploy\w*|operation)\b.{0,60}\b(running|in.progress|under way|ongoing)\b"
    r"|\bbeing (un)?deployed\b|\b(is|still|currently|already) (busy|(un)?deploying)\b",
    re.IGNORECASE,
)


def says_not_deployed(message: str) -> bool:
    """Whether the platform's message is that the model is not deployed, and no job is about to change that.

    The vendor documents no code for it.
    """
    without, times = _NOT_DEPLOYED.subn("", message)
    return times > 0 and not says_another_job(without)


def says_another_job(message: str) -> bool:
    """Whether the platform's message is that another job is under way on the model. Not documented either."""
    return bool(_ANOTHER_JOB.search(message))


def _find_message(body: JsonValue, depth: int) -> str:
    if depth == 0:
        return ""
    match body:
        case str():
            return _MARKUP.sub(" ", body) if "<" in body else body
        case list():
            return "; ".join(filter(None, (_find_message(item, depth - 1) for item in body)))
        case dict():
            for key in _MESSAGE_KEYS:
                if found := _find_message(body.get(key), depth - 1):
                    return found
            return ""
        case _:
            return ""


class DockJob(BaseModel):
    """A dock job, as the platform answered it.

    Attributes:
        id: `ds-…`; answered as `dock-statusId`, `dockStatusId`, `dockstatusId` or `_id`.
        model_id: the job's subject, "" when the answer has none.
        action: `DEPLOY`, `UNDEPLOY`, …, in capitals; "" when the answer has none.
        status: `IN_PROGRESS`, `SUCCESS`, `FAILED`, or one never seen before, in capitals.
        percent: `percentageComplete`, 0–100; None when the answer has none.
        raw: the whole answer.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[\x21-\x7e]{1,200}$")] = Field(
        validation_alias=AliasChoices("dock-statusId", "dockStatusId", "dockstatusId", "_id")
    )
    model_id: str = Field(default="", validation_alias="modelId")
    action: str = ""
    status: Annotated[str, AfterValidator(clean), StringConstraints(min_length=1, to_upper=True)]
    percent: float | None = Field(default=None, validation_alias="percentageComplete")
    raw: dict[str, JsonValue] = Field(default_factory=dict, repr=False)

    @field_validator("model_id", "action", mode="before")
    @classmethod
    def _text_or_nothing(cls, value: object, info: ValidationInfo) -> str:
        text = clean(value) if isinstance(value, str) else ""
        return text.upper() if info.field_name == "action" else text

    @field_validator("percent", mode="before")
    @classmethod
    def _percent_or_nothing(cls, value: object) -> float | None:
        # A progress figure is a courtesy: one that can't be read must not end a wait.
        try:
            number = float(value.rstrip(" %")) if isinstance(value, str) else float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            return None
        return min(max(number, 0.0), 100.0) if number == number else None

    @classmethod
    def parse(cls, answer: Mapping[str, JsonValue]) -> Self:
        """Read an answer of the platform.

        Raises:
            pydantic.ValidationError: there is no job id or no status in it.
        """
        return cls.model_validate({**answer, "raw": dict(answer)})

    @property
    def succeeded(self) -> bool:
        return self.status == "SUCCESS"

    @property
    def failed(self) -> bool:
        return self.status == "FAILED"

    @property
    def ended(self) -> bool:
        """A status never seen before is not an end."""
        return self.succeeded or self.failed

    @property
    def reason(self) -> str:
        """The platform's own words on the job, "" when it has none."""
        return message_in(self.raw.get("response")) or message_in(
            {key: value for key, value in self.raw.items() if key in _MESSAGE_KEYS}
        )
