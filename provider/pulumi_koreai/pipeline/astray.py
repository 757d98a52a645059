"""What was sent for a stack's models and is not in its state: the program that started the engine outlives the host."""

import os
from collections.abc import Sequence
from typing import Final

from pulumi_koreai.core import state
from pulumi_koreai.core.recovery import astray
from pulumi_koreai.host.stack import resources_in
from pulumi_koreai.journal import CallTrace, Journals, journal_folder
from pulumi_koreai.report import markdown

_LINES_MAX_CHARS: Final = 4_000


class StackJournal:
    """The journal of a stack, read only."""

    def __init__(self, project: str, stack: str) -> None:
        """Nothing is read yet.

        Args:
            project: its name.
            stack: its name, without an organisation.
        """
        folder = journal_folder(os.environ.get)
        self._journal = Journals(folder, lambda: 0.0, lambda _: None).of(f"{project}.{stack}")

    def calls(self) -> Sequence[CallTrace]:
        """Of each model the last call that sent something."""
        return self._journal.last_calls()

    def astray(self, exported: str) -> list[CallTrace]:
        """The last calls of the models whose result the state does not have.

        Args:
            exported: the state, as `pulumi stack export` prints it; "" where there is none.
        """
        return astray(self._journal, self.calls(), state.owners(resources_in(exported) or ()))


def lines(calls: Sequence[CallTrace]) -> str:
    """What is astray, as a reviewer reads it; "" where nothing is."""
    if not calls:
        return ""
    shown = markdown.fitting([_line(call) for call in calls], _LINES_MAX_CHARS)
    left_out = f"\n- … and {len(calls) - len(shown)} more" if len(shown) < len(calls) else ""
    listed = "\n".join(f"- {line}" for line in shown)
    return (
        "**Sent by a run that ended early, and not in the state.** The next `pulumi up` takes up what an entry"
        f" declares. What none declares any more, look at in the console.\n\n{listed}{left_out}"
    )


def _line(call: CallTrace) -> str:
    assert call.last is not None
    name = call.urn.rpartition("::")[2] or "a resource"
    job = f"job {markdown.code(call.last.job_id)}" if call.last.job_id else "no answer came"
    return f"{markdown.code(name)}: {call.last.action.lower()} of {markdown.code(call.model_id)}, {job}"
