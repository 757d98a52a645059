"""Real processes, ended at random moments: whatever is struck, one more `pulumi up` ends as declared.

Where a deploy was sent and no answer came, that `up` stops once and asks, and the next one goes on.

The seed is printed; `CHAOS_SEED=7` runs the same strikes again (their moments are real time, so what they meet differs
a little), `CHAOS_ROUNDS=300` more of them. A round takes some ten seconds, nearly all of them the engine's.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from pulumi_koreai.emulator import Emulator
from tests.processes import hosts_below, is_alive
from tests.system.engine.workspace import Model, Workspace, model, warmer
from tests.tiers import NIGHTLY

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(sys.platform != "linux", reason="which signals a host is ready for is known from /proc alone"),
]

SEED: Final = os.environ.get("CHAOS_SEED") or secrets.token_hex(4)
ROUNDS: Final = int(os.environ.get("CHAOS_ROUNDS", "30" if NIGHTLY else "6"))
HANDS: Final = 3
"""So many stacks are struck side by side, where the tests run in several processes."""

Command = Literal["up", "destroy", "refresh"]
COMMANDS: Final[tuple[Command, ...]] = ("up", "up", "up", "destroy", "refresh")

Victim = Literal["engine", "host", "engine and host", "platform"]
VICTIMS: Final[tuple[Victim, ...]] = ("engine", "host", "engine and host", "platform")
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
STRIKES: Final = tuple(product(VICTIMS, SIGNALS))


@dataclass
class PlatformProcess:
    """The emulator as a process of its own, which keeps its state on disk."""

    state: Path
    port: int = 0
    url: str = ""
    _process: "subprocess.Popen[str] | None" = field(default=None, init=False)
    _record: list[dict[str, Any]] = field(default_factory=list, init=False)
    """The requests to those processes that have ended: they are not kept on disk."""

    def start(self) -> None:
        options = ["--port", str(self.port), "--state", str(self.state), "--no-rate-limits"]
        jobs = ["--job-seconds", "1", "--undeploy-seconds", "0.5"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pulumi_koreai", "emulator", *options, *jobs],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().split()[-1]
        self.port = int(self.url.rpartition(":")[2].rstrip("/"))

    def end(self, number: signal.Signals) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._record += self._get("requests")
        self._process.send_signal(number)
        code = self._process.wait(timeout=10)
        self._process.stdout.close()
        assert code == (-number if number is signal.SIGKILL else 0)

    def _get(self, what: str) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url.rstrip('/')}/emulator/{what}", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def jobs(self) -> list[dict[str, Any]]:
        """All the jobs, the oldest first."""
        return self._get("jobs")

    def settled(self) -> None:
        """Wait, as a person before the console, until no job is under way."""
        deadline = time.monotonic() + 30
        while any(job["status"] == "IN_PROGRESS" for job in self.jobs()):
            assert time.monotonic() < deadline, "a job of a second has not ended"
            time.sleep(0.1)

    def last_deploys(self) -> dict[str, str]:
        """The last deploy job of each model."""
        return {job["modelId"]: job["id"] for job in self.jobs() if job["action"] == "DEPLOY"}

    def deployed(self) -> dict[str, float]:
        """The models that are deployed, each with its temperature."""
        return {
            each["id"]: each["deployment"]["hyperParameters"]["temperature"]
            for each in self._get("models")
            if each["state"] == "Deployed"
        }

    def take(self, model_id: str, seconds: float) -> None:
        """From now on the deploys of a model take so long."""
        url = f"{self.url.rstrip('/')}/emulator/models/{model_id}"
        body = json.dumps({"jobSeconds": seconds}).encode()
        urllib.request.urlopen(urllib.request.Request(url, body, method="PUT"), timeout=10).close()

    def sent_to_the_busy(self) -> list[str]:
        """The deploys that were sent while a job of their model was under way; each was refused."""
        requests = [*self._record, *self._get("requests")]
        return [one["path"] for one in requests if one["path"].endswith("/deploy") and one["status"] == 409]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[PlatformProcess]:
    platform = PlatformProcess(tmp_path / "platform.json")
    platform.start()
    yield platform
    platform.end(signal.SIGKILL)


@pytest.fixture
def stack(tmp_path: Path, engine_env: dict[str, str], stock_folder: Path, process: PlatformProcess) -> Workspace:
    # Of the emulator a workspace needs no more than the URL, as long as nobody asks it for what was sent.
    return Workspace(tmp_path / "project", engine_env, cast("Emulator", process), "own", stock_folder)


@dataclass
class Round:
    """One strike, and the way back."""

    stack: Workspace
    platform: PlatformProcess
    declared: dict[str, Model]
    command: Command
    jobs_before: int = field(init=False)

    def __post_init__(self) -> None:
        self.jobs_before = len(self.platform.jobs())

    def strike(
        self,
        victim: Victim,
        number: signal.Signals,
        after: float,
        away: float,
        when: Callable[[], object] = lambda: True,
    ) -> str:
        """Run the command and strike; what it printed is returned when it has ended.

        Args:
            victim: what is struck.
            number: with which signal.
            after: so many seconds after the host has begun.
            away: for so many the platform is gone, if it is that.
            when: and after this has come true.
        """
        run = subprocess.Popen(
            ["pulumi", self.command, "--yes", "--skip-preview", "--non-interactive"],
            cwd=self.stack.folder,
            env={**self.stack.env, "PULUMI_PARALLEL": "16"},
            stdin=subprocess.DEVNULL,
            stdout=(output := (self.stack.folder / "output.txt").open("w+")),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        hosts: set[int] = set()
        with output, contextlib.suppress(ProcessLookupError):
            _wait_for(lambda: hosts_below(run.pid) or run.poll() is not None, 30)
            hosts |= set(hosts_below(run.pid))
            time.sleep(after)
            _wait_for(when, 30)
            hosts |= set(hosts_below(run.pid))
            if victim == "platform":
                self.platform.end(number)
                time.sleep(away)
                self.platform.start()
            else:
                struck = hosts_below(run.pid) if victim != "engine" else []
                for pid in struck:
                    _wait_for(partial(_is_ready, pid), 10)
                for pid in [*struck, *([run.pid] if victim != "host" else [])]:
                    os.kill(pid, number)
        run.wait(timeout=60)
        assert _wait_for(lambda: not [pid for pid in hosts if is_alive(pid)], 8), "the host outlives the engine"
        return (self.stack.folder / "output.txt").read_text()

    def way_back(self) -> None:
        """What the README says to do, in its order; nothing but that."""
        folder = Path(url2pathname(urlsplit(self.stack.env["PULUMI_BACKEND_URL"]).path)) / ".pulumi" / "stacks"
        for file in folder.glob("*/test.json"):
            if not file.stat().st_size:
                shutil.copy(f"{file}.bak", file)
        self.stack.pulumi("cancel", "--yes")
        if self.stack.state().get("pending_operations"):
            self.stack.pulumi("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
        if self.command == "destroy":
            self.stack.destroy()
            return
        up = subprocess.run(
            ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"],
            cwd=self.stack.folder,
            env=self.stack.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        asked = set(re.findall(r"the outcome of the last deploy of (\S+) is unknown; nothing was sent", up.stdout))
        assert bool(asked) == (up.returncode != 0), up.stdout
        if asked:
            self._look_and_go_on(asked)
        self._want_no_second_deploy(but=asked)

    def _look_and_go_on(self, asked: set[str]) -> None:
        """Look in the console at the models that the command asks about, adopt what is as declared, and go on."""
        self.platform.settled()
        running = self.platform.deployed()
        adopted = {
            name: {**entry, "adopt": True}
            if entry["modelId"] in asked and running.get(entry["modelId"]) == entry["hyperParameters"]["temperature"]
            else entry
            for name, entry in self.declared.items()
        }
        self.stack.declare(adopted)
        self.stack.up()
        self.stack.declare(self.declared)

    def _want_no_second_deploy(self, but: set[str]) -> None:
        last: dict[str, str] = {}
        for job in self.platform.jobs()[self.jobs_before :]:
            again = job["action"] == last.get(job["modelId"]) == "DEPLOY"
            assert not again or job["modelId"] in but, f"{job['modelId']} is deployed twice"
            last[job["modelId"]] = job["action"]


def _wait_for(condition: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _answered(platform: PlatformProcess) -> bool:
    """Whether a deploy was begun, and its answer has had time to come."""
    if not platform.last_deploys():
        return False
    time.sleep(0.5)
    return True


def _is_ready(host: int) -> bool:
    """Whether the host catches SIGTERM, or is gone. Before that a signal is Python's affair, not this package's."""
    with contextlib.suppress(OSError):
        (caught,) = re.findall(r"SigCgt:\s*(\w+)", Path(f"/proc/{host}/status").read_text())
        return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)
    return True


def declaration(rng: Random) -> dict[str, Model]:
    """Some of four models, each as it may be declared."""
    kinds: tuple[Callable[[int], Model | None], ...] = (
        model,
        model,
        warmer,
        lambda number: warmer(number, updateStrategy="redeploy"),
        lambda number: model(number, deployed=False),
        lambda _number: None,
    )
    chosen = {f"model-{number}": rng.choice(kinds)(number) for number in range(4)}
    return {name: entry for name, entry in chosen.items() if entry}


@pytest.mark.parametrize("hand", range(HANDS))
def test_whatever_is_struck_the_way_back_ends_as_declared(
    stack: Workspace, process: PlatformProcess, hand: int
) -> None:
    rng = Random(f"{SEED}-{hand}")
    stack.declare(declaration(rng))
    stack.up()
    strikes = [rng.choice(STRIKES) for _ in range(0, ROUNDS - hand, HANDS)]
    for number, (victim, sent) in enumerate(strikes):
        declared = declaration(rng)
        command = rng.choice(COMMANDS)
        after, away = rng.uniform(0, 2.5), rng.uniform(0.1, 1.5)
        what = f"seed {SEED}, hand {hand}, round {number}: {sent.name} to the {victim} {after:.2f} s into {command}"
        print(what)
        stack.declare(declared)
        round_ = Round(stack, process, declared, command)
        output = round_.strike(victim, sent, after, away)
        assert not re.search(r"Traceback|Exception calling application", output), f"{what}\n{output}"
        round_.way_back()
        wanted = {
            entry["modelId"]: entry["hyperParameters"]["temperature"]
            for entry in declared.values()
            if entry.get("deployed", True) and command != "destroy"
        }
        assert process.deployed() == wanted, f"{what}\n{output}"
        assert process.sent_to_the_busy() == [], f"{what}\n{output}"
        assert not stack.state().get("pending_operations"), what


FORGETS_JOBS = """
from pulumi_koreai.core import recovery

