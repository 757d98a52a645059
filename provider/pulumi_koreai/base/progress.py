"""What the core tells of a call while it goes on: handed in, as time is."""

from typing import Protocol


class Reporter(Protocol):
    """Where a call's progress goes."""

    def progress(self, text: str) -> None:
        """What is going on now; the next one replaces it."""
        ...

    def note(self, text: str) -> None:
        """Something worth keeping when the call is over."""
        ...


class Silent:
    """A reporter that tells nobody."""

    def progress(self, text: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass
