"""The deploy call's body, checked by the platform's own rules.

They are written out of the vendor's page *Deploy a Model API* and share nothing with the client: the two can't drift
together.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from pydantic import JsonValue

Json: TypeAlias = JsonValue


@dataclass(frozen=True)
class Rule:
    """What one field takes."""

    allowed: str
    takes: Callable[[Json], bool]
    required: bool = False


Rules: TypeAlias = "Mapping[str, Rule | Rules]"


def _number(low: float, high: float, *, whole: bool = False, required: bool = False) -> Rule:
    def takes(value: Json) -> bool:
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
        # 256.0 is a whole number in JSON, which knows no integers.
        return number and not (whole and isinstance(value, float) and not value.is_integer())

    return Rule(f"a {'whole ' if whole else ''}number from {low} to {high}", takes, required)


def _one_of(*values: str, required: bool = False) -> Rule:
    return Rule("one of " + ", ".join(f'"{value}"' for value in values), lambda value: value in values, required)


_FLAG: Final = Rule("true or false", lambda value: isinstance(value, bool))

DEPLOY_BODY: Final[Rules] = {
    "name": Rule("a text that is not empty", lambda value: isinstance(value, str) and value != "", required=True),
    "isDeployedPreviously": _FLAG,
    "isDeployedPreviouly": _FLAG,  # so spelled in the samples of an older page
    "hyperParameters": {
        "temperature": _number(0, 2, required=True),
        "maxTokens": _number(0, 512, whole=True, required=True),
        "topP": _number(0, 1, required=True),
        "topK": _number(1, 100, whole=True, required=True),
        "stopSequence": Rule(
            "a list of texts",
            lambda value: isinstance(value, list) and all(isinstance(text, str) for text in value),
        ),
    },
    "scalingParameters": {
        "maxBatchSize": _number(1, 256, whole=True),
        "minReplicas": _number(1, 10, whole=True),
        "maxReplicas": _number(1, 50, whole=True),
        "scaleUpDelay": _number(1, 1000, whole=True),
        "scaleDownDelay": _number(50, 2000, whole=True),
    },
    "deviceType": _one_of(
        "g4dn.xlarge",
        "g5.xlarge",
        "g5.2xlarge",
        "g6e.xlarge",
        "g4dn.12xlarge",
        "g5.12xlarge",
        "g5.48xlarge",
        "g4dn.metal",
        required=True,
    ),
    "optimizationInfo": {
        "optimizationType": _one_of("ctranslate2", "vllm", ""),
        "quantizationType": _one_of("no_quantization", "int8_float16", ""),
    },
}


def faults(body: Json) -> list[str]:
    """All that is wrong with a deploy's body, each naming its field; empty when the platform takes it."""
    if not isinstance(body, dict):
        return ["the body must be a JSON object"]
    return list(_faults(body, DEPLOY_BODY, ""))


def _faults(body: Mapping[str, Json], rules: Rules, path: str) -> Iterator[str]:
    for name in body:
        if name not in rules:
            yield f"{path}{name} is not a field of a deployment"
    for name, rule in rules.items():
        if not isinstance(rule, Rule):
            group = body.get(name, {})
            if isinstance(group, dict):
                yield from _faults(group, rule, f"{path}{name}.")
            else:
                yield f"{path}{name} must be an object"
        elif name not in body:
            if rule.required:
                yield f"{path}{name} is required: {rule.allowed}"
        elif not rule.takes(body[name]):
            yield f"{path}{name} must be {rule.allowed}"
