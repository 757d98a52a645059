"""Terraform's state, as it is now: `terraform state pull` answers while an apply holds the lock.

A provider is told of no resource but the one that a call is about, and an apply with `-target` asks about few.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ..core import state
from ..core.recovery import Owner
from ..core.service import Witness
from ..host.stack import Reading, StackResource, output_of

_PROGRAMS: Final = ("terraform", "tofu")


def witness() -> Witness:
    """Reads the state of the root module in the working directory."""
    reading = Reading(_owners)
    return lambda _: reading.now()


def _owners() -> Sequence[Owner] | None:
    pulled = next(filter(None, (output_of(program, "state", "pull") for program in _PROGRAMS)), b"")
    try:
        return state.owners(_objects(json.loads(pulled)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _objects(pulled: Mapping[str, Any]) -> Iterator[StackResource]:
    """The objects of this provider's. Source: version 4 of Terraform's state files."""
    for resource in pulled["resources"]:
        if (resource["mode"], resource["type"]) != ("managed", "koreai_model_deployment"):
            continue
        address = ".".join(filter(None, [resource.get("module", ""), resource["type"], resource["name"]]))
        for instance in resource["instances"]:
            attributes = instance["attributes"]
            urn = f"{address}[{instance.get('index_key', '')}]"
            yield StackResource(urn, attributes["model_id"], attributes, bool(instance.get("deposed")))
