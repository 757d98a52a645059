"""What a state remembers of a model, as flat properties: the same names in a Pulumi stack and in a Terraform state."""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from pydantic import ValidationError

from ..api.declared import DeployRequest
from .recovery import Owner
from .rules import ModelState, Record
from .spec import ModelSpec, ProgramSpec

ARGUMENTS: Final = tuple(ProgramSpec.model_fields)
PARAMETERS: Final = tuple(DeployRequest.model_fields)
"""The arguments that are sent with a deploy."""


def record(outputs: Mapping[str, object]) -> Record:
    """What a state's outputs say of the platform."""
    parameters = {name: outputs[name] for name in PARAMETERS if outputs.get(name) is not None}
    try:
        request = DeployRequest.model_validate(parameters)
    except ValidationError:
        # Written by another version with other rules: it equals nothing that can be declared now, and breaks nothing.
        request = DeployRequest.model_construct(**parameters)  # type: ignore[arg-type]
    seconds = outputs.get("last_job_seconds")
    state = outputs.get("state")
    return Record(
        ModelState(state) if isinstance(state, str) and state in list(ModelState) else ModelState.FAILED,
        request,
        str(outputs.get("dock_status_id") or ""),
        str(outputs.get("last_action") or ""),
        str(outputs.get("last_status") or ""),
        float(seconds) if isinstance(seconds, (int, float)) else 0.0,
    )


class StateResource(Protocol):
    """A resource of an engine's state, as far as it matters here."""

    @property
    def urn(self) -> str:
        """What the engine calls it."""

    @property
    def id(self) -> str:
        """Its id: of ours the model's."""

    @property
    def outputs(self) -> Mapping[str, object]:
        """What is remembered of it."""

    @property
    def dying(self) -> bool:
        """Whether it is replaced and still to be deleted."""

    @property
    def pending(self) -> bool:
        """Whether it is only a creation that never ended."""


def owners(resources: Iterable[StateResource]) -> list[Owner]:
    """Those of a state's resources that have a model."""
    return [
        Owner(one.urn, one.id, record(one.outputs), one.dying, one.pending)
        for one in resources
        if "model_id" in one.outputs and ("dock_status_id" in one.outputs or one.pending)
    ]


def results(record: Record) -> dict[str, object]:
    """A record as outputs. Never None: in a Pulumi preview a property that is missing shows up as unknown."""
    return {
        "state": record.state.value,
        "dock_status_id": record.job_id,
        "last_action": record.last_action,
        "last_status": record.last_status,
        "last_job_seconds": record.last_job_seconds,
    }


def outputs(spec: ModelSpec, record: Record) -> dict[str, object]:
    """Every argument and the results; the parameters are those of the last deploy that was sent or taken over."""
    arguments = spec.plain()
    if record.request is not None:
        arguments = {name: value for name, value in arguments.items() if name not in PARAMETERS}
        arguments |= record.request.plain()
    return arguments | results(record)


def settled(outputs: Mapping[str, object], record: Record) -> bool:
    """Whether what is recorded of the platform is what these outputs declare."""
    return record.state is (ModelState.DEPLOYED if outputs.get("deployed", True) else ModelState.UNDEPLOYED)


def differing(olds: Mapping[str, object], news: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """The arguments that differ, by the paths that the user knows: what each was and is, or None."""
    found: dict[str, tuple[object, object]] = {}
    for name in ARGUMENTS:
        found |= _differing(name, olds.get(name), news.get(name))
    return found


def _differing(path: str, old: object, new: object) -> dict[str, tuple[object, object]]:
    if old == new:
        return {}
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return {path: (old, new)}
    found: dict[str, tuple[object, object]] = {}
    for key in {**old, **new}:
        found |= _differing(f"{path}.{key}", old.get(key), new.get(key))
    return found
