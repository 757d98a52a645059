"""Entries of a stack's file: right ones, and ones that are a little or very wrong."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

Entry = dict[str, Any]

SHORT: Entry = {
    "modelId": "cm-1",
    "deploymentName": "chat",
    "deviceType": "g5.xlarge",
    "hyperParameters": {"temperature": 0.5, "maxTokens": 256, "topP": 1, "topK": 50},
}
FULL: Entry = {
    **SHORT,
    "modelType": "fineTune",
    "hyperParameters": {**SHORT["hyperParameters"], "stopSequence": ["###", "\n"]},
    "scalingParameters": {
        "maxBatchSize": 8,
        "minReplicas": 2,
        "maxReplicas": 4,
        "scaleUpDelay": 10,
        "scaleDownDelay": 60,
    },
    "optimizationInfo": {"optimizationType": "vllm", "quantizationType": "int8_float16"},
    "deployed": True,
    "adopt": False,
    "updateStrategy": "redeploy",
    "dependsOn": [],
    "protect": True,
    "timeouts": {"create": "45m", "update": "1h30m", "delete": "90s"},
}

_EMPTIES: list[Any] = [None, "", [], {}]
_FLAGS = [True, False, 0, 1, 1.0, 2, -1, 0.5]
_WORDS = ["true", "TRUE", "True", "yes", "Yes", "on", "y", "t", "1", "false", "no", "NO", "off", "n", "f", "0"]
_NO_WORDS = ["maybe", " true", "true\n", "oui"]
_BOUNDS = [
    -1,
    0,
    0.01,
    1,
    1.0,
    1.5,
    2,
    3,
    4,
    9,
    10,
    11,
    49,
    50,
    51,
    100,
    101,
    256,
    257,
    512,
    513,
    1000,
    1001,
    2000,
    2001,
]
_NUMBERS = [*_BOUNDS, 10**30, -0.0, 2.01, 5e-324, 1e308]
# In the ranges of most numbers: the schema doesn't see the range of a text.
_NUMBER_TEXTS = ["1.0", "1.00", "01", "1e0", "1e-0", "1.", ".5", "+1", "-1", " 1", "1\n", "x"]
_NAMES = ["chat", " chat", "chat ", "a b", "\u3000a", "a\x85", "a\ufeff", "\ufeffa", "é", "a\tb", "a\n", "\u2028"]
_IDS = ["cm-1", "cm_1.~", "-cm", "cm 1", "cm-1\n", "cm/1"]
_DURATIONS = [
    "45m",
    "1h30m",
    "0.5s",
    "0s",
    "0.0h0m",
    "0h1ms",
    "1ms",
    "1m s",
    "m",
    "1m\n",
    "1.m",
    ".5m",
    "1d",
    "٣m",
    "00m1s",
]
_CHOICES = [
    *("openSource", "fineTune", "vllm", "ctranslate2", "no_quantization", "int8_float16", "undeploy-first", "redeploy"),
    *("g5.xlarge", "g5", "opensource"),
]
_LISTS: list[Any] = [["a"], ["###", "\n"], [""], ["a", 3], [None], {"a": 1}]
VALUES: list[Any] = [
    *(
        *_EMPTIES,
        *_FLAGS,
        *_WORDS,
        *_NO_WORDS,
        *_NUMBERS,
        *_NUMBER_TEXTS,
        *_NAMES,
        *_IDS,
        *_DURATIONS,
        *_CHOICES,
        *_LISTS,
    )
]
"""Values near the rules of the fields, on both sides of them."""

_DURATION = st.sampled_from(_DURATIONS) | st.from_regex(r"([0-9]{1,2}(\.[0-9])?(h|m|s|ms)){1,3}", fullmatch=True)
_NUMBER = st.sampled_from(_NUMBERS) | st.integers(-5, 2100) | st.floats(-1, 3)
_COUNT = st.integers(0, 12) | st.sampled_from([3.0, 50, 51])
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
_ODD = st.sampled_from(VALUES) | _ANY

# What is likely to be near a field's own rules.
_NEAR: Mapping[str, st.SearchStrategy[Any]] = {
    "modelId": st.sampled_from(_IDS) | st.text(max_size=4),
    "deploymentName": st.sampled_from(_NAMES) | st.text(max_size=3),
    "minReplicas": _COUNT,
    "maxReplicas": _COUNT,
    **dict.fromkeys(("optimizationType", "quantizationType"), st.sampled_from([*_CHOICES, *_EMPTIES])),
    **dict.fromkeys(("modelType", "updateStrategy", "deviceType"), st.sampled_from(_CHOICES)),
    **dict.fromkeys(("deployed", "adopt", "protect"), st.sampled_from([*_FLAGS, *_WORDS])),
    **dict.fromkeys(("dependsOn", "stopSequence"), st.sampled_from(_LISTS)),
    **dict.fromkeys(("create", "update", "delete"), _DURATION),
    **dict.fromkeys(("temperature", "topP", "maxTokens", "topK", "maxBatchSize"), _NUMBER),
    **dict.fromkeys(("scaleUpDelay", "scaleDownDelay"), _NUMBER),
}


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """A right entry with some of its values replaced, left out or misspelt."""
    # What is drawn is copied: it is changed below.
    entry = deepcopy(draw(st.sampled_from([SHORT, FULL])))
    for _ in range(draw(st.integers(1, 4))):
        sections = [entry, *(part for part in entry.values() if isinstance(part, dict) and part)]
        part = draw(st.sampled_from(sections))
        known = [*(FULL if part is entry else part), *part]
        key = draw(st.sampled_from(known))
        match draw(st.sampled_from(["near", "near", "near", "odd", "drop", "misspell"])):
            case "near":
                part[key] = deepcopy(draw(_NEAR.get(key, _ODD)))
            case "odd":
                part[key] = deepcopy(draw(_ODD))
            case "drop":
                part.pop(key, None)
            case _:
                part[draw(st.sampled_from([key.lower(), key[:-1], f"{key} ", "models"]))] = part.pop(key, 1)
    return entry
