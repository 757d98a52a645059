"""A picture of a run: when each job ran, as a mermaid chart for a comment and as an SVG file.

Both are made of the same bars. The times are the engine's, in whole seconds.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from xml.sax.saxutils import escape

from ..base.durations import spoken

_MERMAID_BARS: Final = 60
_NAME_MAX_CHARS: Final = 40
_MERMAID_TAG: Final = {"deploy": "active, ", "undeploy": "done, ", "failed": "crit, "}
# What is a letter, a digit or one of these means nothing to mermaid's grammar of charts, wherever it is.
_NOT_PLAIN: Final = re.compile(r"[^\w .-]")
_NOT_XML: Final = re.compile("[^\t\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_FILL: Final = {"deploy": "#2f6f9f", "undeploy": "#9aa5b1", "failed": "#c0392b"}
_LEGEND: Final = {"deploy": "deploy", "undeploy": "undeploy", "failed": "failed, or not finished"}
_ROW_HEIGHT: Final = 22
_LEFT: Final = 240
_WIDTH: Final = 1000
_TOP: Final = 44
_TICKS_SECONDS: Final = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)
_MAX_TICKS: Final = 8


@dataclass(frozen=True)
class Bar:
    """One job of one model.

    Attributes:
        name: the model.
        kind: what it is drawn as; `failed`: it did not end well, as far as the run saw.
        label: what was done.
        begun: seconds since 1970.
        ended: seconds since 1970, not before `begun`.
        seconds: how long it took, as exactly as that is known; the table beside the picture shows the same.
    """

    name: str
    kind: Literal["deploy", "undeploy", "failed"]
    label: str
    begun: int
    ended: int
    seconds: float


def mermaid(bars: Sequence[Bar]) -> str:
    """A fenced mermaid chart of the longest bars, in the order of their beginnings; the axis is the reader's time."""
    longest = sorted(bars, key=lambda bar: bar.begun - bar.ended)[:_MERMAID_BARS]
    first = min((bar.begun for bar in longest), default=0)
    tick = _tick(max((bar.ended for bar in longest), default=0) - first)
    head = ["gantt", "  dateFormat x", "  axisFormat %H:%M:%S", f"  tickInterval {tick}second", "  todayMarker off"]
    lines = ["```mermaid", *head]
    section = None
    for bar in _rows(longest):
        if bar.name != section:
            lines.append(f"  section {_plain(bar.name)}")
            section = bar.name
        since, until = bar.begun * 1000, max(bar.ended, bar.begun + 1) * 1000  # `x` counts milliseconds
        lines.append(f"  {bar.label} {spoken(bar.seconds)} :{_MERMAID_TAG[bar.kind]}{since}, {until}")
    lines.append("```")
    if len(longest) < len(bars):
        lines += ["", f"The {len(longest)} longest of {len(bars)} jobs; a file of `--gantt` has all."]
    return "\n".join(lines)


def svg(bars: Sequence[Bar]) -> str:
    """The picture as an SVG document: a row for each model, its jobs on it, time from the first job on."""
    rows = _rows(bars)
    names = list(dict.fromkeys(bar.name for bar in rows))
    first = min((bar.begun for bar in rows), default=0)
    span = max(max((bar.ended for bar in rows), default=1) - first, 1)
    height = _TOP + len(names) * _ROW_HEIGHT + 12
    scale = (_WIDTH - _LEFT - 20) / span
    size = f'width="{_WIDTH}" height="{height}"'
    font = 'font-family="system-ui, sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {_WIDTH} {height}" {font} role="img">',
        f"<title>{len(bars)} jobs of {len(names)} models in {spoken(span)}</title>",
        f'<rect {size} fill="#ffffff"/>',
        *_legend(),
        *_axis(span, scale, height),
    ]
    for index, name in enumerate(names):
        y = _TOP + index * _ROW_HEIGHT
        parts.append(f'<text x="{_LEFT - 10}" y="{y + 15}" text-anchor="end" fill="#1f2933">{_xml(name)}</text>')
        parts += [_bar(bar, first, scale, y) for bar in rows if bar.name == name]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _rows(bars: Iterable[Bar]) -> list[Bar]:
    """The bars of each model together, the models in the order of their first bars."""
    listed = sorted(bars, key=lambda bar: (bar.begun, bar.ended, bar.name))
    order = {name: index for index, name in enumerate(dict.fromkeys(bar.name for bar in listed))}
    return sorted(listed, key=lambda bar: order[bar.name])


def _plain(name: str) -> str:
    return _NOT_PLAIN.sub("_", name)[:_NAME_MAX_CHARS]


def _xml(text: str) -> str:
    short = text if len(text) <= _NAME_MAX_CHARS else text[: _NAME_MAX_CHARS - 1] + "…"
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", short))


def _legend() -> list[str]:
    parts = []
    for index, (kind, fill) in enumerate(_FILL.items()):
        x = _LEFT + index * 110
        parts.append(f'<rect x="{x}" y="8" width="12" height="12" fill="{fill}"/>')
        parts.append(f'<text x="{x + 18}" y="18" fill="#1f2933">{_LEGEND[kind]}</text>')
    return parts


def _axis(span: int, scale: float, height: int) -> list[str]:
    parts = []
    for second in range(0, span + 1, _tick(span)):
        x = _LEFT + second * scale
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP - 4}" x2="{x:.1f}" y2="{height - 8}" stroke="#e4e7eb"/>')
        parts.append(f'<text x="{x:.1f}" y="{_TOP - 8}" text-anchor="middle" fill="#52606d">{spoken(second)}</text>')
    return parts


def _tick(span: int) -> int:
    """The seconds between two labels of an axis, whole ones: in between, two labels would be the same."""
    return next((tick for tick in _TICKS_SECONDS if span / tick <= _MAX_TICKS), span)


def _bar(bar: Bar, first: int, scale: float, y: int) -> str:
    x, width = _LEFT + (bar.begun - first) * scale, max((bar.ended - bar.begun) * scale, 2)
    says = f"{_xml(bar.name)}: {bar.label}, {spoken(bar.seconds)}"
    return (
        f'<rect x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="{_ROW_HEIGHT - 6}" rx="2" fill="{_FILL[bar.kind]}">'
        f"<title>{says}</title></rect>"
    )
