"""Staying under the published rate limits, across all threads of the process."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ..base.clock import Clock

# The platform counts when a request arrives, this side when it is sent: two requests a window apart here may be
# closer there.
_ARRIVAL_MARGIN_SECONDS: Final = 1.0
# A place that was held and is given back makes room earlier than who sleeps had planned.
_LOOK_AGAIN_SECONDS: Final = 15.0


RETRY_AFTER_MAX_SECONDS: Final = 300.0
"""The longest that a `Retry-After` holds up a look at a job: a look costs nothing, and the job may have ended."""

ODDITY_MAX_SECONDS: Final = 300.0
"""How long an answer that may pass (`ApiError.may_pass`) is borne while a model is down until it is deployed."""


@dataclass(frozen=True)
class Limit:
    """At most `requests` in any `seconds`."""

    requests: int
    seconds: float


def published_limits(requests_per_minute: int) -> tuple[Limit, Limit]:
    """The vendor's two windows, 60 a minute and 1,800 an hour, scaled to what the account has."""
    return Limit(requests_per_minute, 60.0), Limit(30 * requests_per_minute, 3600.0)


class _Waiter:
    """A request that has no place yet."""

    def __init__(self, places: int, *, urgent: bool) -> None:
        self.places, self.urgent = places, urgent


class _Windows:
    """What counts under one key's limits.

    Attributes:
        sent: when requests were sent, oldest first.
        held: the models that a place is held for: each will be used at any moment, so it counts as if it were now.
        queue: who waits, in the order in which they go.
    """

    def __init__(self) -> None:
        self.sent: deque[float] = deque()
        self.held: set[str] = set()
        self.queue: list[_Waiter] = []


class Pacer:
    """Sliding windows, one set for each key (the account, or one dock job).

    At every moment what was sent within a window and what is held are together no more than its limit. So whoever holds
    a place sends without waiting. The others go in the order in which they came, what ends an outage before them all.
    Nobody who waits holds a place, so the wait always ends.
    """

    def __init__(self, clock: Clock, limits: Sequence[Limit]) -> None:
        self._clock, self._limits = clock, limits
        self._longest = max(limit.seconds for limit in limits) + _ARRIVAL_MARGIN_SECONDS
        self._most_at_once = min(limit.requests for limit in limits)
        self._lock = threading.Lock()
        self._windows: dict[str, _Windows] = {}

    def take(
        self,
        key: str,
        until: float,
        waiting: Callable[[float], None],
        *,
        uses: str = "",
        holds: str = "",
        urgent: bool = False,
    ) -> bool:
        """Wait for a place in the windows of `key`, and take it.

        Args:
            key: whose windows.
            until: the instant by which it must be had.
            waiting: gets the seconds that are left, before each wait.
            uses: take the place that is held for this model, where there is one.
            holds: take a second place with it and hold it for this model. Where the limit is 1 there is none to hold.
            urgent: go before all who are not.

        Returns:
            Whether it was had; if not, nothing was taken, and none is held for the model `holds`.
        """
        with self._lock:
            windows = self._windows.setdefault(key, _Windows())
            windows.held.discard(holds)  # of an attempt that has to be made again: who waits holds nothing
            if uses in windows.held:
                windows.held.remove(uses)
                windows.sent.append(self._clock.monotonic())
                return True
            waiter = _Waiter(min(2 if holds else 1, self._most_at_once), urgent=urgent)
            windows.queue.append(waiter)
            windows.queue.sort(key=lambda other: not other.urgent)
        try:
            while True:
                with self._lock:
                    now = self._clock.monotonic()
                    at = self._planned(windows, waiter, now)
                    if at > until:
                        return False
                    if at <= now:
                        windows.queue.remove(waiter)
                        windows.sent.append(now)
                        if waiter.places > 1:
                            windows.held.add(holds)
                        return True
                    held = bool(windows.held)
                waiting(at - now)
                self._clock.sleep(min(at - now, _LOOK_AGAIN_SECONDS) if held else at - now)
        finally:
            with self._lock:
                if waiter in windows.queue:
                    windows.queue.remove(waiter)

    def give_back(self, key: str, model_id: str) -> None:
        """Hold no place for a model any more."""
        with self._lock:
            if windows := self._windows.get(key):
                windows.held.discard(model_id)

    def forget(self, key: str) -> None:
        """Drop the windows of a key that will not be asked for again."""
        with self._lock:
            self._windows.pop(key, None)

    def _planned(self, windows: _Windows, waiter: _Waiter, now: float) -> float:
        """When there is room for a waiter and all who go before it: the instant, or an earlier one.

        It is exact when it is not later than now. Before that a place that is held may be used later than the plan has
        it, and somebody urgent may come.
        """
        while windows.sent and windows.sent[0] <= now - self._longest:
            windows.sent.popleft()
        taken, at = [*windows.sent, *[now] * len(windows.held)], now
        for each in windows.queue:
            for limit in self._limits:
                too_many = len(taken) + each.places - limit.requests
                if too_many > 0:
                    at = max(at, taken[too_many - 1] + limit.seconds + _ARRIVAL_MARGIN_SECONDS)
            if each is waiter:
                break
            taken += [at] * each.places
        return at
