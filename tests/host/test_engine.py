"""Both hosts under the real engine: what it stores, what it shows, how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.host.harness import OURS, STOCK, until
from tests.processes import is_alive

pytestmark = pytest.mark.engine

# A module beside the program, as people have them: its class is pickled by name.
THINGS = '''
import time
from pathlib import Path

from pulumi.dynamic import *

from pulumi_koreai.host import *


class Job(ResourceProvider):
    """A job of `seconds`; `fail` and `diff` choose what goes wrong, `calls` is a file that each call is written to."""

    def log(self, what, props):
        if path := props.get("calls"):
            with Path(path).open("a") as file:
                file.write(f"{what} {current_call().name} {current_call().timeout}\\n")

    def diff(self, id_, olds, news):
        changed = [key for key in news if key != "__provider" and news[key] != olds.get(key)]
        if not changed:
            return DiffResult(False)
        current_call().note(f"{current_call().name} will be cut off")
        return DetailedDiff(detailed={key: "update" for key in changed})

    def work(self, what, props):
        self.log(what, props)
        call = current_call()
        try:
            for step in range(int(props.get("seconds", 0) * 10)):
                call.progress(f"job of {call.name}: step {step}")
                call.sleep(0.1)
        except Cancelled:
            self.log(f"ended {time.time()}", props)
            raise PartialFailure("job", {**props, "state": "running"}, [f"job of {call.name} goes on"])
        if props.get("fail") == "partial":
            raise PartialFailure("job", {**props, "state": "failed"}, ["the job failed:\\nout of memory"])
        if props.get("fail") == "whole":
            try:
                raise OSError("no route to host")
            except OSError as error:
                raise RuntimeError("the job was not sent\\nask again") from error
        return {**props, "state": "done"}

    def create(self, props):
        return CreateResult("job", self.work("create", props))

    def update(self, id_, olds, news):
        return UpdateResult({**self.work("update", news), "was": olds.get("state")})

    def read(self, id_, props):
        self.log("read", props)
        if props.get("fail") == "read":
            raise PartialFailure(id_, {**props, "state": "unclear"}, ["nobody knows"])
        return ReadResult(id_, props)

    def delete(self, id_, props):
        self.log("delete", props)
        if props.get("fail") == "delete":
            current_call().sleep(60)


class R(Resource, module="tests", name="Job"):
    def __init__(self, name, props, opts=None):
        super().__init__(Job(), name, {"state": None, "was": None, **props}, opts)
'''

JOBS = """
import pulumi, things
from pulumi_koreai.host.program import follow_the_engine
follow_the_engine()
config = pulumi.Config()
keep = ("calls", "fail", "x")
for number in range(config.get_int("n") or 1):
    things.R(
        f"r{number}",
        {"seconds": config.get_float("seconds") or 0, **{key: config.get(key) for key in keep}},
        pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="90s")),
    )
"""

# Every shape whose result the engine stores, by name and by value, with unknowns in the preview.
SHAPES = """
import pulumi
from pulumi.dynamic import *

config = pulumi.Config()
step = config.get_int("step") or 1
secret = config.require_secret("key")


class Inline(ResourceProvider):
    def __init__(self, kept):
        super().__init__()
        self.kept = kept

    def configure(self, req):
        self.region, self.key = req.config.get("region"), req.config.require("key")

    def check(self, olds, news):
        return CheckResult({"default": 1.5, **news}, [])

    def diff(self, id_, olds, news):
        return DiffResult(
            changes=None if news.get("engine") else news.get("x") != olds.get("x"),
            replaces=["x"] if news.get("replace") and news["x"] != olds["x"] else [],
            delete_before_replace=bool(news.get("first")),
        )

    def create(self, props):
        kept = self.kept.get() if isinstance(self.kept, pulumi.Output) else self.kept
        return CreateResult(f"id-{props['x']}", {**props, "kept": kept, "region": self.region, "none": None})

    def update(self, id_, olds, news):
        return UpdateResult({**news, "was": olds["x"], "length": len(self.key)})

    def read(self, id_, props):
        if props.get("gone"):
            return ReadResult("", {})
        if props.get("drift"):
            return ReadResult(id_, {**props, "drifted": True}, {"x": 100, "drift": True})
        return ReadResult(id_, props)


