"""`koreai status`."""

from pathlib import Path
from typing import Final

from ..base.status import ExitStatus
from ..pipeline.engine import NoEngineError
from ..pipeline.project_engine import EngineFailed, ProjectEngine
from ..pipeline.status import status
from ..pipeline.status_table import status_json, status_markdown
from .output import FormatOption, give_up, show
from .stacks import AllStacksArgument

MORE: Final = """
Examples:
  koreai status
  koreai status prod --format json | jq '.[].models[] | select(.state == "failed")'

It reads the state, and asks the platform for the jobs under way. It runs no program and changes nothing. Exit status:
0 done; 1 a state can't be read.
"""


def command(stacks: AllStacksArgument = None, form: FormatOption = None) -> ExitStatus:
    """Show it."""
    engine = ProjectEngine.find(Path())
    if engine is None:
        return give_up(NoEngineError())
    try:
        found = status(engine, stacks or ())
    except EngineFailed as error:
        return give_up(error)
    show(status_markdown(found), lambda: status_json(found), form)
    return ExitStatus.FAILED if any(stack.failure for stack in found) else ExitStatus.DONE
