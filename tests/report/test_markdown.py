"""Whatever a name or a value holds, Markdown takes it for text, and the report keeps its shape."""

import re

from hypothesis import given
from hypothesis import strategies as st

from pulumi_koreai.report import markdown

NASTY = [
    "|", "\\|", "\\\\|", "`", "```", "\n", "\n\n", "\r", "<", "<script>", "</td>", "</details>", "<!--", "-->", "&amp;",
    "@everyone", "@org/team", "#12", "GH-1", "](https://x)", "![x](https://x)", "www.x.org", "https://x.org", "*", "__",
    "$x$", "~~~", "---", ":tada:", "> ", "- [ ] ", "\u202e", "\u200b", "\x00", "\ud800", "😀", " ", "\\", "'", '"',
]  # fmt: skip
texts = st.lists(st.one_of(st.text(max_size=5), st.sampled_from(NASTY)), max_size=12).map("".join)


def cells(line: str) -> list[str]:
    r"""A table's line as GitHub's Markdown takes it: `\|` is no end of a cell, wherever it stands."""
    assert line.startswith("| ")
    assert line.endswith(" |")
    return re.split(r"(?<!\\)\|", line)[1:-1]


def outside_code(text: str) -> str:
    """What Markdown still looks at: all but the code spans, each of which ends at the next backtick."""
    assert text.count("`") % 2 == 0
    return re.sub("`[^`]+`", "", text)


@given(texts)
def test_code_is_one_span_on_one_line_that_can_be_seen(text: str) -> None:
    made = markdown.code(text)
    assert re.fullmatch(r"`[^`\n]+`", made)
    assert made.isprintable()
    assert made[1:-1].strip() or '"' in made


@given(texts.filter(lambda text: text.isprintable() and not set(text) & set("`\\ ") and 0 < len(text) <= 60))
def test_code_shows_what_can_be_seen_as_it_is(text: str) -> None:
    assert markdown.code(text) == f"`{text}`"


@given(st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="`\\"), min_size=61))
def test_a_long_name_is_cut_and_says_so(text: str) -> None:
    assert markdown.code(text) == f"`{text[:59]}…`"


@given(texts)
def test_prose_has_only_words_outside_of_code(text: str) -> None:
    made = markdown.prose(text)
    assert "\n" not in made
    left = outside_code(made)
    assert not re.search(r"[^\w\s()\"'.,;:…\]-]|\d|_", left), left
    assert not re.search(r"\w[.:]\w|:\w", left), "nothing that could be an address, or a sign"


def test_a_sentence_of_words_stays_as_it_is() -> None:
    said = 'The model is "deployed" over the running deployment, by the strategy (redeploy).'
    assert markdown.prose(said) == said
    assert markdown.sentences(["cm-1 is gone.", "it failed (job ds-2)."]) == "`cm-1` is gone. It failed (job `ds-2`)."


@given(st.lists(st.lists(texts.map(markdown.code), min_size=3, max_size=3), max_size=5))
def test_a_table_has_as_many_cells_as_it_is_given(rows: list[list[str]]) -> None:
    head, _, *lines = markdown.table(["a", "b", "c"], rows).splitlines()
    assert [len(cells(line)) for line in (head, *lines)] == [3] * (len(rows) + 1)
    for row, line in zip(rows, lines, strict=True):
        assert [cell.strip().replace("\\|", "|") for cell in cells(line)] == row
        assert not re.search(r"\\\\\|", line), "a backslash before that of a pipe is read differently by some"


@given(texts)
def test_a_fence_ends_where_it_is_meant_to(text: str) -> None:
    first, *lines, last = markdown.fenced(text).split("\n")
    assert (first, last) == ("```text", "```")
    assert not any("```" in line for line in lines)
    assert all(line.isprintable() for line in lines)


@given(texts)
def test_a_very_long_text_is_cut_in_its_middle(text: str) -> None:
    made = markdown.fenced((f"x{text}" * 5000)[:5000])
    assert len(made) < 4200
    assert "characters are left out here" in made


def test_values_are_shown_as_json_has_them() -> None:
    shown = [markdown.value(value) for value in (0.5, 40.0, True, "vllm", "90m", "two words", ["</s>", "a|b"], "a\nb")]
    assert shown == ["`0.5`", "`40`", "`true`", "`vllm`", "`90m`", '`"two words"`', '`["</s>", "a|b"]`', '`"a\\nb"`']


@given(st.lists(st.text(min_size=1), max_size=20), st.integers(0, 100))
def test_what_fits_fits_and_is_a_beginning(blocks: list[str], room: int) -> None:
    kept = markdown.fitting(blocks, room)
    assert kept == blocks[: len(kept)]
    assert len("\n\n".join(kept)) <= room
    if len(kept) < len(blocks):
        assert sum(len(block) + 2 for block in blocks[: len(kept) + 1]) > room
