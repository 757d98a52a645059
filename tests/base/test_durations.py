"""Durations, read and spoken."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_koreai.base.durations import seconds, spoken

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("45m", 2700),
        ("1h30m", 5400),
        ("90s", 90),
        ("1h", 3600),
        ("1h1m1s", 3661),
        ("1.5h", 5400),
        ("0h45m", 2700),
        ("250ms", 0.25),
        ("1m500ms", 60.5),
    ],
)
def test_a_duration_is_read(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "45",
        "m",
        "45 m",
        "45min",
        "1d",
        "-5m",
        "+5m",
        "1h,30m",
        "1h 30m",
        "45M",
        "45m!",
        "1..5h",
        "1e3s",
        "PT45M",
    ],
)
def test_what_is_no_duration_is_refused_with_what_was_given_and_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{text!r} is not a duration such as 45m or 1h30m")):
        seconds(text)


@pytest.mark.parametrize("text", ["0s", "0h0m", "0.0m", "0ms"])
def test_zero_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not more than zero"):
        seconds(text)


@pytest.mark.parametrize("text", [" 45m", "45m ", "45m\n", "\N{ARABIC-INDIC DIGIT FIVE}m", "\N{FULLWIDTH DIGIT FIVE}m"])
def test_what_the_engine_would_refuse_is_refused(text: str) -> None:
    # The engine reads the same text with Go's time.ParseDuration, which takes ASCII digits and no spaces.
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)


@given(st.lists(st.tuples(st.integers(1, 999), st.sampled_from(list(UNITS))), min_size=1, max_size=5))
def test_the_parts_add_up(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert seconds(text) == pytest.approx(sum(number * UNITS[unit] for number, unit in parts))


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused_with_one_kind_of_error(text: str) -> None:
    try:
        read: float | str = seconds(text)
    except ValueError as error:
        read = str(error)
    assert repr(text) in read if isinstance(read, str) else read > 0


@pytest.mark.parametrize(
    "duration, expected",
    [
        (0, "0s"),
        (8, "8s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (60, "1m00s"),
        (65, "1m05s"),
        (3599.4, "59m59s"),
        (3599.6, "1h00m"),
        (3600, "1h00m"),
        (5400, "1h30m"),
        (36000, "10h00m"),
    ],
)
def test_a_duration_is_spoken(duration: float, expected: str) -> None:
    assert spoken(duration) == expected


@given(st.floats(1, 1e6))
def test_what_is_spoken_can_be_read_again_and_is_off_by_a_minute_at_most(duration: float) -> None:
    assert seconds(spoken(duration)) == pytest.approx(duration, abs=0.5 if duration < 3599 else 60)
