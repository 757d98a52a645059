"""The vendor's routes: what a request asks for."""

import re
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args
from urllib.parse import unquote

Operation = Literal["deploy", "undeploy", "export", "dock-status"]
"""What can be asked for; each is also a scope of a key."""

OPERATIONS: Final[tuple[Operation, ...]] = get_args(Operation)

_REQUEST: Final = re.compile(
    r"POST /api/public/models/(?P<model>[^/]+)/(?P<operation>deploy|undeploy|export)"
    r"|GET /api/public/dock-status/(?P<job>[^/]+)"
)


@dataclass(frozen=True)
class Asked:
    """A request of the vendor's API.

    Attributes:
        operation: what is asked for.
        subject: the id of the model, for a `dock-status` that of the job.
    """

    operation: Operation
    subject: str


def asked(method: str, raw_path: str) -> Asked | None:
    """What a request asks for; None where the vendor has no such route."""
    match = _REQUEST.fullmatch(f"{method} {raw_path}")
    if match is None:
        return None
    if match["job"]:
        return Asked("dock-status", unquote(match["job"]))
    return Asked(cast("Operation", match["operation"]), unquote(match["model"]))
