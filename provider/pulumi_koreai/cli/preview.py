"""`koreai preview`."""

from typing import Final

from ..base.status import ExitStatus
from ..pipeline import commands
from ..pipeline.engine import NoEngineError
from ..pipeline.forge import ForgeError, forge
from ..stackfile.project import ProjectError
from .output import STATUSES, FormatOption, give_up, shower
from .report import FAIL_ON, FailOnOption
from .stacks import StackArguments

MORE: Final = f"""
Examples:
  koreai preview prod
  koreai preview dev prod --fail-on undeploy --fail-on cut-off
  koreai preview prod --format json | jq '.[].report.models'

On GitHub and GitLab the report is the pull request's comment too.

{FAIL_ON}

{STATUSES}"""


def command(stacks: StackArguments, fail_on: FailOnOption = None, form: FormatOption = None) -> ExitStatus:
    """Preview them."""
    to = forge()
    try:
        with commands.opened(stacks, to, comments=True) as (project, opened):
            return commands.preview(project, opened, to, shower(form), fail_on or ())
    except (NoEngineError, ProjectError, ForgeError) as error:
        return give_up(error)
