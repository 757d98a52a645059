"""What is handed in from outside, by the control plane or a file, and how its faults are told."""

from typing import Annotated, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class FromOutside(BaseModel):
    """Something handed in: snake_case in Python, camelCase outside. What it does not know is an error."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


InputModel = TypeVar("InputModel", bound=FromOutside)


class InvalidInput(ValueError):
    """What was handed in can't be used.

    Attributes:
        messages: what is wrong, one or more, each naming its place.
    """

    def __init__(self, *messages: str) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


def read_input(kind: type[InputModel], value: object, whole: str = "the body") -> InputModel:
    """`value` as a `kind`.

    Args:
        kind: what it should be.
        value: what was handed in.
        whole: what a message calls `value`, where it is about the whole of it.

    Raises:
        InvalidInput: it is none.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise InvalidInput(
            *(
                f"{'.'.join(map(str, fault['loc'])) or whole}: {fault['msg'].removeprefix('Value error, ')}"
                for fault in error.errors(include_url=False)
            )
        ) from None
