"""The list of mutants fits the code: each can be put in, each room has one, each test is there."""

from pathlib import Path

import pytest

from mutants.__main__ import ROOT, Mutant, listed
from tests.system.test_architecture import MAY_IMPORT, room

MUTANTS = listed()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_can_be_put_in_and_its_tests_are_there(mutant: Mutant) -> None:
    source = (ROOT / mutant.path).read_text(encoding="utf-8")
    compile(mutant.broken(source), mutant.file, "exec")
    assert mutant.broken(source) != source
    assert all((ROOT / test.partition("::")[0]).exists() for test in mutant.tests)
    assert mutant.why.strip()


def test_each_room_has_a_mutant() -> None:
    assert {room(mutant.file) for mutant in MUTANTS} == set(MAY_IMPORT) - {"__init__"}


def test_a_mutant_that_no_longer_fits_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 times, not once"):
        MUTANTS[0].broken("something else")
