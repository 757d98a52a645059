"""What could be in a file, an argument or an answer, and what may reach a terminal of it."""

import json
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st

from tests.core.fakes import KEY

LINE_MAX_CHARS: Final = 1_000
FORGED: Final = "forged: all is well"

_UNFIT: Final = {"Cc", "Cf", "Cs", "Zl", "Zp"}

Json = Any

# Texts that are up to something, and any others, halves of surrogate pairs included.
evil_texts = st.sampled_from(
    [
        f"\n{FORGED}",
        f"\r\n{FORGED}",
        f"\u2028{FORGED}",
        f"\x85{FORGED}",
        f"x\x1b[2K\r{FORGED}",
        "\x1b]0;title\x07",
        "\x9b31m",
        "\u202egnol",
        "\u2067a\u2069",
        "\u061c",
        "a\u00adb\u2060c\ufeffd",
        "\U000e0041\U000e007f",
        "\ud800",
        "x" * 1_500,
        "<p>" * 300,
        f"x-api-key: {KEY}",
        "::error::x",
        "%s %d {0} {x}",
    ]
)
texts = evil_texts | st.text(st.characters(codec=None), max_size=20)

numbers = (
    st.integers()
    | st.floats()
    | st.sampled_from([10**30, -(10**30), 10**400, 5e-324, 1e-300, 1e308, float("inf"), float("-inf"), float("nan")])
)
scalars = st.none() | st.booleans() | numbers | texts
json_values: st.SearchStrategy[Json] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


def nested(depth: int) -> Json:
    """A list in a list in a list."""
    value: Json = []
    for _ in range(depth):
        value = [value]
    return value


# The depths at which Python's own recursion gives up are among them.
any_values = json_values | st.sampled_from([nested(50), nested(600), nested(900)])


@st.composite
def near_misses(draw: st.DrawFn, valid: Mapping[str, Json]) -> dict[str, Json]:
    """A valid map of maps with some of its values, or keys, replaced, dropped or added."""
    spec: dict[str, Json] = json.loads(json.dumps(valid))
    for _ in range(draw(st.integers(0, 3))):
        parts = [spec, *(value for value in spec.values() if isinstance(value, dict))]
        part = draw(st.sampled_from([part for part in parts if part] or [{"": None}]))
        key = draw(st.sampled_from(list(part)))
        how = draw(st.sampled_from(["replace", "replace", "drop", "misspell", "add"]))
        if how == "replace":
            part[key] = draw(any_values)
        elif how == "drop":
            del part[key]
        elif how == "misspell":
            part[draw(st.sampled_from([key.upper(), key[:-1], f"{key} ", key.replace("_", "")]))] = part.pop(key)
        else:
            part[draw(texts)] = draw(any_values)
    return spec


def assert_fit_for_a_terminal(text: str) -> None:
    """No control or invisible characters, no line that only looks like one of ours, no line without an end."""
    for line in text.split("\n"):
        found = {f"U+{ord(letter):04X}" for letter in line if unicodedata.category(letter) in _UNFIT}
        assert not found, f"{found} in {line!r}"
        assert not line.strip().startswith(FORGED), f"a line that is not ours: {line!r}"
        assert len(line) <= LINE_MAX_CHARS, f"a line of {len(line)} characters: {line[:100]!r}…"
