"""A call that ended before the model was as declared, as facts."""

from ..api.errors import KoreaiError
from .rules import Goal, ModelState, Operation, Record


class Stopped(KoreaiError):
    """A call that ended before the model was as declared.

    Attributes:
        operation: what the call was to do.
        model_id: the model.
        cause: what ended it: an error of this package, an interruption, or a bug.
        before: what was recorded when the call began.
        now: what is known of the platform; None where nothing is.
        goal: what is declared, None for a deletion.
    """

    def __init__(
        self,
        operation: Operation,
        model_id: str,
        cause: BaseException,
        before: Record | None,
        now: Record | None,
        goal: Goal | None,
    ) -> None:
        self.operation, self.model_id, self.cause, self.goal = operation, model_id, cause, goal
        self.before, self.now = before, now
        super().__init__(str(cause))

    @property
    def has_news(self) -> bool:
        """Whether there is something to record that was not recorded before, or a job that goes on."""
        return self.now is not None and (self.now != self.before or self.now.under_way)

    @property
    def is_bug(self) -> bool:
        """Whether an exception of this package's own ended it, that nobody raised on purpose."""
        return isinstance(self.cause, Exception) and not isinstance(self.cause, KoreaiError)

    @property
    def is_interruption(self) -> bool:
        return not isinstance(self.cause, Exception)

    @property
    def undeployed_first(self) -> bool:
        """Whether it ended between the undeploy of what ran and the deploy that was to follow."""
        off = ModelState.UNDEPLOYED
        wanted = self.goal is not None and self.goal.request is not None
        was_on = self.before is not None and self.before.state is not off
        return wanted and was_on and self.now is not None and self.now.state is off
