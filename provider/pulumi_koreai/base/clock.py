"""Time as the core sees it: handed in, so that a test of a 40-minute wait takes no time."""

import threading
import time
from typing import Final, Protocol

_STEP_SECONDS: Final = 0.25


class Clock(Protocol):
    """A monotonic clock that can wait. Instants and durations are seconds.

    An implementation may end a wait early only by raising; the core lets such an exception through. What ends one wait
    ends those that follow it too.
    """

    def monotonic(self) -> float:
        """The instant now. Only differences between two instants mean anything."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait `seconds` (0 or less: not at all)."""
        ...

    def wait(self, done: threading.Event, seconds: float) -> bool:
        """Wait for what another thread does, up to `seconds`. Whether it is done."""
        ...


def wait_in_steps(clock: Clock, done: threading.Event, seconds: float) -> bool:
    """The `wait` of a clock whose `sleep` an interruption ends: it is noticed within a quarter of a second."""
    until = clock.monotonic() + seconds
    while not done.wait(_STEP_SECONDS):
        clock.sleep(0)
        if clock.monotonic() >= until:
            return done.is_set()
    return True


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)

    def wait(self, done: threading.Event, seconds: float) -> bool:
        return done.wait(max(seconds, 0.0))
