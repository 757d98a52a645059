"""ARCHITECTURE.md and CONTRIBUTING.md say what is so: the picture is the table of rooms, and each file is there."""

import re
from pathlib import Path

import pytest

from tests.system.test_architecture import MAY_IMPORT

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


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    tops = "provider|tests|tools|policy|docs|stacks|examples"
    named = {path.rstrip("/") for path in re.findall(rf"`((?:{tops})/[\w./-]*)`", text)}
    named |= set(re.findall(r"\]\(([^):]+)\)", text))
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_name_of_a_room_s_own_file_exists() -> None:
    package = ROOT / "provider" / "pulumi_koreai"
    files = set(re.findall(r"`((?:api|base|core|host|stackfile|terraform|report)/\w+\.py|\w+\.py)`", PAGE))
    assert [file for file in sorted(files) if not (package / file).exists() and not (ROOT / file).exists()] == []
