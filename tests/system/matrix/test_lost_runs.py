"""Each cell of the table *A run is lost* of `docs/faults.md`, on both hosts, over the simulated platform and engine."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import pytest
from urllib3 import HTTPResponse

from pulumi_koreai.journal import calls
from tests.system.chaos.simulation import Outcome, Stop, User, Wanted
from tests.system.chaos.wire import Request
from tests.system.matrix.table import table

HEADING: Final = "A run is lost"
SLEEPS_MAX: Final = 60


@dataclass(frozen=True)
class Column:
    """An operation, by the table's head.

    Attributes:
        before: what is up before it, None: nothing.
        wanted: what is declared then, None: the entry is gone.
        posts: what it sends.
        it: which of these is struck.
    """

    before: Wanted | None
    wanted: Wanted | None
    posts: tuple[str, ...]
    it: int = 0


UP: Final = Wanted()
BIGGER: Final = Wanted(device="g5.2xlarge")
REDEPLOYED: Final = Wanted(device="g5.2xlarge", strategy="redeploy")

COLUMNS: Final = {
    "create": Column(None, UP, ("deploy",)),
    "update: undeploy": Column(UP, BIGGER, ("undeploy", "deploy")),
    "update: deploy": Column(UP, BIGGER, ("undeploy", "deploy"), 1),
    "redeploy": Column(UP, REDEPLOYED, ("deploy",)),
    "undeploy": Column(UP, replace(UP, deployed=False), ("undeploy",)),
    "delete": Column(UP, None, ("undeploy",)),
}


def the_host_dies_before_the_answer(user: User, column: Column) -> Outcome:
    return _dies(user, column, at=lambda request, sent: request.method == "POST" and sent == column.it)


def the_host_dies_during_the_wait(user: User, column: Column) -> Outcome:
    return _dies(user, column, at=lambda request, sent: request.method == "GET" and sent == column.it + 1)


def _dies(user: User, column: Column, *, at: Callable[[Request, int], bool]) -> Outcome:
    """Let the host die in the middle of the first request of which this is true; the platform takes it."""
    serve, before = user.world.serve, len(user.world.commands)

    def watched(request: Request) -> HTTPResponse:
        if not user.world.dead and at(request, len(user.world.commands) - before):
            user.world.dies_in = 1
        return serve(request)

    user.world.serve = watched  # type: ignore[method-assign]
    outcome = user.up()
    user.world.serve = serve  # type: ignore[method-assign]
    assert len(user.world.commands) - before == column.it + 1
    return outcome


def the_engine_dies_during_the_wait(user: User, column: Column) -> Outcome:
    """Once more with a new user until the strike is in the wait for the right job."""
    for sleeps in range(1, SLEEPS_MAX):
        candidate = prepared(column, hosted=user.engine.hosted)
        before = len(candidate.world.commands)
        outcome = candidate.up((Stop.KILL, sleeps))
        running = any(job.status == "IN_PROGRESS" for job in candidate.world.platform.jobs())
        if len(candidate.world.commands) - before == column.it + 1 and running:
            vars(user).update(vars(candidate))
            return outcome
    raise AssertionError("no wait was struck")


def the_backend_is_gone(user: User, _: Column) -> Outcome:
    return user.up((Stop.UNSAVED, 0))


ROWS: Final[dict[str, Callable[[User, Column], Outcome]]] = {
    "the host, before the answer": the_host_dies_before_the_answer,
    "the host, during the wait": the_host_dies_during_the_wait,
    "the engine, during the wait": the_engine_dies_during_the_wait,
    "the backend": the_backend_is_gone,
}


def prepared(column: Column, *, hosted: bool) -> User:
    user = User(hosted=hosted)
    if column.before is not None:
        user.wanted = column.before
        assert user.up().ok
    user.wanted = column.wanted
    return user


def _tables() -> tuple[list[list[str]], list[list[str]]]:
    rows = table(HEADING)
    split = next(number for number, row in enumerate(rows) if row[0] == "next")
    return rows[:split], rows[split + 1 :]


def cells() -> Iterator[tuple[str, str, str]]:
    (head, *rows), _ = _tables()
    for row, *outcomes in rows:
        for column, outcome in zip(head[1:], outcomes, strict=True):
            yield row, column.strip("`"), outcome


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(calls, "_SCRYPT_COST", 2)


@pytest.mark.parametrize("hosted", [True, False], ids=["own", "stock"])
@pytest.mark.parametrize("row, name, outcome", list(cells()))
def test_a_cell_is_as_the_table_says(row: str, name: str, outcome: str, hosted: bool) -> None:
    column = COLUMNS[name]
    if (row, name, hosted) == ("the backend", "create", False):
        outcome = "sends it again"  # the page says so: that host does not tell which resource a creation is of
    user = prepared(column, hosted=hosted)
    lost = ROWS[row](user, column)
    assert not lost.ok
    sent = len(user.world.commands)
    looked = user.world.looks
    after = user.up()
    rest = column.posts[len(column.posts) if row == "the backend" else column.it + 1 :]
    sends = {"resumes": rest, "sends it again": (column.posts[column.it], *rest), "asks": ()}[outcome]
    assert tuple(dict.fromkeys(user.world.commands[sent:])) == sends
    assert after.ok is (outcome != "asks"), after.errors
    assert user.world.looks > looked or outcome != "resumes"
    if outcome == "asks":
        assert "the outcome of the last deploy of cm-a is unknown; nothing was sent" in after.errors[0]
        assert user.up().ok or user.up().ok
    if outcome == "resumes":
        assert any(note.startswith("resuming ") for note in after.told.notes)
    assert user.world.is_as("cm-a", column.wanted)


def test_the_table_has_each_row_and_each_operation() -> None:
    assert {row for row, _, _ in cells()} == set(ROWS)
    assert {name for _, name, _ in cells()} == set(COLUMNS)
    assert {outcome for _, _, outcome in cells()} == {row[0] for row in _tables()[1]}
