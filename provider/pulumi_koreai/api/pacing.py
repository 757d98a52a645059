"""Staying under the published rate limits, across all threads of the process."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..base.clock import Clock

# The platform counts when a request arrives, this side when it is sent: two requests a window apart here may be
# closer there.
_ARRIVAL_MARGIN_SECONDS: Final = 1.0


RETRY_AFTER_MAX_SECONDS: Final = 300.0
"""The longest that a `Retry-After` holds up a look at a job: a look costs nothing, and the job may have ended."""


@dataclass(frozen=True)
class Limit:
    """At most `requests` in any `seconds`."""

    requests: int
    seconds: float


def published_limits(requests_per_minute: int) -> tuple[Limit, Limit]:
    """The vendor's two windows, 60 a minute and 1,800 an hour, scaled to what the account has."""
    return Limit(requests_per_minute, 60.0), Limit(30 * requests_per_minute, 3600.0)


class Pacer:
    """Sliding windows, one set for each key (the account, or one dock job). First come, first served."""

    def __init__(self, clock: Clock, limits: Sequence[Limit]) -> None:
        self._clock, self._limits = clock, limits
        self._longest = max(limit.seconds for limit in limits) + _ARRIVAL_MARGIN_SECONDS
        self._lock = threading.Lock()
        self._sent: dict[str, deque[float]] = {}

    def reserve(self, key: str, until: float) -> float | None:
        """Take the next place in the windows of `key`.

        Returns:
            The seconds to wait before sending, or None, nothing being taken, when the place is later than the instant
            `until`.
        """
        with self._lock:
            now = self._clock.monotonic()
            sent = self._sent.setdefault(key, deque())
            while sent and sent[0] <= now - self._longest:
                sent.popleft()
            at = now
            for limit in self._limits:
                if len(sent) >= limit.requests:
                    at = max(at, sent[-limit.requests] + limit.seconds + _ARRIVAL_MARGIN_SECONDS)
            if at > until:
                return None
            sent.append(at)
            return at - now

    def forget(self, key: str) -> None:
        """Drop the windows of a key that will not be asked for again."""
        with self._lock:
            self._sent.pop(key, None)
