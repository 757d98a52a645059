"""A request on its way, in a thread of its own: so an interruption, or the time, ends the wait for its answer."""

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from ..base.clock import Clock

Answered = TypeVar("Answered")

_STEP_SECONDS: Final = 10.0
# Whoever wants this process to end gives it some four seconds before it is killed.
_GRACE_SECONDS: Final = 2.5


class GivenUp(Exception):
    """No answer came while there was time; its cause is the interruption, where that ended the wait."""


class InFlight(Generic[Answered]):
    """One request. The thread is a daemon: what nobody waits for any more keeps no process alive."""

    def __init__(self, exchange: Callable[[], Answered]) -> None:
        """Send it.

        Args:
            exchange: sends the request and reads the answer. It runs outside of the call that waits for it.
        """
        self._exchange = exchange
        self._done = threading.Event()
        self._answer: list[Answered] = []
        self._failure: BaseException | None = None
        threading.Thread(target=self._run, daemon=True, name="koreai-request").start()

    def _run(self) -> None:
        try:
            self._answer.append(self._exchange())
        except BaseException as failure:  # noqa: BLE001 - raised where the answer is waited for
            self._failure = failure
        finally:
            self._done.set()

    def answer(self, clock: Clock, seconds: float, waiting: Callable[[float], None] | None) -> Answered:
        """Wait for the answer.

        Args:
            clock: time.
            seconds: how long.
            waiting: gets the seconds that have passed, every ten. None where nobody needs to know whether the request
                was taken: then an interruption ends the wait at once, and otherwise a little later.

        Raises:
            GivenUp: no answer came. What interrupts a wait, ends the next one too: where the answer came after all, it
                is returned.
        """
        began = clock.monotonic()
        while not self._is_done(clock, began + seconds - clock.monotonic(), grace=waiting is not None):
            passed = clock.monotonic() - began
            if passed >= seconds:
                raise GivenUp("it took too long")
            if waiting is not None:
                waiting(passed)
        if self._failure is not None:
            raise self._failure
        return self._answer[0]

    def _is_done(self, clock: Clock, seconds: float, *, grace: bool) -> bool:
        try:
            return clock.wait(self._done, min(seconds, _STEP_SECONDS) if grace else seconds)
        except BaseException as interruption:
            if not grace:
                raise
            if not self._done.wait(_GRACE_SECONDS):
                raise GivenUp("interrupted") from interruption
            return True
