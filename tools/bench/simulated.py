"""A schedule of looks on a simulated clock."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from pulumi_koreai.api.settings import Settings

Schedule = Callable[[float, float | None, float, float, Random], float]


DURATIONS: Final = (5, 10, 20, 40, 60, 120, 300, 600, 1200, 2400)


TEN_MINUTES: Final = 600.0


POLLS_MAX: Final = 40


_ROUND_TRIP_SECONDS: Final = 0.1


def late_bar(duration: float, *, percentages: bool) -> float:
    """How many seconds late the end of a job may be noticed, on average.

    Without percentages nothing tells of the end: looks at 40 moments of ten minutes are 5 % apart at best.
    """
    return max(0.02 * duration, 1.0) if percentages else max(0.05 * duration, 2.0)


@dataclass(frozen=True)
class Simulated:
    """How a schedule of looks does with jobs that tell their percentage, or don't.

    Attributes:
        late: by duration, the mean seconds from a job's end to the look that finds it.
        late_over_bar: by duration, that over its bar.
        polls: of a job of ten minutes, on average.
        polls_max: at most.
    """

    percentages: bool
    late: dict[int, float]
    late_over_bar: dict[int, float]
    polls: float
    polls_max: int


def simulate_job(
    schedule: Schedule, duration: float, settings: Settings, rng: Random, *, percentages: bool
) -> tuple[float, int]:
    """Look at a job until it has ended: how late that is noticed, and how many looks it took."""
    now, polls = 0.0, 0
    percent: float | None = 0.0 if percentages else None
    while True:
        now += schedule(now, percent, settings.poll_min_seconds, settings.poll_max_seconds, rng)
        now += _ROUND_TRIP_SECONDS
        polls += 1
        if now >= duration:
            return now - duration, polls
        if percentages:
            percent = float(int(100 * now / duration))


def simulate(schedule: Schedule, settings: Settings, runs: int, *, percentages: bool) -> Simulated:
    """Jobs of all durations, each spread over half an octave to both sides, so that none hits or misses by luck."""
    rng = Random(1)  # noqa: S311 - the same figures each time
    late: dict[int, float] = {}
    over: dict[int, float] = {}
    for middle in DURATIONS:
        durations = [middle * 2 ** ((number + 0.5) / runs - 0.5) for number in range(runs)]
        waits = [simulate_job(schedule, each, settings, rng, percentages=percentages)[0] for each in durations]
        late[middle] = statistics.fmean(waits)
        over[middle] = late[middle] / statistics.fmean(late_bar(each, percentages=percentages) for each in durations)
    polls = [simulate_job(schedule, TEN_MINUTES, settings, rng, percentages=percentages)[1] for _ in range(runs)]
    return Simulated(percentages, late, over, statistics.fmean(polls), max(polls))
