"""A report as a terminal shows it: the Markdown that this room makes, laid out with tables and colours by rich.

What a forge folds is shown at full length, and a picture, which a terminal has none of, is left out. Nothing is taken
for rich's own markup: a name or a value stays what it is.
"""

import re
from collections.abc import Iterator
from typing import Final, TextIO

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .changes import ChangeKind
from .preview import MARKS

_STYLES: Final = {
    **{MARKS[kind]: "red" for kind in (ChangeKind.UNDEPLOYED, ChangeKind.REPLACED)},
    **{MARKS[kind]: "yellow" for kind in (ChangeKind.REDEPLOYED, ChangeKind.RELEASED, ChangeKind.OPEN)},
    **{MARKS[kind]: "green" for kind in (ChangeKind.DEPLOYED, ChangeKind.ADOPTED)},
    **{MARKS[kind]: "cyan" for kind in (ChangeKind.RESUMED, ChangeKind.RECORDED)},
    "✗": "red",
    "✓": "green",
}
"""By the mark that a row begins with."""
_SUMMARY: Final = re.compile(r"<summary>(.*?)</summary>")
_ALERT: Final = "[!WARNING]"


def laid_out(report: str, to: TextIO) -> str:
    """A report as a terminal shows it, with its colours and in its width. `NO_COLOR` is honoured.

    Args:
        report: Markdown, as `Preview.markdown` and its like make it.
        to: the terminal.
    """
    console = Console(file=to, highlight=False)
    with console.capture() as captured:
        for part in _Blocks(report).parts():
            console.print(part)
            console.print()
    return captured.get()


class _Blocks:
    """The blocks of a report, one after another."""

    def __init__(self, report: str) -> None:
        self._tokens = MarkdownIt("commonmark").enable("table").parse(report)
        self._at = 0

    def parts(self, end: str = "") -> Iterator[RenderableType]:
        """What they are on a terminal, up to the token that ends them."""
        while self._at < len(self._tokens):
            token = self._next()
            if token.type == end:
                return
            match token.type:
                case "heading_open":
                    yield Text.assemble(_inline(self._next()), style="bold underline")
                    self._next()
                case "paragraph_open":
                    yield _inline(self._next())
                    self._next()
                case "fence" if token.info != "mermaid":
                    yield Padding(
                        Text(token.content.rstrip("\n"), style="dim" if token.info != "text" else ""),
                        (0, 2),
                        expand=False,
                    )
                case "table_open":
                    yield self._table()
                case "bullet_list_open":
                    yield Group(*self._items())
                case "blockquote_open":
                    parts = [part for part in self.parts("blockquote_close") if str(part) != _ALERT]
                    yield Group(Text("Warnings", style="bold yellow"), *parts)
                case "html_block" if (found := _SUMMARY.search(token.content)) and not self._is_picture():
                    yield Text(found[1], style="bold")
                case _:
                    pass

    def _next(self) -> Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _is_picture(self) -> bool:
        return self._tokens[self._at].type == "fence" and self._tokens[self._at].info == "mermaid"

    def _items(self) -> Iterator[RenderableType]:
        while (token := self._next()).type != "bullet_list_close":
            if token.type == "list_item_open":
                grid = Table.grid(padding=(0, 1))
                grid.add_row("•", Group(*self.parts("list_item_close")))
                yield grid

    def _table(self) -> Table:
        rows: list[list[Text]] = []
        while (token := self._next()).type != "table_close":
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                rows[-1].append(_inline(token))
        header, *body = rows
        table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for cell in header:
            table.add_column(cell, overflow="fold")
        for row in body:
            row[0].stylize(_STYLES.get(row[0].plain[:1], ""))
            table.add_row(*row)
        return table


def _inline(token: Token) -> Text:
    """A line of Markdown, which has code and bold words in it."""
    text, bold = Text(), False
    for child in token.children or ():
        match child.type:
            case "strong_open" | "strong_close":
                bold = child.type == "strong_open"
            case "code_inline":
                text.append(child.content, style="bold cyan" if bold else "cyan")
            case "softbreak" | "hardbreak" | "html_inline":
                text.append("\n" if child.type != "softbreak" else " ")
            case _:
                text.append(child.content, style="bold" if bold else "")
    return text
