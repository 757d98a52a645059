"""What is done in the matrix, which request a fault strikes, and what is seen of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias, get_args

from pulumi_koreai.emulator import KINDS
from pulumi_koreai.emulator.routes import Operation as Request

Host: TypeAlias = Literal["own", "stock"]
Often: TypeAlias = Literal["once", "always"]
"""A fault strikes the first such request of the operation, or each."""

HOSTS: Final[tuple[Host, ...]] = get_args(Host)

DOWN: Final = "down"
"""Nobody listens when the request is to be sent. No kind of the emulator's, which can't know of a request before it
comes: `cells` has it leave in time, and come back."""

FAULTS: Final = (*KINDS, DOWN)

RUNNING, WANTED = 0.5, 0.9
"""The temperature that tells the deployment before an operation from the one that it is about."""


@dataclass(frozen=True)
class Operation:
    """What is done, and the request that the fault strikes.

    Attributes:
        call: what the engine calls.
        strikes: the kind of request.
        posts: those that the operation sends, in order.
        declared: what is special about the declaration.
        begins: `new`: the model is not deployed and the stack does not know it; `deployed`: both agree that it is, with
            another temperature than is declared; `interrupted`: a deploy of what is declared had not ended.
    """

    call: Literal["create", "update", "delete", "read"]
    strikes: Request
    posts: tuple[str, ...] = ()
    declared: Mapping[str, object] = field(default_factory=dict)
    begins: Literal["new", "deployed", "interrupted"] = "deployed"

    @property
    def wants(self) -> float | None:
        """The temperature that shall be deployed in the end, None for nothing."""
        return WANTED if self.call != "delete" and self.declared.get("deployed", True) else None

    @property
    def it(self) -> int:
        """Which of the POSTs is struck, or has its job looked at."""
        return self.posts.index(self.strikes) if self.strikes in self.posts else 0

    @property
    def action(self) -> str:
        """The action of the job that is begun or looked at."""
        return self.posts[self.it].upper() if self.posts else "DEPLOY"

    @property
    def anew(self) -> tuple[str, ...]:
        """What is sent when all begins anew."""
        return self.posts or ("look",)


_CREATE = Operation("create", "deploy", ("deploy",), begins="new")
_UPDATE = Operation("update", "undeploy", ("undeploy", "deploy"))
_REDEPLOY = Operation("update", "deploy", ("deploy",), {"update_strategy": "redeploy"})
_UNDEPLOY = Operation("update", "undeploy", ("undeploy",), {"deployed": False})
_DELETE = Operation("delete", "undeploy", ("undeploy",))


def _look(operation: Operation) -> Operation:
    return replace(operation, strikes="dock-status")


OPERATIONS: Final[Mapping[str, Operation]] = {
    "create": _CREATE,
    "update: undeploy": _UPDATE,
    "update: deploy": replace(_UPDATE, strikes="deploy"),
    "redeploy": _REDEPLOY,
    "undeploy": _UNDEPLOY,
    "delete": _DELETE,
    "create: look": _look(_CREATE),
    "update: look": _look(_UPDATE),
    "redeploy: look": _look(_REDEPLOY),
    "undeploy: look": _look(_UNDEPLOY),
    "delete: look": _look(_DELETE),
    "resume": Operation("update", "dock-status", begins="interrupted"),
    "refresh": Operation("read", "dock-status", begins="interrupted"),
}
"""By the heads of the columns."""


@dataclass(frozen=True)
class Run:
    """One cell under one host. `kind`: of the fault, one of `FAULTS`, None for none."""

    kind: str | None
    operation: str
    often: Often
    host: Host

    @property
    def model(self) -> str:
        """A model of the run's own."""
        return "cm-" + re.sub(r"[^A-Za-z0-9.]+", "-", f"{self.kind}-{self.operation}-{self.often}-{self.host}")

    @property
    def what(self) -> Operation:
        return OPERATIONS[self.operation]


@dataclass(frozen=True)
class Seen:
    """What came of a run.

    Attributes:
        error: the user's error, "" for none.
        notes: the lines that the user was shown besides.
        holds: what the state holds: `nothing`, `as before`, or its state, its last action and status, and whether it
            has a job's id.
        posts: the POSTs that were sent, `deploy` or `undeploy`.
        deploys_taken: how many of the deploys among them the platform took.
        next_sent: what the next `up` sent; looks at jobs that follow each other as one `look`.
        next_error: its error, "" for none.
        as_declared: whether the platform is as declared, and the state says so, after that `up`, or where it had an
            error after two more at most.
    """

    error: str
    notes: tuple[str, ...]
    holds: str
    posts: tuple[str, ...]
    deploys_taken: int
    next_sent: tuple[str, ...]
    next_error: str
    as_declared: bool