class Bare(ResourceProvider):
    def create(self, props):
        return CreateResult("bare", {"only": "this"})


class Failing(Bare):
    def create(self, props):
        raise RuntimeError("it failed")


class R(Resource, module="tests", name="Inline"):
    outputs = {key: None for key in ("kept", "region", "was", "length", "drifted", "only")}

    def __init__(self, name, provider, props, opts=None):
        super().__init__(provider, name, {**self.outputs, **props}, opts)


a = R("a", Inline({"deep": [1, {"b": None}]}), {"x": step, "text": "ü", "list": [1, 2.5, {"c": [True]}]})
R("of-another", Inline([]), {"x": a.was.apply(lambda was: str(was)), "deep": {"key": [secret, a.id]}})
R("bare", Bare(), {"x": step})
R("by-the-engine", Inline(0), {"x": step, "engine": True})
R("replaced", Inline(1), {"x": step, "replace": True})
R("replaced-first", Inline(1), {"x": step, "replace": True, "first": True})
R("secret", Inline(secret), {"x": step}, pulumi.ResourceOptions(additional_secret_outputs=["x"]))
R("gone", Inline(1), {"x": 1, "gone": True})
R("drift", Inline(1), {"x": 1, "drift": True})
if config.get_bool("failing"):
    R("failing", Failing(), {"x": 1})
