"""What the benchmark makes of what it saw. Nothing is timed here."""

import json
import statistics
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bench.__main__ import _rounded
from bench.figures import Results, figures, limited_floor, table
from bench.outages import RATIO_MAX, Outages, simulate_updates
from bench.plan import HOSTS, QUICK, Figure, Host, Jobs, Plan, Run
from bench.plot import plot
from bench.processes import _is_host, seen
from bench.simulated import DURATIONS, Simulated, simulate, simulate_job
from bench.startup import Startup
from pulumi_koreai.api.settings import Settings

SETTINGS = Settings("", "", poll_min_seconds=1.0, poll_max_seconds=60.0)
JOBS = Jobs(count=1, at_once=1, late=0.5, late_max=1.0, requests=4.0, refused=0, spread=0.1)


def job(number: int, began: float, seconds: float) -> dict[str, Any]:
    return {"id": f"ds-{number}", "time": began, "seconds": seconds}


def look(number: int, at: float, status: int = 200) -> dict[str, Any]:
    return {"path": f"/api/public/dock-status/ds-{number}", "time": at, "status": status}


def test_a_job_is_noticed_by_the_first_look_after_its_end_that_was_answered() -> None:
    jobs = [job(1, 0.0, 5.0), job(2, 1.0, 5.0), job(3, 6.5, 5.0)]
    deploys = [{"path": f"/api/public/models/cm-{n}/deploy", "time": n - 1.0, "status": 200} for n in (1, 2, 3)]
    looks = [look(1, 4.9), look(1, 5.5, 429), look(1, 6.0), look(1, 9.0), look(2, 6.0), look(3, 13.5)]
    what = seen(jobs, deploys + looks)
    assert (what.count, what.at_once, what.requests, what.refused, what.spread) == (3, 2, 3.0, 1, 6.5)
    assert what.late == pytest.approx(1.0)
    assert what.late_max == 2.0


def test_a_job_that_ends_when_another_begins_is_not_under_way_with_it() -> None:
    assert seen([job(1, 0.0, 5.0), job(2, 5.0, 5.0)], []).at_once == 1


@pytest.mark.parametrize("count, floor", [(1, 0.0), (60, 0.0), (61, 60.0), (200, 180.0)])
def test_the_floor_is_when_the_last_deploy_may_be_sent(count: int, floor: float) -> None:
    assert limited_floor(count) == floor


@pytest.mark.parametrize(
    "line, is_host",
    [
        (b"/v/bin/python3 -m pulumi_koreai.host 127.0.0.1:1 ", True),
        (b"/v/bin/python -u -m pulumi.dynamic 127.0.0.1:1 ", True),
        (b"/bin/sh /v/libexec/koreai/pulumi-resource-pulumi-python 127.0.0.1:1 ", False),
        (b"/v/bin/python3 /e/pulumi-language-python-exec --pwd /p ", False),
        (b"python3", False),
    ],
)
def test_the_host_is_told_from_the_other_programs_of_the_engine(line: bytes, is_host: bool) -> None:
    assert _is_host(line.split()) is is_host


def test_looks_at_a_steady_pace_are_late_by_half_a_pause() -> None:
    simulated = simulate(lambda *_: 9.9, SETTINGS, 400, percentages=False)
    assert simulated.late[600] == pytest.approx(5.0, rel=0.05)
    assert simulated.late_over_bar[600] == pytest.approx(5.0 / 30.6, rel=0.05)
    assert (simulated.polls, simulated.polls_max) == (60, 60)


def test_a_simulated_job_tells_whole_percentages_or_none() -> None:
    told: list[float | None] = []

    def schedule(_elapsed: float, percent: float | None, *_rest: object) -> float:
        told.append(percent)
        return 2.4

    late, polls = simulate_job(schedule, 9.0, SETTINGS, Random(0), percentages=True)
    assert late == pytest.approx(1.0)
    assert polls == 4
    simulate_job(schedule, 3.0, SETTINGS, Random(0), percentages=False)
    assert told == [0, 27, 55, 83, None, None]


def runs_of(plan: Plan) -> list[Run]:
    runs: list[Run] = []
    counts_of: dict[Host, tuple[int, ...]] = {
        "own": tuple(count for count, _ in plan.counts),
        "stock": plan.stock_counts,
    }
    for host, counts in counts_of.items():
        for count in counts:
            runs.append(Run("nothing", host, count, 0.0, 3.0))
            wall = plan.seconds + 3.0 if host == "own" else 20 * (plan.seconds + 3.0)
            runs.append(Run("models", host, count, plan.seconds, wall, 60.0, JOBS))
    count, seconds = plan.waits
    runs += [Run("nothing", "own", count, 0.0, 3.0), Run("waits", "own", count, seconds, seconds + 6, 80.0, JOBS)]
    count, seconds = plan.limited
    floor = limited_floor(count) + seconds + 3.0
    runs += [Run("nothing", "own", count, 0.0, 3.0), Run("limited", "own", count, seconds, floor, 60.0, JOBS)]
    runs.append(Run("help", "own", 0, 0.0, 0.2))
    for host in HOSTS:
        for what in ("models", "nothing", "wide", "dev", "empty"):
            counts = (plan.preview_few, plan.preview_count)
            runs += [Run(f"preview {what}", host, count, 0.0, wall) for count in counts for wall in (2.0, 2.5)]
    return runs


