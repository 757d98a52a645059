"""When a job is looked at again."""

from random import Random
from typing import Final

# A poll when a tenth more of the job's time has passed finds its end, on average, a twentieth late.
_POLL_GROWTH: Final = 1 / 10
# A percentage is rounded, and no clock: however near it says the end is, the pauses still grow with the age.
_POLL_NEAR_THE_END: Final = 1 / 100
# Four times the shortest pause finds the end of a job of seconds, on average, two of those pauses late.
_POLL_RAMP: Final = 4
_POLL_JITTER: Final = 0.05


def pause_before_poll(elapsed: float, percent: float | None, shortest: float, longest: float, rng: Random) -> float:
    """The seconds to wait before the next look at a job.

    They grow with the job's age, from `shortest` to `longest`; when its percentage says that the end comes sooner, the
    next look is then. With the default settings that is at most 40 looks at a job of ten minutes, and an end is
    noticed, on average, within a twentieth of the job's duration or within two seconds.

    Args:
        elapsed: the job's age in seconds.
        percent: what it last said of its progress, 0–100.
        shortest: never less than this.
        longest: never more than this.
        rng: spreads the looks at many jobs, by a twentieth.
    """
    pause = max(elapsed * _POLL_GROWTH, min(shortest + 2 * elapsed, _POLL_RAMP * shortest))
    if percent:
        left = elapsed * (100 - percent) / percent
        pause = min(pause, max(left, elapsed * _POLL_NEAR_THE_END))
    pause *= 1 + _POLL_JITTER * rng.random()
    return min(max(pause, shortest), longest)
