"""`koreai up`."""

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
  koreai up prod

Models are deployed and undeployed as the stack's file says, without a further question: look at `koreai preview` first.
On GitHub and GitLab the report is on the run's page too.

{STATUSES}"""


def command(stack: StackArgument) -> ExitStatus:
    """Bring it up."""
    to = forge()
    try:
        with commands.opened([stack], to) as (_project, (opened,)):
            return commands.up(opened, to, shower(None))
    except (NoEngineError, ProjectError, ForgeError) as error:
        return give_up(error)
