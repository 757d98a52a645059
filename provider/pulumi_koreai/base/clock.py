"""Time as the core sees it: handed in, so that a test of a 40-minute wait takes no time."""

import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock that can wait. Instants and durations are seconds."""

    def monotonic(self) -> float:
        """The instant now. Only differences between two instants mean anything."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait `seconds` (0 or less: not at all).

        An implementation may end a wait early only by raising; the core lets such an exception through.
        """
        ...


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)
