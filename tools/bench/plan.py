"""What is run, and what a run comes to."""

from dataclasses import dataclass
from typing import Final, Literal

Host = Literal["own", "stock"]


HOSTS: Final[tuple[Host, Host]] = ("own", "stock")


NAMES: Final[dict[Host, str]] = {"own": "this host", "stock": "stock host"}


class BenchError(Exception):
    """A run did not do what it should; the message says which."""


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        seconds: how long a job takes.
        counts: how many models come up at once, and how often that is measured.
        stock_counts: those of them that the stock host is tried with, once.
        bar_count: the one that the bars are about.
        waits: how many waits at once for the memory, and how long each takes.
        preview_few: unchanged resources in a preview, as many as a small stack has.
        preview_count: and as many as a large one has.
        previews: of each kind, and three times as many of a small stack.
        startups: of each program and host.
        limited: models under the published limits, and how long each takes.
        simulations: simulated jobs for each figure.
        updates: simulated models that are all updated at once.
        helps: starts of `koreai --help`.
    """

    seconds: float = 10.0
    counts: tuple[tuple[int, int], ...] = ((10, 3), (100, 3))
    stock_counts: tuple[int, ...] = (10, 100)
    bar_count: int = 100
    waits: tuple[int, float] = (500, 40.0)
    preview_few: int = 3
    preview_count: int = 1000
    previews: int = 4
    startups: int = 15
    limited: tuple[int, float] = (200, 2.0)
    simulations: int = 4000
    updates: int = 300
    helps: int = 9


QUICK: Final = Plan(
    seconds=2.0,
    counts=((10, 1), (30, 1)),
    stock_counts=(10, 30),
    bar_count=30,
    waits=(60, 6.0),
    preview_count=60,
    previews=1,
    startups=2,
    limited=(30, 1.0),
    simulations=400,
    updates=60,
    helps=3,
)


@dataclass(frozen=True)
class Jobs:
    """What the emulator saw of a run.

    Attributes:
        count: the deploys that it took.
        at_once: how many jobs were under way at the same time, at most.
        late: the seconds from a job's end to the first look that found it ended, on average.
        late_max: the longest of them.
        requests: per job, the deploy included.
        refused: answers of 429.
        spread: seconds from the first deploy's arrival to the last one's.
    """

    count: int
    at_once: int
    late: float
    late_max: float
    requests: float
    refused: int
    spread: float


@dataclass(frozen=True)
class Run:
    """One run of the engine.

    Attributes:
        what: `models`, `nothing`, `limited`, `waits`, `preview models`, `preview nothing`, `preview wide`,
            `preview dev`, `preview empty` or `help`.
        host: which one served it; nothing of it counts for `help`, which is `koreai --help`.
        count: of resources.
        job_seconds: how long each job took; 0 where there were none.
        wall: the command's, in seconds.
        peak_mb: the host's peak resident memory, None where it can't be measured.
        jobs: what the emulator saw, None where it had no part in it.
    """

    what: str
    host: Host
    count: int
    job_seconds: float
    wall: float
    peak_mb: float | None = None
    jobs: Jobs | None = None


@dataclass(frozen=True)
class Figure:
    """A line of the table; `met` is None where there is no bar, or where it could not be measured."""

    what: str
    value: str
    bar: str = ""
    met: bool | None = None
