"""A stack's file: `koreai-models:models`, a map from a resource's name to its model. Knows no engine."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from typing import Final

from ..api.errors import KoreaiError
from ..core.spec import DeclarationFault, FileSpec, check, counted, file_spelling, fit

MODELS_KEY: Final = "koreai-models:models"

_ENTRIES_SHOWN: Final = 10


class StackFileError(KoreaiError):
    """The stack's file can't be used as it is; all its faults are in the message.

    Attributes:
        faults: each with the name of its entry ("" for the file as a whole).
    """

    def __init__(self, faults: list[tuple[str, DeclarationFault]]) -> None:
        self.faults = faults
        lines = "".join(f"\n  {fit(name)}: {fault}" if name else f"\n  {fault}" for name, fault in faults)
        super().__init__(f"{counted(len(faults))} in `{MODELS_KEY}` of the stack's file; nothing was done:{lines}")


def read(models: object) -> dict[str, FileSpec]:
    """Read the map of models, in an order in which each comes after those that it depends on.

    Raises:
        StackFileError: listing all the faults of all the entries.
    """
    if models is None:
        example = f"\n    {MODELS_KEY}:\n      my-model:\n        modelId: cm-…"
        raise StackFileError(
            [("", DeclarationFault("", f"it is missing; write `{{}}` for no model, or for instance:{example}"))]
        )
    if not isinstance(models, Mapping):
        raise StackFileError([("", DeclarationFault("", "it must be a map from a name to a model"))])
    faults: list[tuple[str, DeclarationFault]] = []
    entries: dict[str, FileSpec] = {}
    for name, given in models.items():
        inputs, found = check(FileSpec, given, file_spelling)
        faults += [(name, fault) for fault in found]
        if not found:
            entries[name] = FileSpec.model_validate(inputs)
    faults += _doubles(models)
    order = _order(models, faults)
    if faults:
        raise StackFileError(faults)
    return {name: entries[name] for name in order}


def model_ids(models: object) -> Iterator[tuple[str, str]]:
    """The names of the entries that name a model, each with its model's id; the map may be a faulty one."""
    for name, given in models.items() if isinstance(models, Mapping) else ():
        model_id = given.get("modelId") if isinstance(given, Mapping) else None
        if isinstance(model_id, str):
            yield name, model_id


def _doubles(models: Mapping[str, object]) -> list[tuple[str, DeclarationFault]]:
    faults: list[tuple[str, DeclarationFault]] = []
    first: dict[str, str] = {}
    for name, model_id in model_ids(models):
        if model_id in first:
            twin = f"{fit(model_id)} is the model of '{fit(first[model_id])}' too"
            faults.append((name, DeclarationFault("modelId", f"{twin}; a model has one deployment, so one entry")))
        first.setdefault(model_id, name)
    return faults


def _order(models: Mapping[str, object], faults: list[tuple[str, DeclarationFault]]) -> list[str]:
    graph: dict[str, list[str]] = {}
    for name, given in models.items():
        wanted = given.get("dependsOn") if isinstance(given, Mapping) else None
        graph[name] = []
        for other in wanted if isinstance(wanted, list) else []:
            if not isinstance(other, str):
                continue  # told already: a fault of the field
            if other in models:
                graph[name].append(other)
            else:
                near = get_close_matches(other, list(models), 1)
                some = ", ".join(map(fit, list(models)[:_ENTRIES_SHOWN]))
                known = f"nearest: {fit(near[0])}" if near else f"entries: {some}"
                faults.append(
                    (name, DeclarationFault("dependsOn", f'"{fit(other)}" is no entry of this file; {known}'))
                )
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        cycle: list[str] = error.args[1]
        faults.append((cycle[-1], DeclarationFault("dependsOn", f"a cycle: {' → '.join(map(fit, reversed(cycle)))}")))
        return []
