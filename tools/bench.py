"""Measures this package's dynamic provider host beside the stock one, on the real engine and the emulator.

Writes `bench.md` (the table), `bench.json` (every run) and `bench.png` to a folder, `docs/bench` unless told otherwise;
`--quick` is for trying it out, prints the table and writes only where it is told to. Everything happens in a temporary
folder and on this machine; nothing is left when it ends, however it ends.
"""

import argparse
import contextlib
import json
import os
import platform
import re
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any, Final, Literal, NoReturn

import yaml

import engine
from pulumi_koreai.api.settings import Settings
from pulumi_koreai.core.polling import pause_before_poll

CLONE: Final = Path(__file__).resolve().parent.parent
OUTPUT: Final = CLONE / "docs" / "bench"
STACK: Final = "bench"
STOP_SECONDS: Final = 15.0

Host = Literal["own", "stock"]
HOSTS: Final[tuple[Host, Host]] = ("own", "stock")
NAMES: Final[dict[Host, str]] = {"own": "this host", "stock": "stock host"}

# An importable class, so that its pickle is a name, as this package's own is.
NOTHING_PROVIDER: Final = """
from typing import Any, Mapping

from pulumi import Output
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

RESULTS = {"state": "", "dock_status_id": "", "last_action": "", "last_status": "", "last_job_seconds": 0}


class NothingProvider(ResourceProvider):
    def create(self, props):
        return CreateResult("nothing", props)


class Nothing(Resource):
    def __init__(self, name):
        super().__init__(NothingProvider(), name, {"name": name})


class WideProvider(ResourceProvider):
    def create(self, props):
        return CreateResult("wide", {**props, **RESULTS})


class Wide(Resource):
    # As many properties as a model has, of the same types.
    model_id: Output[str]
    deployment_name: Output[str]
    model_type: Output[str]
    device_type: Output[str]
    hyper_parameters: Output[Mapping[str, Any]]
    scaling_parameters: Output[Mapping[str, Any] | None]
    optimization_info: Output[Mapping[str, Any] | None]
    deployed: Output[bool]
    adopt: Output[bool]
    update_strategy: Output[str]
    custom_timeouts: Output[Mapping[str, str] | None]
    state: Output[str]
    dock_status_id: Output[str]
    last_action: Output[str]
    last_status: Output[str]
    last_job_seconds: Output[float]

    def __init__(self, name):
        inputs = {
            "model_id": name,
            "deployment_name": name,
            "model_type": "openSource",
            "device_type": "g5.xlarge",
            "hyper_parameters": {"temperature": 0.5, "max_tokens": 128, "top_p": 1, "top_k": 10},
            "scaling_parameters": None,
            "optimization_info": None,
            "deployed": True,
            "adopt": True,
            "update_strategy": "undeploy-first",
            "custom_timeouts": None,
        }
        super().__init__(WideProvider(), name, {**inputs, **dict.fromkeys(RESULTS)})
"""
NOTHING_PROGRAM: Final = """
import pulumi

from nothing import {kind}

for number in range(pulumi.Config("bench").require_int("count")):
    {kind}(f"nothing-{{number}}")
"""
# A stack's file can't hold a thousand models: Linux passes a program at most 128 KiB of configuration.
MODELS_PROGRAM: Final = """
import pulumi

from pulumi_koreai import ModelDeployment

config = pulumi.Config("bench")
for number in range(config.require_int("count")):
    ModelDeployment(
        f"model-{number}",
        model_id=f"cm-{number}",
        deployment_name=f"model-{number}",
        device_type="g5.xlarge",
        hyper_parameters={"temperature": 0.5, "max_tokens": 128, "top_p": 1, "top_k": 10},
        adopt=config.require_bool("adopt"),
    )
"""
EMPTY_PROGRAM: Final = "import pulumi\n"


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
        preview_count: unchanged resources in a preview.
        previews: of each kind.
        limited: models under the published limits, and how long each takes.
        simulations: simulated jobs for each figure.
    """

    seconds: float = 10.0
    counts: tuple[tuple[int, int], ...] = ((10, 3), (100, 3))
    stock_counts: tuple[int, ...] = (10, 100)
    bar_count: int = 100
    waits: tuple[int, float] = (500, 40.0)
    preview_count: int = 1000
    previews: int = 4
    limited: tuple[int, float] = (200, 2.0)
    simulations: int = 4000


QUICK: Final = Plan(
    seconds=2.0,
    counts=((10, 1), (30, 1)),
    stock_counts=(10, 30),
    bar_count=30,
    waits=(60, 6.0),
    preview_count=60,
    previews=1,
    limited=(30, 1.0),
    simulations=400,
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
            `preview dev` or `preview empty`.
        host: which one served it.
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


# ------------------------------------------------------------------------------------- the simulated clock

Schedule = Callable[[float, float | None, float, float, Random], float]

DURATIONS: Final = (5, 10, 20, 40, 60, 120, 300, 600, 1200, 2400)
TEN_MINUTES: Final = 600.0
LATE_SHARE, LATE_SECONDS, POLLS_MAX = 0.05, 2.0, 40
_ROUND_TRIP_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Simulated:
    """How a schedule of looks does with jobs that tell their percentage, or don't.

    Attributes:
        late: by duration, the mean seconds from a job's end to the look that finds it.
        late_over_bar: by duration, that over 5 % of the duration or 2 s.
        polls: of a job of ten minutes, on average.
        polls_max: at most.
    """

    percentages: bool
    late: dict[int, float]
    late_over_bar: dict[int, float]
    polls: float
    polls_max: int


def simulate_job(
    schedule: Schedule, duration: float, settings: Settings, rng: Random, *, percentages: bool
) -> tuple[float, int]:
    """Look at a job until it has ended: how late that is noticed, and how many looks it took."""
    now, polls = 0.0, 0
    percent: float | None = 0.0 if percentages else None
    while True:
        now += schedule(now, percent, settings.poll_min_seconds, settings.poll_max_seconds, rng)
        now += _ROUND_TRIP_SECONDS
        polls += 1
        if now >= duration:
            return now - duration, polls
        if percentages:
            percent = float(int(100 * now / duration))


def simulate(schedule: Schedule, settings: Settings, runs: int, *, percentages: bool) -> Simulated:
    """Jobs of all durations, each spread over half an octave to both sides, so that none hits or misses by luck."""
    rng = Random(1)  # noqa: S311 - the same figures each time
    late: dict[int, float] = {}
    over: dict[int, float] = {}
    for middle in DURATIONS:
        durations = [middle * 2 ** ((number + 0.5) / runs - 0.5) for number in range(runs)]
        waits = [simulate_job(schedule, each, settings, rng, percentages=percentages)[0] for each in durations]
        late[middle] = statistics.fmean(waits)
        over[middle] = late[middle] / statistics.fmean(max(LATE_SHARE * each, LATE_SECONDS) for each in durations)
    polls = [simulate_job(schedule, TEN_MINUTES, settings, rng, percentages=percentages)[1] for _ in range(runs)]
    return Simulated(percentages, late, over, statistics.fmean(polls), max(polls))


# ------------------------------------------------------------------------------------- running the engine


class Memory:
    """The peak resident memory of the provider host below the engine, from /proc; None where there is no /proc."""

    def __init__(self, engine_pid: int) -> None:
        self.peak_mb: float | None = None
        self._pid = engine_pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Memory":
        if Path("/proc/self/status").exists():
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()

    def _sample(self) -> None:
        host: int | None = None
        while not self._done.wait(0.2):
            host = host or self._find()
            with contextlib.suppress(OSError):
                found = host and re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{host}/status").read_text())
                if found:
                    self.peak_mb = max(self.peak_mb or 0.0, int(found[1]) / 1024)

    def _find(self) -> int | None:
        for pid in _below(self._pid):
            with contextlib.suppress(OSError):
                if _is_host(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")):
                    return pid
        return None


def _below(pid: int) -> list[int]:
    """The processes below one; empty where there is no /proc."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found: list[int] = []
    for child in parents:
        above = child
        while (above := parents.get(above, 0)) > 1:
            if above == pid:
                found.append(child)
                break
    return found