SHORT = Outages(60.0, 600.0, [1.0, 1.05], 700.0, 0)
STARTUPS = [Startup("a program's imports", 0.25)]
GOOD = Simulated(percentages=True, late={5: 1.0}, late_over_bar={5: 0.5}, polls=39.0, polls_max=40)


def met(lines: list[Figure]) -> dict[str, bool | None]:
    return {line.what: line.met for line in lines}


def test_every_bar_is_met_where_all_is_well() -> None:
    lines = figures(QUICK, runs_of(QUICK), STARTUPS, [GOOD], [SHORT])
    assert {line.met for line in lines if line.bar} == {True}
    assert {line.met for line in lines if not line.bar} == {None}


@pytest.mark.parametrize(
    "what, change",
    [
        ("models", {"wall": 60.0}),
        ("waits", {"peak_mb": 151.0}),
        ("models", {"jobs": replace(JOBS, late=2.1)}),
        ("limited", {"jobs": replace(JOBS, refused=1)}),
        ("limited", {"wall": 300.0}),
        ("preview models", {"wall": 2.6}),
        ("preview dev", {"wall": 4.0}),
        ("help", {"wall": 0.31}),
    ],
)
def test_a_missed_bar_is_told(what: str, change: dict[str, Any]) -> None:
    runs = [replace(run, **change) if (run.what, run.host) == (what, "own") else run for run in runs_of(QUICK)]
    assert False in met(figures(QUICK, runs, STARTUPS, [GOOD], [SHORT])).values()


@pytest.mark.parametrize("bad", [replace(SHORT, ratios=[1.0, 1.2]), replace(SHORT, refused=1)], ids=["long", "429"])
def test_an_outage_that_is_too_long_and_a_refusal_are_told(bad: Outages) -> None:
    assert False in met(figures(QUICK, runs_of(QUICK), STARTUPS, [GOOD], [bad])).values()


def test_updates_under_the_limits_cut_callers_off_for_their_own_jobs_and_no_longer() -> None:
    outages = simulate_updates(70, 10.0, 60.0)
    assert len(outages.ratios) == 70
    assert min(outages.ratios) >= 1.0
    assert max(outages.ratios) <= RATIO_MAX
    assert outages.refused == 0
    assert outages.seconds > 60, "not all of them fit into a minute"


def test_too_many_polls_are_told() -> None:
    lines = figures(QUICK, runs_of(QUICK), STARTUPS, [replace(GOOD, polls_max=41)], [SHORT])
    assert [line.met for line in lines if "10 minutes" in line.what] == [False]


def test_memory_that_can_not_be_measured_is_neither_met_nor_missed() -> None:
    runs = [replace(run, peak_mb=None) for run in runs_of(QUICK)]
    (line,) = (line for line in figures(QUICK, runs, STARTUPS, [GOOD], [SHORT]) if line.bar == "below 150 MB")
    assert (line.value, line.met) == ("not measured on this system", None)


def test_the_median_of_several_runs_counts() -> None:
    runs = [Run("nothing", "own", 10, 0.0, wall) for wall in (1.0, 2.0, 90.0)]
    assert Results(runs).ideal("own", 10, 5.0) == 7.0 == 5.0 + statistics.median([1.0, 2.0, 90.0])


def test_the_table_marks_what_is_missed() -> None:
    text = table([Figure("a", "1"), Figure("b", "2", "3", True), Figure("c", "4", "3", False)], "# Heading\n")
    assert text.splitlines()[-3:] == ["| a | 1 |  |  |", "| b | 2 | 3 | yes |", "| c | 4 | 3 | **no** |"]


def test_the_plot_is_drawn_and_small(tmp_path: Path) -> None:
    simulated = [
        Simulated(each, dict.fromkeys(DURATIONS, 1.0), dict.fromkeys(DURATIONS, 0.5), 39.0, 40)
        for each in (True, False)
    ]
    plot(tmp_path / "bench.png", QUICK, runs_of(QUICK), simulated)
    assert 1_000 < (tmp_path / "bench.png").stat().st_size < 100_000


def test_figures_are_written_with_three_places() -> None:
    written = json.loads(json.dumps(_rounded({"runs": [asdict(Run("models", "own", 1, 1.0, 1.23456))]})))
    assert written["runs"][0]["wall"] == 1.235
