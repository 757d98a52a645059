"""A model that one stack lets go of and another one declares: found in two revisions of their files, and put in words.

Each stack has a state of its own. `pulumi up` of the stack that the model leaves undeploys it: after that of the other
one the model is down while the other's state says `deployed`; before it there is an outage. Nothing is sent where the
old stack's state no longer has the model and the new entry has `adopt: true`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..core.faults import fit
from .stack_models import DeclaredModel, StackModels

PAGE: Final = "docs/moving.md"


@dataclass(frozen=True)
class Holder:
    """An entry that has a model, or had it.

    Attributes:
        stack: the stack's name.
        entry: the entry's.
        where: its place in a file; "" where none is known.
    """

    stack: str
    entry: str
    where: str = ""


@dataclass(frozen=True)
class Moved:
    """A model that leaves one stack and enters another on the same platform.

    Attributes:
        model_id: the model's.
        left: where it leaves.
        entered: where it enters.
        adopted: whether the entry that it enters takes it as it runs: `adopt: true`, or its state has it already.
    """

    model_id: str
    left: Holder
    entered: Holder
    adopted: bool


@dataclass(frozen=True)
class FileMove:
    """A move between two files.

    Attributes:
        moved: what moves.
        file: the one that it enters.
        model: the entry there.
    """

    moved: Moved
    file: str
    model: DeclaredModel


def words_of_move(moved: Moved, shown: Callable[[str], str] = fit) -> str:
    """What happens to the model, and how it moves without a request; valid Markdown if the names are.

    Args:
        moved: the move.
        shown: makes a name fit for where it is read.
    """
    left, entered = moved.left, moved.entered
    places = [f" ({holder.where})" if holder.where else "" for holder in (left, entered)]
    from_ = f"entry {shown(left.entry)} of stack {shown(left.stack)}{places[0]}"
    to = f"entry {shown(entered.entry)} of stack {shown(entered.stack)}{places[1]}"
    adopt = "" if moved.adopted else "write `adopt: true` in the new entry and "
    return (
        f"{shown(moved.model_id)} moves from {from_} to {to}: `pulumi up` of {shown(left.stack)} undeploys it;"
        f" first {adopt}take the old one out of its stack's state with `pulumi state delete`: {PAGE}"
    )


def stack_name(file: str) -> str:
    """The name of the stack that a file is of."""
    return Path(file).stem.removeprefix("Pulumi.")


def moves_between(
    before: Mapping[str, StackModels], after: Mapping[str, StackModels], revision: str
) -> Iterator[FileMove]:
    """The models that have left one file and are in another, and run meanwhile.

    A file that is new and has all the models of one that is gone is that one renamed, as `pulumi stack rename` does.

    Args:
        before: the stacks' files at a revision, by their names.
        after: the files now.
        revision: its name.
    """
    nothing = StackModels()
    for old_file, old in before.items():
        still_there = after.get(old_file, nothing).models
        for new_file, new in after.items():
            renamed = old_file not in after and new_file not in before and old.models.keys() <= new.models.keys()
            if new_file == old_file or renamed or old.platform is None or old.platform != new.platform:
                continue
            had = before.get(new_file, nothing).models
            for model_id, model in new.models.items():
                left = old.models.get(model_id)
                if left is None or model_id in still_there:
                    continue
                if left.deployed and model.deployed:
                    from_ = Holder(stack_name(old_file), left.entry, f"{_place(old_file, left)} in {revision}")
                    to = Holder(stack_name(new_file), model.entry)  # the line itself begins with its place
                    yield FileMove(Moved(model_id, from_, to, model.adopt or model_id in had), new_file, model)


def _place(file: str, model: DeclaredModel) -> str:
    return f"{file}:{model.place.line}:{model.place.column}"