def _is_host(arguments: Sequence[bytes]) -> bool:
    """Whether a command line is that of a host: the console script's, or the one that the stock script turns into."""
    python = b"python" in arguments[0].rpartition(b"/")[2]
    return python and (
        b"pulumi.dynamic" in arguments or any(each.endswith(b"/pulumi-resource-pulumi-python") for each in arguments)
    )


class Emulator:
    """The platform's stand-in, as a process of its own on a free port."""

    def __init__(self, url: str) -> None:
        self.url = url

    @classmethod
    @contextlib.contextmanager
    def start(cls, job_seconds: float, *, limits: bool = False) -> "Iterator[Emulator]":
        """Start one for a `with`."""
        options = ["--job-seconds", str(job_seconds), "--undeploy-seconds", "0"]
        process = subprocess.Popen(
            [sys.executable, "-m", "pulumi_koreai.emulator", *options, *([] if limits else ["--no-rate-limits"])],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C shall not end it before the engine that needs it
        )
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            if "http://" not in ready:
                raise BenchError("the emulator did not start.")
            yield cls(ready.split()[-1])
        finally:
            process.terminate()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def jobs(self) -> Jobs | None:
        """What it saw; None when nothing was asked of it."""
        jobs, requests = self._get("jobs"), self._get("requests")
        return seen(jobs, requests) if jobs else None

    def _get(self, what: str) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/emulator/{what}", timeout=60) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found


