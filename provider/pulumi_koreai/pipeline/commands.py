"""What a pipeline does with stacks: preview them for a pull request, bring one up after the merge, look for drift.

The workflows of GitHub Actions and GitLab CI call this, the tests call it as they do, and so can you: outside of a
pipeline it says the same on the terminal. It works on the project in the working directory.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pulumi_koreai.base.status import ExitStatus
from pulumi_koreai.pipeline.engine import NoEngineError, environment
from pulumi_koreai.pipeline.forge import Forge
from pulumi_koreai.pipeline.stack import Outcome, Stack
from pulumi_koreai.report import markdown
from pulumi_koreai.report.fail_on import FailOn
from pulumi_koreai.report.moves import PreviewMove, StackPreview, preview_moves, refusal
from pulumi_koreai.stackfile.project import Project, ProjectError
from pulumi_koreai.stackfile.stack_models import StackModels

Show = Callable[[str, Sequence[Outcome]], None]
"""Shows a report, in Markdown, on outcomes to whoever has called the command."""


@contextmanager
def opened(names: Sequence[str], to: Forge, *, comments: bool = False) -> Iterator[tuple[Project, list[Stack]]]:
    """The project in the working directory, and stacks of it for the engine to work on.

    Args:
        names: of the stacks.
        to: the forge.
        comments: whether the pull request hears why there are none: its comment would otherwise be an older commit's.

    Raises:
        NoEngineError: there is no engine.
        ProjectError: there is no such project or stack.
        ForgeError: the forge does not take the comment.
    """
    with tempfile.TemporaryDirectory(prefix="pulumi-koreai-") as scratch:
        try:
            project = Project.read()
            env = environment()
            stacks = [Stack(name, project, env, Path(tempfile.mkdtemp(dir=scratch))) for name in names]
        except (NoEngineError, ProjectError) as error:
            if comments:
                to.comment(f"**There is no preview.**\n\n{markdown.fenced(str(error))}")
            raise
        yield project, stacks


def preview(
    project: Project, stacks: Sequence[Stack], to: Forge, show: Show, fail_on: Sequence[FailOn] = ()
) -> ExitStatus:
    """Show what `up` would do, on the pull request if there is one; hand on which stacks it can change."""
    max_chars = max(markdown.MAX_CHARS // len(stacks), markdown.LEAST_MAX_CHARS)  # all of them share a comment
    outcomes = [stack.preview(keyless=to.unattended, fail_on=fail_on, max_chars=max_chars) for stack in stacks]
    moves = _moves(project, stacks, outcomes)
    moving = {file for move in moves for file in (move.left_file, move.entered_file)}
    outcomes = [
        replace(outcome, refused=outcome.refused or str(stack.file) in moving)
        for stack, outcome in zip(stacks, outcomes, strict=True)
    ]
    report = "\n".join(outcome.report for outcome in outcomes)
    if len(outcomes) > 1:  # the end of a long comment is cut off
        lines = [f"- {markdown.code(outcome.stack)}: {outcome.summary}" for outcome in outcomes]
        report = "\n".join([*lines, "", report])
    if moves:
        report = f"{refusal(moves)}\n\n{report}"
    show(report, outcomes)
    to.page(report)
    good = all(outcome.is_good for outcome in outcomes)
    to.output("stacks", json.dumps([one.stack for one in outcomes if one.changes and one.is_good]))
    to.comment(report, anew=not good or any(outcome.changes for outcome in outcomes))
    if any(outcome.failed for outcome in outcomes):
        return ExitStatus.FAILED
    return ExitStatus.DONE if good else ExitStatus.REFUSED


def _moves(project: Project, stacks: Sequence[Stack], outcomes: Sequence[Outcome]) -> list[PreviewMove]:
    """The models that a previewed stack would undeploy while another stack of the project declares them."""
    files = {str(file): StackModels.read(file.read_bytes()) for file in project.stack_files()}
    previews = [
        StackPreview(stack.name, str(stack.file), outcome.digest)
        for stack, outcome in zip(stacks, outcomes, strict=True)
        if outcome.digest
    ]
    return preview_moves(previews, files)


def up(stack: Stack, to: Forge, show: Show) -> ExitStatus:
    """Bring the stack up, unless the branch has moved on: then a later run has its own preview and approval."""
    if newer := to.newer():
        report = f"{stack.name}: nothing is done. The branch is at {newer} by now, and the run for that does it."
        show(report, [])
        to.page(report)
        return ExitStatus.DONE
    outcome = stack.up()
    show(outcome.report, [outcome])
    to.page(outcome.report)
    return ExitStatus.FAILED if outcome.failed else ExitStatus.DONE


def drift(stack: Stack, to: Forge, show: Show) -> ExitStatus:
    """Look whether the models are as declared, as far as the platform can be asked; an issue says when they are not."""
    outcome = stack.refresh()
    if not outcome.failed:
        outcome = stack.preview()
    show(outcome.report, [outcome])
    to.page(outcome.report)
    if outcome.failed:
        return ExitStatus.FAILED
    if not outcome.changes:
        to.close_issue(stack.name, f"The models of {stack.name} are as declared again.")
        return ExitStatus.DONE
    says = f"The models of {stack.name} are not as declared. A run of the workflow `up` would do this:"
    to.open_issue(stack.name, f"{stack.name}: models are not as declared", f"{says}\n\n{outcome.report}")
    return ExitStatus.REFUSED
