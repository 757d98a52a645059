"""The platform and the record of its requests, behind one lock: what the server, the control plane and a test share."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from .deploy_body import Json
from .platform import EmulatedPlatform, EmulatorSettings
from .store import Store

_RECORD_MAX_REQUESTS: Final = 100_000


@dataclass
class Recorded:
    """A public request as it came in. The key is not kept.

    Attributes:
        number: counts from 1.
        time: seconds from the emulator's start to its arrival.
        path: as sent, without the query.
        body: parsed where it is JSON, else as text; None for none.
        status: of the answer; None as long as none has gone out.
        fault: the fault that struck it, "" for none.
    """

    number: int
    time: float
    method: str
    path: str
    query: dict[str, str]
    body: Json = None
    status: int | None = None
    fault: str = ""


class Console:
    """A platform, its lock and its record. Whoever uses `platform` holds `lock`.

    Args:
        settings: how the platform behaves.
        now: a monotonic clock, in seconds.
        new_id: a new id at each call.
        state: the file that keeps the models and jobs; None: nothing is kept.

    Raises:
        InvalidInput: there is a file, but no state in it.
    """

    def __init__(
        self, settings: EmulatorSettings, now: Callable[[], float], new_id: Callable[[], str], state: Path | None = None
    ) -> None:
        self._instant: float | None = None
        self.platform = EmulatedPlatform(settings, self._time, new_id)
        self.lock = threading.RLock()
        self._store = None if state is None else Store(state, self.platform, time.time() - now())
        self._now, self._born = now, now()
        self._record: deque[Recorded] = deque(maxlen=_RECORD_MAX_REQUESTS)
        self._count = 0

    def seconds(self, instant: float | None = None) -> float:
        """The seconds from the emulator's start to an instant of its clock; None: to now."""
        return round((self._now() if instant is None else instant) - self._born, 3)

    def _time(self) -> float:
        return self._now() if self._instant is None else self._instant

    @contextmanager
    def changing(self) -> Iterator[EmulatedPlatform]:
        """The platform, for a change: all of it is at one instant, and kept when the `with` ends."""
        with self.lock:
            before, self._instant = self._instant, self._time()
            try:
                yield self.platform
            finally:
                self._instant = before
                if self._store is not None:
                    self._store.save()

    def record(self, method: str, path: str, query: dict[str, str]) -> Recorded:
        """Enter a request; the caller completes the entry as the body and the answer come."""
        with self.lock:
            self._count += 1
            entry = Recorded(self._count, self.seconds(), method, path, query)
            self._record.append(entry)
            return entry

    def requests(self) -> list[Recorded]:
        """The public requests since the start or the last `forget_requests`, in order of arrival; the last 100,000."""
        with self.lock:
            return [replace(entry) for entry in self._record]

    def forget_requests(self) -> None:
        """Empty the record; the numbers go on."""
        with self.lock:
            self._record.clear()

    def reset(self) -> None:
        """Back to the beginning, the record included."""
        with self.changing() as platform:
            platform.reset()
            self.forget_requests()