def seen(jobs: Sequence[dict[str, Any]], requests: Sequence[dict[str, Any]]) -> Jobs:
    """Sum up the emulator's jobs and record: when was each job's end seen, and with how many requests."""
    ends = {job["id"]: job["time"] + job["seconds"] for job in jobs}
    noticed: dict[str, float] = {}
    for request in requests:
        job_id = request["path"].rpartition("/")[2]
        if job_id in ends and request["time"] >= ends[job_id] and request["status"] == 200:
            noticed.setdefault(job_id, request["time"])
    late = [noticed[job_id] - ends[job_id] for job_id in noticed] or [0.0]
    marks = sorted([(job["time"], 1) for job in jobs] + [(end, -1) for end in ends.values()])
    under_way = at_once = 0
    for _, change in marks:
        under_way += change
        at_once = max(at_once, under_way)
    began = [job["time"] for job in jobs]
    return Jobs(
        count=len(jobs),
        at_once=at_once,
        late=statistics.fmean(late),
        late_max=max(late),
        requests=len(requests) / len(jobs),
        refused=sum(request["status"] == 429 for request in requests),
        spread=max(began) - min(began),
    )


class Project:
    """A stack in a folder of its own, with one of several programs.

    Args:
        folder: made here.
        env: the engine's environment.
        stock_folder: where the stock host's script is.
        host: the one that serves it.
        parallel: how many resources at once.
        blank: a project with a stack that nothing was done with, which is copied; None: a stack is made.
    """

    def __init__(
        self,
        folder: Path,
        env: dict[str, str],
        stock_folder: Path,
        host: Host,
        parallel: int,
        blank: "Project | None" = None,
    ) -> None:
        self.folder = folder
        for name in ("stacks", "state"):
            if blank:
                shutil.copytree(blank.folder / name, folder / name)
            else:
                (folder / name).mkdir(parents=True)
        (folder / ".venv").symlink_to(CLONE / ".venv")
        shutil.copy(CLONE / "__main__.py", folder / "__main__.py")
        project = yaml.safe_load((CLONE / "Pulumi.yaml").read_text())
        if host == "stock":
            project["plugins"]["providers"] = [{"name": "pulumi-python", "path": str(stock_folder)}]
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
        self._env = {
            **env,
            "PULUMI_BACKEND_URL": (folder / "state").as_uri(),
            "PULUMI_PARALLEL": str(parallel),
            "KOREAI_HOST": "http://127.0.0.1:9",
        }
        if not blank:
            self.pulumi("stack", "init", STACK)
        self._stack_file = folder / "stacks" / f"Pulumi.{STACK}.yaml"
        self._stack = yaml.safe_load(self._stack_file.read_text())

    def models(self, count: int, emulator: Emulator, *, adopt: bool = False, limits: bool = False) -> "Project":
        """A program that declares so many models; without `limits` this side keeps to none either."""
        (self.folder / "__main__.py").write_text(MODELS_PROGRAM)
        config: dict[str, object] = {"bench:count": str(count), "bench:adopt": str(adopt).lower()}
        return self._configure(config if limits else {**config, "koreai:requestsPerMinute": "1000000"}, emulator)

    def dev(self, emulator: Emulator) -> "Project":
        """This project's own program with its `dev` stack."""
        config = yaml.safe_load((CLONE / "stacks" / "Pulumi.dev.yaml").read_text())["config"]
        del config["koreai:host"]
        return self._configure(config, emulator)

    def nothing(self, count: int, kind: Literal["Nothing", "Wide"] = "Nothing") -> "Project":
        """Resources that do nothing, with one property or with as many as a model has."""
        (self.folder / "nothing.py").write_text(NOTHING_PROVIDER)
        (self.folder / "__main__.py").write_text(NOTHING_PROGRAM.format(kind=kind))
        return self._configure({"bench:count": str(count)})

    def empty(self) -> "Project":
        """No resource at all."""
        (self.folder / "__main__.py").write_text(EMPTY_PROGRAM)
        return self._configure({})

    def up(self) -> tuple[float, float | None]:
        """Bring it up: the seconds it took, and the host's peak memory."""
        return self.pulumi("up", "--stack", STACK, "--yes", "--skip-preview")

    def preview(self, unchanged: int) -> float:
        """A preview of what is there, which must be unchanged: the seconds it took."""
        wall, _ = self.pulumi("preview", "--stack", STACK, expect=rf"\b{unchanged + 1} unchanged" if unchanged else "")
        return wall

    def pulumi(self, *arguments: str, expect: str = "") -> tuple[float, float | None]:
        """Run the engine; Ctrl-C goes to it once, and it ends its way."""
        with (self.folder / "output.txt").open("w+") as output:
            began = time.monotonic()
            process = subprocess.Popen(
                ["pulumi", *arguments, "--non-interactive"],
                cwd=self.folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                with Memory(process.pid) as memory:
                    process.wait()
                    wall = time.monotonic() - began
            except BaseException:
                _stop(process)
                raise
            output.seek(0)
            text = output.read()
        if process.returncode or not re.search(expect, text):
            last = "\n".join(text.strip().splitlines()[-12:])
            raise BenchError(f"`pulumi {' '.join(arguments)}` ended with {process.returncode}:\n{last}")
        return wall, memory.peak_mb

    def _configure(self, config: dict[str, object], emulator: Emulator | None = None) -> "Project":
        if emulator:
            self._env["KOREAI_HOST"] = emulator.url
        self._stack_file.write_text(yaml.safe_dump({**self._stack, "config": config}, sort_keys=False))
        return self


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the engine as Ctrl-C does, and by force when it does not end in time, with the programs that it started."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + STOP_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
    if process.poll() is None:
        # Its plugins are in process groups of their own. They end by themselves, the stock host later than others.
        for pid in (process.pid, *_below(process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


# ------------------------------------------------------------------------------------- the measurements


@dataclass
class Bench:
    """All the runs of a plan, and what came out of them."""

    plan: Plan
    folder: Path
    env: dict[str, str]
    stock_folder: Path
    runs: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._blank = Project(self.folder / "blank", self.env, self.stock_folder, "own", 1)

    def run(self) -> None:
        """Everything, the longest last."""
        self.warm_up()
        for count, times in self.plan.counts:
            for _ in range(times):
                self.nothing(count, "own")
                self.models("models", count, self.plan.seconds, "own")
        for count in self.plan.stock_counts:
            self.nothing(count, "stock")
        self.waits()
        self.previews()
        self.dev_previews()
        for count in self.plan.stock_counts:
            self.models("models", count, self.plan.seconds, "stock")
        self.limited()

    def warm_up(self) -> None:
        """Each program once, so that no run pays for cold files."""
        say("one model on each host first, unmeasured, to have the programs in memory")
        for host in HOSTS:
            with self._project(host, 4) as project, Emulator.start(0.1) as emulator:
                project.models(1, emulator).up()

    def nothing(self, count: int, host: Host) -> None:
        """The engine's own part: resources that do nothing."""
        say(f"{count} resources that do nothing, {NAMES[host]}")
        with self._project(host, count) as project:
            wall, peak = project.nothing(count).up()
        self._done(Run("nothing", host, count, 0.0, wall, peak))

    def models(self, what: str, count: int, seconds: float, host: Host, *, limits: bool = False) -> None:
        """Models come up."""
        about = seconds * (-(-count // 4) if host == "stock" else 1) + (limited_floor(count) if limits else 0)
        say(f"{count} models of {seconds:g} s, {NAMES[host]} (about {about + 3 + count / 50:.0f} s)")
        with self._project(host, count) as project, Emulator.start(seconds, limits=limits) as emulator:
            wall, peak = project.models(count, emulator, limits=limits).up()
            jobs = emulator.jobs()
        if jobs is None or jobs.count != count:
            raise BenchError(f"the emulator saw {jobs.count if jobs else 0} deploys in the place of {count}.")
        self._done(Run(what, host, count, seconds, wall, peak, jobs))

    def waits(self) -> None:
        """Very many at once, each long enough for all of them to be under way together."""
        count, seconds = self.plan.waits
        self.nothing(count, "own")
        self.models("waits", count, seconds, "own")

    def limited(self) -> None:
        """With the published limits on."""
        count, seconds = self.plan.limited
        self.nothing(count, "own")
        self.models("limited", count, seconds, "own", limits=True)

    def previews(self) -> None:
        """Unchanged models beside resources that do nothing under the stock host, by turns."""
        count = self.plan.preview_count
        with contextlib.ExitStack() as stack:
            emulator = stack.enter_context(Emulator.start(0))
            kinds: list[tuple[str, Host, Project]] = []
            both: tuple[tuple[str, Host], ...] = (("models", "own"), ("nothing", "stock"), ("wide", "stock"))
            for what, host in both:
                say(f"bringing up {count} for the previews: {what}, {NAMES[host]}; nothing is sent")
                project = stack.enter_context(self._project(host, count))
                if what == "models":
                    project.models(count, emulator, adopt=True)
                else:
                    project.nothing(count, "Wide" if what == "wide" else "Nothing")
                project.up()
                kinds.append((f"preview {what}", host, project))
            self._by_turns(kinds, count)
            if emulator.jobs():
                raise BenchError("a deploy was sent where models were to be taken over.")

    def dev_previews(self) -> None:
        """This project's dev stack unchanged beside an empty program."""
        with contextlib.ExitStack() as stack:
            emulator = stack.enter_context(Emulator.start(0.1))
            kinds: list[tuple[str, Host, Project]] = []
            for host in HOSTS:
                say(f"bringing up the dev stack for its previews, {NAMES[host]}")
                project = stack.enter_context(self._project(host, 16)).dev(emulator)
                project.up()
                kinds.append(("preview dev", host, project))
                empty = stack.enter_context(self._project(host, 16)).empty()
                empty.up()
                kinds.append(("preview empty", host, empty))
            self._by_turns(kinds, 4)

    def _by_turns(self, kinds: Sequence[tuple[str, Host, Project]], count: int) -> None:
        for turn in range(self.plan.previews):
            for what, host, project in kinds:
                resources = 0 if what == "preview empty" else count
                say(f"{what}, {resources} unchanged, {NAMES[host]}: {turn + 1} of {self.plan.previews}")
                self._done(Run(what, host, resources, 0.0, project.preview(resources)))

    @contextlib.contextmanager
    def _project(self, host: Host, count: int) -> Iterator[Project]:
        # Some places more than models: the stack and the provider are resources too.
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            yield Project(Path(folder) / "project", self.env, self.stock_folder, host, count + 8, self._blank)

    def _done(self, run: Run) -> None:
        self.runs.append(run)
        memory = "" if run.peak_mb is None else f", the host's peak {run.peak_mb:.0f} MB"
        print(f"   {run.wall:.2f} s{memory}", flush=True)


# ------------------------------------------------------------------------------------- what comes out of them


def limited_floor(count: int) -> float:
    """The seconds before which the published 60 a minute let no client send its last deploy."""
    return 60.0 * ((count - 1) // 60)


class Results:
    """The runs, looked at by kind."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs

    def of(self, what: str, host: Host, count: int | None = None) -> list[Run]:
        """The runs of a kind."""
        return [run for run in self._runs if (run.what, run.host) == (what, host) and count in (None, run.count)]

    def wall(self, what: str, host: Host, count: int | None = None) -> float:
        """The median wall time of a kind."""
        return statistics.median(run.wall for run in self.of(what, host, count))

    def ideal(self, host: Host, count: int, seconds: float) -> float:
        """The jobs' time and the engine's own."""
        return seconds + self.wall("nothing", host, count)

    def over_ideal(self, what: str, host: Host, count: int) -> float:
        """The median wall time over the ideal."""
        seconds = self.of(what, host, count)[0].job_seconds
        return self.wall(what, host, count) / self.ideal(host, count, seconds)


def figures(plan: Plan, runs: Sequence[Run], simulated: Sequence[Simulated]) -> list[Figure]:
    """The table's lines."""
    return [
        *_wall_figures(plan, Results(runs)),
        *_job_figures(plan, Results(runs)),
        *_preview_figures(plan, Results(runs)),
        *_limited_figures(plan, Results(runs)),
        *_simulated_figures(simulated),
    ]


def _wall_figures(plan: Plan, results: Results) -> list[Figure]:
    lines: list[Figure] = []
    counts_of: dict[Host, tuple[int, ...]] = {
        "own": tuple(count for count, _ in plan.counts),
        "stock": plan.stock_counts,
    }
    for host, counts in counts_of.items():
        for count in counts:
            ratio = results.over_ideal("models", host, count)
            wall = results.wall("models", host, count)
            ideal = results.ideal(host, count, plan.seconds)
            barred = host == "own" and count == plan.bar_count
            lines.append(
                Figure(
                    f"{count} models of {plan.seconds:g} s, {NAMES[host]}: wall over the ideal",
                    f"{wall:.1f} s / {ideal:.1f} s = {ratio:.3f}",
                    "at most 1.1" if barred else "",
                    ratio <= 1.1 if barred else None,
                )
            )
    count = plan.bar_count
    faster = results.wall("models", "stock", count) / results.wall("models", "own", count)
    lines.append(
        Figure(f"{count} models: faster than the stock host", f"{faster:.1f} times", "at least 15 times", faster >= 15)
    )
    return lines


def _job_figures(plan: Plan, results: Results) -> list[Figure]:
    lines: list[Figure] = []
    count, seconds = plan.waits
    (waits,) = results.of("waits", "own")
    assert waits.jobs is not None
    ratio = results.over_ideal("waits", "own", count)
    ideal = results.ideal("own", count, seconds)
    lines.append(
        Figure(
            f"{count} models of {seconds:g} s, this host: wall over the ideal",
            f"{waits.wall:.1f} s / {ideal:.1f} s = {ratio:.2f}; not tried on the stock host",
        )
    )
    at_once = f"{waits.jobs.at_once} jobs at once: this host's peak memory"
    if waits.peak_mb is None:
        lines.append(Figure(at_once, "not measured on this system", "below 150 MB"))
    else:
        lines.append(Figure(at_once, f"{waits.peak_mb:.0f} MB", "below 150 MB", waits.peak_mb < 150))
    for host in HOSTS:
        for run in results.of("models", host, plan.bar_count)[:1]:
            memory = "" if run.peak_mb is None else f"{run.peak_mb:.0f} MB"
            lines.append(Figure(f"{run.count} models, {NAMES[host]}: peak memory", memory or "not measured"))
    kinds: list[tuple[str, Host, int]] = [(("models"), host, plan.bar_count) for host in HOSTS]
    for what, host, each in (*kinds, ("waits", "own", count)):
        measured = [run for run in results.of(what, host, each) if run.jobs]
        jobs = [run.jobs for run in measured if run.jobs]
        late = statistics.fmean(job.late for job in jobs)
        longest = max(job.late_max for job in jobs)
        bar = max(LATE_SHARE * measured[0].job_seconds, LATE_SECONDS)
        lines.append(
            Figure(
                f"{each} models of {measured[0].job_seconds:g} s, {NAMES[host]}: a finished job is noticed after",
                f"{late:.2f} s on average, {longest:.2f} s at most",
                f"at most {bar:g} s on average" if host == "own" else "",
                late <= bar if host == "own" else None,
            )
        )
        sent = statistics.fmean(job.requests for job in jobs)
        lines.append(Figure(f"{each} models, {NAMES[host]}: requests for each job, the deploy included", f"{sent:.1f}"))
    return lines


def _preview_figures(plan: Plan, results: Results) -> list[Figure]:
    lines: list[Figure] = []
    models = results.of("preview models", "own")
    for kind, shape in (("nothing", "with one property"), ("wide", "with as many properties as a model")):
        others = results.of(f"preview {kind}", "stock")
        ratio = statistics.median(run.wall / other.wall for run, other in zip(models, others, strict=True))
        walls = f"{results.wall('preview models', 'own'):.2f} s / {results.wall(f'preview {kind}', 'stock'):.2f} s"
        lines.append(
            Figure(
                f"preview of {plan.preview_count} unchanged models, this host, over as many that do nothing, {shape},"
                " stock host",
                f"{walls}, median ratio {ratio:.2f}",
                "at most 1.0",
                ratio <= 1.0,
            )
        )
    for host in HOSTS:
        dev, empty = results.wall("preview dev", host), results.wall("preview empty", host)
        lines.append(
            Figure(
                f"preview of the dev stack unchanged, {NAMES[host]}, beside an empty program's",
                f"{dev:.2f} s, {empty:.2f} s: {dev - empty:+.2f} s",
                "at most 1 s longer",
                dev - empty <= 1.0,
            )
        )
    return lines


def _limited_figures(plan: Plan, results: Results) -> list[Figure]:
    count, seconds = plan.limited
    (run,) = results.of("limited", "own", count)
    assert run.jobs is not None
    floor = limited_floor(count) + results.ideal("own", count, seconds)
    return [
        Figure(
            f"{count} models under the published limits: answers of 429",
            f"{run.jobs.refused}",
            "0",
            not run.jobs.refused,
        ),
        Figure(
            f"{count} models under the published limits: wall over the floor",
            f"{run.wall:.1f} s / {floor:.1f} s = {run.wall / floor:.3f}",
            "at most 1.1",
            run.wall / floor <= 1.1,
        ),
    ]


def _simulated_figures(simulated: Sequence[Simulated]) -> list[Figure]:
    lines: list[Figure] = []
    for each in simulated:
        kind = "with percentages" if each.percentages else "without percentages"
        average = statistics.fmean(each.late_over_bar.values())
        worst = max(each.late_over_bar, key=lambda duration: each.late_over_bar[duration])
        lines.append(
            Figure(
                f"simulated, {kind}: how late an end is noticed, over 5 % of the duration or 2 s",
                f"{average:.2f} on average, 5 s to 40 min; {each.late_over_bar[worst]:.2f} at worst, near {worst} s",
                "at most 1 on average",
                average <= 1.0,
            )
        )
        lines.append(
            Figure(
                f"simulated, {kind}: polls for a job of 10 minutes",
                f"{each.polls:.1f} on average, {each.polls_max} at most",
                f"at most {POLLS_MAX}",
                each.polls_max <= POLLS_MAX,
            )
        )
    return lines


def table(lines: Sequence[Figure], heading: str) -> str:
    """The figures in Markdown."""
    marks = {True: "yes", False: "**no**", None: ""}
    rows = "".join(f"| {line.what} | {line.value} | {line.bar} | {marks[line.met]} |\n" for line in lines)
    return f"{heading}\n| what | measured | bar | met |\n| --- | --- | --- | --- |\n{rows}"


def heading(plan: Plan, engine_version: str, minutes: float) -> str:
    """What stands above the table: where and how it was measured."""
    runs = ", ".join(f"{times} for {count}" for count, times in plan.counts)
    return f"""# The benchmark

{"`make bench`" if plan is not QUICK else "`tools/bench.py --quick`: too small for the bars to mean much"}, \
{minutes:.0f} minutes on {os.cpu_count()} cores; Python {platform.python_version()}, engine {engine_version}, \
SDK {version("pulumi")}, grpcio {version("grpcio")}.

The real engine and the emulator, each a process of its own on one machine, state in a file. The ideal is the jobs'
duration plus the engine's own time, which is the same command's with as many resources that do nothing under the same
host. `PULUMI_PARALLEL` is as many as there are resources, and `PULUMI_SKIP_CHECKPOINTS=true` is set: otherwise each
step writes the whole state, which at hundreds of resources takes longer than all else. Where a run was repeated, it is
the median (on this host {runs}; the rest once; {plan.previews} previews of each kind by turns). The models are
declared in a loop. But for the last part the emulator has no rate limits and `koreai:requestsPerMinute` is out of
reach. The floor under the limits is when 60 calls a minute let the last deploy be sent, plus the job and the engine's
own time. The simulated jobs are looked at by the default schedule with the default settings.
"""


def plot(path: Path, plan: Plan, runs: Sequence[Run], simulated: Sequence[Simulated]) -> None:
    """Two panels: wall over the ideal by number of models; how late an end is noticed by duration."""
    import matplotlib as mpl  # noqa: PLC0415 - only where there is something to draw

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415
    from matplotlib.ticker import NullLocator  # noqa: PLC0415

    results = Results(runs)
    bars: list[tuple[str, dict[Host, float]]] = []
    for count, _ in plan.counts:
        ratios: dict[Host, float] = {"own": results.over_ideal("models", "own", count)}
        if count in plan.stock_counts:
            ratios["stock"] = results.over_ideal("models", "stock", count)
        bars.append((f"{count} of {plan.seconds:g} s", ratios))
    count, seconds = plan.waits
    bars.append((f"{count} of {seconds:g} s", {"own": results.over_ideal("waits", "own", count)}))

    colours: dict[Host, str] = {"own": "#2a7f62", "stock": "#c05b3c"}
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for shift, host in ((-0.2, HOSTS[0]), (0.2, HOSTS[1])):
        shown = [(place + shift, ratios[host]) for place, (_, ratios) in enumerate(bars) if host in ratios]
        drawn = left.bar([x for x, _ in shown], [y for _, y in shown], 0.38, color=colours[host], label=NAMES[host])
        left.bar_label(drawn, fmt="%.2f", padding=2, fontsize=9)
    left.axhline(1.0, color="#555555", linewidth=0.8, linestyle="--")
    left.set_yscale("log")
    left.set_ylim(0.8, 2 * max(max(ratios.values()) for _, ratios in bars))
    left.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
    left.yaxis.set_minor_locator(NullLocator())
    left.set_xticks(range(len(bars)), [name for name, _ in bars])
    left.set_xlabel("models of so many seconds (the last not tried on the stock host)")
    left.set_title("`pulumi up`: wall time over the ideal (lower is better)", fontsize=10)
    left.legend(frameon=False)

    right.plot(
        DURATIONS,
        [max(LATE_SHARE * d, LATE_SECONDS) for d in DURATIONS],
        "--",
        color="#555555",
        label="bar: 5 % or 2 s",
    )
    for each in simulated:
        name = "job tells its percentage" if each.percentages else "job tells no percentage"
        colour = "#2a7f62" if each.percentages else "#3b6fb5"
        right.plot(DURATIONS, [each.late[d] for d in DURATIONS], "o-", markersize=4, color=colour, label=name)
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xticks([5, 20, 60, 300, 1200], ["5 s", "20 s", "1 min", "5 min", "20 min"])
    right.xaxis.set_minor_locator(NullLocator())
    right.set_yticks([0.5, 2, 10, 60], ["0.5 s", "2 s", "10 s", "60 s"])
    right.yaxis.set_minor_locator(NullLocator())
    right.set_xlabel("duration of the job")
    right.set_title("how late its end is noticed, on average (simulated clock)", fontsize=10)
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


# ------------------------------------------------------------------------------------- the program


def say(what: str) -> None:
    """A line before each step."""
    print(f"== {what}", flush=True)


def _terminated(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _environment(found: engine.Engine, folder: Path) -> dict[str, str]:
    """The engine's: none of the user's own settings, and everything in `folder`."""
    base = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "KOREAI_"))}
    return engine.environment(
        found,
        {
            **base,
            "KOREAI_API_KEY": secrets.token_hex(16),
            "NO_COLOR": "1",
            "PULUMI_CONFIG_PASSPHRASE": secrets.token_hex(16),
            "PULUMI_EXPERIMENTAL": "true",  # what the engine wants to be told for the next to count
            "PULUMI_SKIP_CHECKPOINTS": "true",
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        },
    )


def measure(plan: Plan, output: Path | None) -> int:
    """Run the plan, print the table, and write it all to `output`. The exit status: 1 where a bar is missed."""
    began = time.monotonic()
    found = engine.obtain()
    stock_folder = found.folder or Path(shutil.which("pulumi") or "").resolve().parent
    say(f"simulating {plan.simulations} jobs of each duration")
    simulated = [
        simulate(pause_before_poll, Settings("", ""), plan.simulations, percentages=percentages)
        for percentages in (True, False)
    ]
    with tempfile.TemporaryDirectory(prefix="pulumi-koreai-bench-", ignore_cleanup_errors=True) as folder:
        bench = Bench(plan, Path(folder), _environment(found, Path(folder)), stock_folder)
        bench.run()
    lines = figures(plan, bench.runs, simulated)
    text = table(lines, heading(plan, found.version, (time.monotonic() - began) / 60))
    print(f"\n{text}")
    if output:
        output.mkdir(parents=True, exist_ok=True)
        plot(output / "bench.png", plan, bench.runs, simulated)
        (output / "bench.md").write_text(f"{text}\n![The benchmark's plot](bench.png)\n")
        facts = {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "engine": found.version,
            "sdk": version("pulumi"),
            "plan": asdict(plan),
            "figures": [asdict(line) for line in lines],
            "runs": [asdict(run) for run in bench.runs],
            "simulated": [asdict(each) for each in simulated],
        }
        (output / "bench.json").write_text(json.dumps(_rounded(facts), indent=1) + "\n")
        print(f"written: bench.md, bench.json and bench.png in {os.path.relpath(output)}")
    missed = [line.what for line in lines if line.met is False]
    print("every bar is met" if not missed else f"missed: {'; '.join(missed)}")
    return 1 if missed and plan is not QUICK else 0


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value


def main() -> int:
    """The program. 0: measured, every bar met; 1: a bar missed, or it failed; 130 and 143: interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small numbers, a minute or so, to try it out")
    parser.add_argument("--output", type=Path, help="the folder to write to (docs/bench; none with --quick)")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminated)
    # In the background of a script it is ignored, by the engine's programs too: each command would then take five
    # seconds more, after which the engine kills those that it has asked to end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return measure(QUICK if options.quick else Plan(), options.output or (None if options.quick else OUTPUT))
    except (BenchError, engine.EngineError) as error:
        print(f"\nThe benchmark failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; everything is stopped and removed.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
