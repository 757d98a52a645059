"""`koreai drift`."""

from typing import Final

from ..base.status import ExitStatus
from ..pipeline import commands
from ..pipeline.engine import NoEngineError
from ..pipeline.forge import ForgeError, forge
from ..stackfile.project import ProjectError
from .output import STATUSES, give_up, shower
from .stacks import StackArgument

MORE: Final = f"""
Example:
  koreai drift prod

It asks the platform how the last jobs ended and records it, then previews. Exit status 3: it is not as declared; on
GitHub and GitLab an issue says so.

{STATUSES}"""


def command(stack: StackArgument) -> ExitStatus:
    """Refresh it and compare."""
    to = forge()
    try:
        with commands.opened([stack], to) as (_project, (opened,)):
            return commands.drift(opened, to, shower(None))
    except (NoEngineError, ProjectError, ForgeError) as error:
        return give_up(error)
