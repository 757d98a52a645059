"""Terraform's state, as it is now: `terraform state pull` answers while an apply holds the lock.

A provider is told of no resource but the one that a call is about, and an apply with `-target` asks about few.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ..core import state
from ..core.service import Owner, Witness
from ..host.stack import Reading, output_of

_PROGRAMS: Final = ("terraform", "tofu")


def witness() -> Witness:
    """Reads the state of the root module in the working directory."""
    reading = Reading(_owners)
    return lambda _: reading.now()


def _owners() -> Sequence[Owner] | None:
    for program in _PROGRAMS:
        pulled = output_of(program, "state", "pull")
        if pulled is not None:
            try:
                return list(owners(json.loads(pulled)))
            except (ValueError, KeyError, TypeError, AttributeError):
                return None
    return None


def owners(pulled: Mapping[str, Any]) -> Iterator[Owner]:
    """The objects of a state that have a model. Source: version 4 of Terraform's state files."""
    for resource in pulled["resources"]:
        if resource["mode"] != "managed" or resource["type"] != "koreai_model_deployment":
            continue
        for instance in resource["instances"]:
            attributes = instance["attributes"]
            address = ".".join(filter(None, [resource.get("module", ""), resource["type"], resource["name"]]))
            yield Owner(
                f"{address}[{instance.get('index_key', '')}]",
                attributes["model_id"],
                state.record(attributes),
                dying=bool(instance.get("deposed")),
            )
