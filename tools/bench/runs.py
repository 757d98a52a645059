"""The runs of a plan."""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import limited_floor
from bench.plan import HOSTS, NAMES, BenchError, Host, Plan, Run
from bench.processes import Emulator, Project, say


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
        self.helps()
        for count, times in self.plan.counts:
            for _ in range(times):
                self.nothing(count, "own")
                self.models("models", count, self.plan.seconds, "own")
        for count in self.plan.stock_counts:
            self.nothing(count, "stock")
        self.waits()
        for count in (self.plan.preview_few, self.plan.preview_count):
            self.previews(count)
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

    def helps(self) -> None:
        """What each command of `koreai` pays before it begins."""
        say("`koreai --help`")
        for _ in range(self.plan.helps):
            began = time.monotonic()
            subprocess.run([sys.executable, "-m", "pulumi_koreai", "--help"], stdout=subprocess.DEVNULL, check=True)
            self._done(Run("help", "own", 0, 0.0, time.monotonic() - began))

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

    def previews(self, count: int) -> None:
        """Unchanged models beside resources that do nothing under the stock host, by turns."""
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
        turns = self.plan.previews * (3 if count == self.plan.preview_few else 1)
        for turn in range(turns):
            for what, host, project in kinds:
                resources = 0 if what == "preview empty" else count
                say(f"{what}, {resources} unchanged, {NAMES[host]}: {turn + 1} of {turns}")
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
