"""The tables of `docs/faults.md`, and whether what was seen of a run is what they say."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from pulumi_koreai.emulator import KINDS
from pulumi_koreai.emulator.faults import Answer, OddJob
from tests.system.matrix.operations import Often, Operation, Run, Seen

PAGE: Final = Path(__file__).resolve().parents[3] / "docs" / "faults.md"

_MATRICES: Final = ("A fault strikes a request that changes something", "A fault strikes a look at a job")


@dataclass(frozen=True)
class Outcome:
    """A row of the outcomes, in the page's words."""

    name: str
    sees: str
    holds: str
    sent: str
    next: str


def table(heading: str) -> list[list[str]]:
    """The rows of the table under a heading, the head first."""
    section = PAGE.read_text("utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in rows if not row[0].startswith("---")]


def _cells() -> Iterator[tuple[tuple[str, str], str]]:
    for heading in _MATRICES:
        head, *rows = table(heading)
        for group, *cells in rows:
            for operation, cell in zip(head[1:], cells, strict=True):
                yield (group, operation.strip("`")), cell


GROUPS: Final[Mapping[str, list[str]]] = {
    group: re.findall(r"`([^`]+)`", kinds) for group, kinds in table("The faults")[1:]
}
"""The kinds of fault by the name of their rows."""

OUTCOMES: Final[Mapping[str, Outcome]] = {row[0]: Outcome(*row) for row in table("The outcomes")[1:]}

CELLS: Final[Mapping[tuple[str, str], str]] = dict(_cells())
"""By row and operation, as they stand there."""


def foretold(kind: str | None, operation: str, often: Often) -> Outcome:
    """What the tables say of a kind of fault (None: of no fault)."""
    if kind is None:
        return OUTCOMES["as ever"]
    group = next(group for group, kinds in GROUPS.items() if kind in kinds)
    first, _, second = CELLS[group, operation].partition(" / ")
    return OUTCOMES[first if often == "once" or not second else second]


def differences(run: Run, outcome: Outcome, seen: Seen, *, later_process: bool = False) -> list[str]:
    """Where a run was not as its outcome says, a line each.

    Args:
        run: the run.
        outcome: what the page says of it.
        seen: what was seen.
        later_process: the next `up` ran in a process of its own, which has the journal of this one.
    """
    what = run.what
    recorded = run.host == "own" or what.call == "read" or not outcome.sees.startswith("an error")
    if what.call == "delete" and outcome.sees.startswith("an error"):
        recorded = False
    holds = _holds(what, outcome.holds) if recorded else ("nothing" if what.begins == "new" else "as before")
    next_sent = _next(what, outcome.next) if recorded or later_process else what.anew
    then_sent = _plain(seen.next_sent)
    if later_process and not recorded and next_sent[:1] != ("look",):
        then_sent = tuple(what for what in then_sent if what != "look")  # how a job ended only the platform tells
    stays_stuck = run.host == "stock" and outcome.name in ("forgotten", "under way, stuck")
    wrong = [
        *_sees(run, outcome.sees, seen),
        *_sent(what, outcome.sent, seen),
        *([] if re.fullmatch(holds, seen.holds) else [f"the state holds {seen.holds!r}, not {holds!r}"]),
        *([] if then_sent == next_sent else [f"the next up sent {seen.next_sent}, not {next_sent}"]),
    ]
    fails_again = stays_stuck or (recorded and "times out" in outcome.next)
    if bool(seen.next_error) != fails_again:
        wrong.append(f"the next up's error: {seen.next_error!r}")
    if seen.as_declared is (outcome.name == "not seen" or stays_stuck):
        wrong.append(f"in the end as declared: {seen.as_declared}")
    return wrong


def _sees(run: Run, sees: str, seen: Seen) -> Iterator[str]:
    how, _, phrase = sees.partition(": ")
    in_error = how == "an error" or (how == "a warning" and run.host == "own")
    if bool(seen.error) != in_error:
        yield f"the error: {seen.error!r}"
    if phrase:
        pattern = _pattern(run, phrase.strip("`"))
        where = [seen.error] if in_error else seen.notes
        if not any(re.search(pattern, text) for text in where):
            yield f"nothing says {phrase} in {where}"
    if run.host == "own" and "Traceback" in seen.error:
        yield f"a traceback: {seen.error}"


def _pattern(run: Run, phrase: str) -> str:
    kind = KINDS.get(run.kind or "")
    reason = kind.reason if isinstance(kind, OddJob) else None
    told = isinstance(kind, OddJob) and kind.shape != "none"
    # A fault in which somebody else acts makes the platform itself refuse.
    status = kind.status if isinstance(kind, Answer) else 409
    values = {
        "{status}": rf"{status}\b",
        "{model}": re.escape(run.model) + r"(?![\w.-])",
        "{job}": r"ds-[\w-]+",
        "{reason}": re.escape(f': "{reason}"' if told else ": the platform gave no reason"),
    }
    return "".join(values.get(part, re.escape(part)) for part in re.split(r"(\{\w+\})", phrase))


def _sent(what: Operation, sent: str, seen: Seen) -> Iterator[str]:
    first, *more = sent.split(", ")
    if first in ("nothing", "a deploy"):
        expected: tuple[str, ...] = ("deploy",) if first == "a deploy" else ()
    elif first == "what comes before it":
        expected = what.posts[: what.it]
    else:
        expected = what.posts[: what.it + 1] if first == "up to it" else what.posts
    if _plain(seen.posts) != expected:
        yield f"sent {seen.posts}, not {expected}"
    if what.posts:
        times, words = seen.posts.count(what.posts[what.it]), {first, *more}
        if times > 1 and not words & {"it again", "again", "once or again"}:
            yield f"sent again: {seen.posts}"
        if times <= 1 and words & {"it again", "again"}:
            yield f"not sent again: {seen.posts}"
    if (seen.deploys_taken > 1) is not ("taken each time" in more):
        yield f"{seen.deploys_taken} deploys were taken"


def _holds(what: Operation, holds: str) -> str:
    """A pattern for what the state holds."""
    action = what.action
    settled = "nothing" if what.call == "delete" else "undeployed, .*" if what.wants is None else "deployed, .*"
    done = "undeployed, UNDEPLOY SUCCESS, job" if what.it else "nothing" if what.begins == "new" else "as before"
    doing = "deploying" if action == "DEPLOY" else "undeploying"
    return {
        "as declared": settled,
        "as declared, which the platform is not": settled,
        "what was done before it": done,
        "`failed`, `UNKNOWN`, no job": f"failed, {action} UNKNOWN, no job",
        "`failed`, `FAILED`, the job": f"failed, {action} FAILED, job",
        "under way, the job": rf"{doing}, {action} \w+, job" + ("|as before" if what.begins == "interrupted" else ""),
    }[holds]


def _next(what: Operation, sent: str) -> tuple[str, ...]:
    by_strategy = ("undeploy", "deploy") if what.declared.get("update_strategy") != "redeploy" else ("deploy",)
    return {
        "nothing": (),
        "it and the rest": what.posts[what.it :],
        "by the strategy": by_strategy if what.wants else ("undeploy",),
        "a look, the rest": ("look", *what.posts[what.it + 1 :]),
        "a look, times out, then by the strategy": ("look",),
        "a deploy": ("deploy",),
    }[sent]


def _plain(sent: tuple[str, ...]) -> tuple[str, ...]:
    """Without repetitions, and without the looks that follow a request."""
    return tuple(what for number, (what, _) in enumerate(groupby(sent)) if what != "look" or number == 0)
