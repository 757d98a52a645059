"""Durations as people write and read them: `45m`, `1h30m`."""

import re
from typing import Final

_UNIT_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION: Final = re.compile(r"(?:(\d+(?:\.\d+)?)(h|ms|m|s))", re.ASCII)


def seconds(text: str) -> float:
    """The seconds of a duration such as `45m`, `1h30m`, `90s`.

    The syntax is Go's, as the engine takes it in `customTimeouts`.

    Raises:
        ValueError: it is not one, or not more than zero.
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 45m or 1h30m")
    total = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    if not total > 0:
        raise ValueError(f"{text!r} is not more than zero")
    return total


def spoken(duration: float) -> str:
    """A duration in seconds as a reader wants it: `8s`, `1m05s`, `1h30m`."""
    whole = round(duration)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
