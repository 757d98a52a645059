"""The models that one stack lets go of and another one declares, by the stacks' previews and their files."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..core.rules import ModelState
from ..stackfile.moves import Holder, Moved, stack_name, words_of_move
from ..stackfile.stack_models import StackModels
from . import markdown
from .custody import Custody, Fate, new_id, old_id
from .engine_json import Digest, EngineStep

_LETTING_GO: Final = ("delete", "delete-replaced", "replace")
_MOVES_SHOWN: Final = 10


@dataclass(frozen=True)
class StackPreview:
    """The preview of a stack.

    Attributes:
        stack: its name.
        file: that of its file.
        digest: what the engine would do.
    """

    stack: str
    file: str
    digest: Digest


@dataclass(frozen=True)
class PreviewMove:
    """A move of which the preview of the stack that lets the model go tells.

    Attributes:
        moved: what moves.
        left_file: the file of the stack that it leaves.
        entered_file: that of the one that it enters.
        urn: the resource whose deletion undeploys it.
    """

    moved: Moved
    left_file: str
    entered_file: str
    urn: str


@dataclass(frozen=True)
class _Claim:
    """An entry, or a resource of a program, that declares a model to be deployed."""

    file: str
    holder: Holder
    adopts: bool


def preview_moves(previews: Sequence[StackPreview], files: Mapping[str, StackModels]) -> list[PreviewMove]:
    """The models that `up` of a previewed stack undeploys while another stack on the same platform declares them.

    Args:
        previews: of some of the project's stacks.
        files: the files of all its stacks, by their names.
    """
    previewed = {preview.file: preview for preview in previews}
    comparable = {file: models for file, models in files.items() if models.platform is not None}
    claims: dict[tuple[str | None, str], list[_Claim]] = {}
    for file, models in comparable.items():
        for model_id, claim in _claims(file, models, previewed.get(file)):
            claims.setdefault((models.platform, model_id), []).append(claim)
    return [
        PreviewMove(
            Moved(model_id, Holder(preview.stack, step.name), claim.holder, claim.adopts), file, claim.file, step.urn
        )
        for file, preview in previewed.items()
        if file in comparable
        for model_id, step in _let_go(preview.digest)
        for claim in claims.get((comparable[file].platform, model_id), ())
        if claim.file != file
    ]


def refusal(moves: Sequence[PreviewMove]) -> str:
    """Why these moves are refused, and how they are made without a request: Markdown."""
    shown = moves[:_MOVES_SHOWN]
    lines = [f"- {words_of_move(move.moved, markdown.code)}" for move in shown]
    if len(moves) > len(shown):
        lines.append(f"- and {markdown.counted(len(moves) - len(shown), 'more model')}")
    # The URN is on a line of its own: a block of code is wrapped where it has a space.
    commands = [
        f"pulumi state delete --stack {shlex.quote(move.moved.left.stack)} --yes \\\n  {shlex.quote(move.urn)}"
        for move in shown
    ]
    head = f"**Refused: {markdown.counted(len(moves), 'model')} would be undeployed while another stack declares it.**"
    return "\n\n".join([head, "\n".join(lines), markdown.fenced("\n".join(commands), "sh")])


def _claims(file: str, models: StackModels, preview: StackPreview | None) -> Iterator[tuple[str, _Claim]]:
    """What a stack is to have deployed, by its preview, which knows its state and its program, else by its file."""
    steps = dict(_declared(preview.digest)) if preview else {}
    for model_id, model in models.models.items():
        if model_id not in steps and model.deployed:
            yield model_id, _Claim(file, Holder(stack_name(file), model.entry), model.adopt)
    for model_id, step in steps.items():
        inputs = step.new.inputs if step.new else {}
        if inputs.get("deployed") is not False:
            recorded = old_id(step) == model_id
            yield model_id, _Claim(file, Holder(stack_name(file), step.name), recorded or inputs.get("adopt") is True)


def _declared(digest: Digest) -> Iterator[tuple[str, EngineStep]]:
    for step in digest.steps:
        if step.is_model and (model_id := new_id(step)):
            yield model_id, step


def _let_go(digest: Digest) -> Iterator[tuple[str, EngineStep]]:
    """The models that are undeployed as no resource of the stack has them any more."""
    models = [step for step in digest.steps if step.is_model]
    custody = Custody(models, whole=not digest.untold)
    for step in models:
        model_id = old_id(step)
        if model_id is None or step.op not in _LETTING_GO or new_id(step) == model_id or step.old is None:
            continue
        idle = step.old.outputs.get("state") == ModelState.UNDEPLOYED
        if not idle and custody.fate(step) in (Fate.ENDS, Fate.MAY_END):
            yield model_id, step
