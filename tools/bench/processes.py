"""The processes of a measurement: the engine's memory, the emulator, a project and its commands."""

import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from bench.plan import BenchError, Host, Jobs
from bench.programs import EMPTY_PROGRAM, MODELS_PROGRAM, NOTHING_PROGRAM, NOTHING_PROVIDER

CLONE: Final = Path(__file__).resolve().parents[2]


STACK: Final = "bench"


STOP_SECONDS: Final = 15.0


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
    """Whether a command line is that of a host: what its script turns into."""
    python = b"python" in arguments[0].rpartition(b"/")[2]
    return python and (b"pulumi.dynamic" in arguments or b"pulumi_koreai.host" in arguments)


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
            [sys.executable, "-m", "pulumi_koreai", "emulator", *options, *([] if limits else ["--no-rate-limits"])],
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


def say(what: str) -> None:
    """A line before each step."""
    print(f"== {what}", flush=True)
