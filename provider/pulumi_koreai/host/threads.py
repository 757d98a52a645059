"""Threads for the calls: as many as there are calls."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any


class Threads(Executor):
    """A thread for each call, used again when it is free.

    Not a `ThreadPoolExecutor`: a large enough one raises when the system has no thread left, and ends with it the one
    thread that takes the engine's requests. Here that call waits for the next free thread.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._free = 0  # threads that wait for a call, less the calls that wait for a thread

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it at once."""
        future: Future[Any] = Future()
        self._calls.put((future, lambda: fn(*args, **kwargs)))
        with self._lock:
            self._free -= 1
            if self._free >= 0:
                return future
        try:
            threading.Thread(target=self._run, daemon=True).start()
        except RuntimeError:
            return future
        with self._lock:
            self._free += 1
        return future

    def _run(self) -> None:
        while True:
            future, call = self._calls.get()
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever holds the future
                future.set_exception(error)
            del future, call  # or a free thread would keep the last request
            with self._lock:
                self._free += 1