pulumi.export("only", a.region)
"""


class Project:
    """A program with a stack, and one of the hosts."""

    def __init__(self, folder: Path, env: dict[str, str], program: str, host: Sequence[str] = OURS) -> None:
        self.folder = folder
        (folder / "state").mkdir(parents=True)
        self.env = {**env, "PULUMI_BACKEND_URL": f"file://{folder / 'state'}", "PULUMI_PARALLEL": "100"}
        plugin = folder / "bin" / "pulumi-resource-pulumi-python"
        plugin.parent.mkdir()
        # It notes its process id, for the tests that look for it.
        plugin.write_text(f'#!/bin/sh\necho $$ >> {folder}/pids\nexec {sys.executable} {" ".join(host)} "$@"\n')
        plugin.chmod(0o755)
        (folder / "Pulumi.yaml").write_text(
            "name: shop\n"
            f"runtime: {{name: python, options: {{virtualenv: {sys.prefix}}}}}\n"
            f"plugins: {{providers: [{{name: pulumi-python, path: {plugin.parent}}}]}}\n"
        )
        (folder / "things.py").write_text(THINGS)
        (folder / "__main__.py").write_text(program)
        self.pulumi("stack", "init", "dev")

    def pulumi(self, *args: str, fails: bool | None = False) -> str:
        done = subprocess.run(
            ["pulumi", *args],
            check=False,
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert fails is None or (done.returncode != 0) is fails, done.stdout
        return done.stdout

    def set(self, **config: object) -> None:
        for key, value in config.items():
            self.pulumi("config", "set", key, str(value))

    def start(self, *args: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["pulumi", *args],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def deployment(self) -> dict[str, Any]:
        exported: dict[str, Any] = json.loads(self.pulumi("stack", "export", "--show-secrets"))["deployment"]
        return exported

    def resources(self) -> list[dict[str, Any]]:
        return [one for one in self.deployment().get("resources", []) if ":dynamic" in one["type"]]

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def hosts(self) -> list[int]:
        """The processes of hosts that are alive."""
        return [int(pid) for pid in (self.folder / "pids").read_text().split() if is_alive(int(pid))]


Make = Callable[..., Project]


@pytest.fixture
def make(engine_env: dict[str, str], tmp_path: Path) -> Make:
    def made(program: str, host: Sequence[str] = OURS, name: str = "project") -> Project:
        return Project(tmp_path / name, engine_env, program, host)

    return made


@pytest.fixture
def jobs(make: Make) -> Project:
    project = make(JOBS)
    project.set(calls=project.folder / "calls")
    return project


NOT_COMPARED = ("created", "modified", "sourcePosition", "stackTrace")


def comparable(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    """The resources without what differs from one run of the same host to the next: times, order, random ids."""
    # The default provider's id is random, and each resource refers to it.
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "random", json.dumps(deployment["resources"]))
    resources = [{key: one[key] for key in one if key not in NOT_COMPARED} for one in json.loads(text)]
    return sorted(resources, key=lambda one: (one["urn"], one.get("id", "")))


def test_the_engine_stores_the_same_under_both_hosts(make: Make) -> None:
    states: dict[str, list[Any]] = {}
    for name, host in ("stock", STOCK), ("ours", OURS):
        # The same folder for both: a class pickled by value carries the path of its file.
        project = make(SHAPES, host)
        project.set(region="north")
        project.pulumi("config", "set", "--secret", "key", "hush")
        states[name] = []

        def then(*args: str, fails: bool = False, project: Project = project, states: list[Any] = states[name]) -> None:
            project.pulumi(*args, fails=fails)
            states.append(comparable(project.deployment()))

        then("up", "-y")
        then("up", "-y", "-c", "step=2")
        then("up", "-y", "--skip-preview", "-c", "failing=true", fails=True)
        then("refresh", "-y", "--skip-preview")
        then("up", "-y", "--skip-preview", "-c", "failing=false")
        project.pulumi("destroy", "-y", "--skip-preview")
        assert "resources" not in project.deployment()
        project.folder.rename(project.folder.with_name(name))
    assert len(states["stock"][0]) == 11  # nine, the stack and the default provider
    for stock, ours in zip(states["stock"], states["ours"], strict=True):
        assert ours == stock


def test_a_half_made_create_is_kept_and_the_next_up_updates_it(jobs: Project) -> None:
    jobs.set(fail="partial")
    shown = jobs.pulumi("up", "-y", "--skip-preview", fails=True)
    assert "the job failed:" in shown
    assert "out of memory" in shown
    assert "Traceback" not in shown
    (kept,) = jobs.resources()
    assert (kept["id"], kept["outputs"]["state"]) == ("job", "failed")
    assert kept["initErrors"] == ["the job failed:\nout of memory"]

    jobs.set(fail="no")
    jobs.pulumi("up", "-y", "--skip-preview")
    (done,) = jobs.resources()
    assert (done["outputs"]["state"], done["outputs"]["was"]) == ("done", "failed")
    assert "initErrors" not in done
    assert jobs.calls() == ["create r0 90.0", "update r0 None"]


def test_an_unchanged_half_made_resource_is_updated_too(jobs: Project) -> None:
    jobs.set(fail="partial")
    jobs.pulumi("up", "-y", "--skip-preview", fails=True)
    jobs.pulumi("up", "-y", "--skip-preview", fails=True)
    assert jobs.calls() == ["create r0 90.0", "update r0 None"]


def test_a_refresh_may_say_that_something_is_wrong(jobs: Project) -> None:
    jobs.set(fail="read", x=1)
    jobs.pulumi("up", "-y", "--skip-preview")
    assert "nobody knows" in jobs.pulumi("refresh", "-y", "--skip-preview")
    (kept,) = jobs.resources()
    assert kept["initErrors"] == ["nobody knows"]
    assert kept["outputs"]["state"] == "unclear"
    assert kept["inputs"]["x"] == "1"


def test_large_outputs_survive_a_partial_failure(jobs: Project) -> None:
    jobs.set(fail="partial")
    (jobs.folder / "__main__.py").write_text(
        JOBS.replace("config.get(key) for", '(config.get(key) or "y" * 400_000) for')
    )
    jobs.pulumi("up", "-y", "--skip-preview", fails=True)
    (kept,) = jobs.resources()
    assert len(kept["outputs"]["x"]) == 400_000


def test_progress_is_seen_in_a_pipeline_s_log(jobs: Project) -> None:
    jobs.set(seconds=2)
    shown = jobs.pulumi("up", "-y", "--skip-preview")
    steps = [line for line in shown.splitlines() if "job of r0: step" in line]
    assert 2 <= len(steps) <= 4
    assert "step" not in shown.partition("Diagnostics:")[2]


def test_a_preview_says_what_diff_noted_and_which_properties_differ(jobs: Project) -> None:
    jobs.set(x=1)
    jobs.pulumi("up", "-y", "--skip-preview")
    jobs.set(x=2)
    assert "r0 will be cut off" in jobs.pulumi("preview")
    told = json.loads(jobs.pulumi("preview", "--json").partition("{")[2].join(["{", ""]))
    assert [line["message"] for line in told["diagnostics"]] == ["r0 will be cut off\n"]
    (step,) = (step for step in told["steps"] if step["op"] == "update")
    assert step["detailedDiff"] == {"x": {"kind": "update", "inputDiff": True}}
    assert jobs.calls() == ["create r0 90.0"]


def test_an_error_is_one_message_and_debug_shows_the_rest(jobs: Project) -> None:
    jobs.set(fail="whole")
    shown = jobs.pulumi("up", "-y", "--skip-preview", fails=True)
    assert "error: the job was not sent\n    ask again\n      caused by: no route to host\n" in shown
    assert "Traceback" not in shown
    assert jobs.resources() == []
    shown = jobs.pulumi("up", "-y", "--skip-preview", "--debug", fails=True)
    assert "debug: Traceback" in shown


def started(jobs: Project, engine: "subprocess.Popen[str]", count: int) -> None:
    path = jobs.folder / "calls"
    assert until(lambda: path.exists() and len(jobs.calls()) >= count, 60), engine.poll()
    time.sleep(0.5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_with_fifty_waits_nothing_is_lost(jobs: Project, number: signal.Signals) -> None:
    jobs.set(n=50, seconds=60)
    engine = jobs.start("up", "-y", "--skip-preview")
    started(jobs, engine, 50)
    began = time.time()
    os.kill(engine.pid, number)
    shown = engine.communicate(timeout=20)[0]
    engine_seconds = time.time() - began
    ended = [float(line.split()[1]) - began for line in jobs.calls() if line.startswith("ended")]
    assert shown.count("goes on") >= 50
    kept = jobs.resources()
    assert len(kept) == 50
    assert all(one["outputs"]["state"] == "running" and one["initErrors"] for one in kept)
    assert not jobs.deployment().get("pending_operations")
    assert len(ended) == 50
    assert max(ended) < 2
    assert engine_seconds < 8
    assert jobs.hosts() == []


def test_an_interrupted_delete_keeps_the_resource(jobs: Project) -> None:
    jobs.set(fail="delete")
    jobs.pulumi("up", "-y", "--skip-preview")
    engine = jobs.start("destroy", "-y", "--skip-preview")
    started(jobs, engine, 2)
    os.kill(engine.pid, signal.SIGINT)
    shown = engine.communicate(timeout=10)[0]
    assert "error: cancelled" in shown
    (kept,) = jobs.resources()
    assert kept["outputs"]["state"] == "done"
    assert not jobs.deployment().get("pending_operations")


def test_a_killed_engine_takes_the_host_with_it(jobs: Project) -> None:
    jobs.set(n=5, seconds=60)
    engine = jobs.start("up", "-y", "--skip-preview")
    started(jobs, engine, 5)
    assert len(jobs.hosts()) == 1
    engine.kill()
    assert until(lambda: not jobs.hosts(), 1.0)
    os.killpg(engine.pid, signal.SIGKILL)  # what else it started, which holds its stdout
    engine.communicate(timeout=10)
    # A wait may still note that it was ended before the host is gone; nothing was begun.
    assert len([line for line in jobs.calls() if line.startswith("create ")]) == 5
