"""The answer of a `diff` that says which properties differ, and how."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from pulumi.dynamic import DiffResult


class DiffKind(StrEnum):
    """How a property differs, by the names in `pulumi preview --json`. One with `REPLACE` makes it a replacement."""

    ADD = "add"
    ADD_REPLACE = "add-replace"
    DELETE = "delete"
    DELETE_REPLACE = "delete-replace"
    UPDATE = "update"
    UPDATE_REPLACE = "update-replace"


class DetailedDiff(DiffResult):
    """A `DiffResult` that names what differs. The stock host takes it for a plain `DiffResult`.

    With `changes=None` the stock host lets the engine compare the inputs; this host takes a `detailed` that isn't empty
    as "yes". So one answer is right under both.

    Args:
        changes: whether there is a change; see above for None.
        replaces: the properties that make it a replacement.
        stables: as in `DiffResult` (no host passes them on).
        delete_before_replace: whether a replacement deletes first.
        detailed: property path (`hyper_parameters.temperature`, `stop[0]`) to `DiffKind`, or its name.
        input_diff: whether the paths are those of inputs; False for outputs. The engine looks up the old value there.
            This host says "outputs" of a property whose old input is not the old output: `diff` was given the latter.
    """

    def __init__(
        self,
        changes: bool | None = None,
        replaces: Sequence[str] | None = None,
        stables: Sequence[str] | None = None,
        delete_before_replace: bool | None = None,
        *,
        detailed: Mapping[str, DiffKind | str],
        input_diff: bool = True,
    ) -> None:
        super().__init__(
            changes,
            None if replaces is None else list(replaces),
            None if stables is None else list(stables),
            delete_before_replace,
        )
        self.detailed = {path: DiffKind(kind) for path, kind in detailed.items()}
        self.input_diff = input_diff
