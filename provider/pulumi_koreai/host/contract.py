"""What a provider's methods can ask of the host they run in.

    from pulumi_koreai.host import PartialFailure, current_call

    def create(self, props):
        call = current_call()
        job = start(props)
        while not job.done:
            call.progress(f"job {job.id}: {job.percent}%")
            call.sleep(5)
        if job.failed:
            raise PartialFailure(job.id, {**props, "job": job.id}, [job.reason])

Under the stock host (`python -m pulumi.dynamic`), and outside any call, the same code runs: `sleep` sleeps, `note` and
`warn` write to stderr, `progress` does nothing, and `PartialFailure` is an ordinary exception.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any


class Cancelled(BaseException):
    """The engine asked to stop (Ctrl-C), or is gone, while a provider's method was waiting in `Call.sleep`.

    Not an `Exception`, so that the `except Exception` around a poll that may fail does not swallow it. A method may
    catch it to raise `PartialFailure` with what it knows; if it lets it through, the host answers that the call was
    cancelled.
    """

    def __init__(self, message: str = "cancelled") -> None:
        super().__init__(message)


class PartialFailure(Exception):
    """The resource exists, but something about it failed. Raised from `create`, `update` or `read`.

    The engine keeps the resource in the state with these outputs and the reasons as `initErrors`, shows the reasons and
    nothing else, and calls `update` at the next `up` even when no input changed (`ErrorResourceInitFailed` in the
    engine's provider.proto). From `read` it is a warning. After an `update` the state keeps the old inputs.

    Under the stock host it is an exception like any other: what a `create` had begun is then not in the state.

    Attributes:
        id: the resource's id; from `create` it must not be empty.
        outs: its outputs, all of them, as `CreateResult.outs` would have them.
        reasons: what the user reads, one text or more.
        inputs: only from `read`: the inputs for later diffs, as `ReadResult.inputs`; None leaves them as they are.
    """

    def __init__(
        self, id_: str, outs: Mapping[str, Any], reasons: Sequence[str], *, inputs: Mapping[str, Any] | None = None
    ) -> None:
        # A lone str is a sequence of letters too, and an easy mistake.
        reasons = [reasons] if isinstance(reasons, str) else list(reasons)
        super().__init__(id_, outs, reasons)
        self.id = id_
        self.outs = outs
        self.reasons = reasons
        self.inputs = inputs

    def __str__(self) -> str:
        return "\n".join(self.reasons)


class Call:
    """One call of the engine to a provider, as the method that answers it sees it.

    This class itself does nothing: it is what a method gets under the stock host. Several threads may use a call, but
    a thread that a method starts has to be handed it, `current_call()` doesn't find it there.

    Attributes:
        hosted: True under the host of this package.
        urn: the resource's URN, "" when unknown.
        name: the resource's name, "" when unknown.
        type: the resource's type, "" when unknown.
        timeout: seconds that `custom_timeouts` allows this call, which the host leaves to the method to keep; None when
            unset or unknown.
    """

    hosted: bool = False
    urn: str = ""
    name: str = ""
    type: str = ""
    timeout: float | None = None

    @property
    def cancelled(self) -> bool:
        """Has the engine asked to stop? It stays True."""
        return False

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds.

        Raises:
            Cancelled: the call is, or was already, cancelled. Never under the stock host.
        """
        time.sleep(max(0.0, seconds))

    def progress(self, text: str) -> None:
        """Show where the call is, in the resource's status column, until the next such line or the call's end.

        Cheap to call often: an unchanged text is dropped, and of several within a second the last is shown.
        """

    def note(self, text: str) -> None:
        """Tell the user something worth keeping, in the diagnostics. The same text again in one call is dropped."""
        # The engine shows a host's stderr to the user. In one piece, or the lines of two threads end up in one.
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def warn(self, text: str) -> None:
        """As `note`, as a warning."""
        self.note(f"warning: {text}")


CURRENT: ContextVar[Call] = ContextVar("pulumi_koreai.host.CURRENT", default=Call())  # noqa: B039 - it holds nothing


def current_call() -> Call:
    """The call that the running method answers; one that does nothing outside of any."""
    return CURRENT.get()
