"""What was sent for a stack's models and is not in its state: the program that started the engine outlives the host."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pulumi_koreai.core import state
from pulumi_koreai.core.recovery import open_call
from pulumi_koreai.core.rules import Record
from pulumi_koreai.journal import FOLDER, JOURNAL_ENV, CallTrace, Journals
from pulumi_koreai.report import markdown
from pulumi_koreai.stackfile.yamlfile import YamlFile

_LINES_MAX_CHARS: Final = 4_000


def journal_folder() -> Path:
    """The folder of the journals: the environment's, else the project's own."""
    return Path(os.environ.get(JOURNAL_ENV) or FOLDER).absolute()


class StackJournal:
    """The journal of a stack, read only."""

    def __init__(self, stack: str) -> None:
        """Nothing is read yet.

        Args:
            stack: its name, without an organisation.
        """
        project: object = None
        with suppress(OSError):  # without a project the engine says so
            project = YamlFile.read(Path("Pulumi.yaml").read_bytes()).data
        name = project.get("name", "") if isinstance(project, dict) else ""
        self._journal = Journals(journal_folder(), lambda: 0.0, lambda _: None).of(f"{name}.{stack}")

    def calls(self) -> Sequence[CallTrace]:
        """Of each model the last call that sent something."""
        return self._journal.last_calls()

    def astray(self, exported: str) -> list[CallTrace]:
        """The last calls of the models whose result the state does not have.

        Args:
            exported: the state, as `pulumi stack export` prints it; "" where there is none.
        """
        records, pending = dict(_records(exported)), _pending(exported)
        return [
            last
            for last in self.calls()
            if open_call(
                self._journal.calls(last.host, last.model_id),
                last.urn,
                records.get((last.urn, last.model_id)),
                pending=last.urn in pending,
            )
            and not last.told
        ]


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


def _deployment(exported: str) -> dict[str, Any]:
    try:
        deployment: dict[str, Any] = json.loads(exported or "{}").get("deployment", {})
    except ValueError:
        return {}
    return deployment


def _pending(exported: str) -> set[str]:
    """The URNs of the creations that never ended."""
    operations = _deployment(exported).get("pending_operations") or ()
    return {operation["resource"]["urn"] for operation in operations if operation["type"] == "creating"}


def _records(exported: str) -> Iterator[tuple[tuple[str, str], Record]]:
    for resource in _deployment(exported).get("resources") or ():
        outputs = resource.get("outputs", {})
        if "dock_status_id" in outputs and not resource.get("delete"):
            yield (resource["urn"], str(resource.get("id", ""))), state.record(outputs)
