"""Every cell of the tables in `docs/faults.md`, under both hosts."""

import re
from collections.abc import Iterator

import pytest
from _pytest.mark import ParameterSet

from tests.system.matrix.conftest import See
from tests.system.matrix.operations import DOWN, FAULTS, HOSTS, OPERATIONS, Host, Run
from tests.system.matrix.table import CELLS, GROUPS, OUTCOMES, PAGE, differences, foretold, table


def runs(kind: str | None, operation: str, host: Host) -> list[Run]:
    """The hosts differ in what they make of an outcome, not in how often a fault strikes."""
    once, always = Run(kind, operation, "once", host), Run(kind, operation, "always", host)
    if host == "own":
        return [once, always]
    # That a first attempt was in vain can't be seen from outside where progress is not shown.
    return [always if kind == DOWN else once]


def cells() -> Iterator[ParameterSet]:
    """Every cell; by day a third of ours and a ninth of the stock host's, each row and each column among them."""
    for row, kind in enumerate((None, *FAULTS)):
        for column, what in enumerate(OPERATIONS):
            for host in HOSTS:
                chosen = runs(kind, what, host)
                by_day = (row + column) % (3 if host == "own" else 9) == 0
                yield pytest.param(chosen, id=named(chosen), marks=() if by_day else pytest.mark.nightly)


def named(runs: list[Run]) -> str:
    of = runs[0]
    return re.sub(r"[^\w.]+", "-", f"{of.kind or 'no-fault'}-{of.operation}-{of.host}")


@pytest.mark.timeout(1800)  # the first to come carries all the runs out, two minutes on 2 cores; the others wait for it
@pytest.mark.parametrize("runs", list(cells()))
def test_a_cell_is_as_the_table_says(runs: list[Run], see: See) -> None:
    for run in runs:
        outcome = foretold(run.kind, run.operation, run.often)
        seen = see(run)
        assert differences(run, outcome, seen) == [], f"{run.often}: not {outcome.name!r}: {seen}"


def test_the_tables_have_every_fault_and_every_operation_and_nothing_more() -> None:
    in_groups = [kind for kinds in GROUPS.values() for kind in kinds]
    assert sorted(in_groups) == sorted(FAULTS), "each kind in one row"
    rows = [re.findall(r"`([^`]+)`", group) for group in GROUPS]
    assert all(row in ([], GROUPS[group]) for group, row in zip(GROUPS, rows, strict=True))
    assert set(CELLS) == {(group, operation) for group in GROUPS for operation in OPERATIONS}
    named = {name for cell in CELLS.values() for name in cell.split(" / ")}
    assert named == set(OUTCOMES), "no cell is empty, no outcome without a cell"


def test_the_page_has_no_table_that_is_not_read() -> None:
    text = PAGE.read_text("utf-8")
    assert len(re.findall(r"^\| ---", text, re.MULTILINE)) == 6
    read = len(CELLS) // len(OPERATIONS) * 2 + len(OUTCOMES) + len(GROUPS) + 4 * 2 + len(table("A run is lost")) + 2
    assert text.count("\n| ") == read