recovery.open_call = lambda *_, **__: None
"""


@pytest.fixture(params=[False, True], ids=["as it is", "with broken rules"])
def broken(request: pytest.FixtureRequest, stack: Workspace, tmp_path: Path) -> bool:
    """Whether the rules that the stack is run by forget what the journal has."""
    if request.param:
        (tmp_path / "sitecustomize.py").write_text(FORGETS_JOBS)
        stack.env["PYTHONPATH"] = str(tmp_path)
    return bool(request.param)


def test_a_second_deploy_would_be_seen(stack: Workspace, process: PlatformProcess, broken: bool) -> None:
    declared = {"model-1": warmer()}
    stack.declare(declared)
    round_ = Round(stack, process, declared, "up")
    round_.strike("host", signal.SIGKILL, 0.3, 0.0, when=process.last_deploys)
    with pytest.raises(AssertionError, match="is deployed twice") if broken else contextlib.nullcontext():
        round_.way_back()


def test_a_second_deploy_at_the_same_time_would_be_seen(
    stack: Workspace, process: PlatformProcess, broken: bool
) -> None:
    process.take("cm-1", seconds=15)  # more than the next command needs to begin
    declared = {"model-1": warmer(updateStrategy="redeploy")}
    stack.declare(declared)
    Round(stack, process, declared, "up").strike("engine", signal.SIGKILL, 1.0, 0.0, when=partial(_answered, process))
    stack.pulumi("cancel", "--yes")
    stack.up()  # by the README without waiting for anything
    assert process.sent_to_the_busy()[:1] == (["/api/public/models/cm-1/deploy"] if broken else [])
