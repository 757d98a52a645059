r"""Markdown that stays what it was meant to be, whatever a name or a value holds.

Whatever comes from a stack, a state or the platform is put in a code span or a fence: in those neither Markdown, HTML,
links, mentions (`@team`) nor references (`#12`) are looked for. A code span here is always between single backticks:
what would end it, and what can't be seen, is written as `\u0060` is.

Source: GitHub Flavored Markdown Spec, 6.3 (code spans) and 4.10 (tables: `\|` is a pipe, in code spans too).
"""

import html
import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

MAX_CHARS: Final = 60_000
"""Of a report: GitHub's limit for a comment is 65,536, and what puts it there may add words of its own."""
LEAST_MAX_CHARS: Final = 20_000
"""What a report is never cut below."""
VALUE_MAX_CHARS: Final = 60
"""Longer names and values are cut, and end in `…`."""
NAMES_SHOWN: Final = 6
"""How many names a sentence lists before it counts the rest."""

_FENCED_MAX_CHARS: Final = 4000
_FENCED_WIDTH: Final = 110
"""What a forge shows of a line without scrolling."""
# A backslash before a pipe would be taken for the one that makes the pipe a character (see `_cell`).
_BEFORE_A_PIPE: Final = re.compile(r"\\(?=\|)")
_FENCE: Final = re.compile("`{3,}")
_PLAIN_WORD: Final = re.compile(r"([(\"]*)((?:[^\W\d_]|['-])*)([)\].,;:\"…]*)")
_AROUND: Final = re.compile(r"([(\"]*)(.*?)([)\].,;:\"…]*)", re.DOTALL)


def code(text: str) -> str:
    """`text` as it is, in a code span; what can't be seen in it is written as in JSON, and a long one is cut."""
    shown = _short(_visible(text[: VALUE_MAX_CHARS + 1], "`\n"))
    shown = _BEFORE_A_PIPE.sub(lambda found: _escaped(found[0]), shown)
    # Spaces at both ends would be taken for the padding of the span, a space alone for nothing.
    return f"`{shown}`" if shown.strip(" ") == shown != "" else f'`"{shown}"`'


def value(raw: object) -> str:
    """A parameter's value, as in JSON: `0.7`, `"</answer>"`, `[1, 2]`."""
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)  # the engine knows no whole numbers
    if isinstance(raw, str) and re.fullmatch(r"[\w.-]+|\[secret\]", raw, re.ASCII):
        return code(raw)
    return code(json.dumps(raw, ensure_ascii=False))


def prose(text: str) -> str:
    """A sentence that may hold anything: each word that Markdown or a forge could take for more than a word is code."""
    return " ".join(map(_word, text.split()))


def sentences(texts: Iterable[str]) -> str:
    """Sentences, each begun with a capital where it begins with a word."""
    return " ".join(text[:1].upper() + text[1:] for text in map(prose, texts))


def listed(items: Sequence[str]) -> str:
    """The first few of these pieces of Markdown, and how many more there are."""
    more = len(items) - NAMES_SHOWN
    shown = ", ".join(items[:NAMES_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown


def names(items: Sequence[str]) -> str:
    """`a`, `b` and 7 more."""
    return listed([code(name) for name in items])


def counted(number: int, thing: str) -> str:
    """`1 model`, `2 models`."""
    return f"{number} {thing}" + ("" if number == 1 else "s")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. The cells are Markdown of this module's making, each on one line."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def fenced(text: str, language: str = "text") -> str:
    """A block that shows text as it is; a very long one is cut in its middle, where it says so."""
    text = "\n".join(wrapped for line in text.expandtabs(4).splitlines() for wrapped in _wrapped(_visible(line)))
    text = _FENCE.sub(lambda run: _visible(run[0], "`"), text)
    if len(text) > _FENCED_MAX_CHARS:
        half = _FENCED_MAX_CHARS // 2
        left_out = len(text) - 2 * half
        text = f"{text[:half]}\n… {left_out} characters are left out here …\n{text[-half:]}"
    return f"```{language}\n{text}\n```"


def folded(summary: str, body: str) -> str:
    """A part that is shown when it is asked for.

    Args:
        summary: what is always shown; plain text.
        body: Markdown.
    """
    return f"<details>\n<summary>{html.escape(summary)}</summary>\n\n{body}\n\n</details>"


def warned(lines: Sequence[str]) -> str:
    """A list that a forge marks as a warning (an alert of GitHub's and GitLab's; elsewhere a quotation)."""
    return "\n".join(["> [!WARNING]", *(f"> - {line}" for line in lines)])


def fitting(blocks: Sequence[str], room: int) -> list[str]:
    """The first of these lines or blocks, as many as fit into so many characters."""
    kept: list[str] = []
    for block in blocks:
        room -= len(block) + 2
        if room < 0:
            break
        kept.append(block)
    return kept


def _wrapped(line: str) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    found = textwrap.wrap(line, _FENCED_WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return found or [""]


def _escaped(char: str) -> str:
    return "".join(f"\\u{unit:04x}" for unit in _utf16(char))


def _utf16(char: str) -> list[int]:
    data = char.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(data[index : index + 2], "big") for index in range(0, len(data), 2)]


def _short(text: str) -> str:
    return text if len(text) <= VALUE_MAX_CHARS else text[: VALUE_MAX_CHARS - 1] + "…"


def _word(word: str) -> str:
    if _PLAIN_WORD.fullmatch(word):
        return word
    around = _AROUND.fullmatch(word)
    assert around is not None  # it matches any text
    before, inner, after = around.groups()
    return f"{before}{code(inner)}{after}" if inner else code(word)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _visible(text: str, also: str = "") -> str:
    """As in JSON where a character can't be seen, but for the ends of lines, and where it is one of `also`."""
    return "".join(
        char if (char.isprintable() or char == "\n") and char not in also else _escaped(char) for char in text
    )
