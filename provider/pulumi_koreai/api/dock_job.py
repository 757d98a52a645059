"""A dock job, as the platform answers it: every spelling seen is understood, what is new is kept and does no harm.

Source: the vendor's pages *Deploy a Model API*, *Undeploy a Model API*, *Get Dock Status API* (AI for Process, APIs).
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ..base.progress import JobVerb
from .messages import MESSAGE_KEYS, clean, message_in

Action = Literal["DEPLOY", "UNDEPLOY"]
"""What changes a deployment."""
JobAction = Literal["DEPLOY", "UNDEPLOY", "EXPORT"]
"""What a dock job of a model does."""

_VERBS: Final[Mapping[JobAction, JobVerb]] = {"DEPLOY": "deploy", "UNDEPLOY": "undeploy", "EXPORT": "export"}
_ID_SPELLINGS: Final = ("dock-statusId", "dockStatusId", "dockstatusId", "_id")


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
        validation_alias=AliasChoices(*_ID_SPELLINGS)
    )
    model_id: str = Field(default="", validation_alias="modelId")
    action: str = ""
    status: Annotated[str, AfterValidator(clean), StringConstraints(min_length=1, to_upper=True)]
    percent: float | None = Field(default=None, validation_alias="percentageComplete")
    raw: dict[str, JsonValue] = Field(default_factory=dict, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_ids(cls, answer: object) -> object:
        # One spelling may be null beside another that has the id; and an id may be a number.
        if not isinstance(answer, dict):
            return answer
        ids = {key: _id_in(answer[key]) for key in _ID_SPELLINGS if key in answer}
        return {key: value for key, value in {**answer, **ids}.items() if key not in ids or value}

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
            {key: value for key, value in self.raw.items() if key in MESSAGE_KEYS}
        )


def verb_of(action: JobAction) -> JobVerb:
    """The word for an action."""
    return _VERBS[action]


def _id_in(value: object) -> str:
    """The id in a value, "" where there is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else ""
