"""ARCHITECTURE.md and CONTRIBUTING.md say what is so: the picture is the table of rooms, and each file is there."""

import re
from pathlib import Path

import pytest

from tests.system.test_architecture import MAY_IMPORT, PACKAGE

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PAGES = ["ARCHITECTURE.md", "CONTRIBUTING.md"]


def test_the_picture_has_each_room_and_each_arrow_and_no_other() -> None:
    (picture,) = re.findall(r"```mermaid\ngraph TD\n(.*?)```", PAGE, re.DOTALL)
    drawn: dict[str, set[str]] = {}
    for line in picture.splitlines():
        above, _, below = (part.strip() for part in line.partition("-->"))
        drawn.setdefault(above, set())
        drawn[above] |= {below} if below else set()
    rooms = {room: drawn.get(room, set()) for room in MAY_IMPORT}
    assert set(drawn) <= set(MAY_IMPORT)
    assert rooms == MAY_IMPORT


def test_each_room_has_a_row_that_says_what_it_is_for() -> None:
    table = PAGE.partition("| room of")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    described = [Path(room).stem for row in rows for room in re.findall(r"`([\w./]+)`", row)]
    assert sorted(described) == sorted(MAY_IMPORT)


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    tops = "|".join(re.escape(path.name) for path in ROOT.iterdir() if path.is_dir())
    named = {path.rstrip("/") for path in re.findall(rf"`((?:{tops})/[\w./-]*)`", text)}
    named |= set(re.findall(r"\]\(([^):]+)\)", text))
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_name_of_a_room_s_own_file_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    files = set(re.findall(rf"`((?:(?:{'|'.join(MAY_IMPORT)})/)?\w+\.py)`", text))
    assert [file for file in sorted(files) if not (PACKAGE / file).exists() and not (ROOT / file).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_name_that_a_page_finds_in_a_file_is_in_it(page: str) -> None:
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    # Names before a file that is said to have them: after `in` or `of`, or in brackets.
    found = re.findall(r"((?:`\w+`(?:, | and | or )?)+) (?:in|of|\()\s?`([\w./-]+\.(?:py|toml))`", text)
    names = [(name, file) for group, file in found for name in re.findall(r"`(\w+)`", group)]
    assert names
    assert [(name, file) for name, file in names if not re.search(rf"\b{name}\b", source(file))] == []


def source(file: str) -> str:
    """The text of a file that a page names, from the top of the checkout or of the package."""
    return next(top / file for top in (ROOT, PACKAGE) if (top / file).exists()).read_text(encoding="utf-8")
