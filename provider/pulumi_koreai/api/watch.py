"""Who wants to know of each request that changes something, before it is sent and after."""

from collections.abc import Callable
from typing import Protocol

from .dock_job import DockJob
from .errors import ApiError


class Watch(Protocol):
    """Is told of each request that changes something."""

    def sending(self) -> None:
        """It is about to be sent."""

    def not_taken(self) -> None:
        """The platform has certainly not taken it."""

    def answered(self, job: DockJob) -> None:
        """The platform has answered with a job."""


def watched(watch: Watch | None, exchange: Callable[[], DockJob]) -> DockJob:
    """Send a request, and tell what becomes of it."""
    if watch is None:
        return exchange()
    watch.sending()
    try:
        job = exchange()
    except ApiError as error:
        if not error.may_be_taken:
            watch.not_taken()
        raise
    watch.answered(job)
    return job
