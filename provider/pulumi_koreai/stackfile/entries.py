"""A stack's file: `koreai:models`, a map from a resource's name to its model. Knows no engine."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Final

from ..api.errors import KoreaiError
from ..core.faults import DeclarationFault, FaultKind, listing
from ..core.spec import FileSpec, check, file_spelling

MODELS_KEY: Final = "koreai:models"

FORMER_KEY: Final = "koreai-models:models"
"""What the key was called when only a project of one name could have it."""

_ENTRIES_SHOWN: Final = 10

EntryFault = tuple[str | None, DeclarationFault]
"""A fault with the name of its entry; None where it concerns the map as a whole."""


class StackFileError(KoreaiError):
    """The stack's file can't be used as it is; all its faults are in the message.

    Attributes:
        faults: each with the name of its entry.
    """

    def __init__(self, faults: list[EntryFault]) -> None:
        self.faults = faults
        super().__init__(listing(f"`{MODELS_KEY}`", faults))


def read_entries(models: object, keys: Collection[str] = ()) -> dict[str, FileSpec]:
    """Read the map of models, in an order in which each comes after those that it depends on.

    Args:
        models: what `MODELS_KEY` has; None: there is no such key.
        keys: the full names of the configuration's keys, among which the models may be under a wrong one; one of the
            project's own may be without its namespace.

    Raises:
        StackFileError: listing all the faults of all the entries.
    """
    wrong_key = _misnamed(keys, alone=models is None)
    if models is None and wrong_key:
        raise StackFileError(wrong_key)
    if models is None:
        example = f"\n    {MODELS_KEY}:\n      my-model:\n        modelId: cm-…"
        expected = f"a map from a name to a model: `{{}}` for no model, or for instance{example}"
        raise StackFileError([(None, DeclarationFault((), FaultKind.MISSING, expected=expected))])
    if not isinstance(models, Mapping):
        expected = "a map from a name to a model"
        raise StackFileError([(None, DeclarationFault((), FaultKind.INVALID, got=models, expected=expected))])
    faults = wrong_key
    entries: dict[str, FileSpec] = {}
    for name, raw in models.items():
        inputs, of_this = check(FileSpec, raw, file_spelling)
        faults += [(name, fault) for fault in of_this]
        if not of_this:
            entries[name] = FileSpec.model_validate(inputs)
    faults += _same_models(models)
    order = _order(models, faults)
    if faults:
        raise StackFileError(faults)
    return {name: entries[name] for name in order}


def model_ids(models: object) -> Iterator[tuple[str, str]]:
    """The names of the entries that name a model, each with its model's id; the map may be a faulty one."""
    for name, raw in models.items() if isinstance(models, Mapping) else ():
        model_id = raw.get("modelId") if isinstance(raw, Mapping) else None
        if isinstance(model_id, str):
            yield name, model_id


def _misnamed(keys: Collection[str], *, alone: bool) -> list[EntryFault]:
    # `models` of another namespace may be a setting of the program's own, but not where the models are missing.
    namesakes = [key for key in keys if key != MODELS_KEY and key.rpartition(":")[2] == MODELS_KEY.rpartition(":")[2]]
    wrong = [key for key in namesakes if alone or key == FORMER_KEY]
    return [(None, DeclarationFault((key,), FaultKind.MISNAMED, expected=MODELS_KEY)) for key in wrong]


def _same_models(models: Mapping[str, object]) -> list[EntryFault]:
    faults: list[EntryFault] = []
    first: dict[str, str] = {}
    for name, model_id in model_ids(models):
        if model_id in first:
            twin = DeclarationFault(("modelId",), FaultKind.SAME_MODEL, got=model_id, other=first[model_id])
            faults.append((name, twin))
        first.setdefault(model_id, name)
    return faults


def _order(models: Mapping[str, object], faults: list[EntryFault]) -> list[str]:
    graph: dict[str, list[str]] = {}
    for name, raw in models.items():
        wanted = raw.get("dependsOn") if isinstance(raw, Mapping) else None
        graph[name] = []
        for index, other in enumerate(wanted if isinstance(wanted, list) else []):
            if not isinstance(other, str):
                continue  # reported already: a fault of the field
            if other in models:
                graph[name].append(other)
                continue
            near = get_close_matches(other, list(models), 1)
            fault = DeclarationFault(
                ("dependsOn", index),
                FaultKind.NO_SUCH_ENTRY,
                got=other,
                nearest=near[0] if near else "",
                names=tuple(models)[:_ENTRIES_SHOWN],
            )
            faults.append((name, fault))
    while True:
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            cycle: list[str] = error.args[1]  # each depends on the one before it
            way = tuple(reversed(cycle))
            faults.append((cycle[-1], DeclarationFault(("dependsOn",), FaultKind.CYCLE, names=way)))
            for earlier, later in pairwise(cycle):  # without this cycle the next one is seen
                graph[later].remove(earlier)
