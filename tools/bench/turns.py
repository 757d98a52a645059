"""Many threads on one simulated clock: one runs at a time, and time passes when all of them sleep."""

import threading
from collections.abc import Callable, Sequence
from heapq import heappop, heappush


class TurnClock:
    """A clock for `run`; the same work takes the same turns each time."""

    def __init__(self) -> None:
        self._now = 0.0
        self._sleepers: list[tuple[float, int, threading.Event]] = []
        self._slept = 0
        self._ended = threading.Event()
        self._failures: list[BaseException] = []

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            turn = self._asleep(seconds)
            self._wake_the_next()
            turn.wait()

    def wait(self, done: threading.Event, seconds: float) -> bool:  # noqa: ARG002 - as the protocol has it
        """A real wait: what another thread does for the one whose turn it is takes no time here."""
        return done.wait(60)

    def run(self, works: Sequence[Callable[[], None]], starts: Sequence[float] = ()) -> None:
        """Do each work in a thread of its own, and return when all are done.

        Args:
            works: what to do.
            starts: when each begins; all at once where there are none.
        """
        for number, work in enumerate(works):
            turn = self._asleep(starts[number] if starts else 0.0)
            threading.Thread(target=self._work, args=(work, turn), daemon=True).start()
        self._wake_the_next()
        self._ended.wait()
        if self._failures:
            raise self._failures[0]

    def _work(self, work: Callable[[], None], turn: threading.Event) -> None:
        turn.wait()
        try:
            work()
        except BaseException as failure:  # noqa: BLE001 - raised by `run`
            self._failures.append(failure)
        self._wake_the_next()

    def _asleep(self, seconds: float) -> threading.Event:
        self._slept += 1
        turn = threading.Event()
        heappush(self._sleepers, (self._now + seconds, self._slept, turn))
        return turn

    def _wake_the_next(self) -> None:
        if not self._sleepers:
            self._ended.set()
            return
        at, _, turn = heappop(self._sleepers)
        self._now = max(self._now, at)
        turn.set()
