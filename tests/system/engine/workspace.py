"""A project, a stack and a platform of a test's own, driven by the real engine as a user would."""

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
import yaml

from pulumi_koreai.emulator import Emulator

ROOT = Path(__file__).resolve().parents[3]
KEY = "key-of-these-tests-5e1f0c"

Host = Literal["stock", "own"]
BOTH_HOSTS = pytest.mark.parametrize("host", ["stock", "own"], indirect=True)
"""For a test that is about the host; the others run under this package's, and at night under both."""
Model = dict[str, Any]


def model(number: int = 1, **changes: object) -> Model:
    """An entry of a stack's file, with the vendor's own keys."""
    return {
        "modelId": f"cm-{number}",
        "deploymentName": f"model-{number}",
        "deviceType": "g5.xlarge",
        "hyperParameters": {"temperature": 0.5, "maxTokens": 128, "topP": 1, "topK": 10},
        **changes,
    }


def warmer(number: int = 1, **changes: object) -> Model:
    """The same model with another parameter."""
    hyper_parameters = {**model()["hyperParameters"], "temperature": 0.9}
    return model(number, hyperParameters=hyper_parameters, **changes)


# What the SDK and the stock host add to an error, of which nothing is for the user.
_NOISE = ("Traceback", "KeyboardInterrupt", "Resource monitor has terminated")


def noise(output: str) -> list[str]:
    """The lines of a command's output that are no message for the user."""
    return [line for line in output.splitlines() if any(word in line for word in _NOISE)]


@dataclass
class Ended:
    """A command that has ended: its exit status and all that it printed."""

    code: int
    output: str


@cache
def _prepared(path: str, passphrase: str) -> Path:
    """An empty stack `test` with the key in its file, made by the real engine: its backend and its file, to be copied.

    Made once in a process: `stack init` and `config set` take a test's time four times over.
    """
    made = Path(tempfile.mkdtemp(prefix="prepared-stack-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    (made / "state").mkdir()
    (made / "stacks").mkdir()
    shutil.copy(ROOT / "Pulumi.yaml", made / "Pulumi.yaml")
    env = {
        **os.environ,
        "PATH": path,
        "PULUMI_BACKEND_URL": (made / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": passphrase,
        "PULUMI_HOME": str(made / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    for command in (["stack", "init", "test"], ["config", "set", "--secret", "koreai:apiKey", "--stack", "test"]):
        subprocess.run(
            ["pulumi", *command, "--non-interactive"],
            cwd=made,
            env=env,
            input=KEY,
            text=True,
            check=True,
            timeout=240,
            stdout=subprocess.DEVNULL,
        )
    shutil.move(made / "stacks" / "Pulumi.test.yaml", made / "Pulumi.test.yaml")
    return made


@dataclass
class Workspace:
    """One stack of this project's own program.

    Attributes:
        folder: the project.
        env: the environment of the engine.
        emulator: the platform.
        host: the dynamic provider host that serves the next command.
        stock_folder: where the stock host's script is.
    """

    folder: Path
    env: dict[str, str]
    emulator: Emulator
    host: Host
    stock_folder: Path
    _seen: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        (self.folder / "stacks").mkdir(parents=True)
        shutil.copy(ROOT / "__main__.py", self.folder / "__main__.py")
        (self.folder / ".venv").symlink_to(sys.prefix)
        self.use(self.host)
        self.env["PULUMI_STACK"] = "test"
        backend = self.env["PULUMI_BACKEND_URL"]
        if backend.startswith("file://"):
            prepared = _prepared(self.env["PATH"], self.env["PULUMI_CONFIG_PASSPHRASE"])
            shutil.copytree(prepared / "state", url2pathname(urlsplit(backend).path), dirs_exist_ok=True)
            shutil.copy(prepared / "Pulumi.test.yaml", self._stack_file)
        else:
            self.pulumi("stack", "init", "test")
            self.set_key(KEY)
        self.config = yaml.safe_load(self._stack_file.read_text())
        self.config["config"] |= {"koreai:host": self.emulator.url, "koreai:pollMinSeconds": "0.2"}
        self._stack_file.write_text(yaml.safe_dump(self.config, sort_keys=False))

    @property
    def _stack_file(self) -> Path:
        return self.folder / "stacks" / "Pulumi.test.yaml"

    def use(self, host: Host) -> None:
        """From now on this host serves the stack."""
        self.host = host
        project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
        if host == "stock":
            project["plugins"]["providers"] = [{"name": "pulumi-python", "path": str(self.stock_folder)}]
        (self.folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))

    def set_key(self, key: str) -> None:
        """From now on the stack's configuration has this API key."""
        self.pulumi("config", "set", "--secret", "koreai:apiKey", given=key)
        self.config = yaml.safe_load(self._stack_file.read_text())

    def declare(self, models: Mapping[str, object] | None = None, /, **more: object) -> None:
        """Write the stack's file."""
        self.set_config({"koreai:models": {**(models or {}), **more}})

    def set_config(self, changes: Mapping[str, object]) -> None:
        """Write further configuration into the stack's file."""
        self.config["config"] |= changes
        self._stack_file.write_text(yaml.safe_dump(self.config, sort_keys=False))

    def program(self, text: str) -> None:
        """Take another program than the project's own."""
        (self.folder / "__main__.py").write_text(text)

    def pulumi(
        self,
        *arguments: str,
        fails: bool = False,
        noisy: bool = False,
        env: Mapping[str, str] | None = None,
        given: str = "",
    ) -> Ended:
        """Run a command; it has to end as foretold, and without noise unless it is foretold."""
        ended = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env={**self.env, **(env or {})},
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        assert (ended.returncode != 0) is fails, ended.stdout
        assert noisy or not noise(ended.stdout), ended.stdout
        return Ended(ended.returncode, ended.stdout)

    def begin_up(self, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """Start `pulumi up`, in a process group of its own, as a shell does."""
        return subprocess.Popen(
            ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"],
            cwd=self.folder,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def up(self, *, fails: bool = False) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", fails=fails).output

    def preview(self, *options: str, fails: bool = False) -> str:
        return self.pulumi("preview", *options, fails=fails).output

    def refresh(self) -> str:
        return self.pulumi("refresh", "--yes", "--skip-preview").output

    def destroy(self, *, fails: bool = False) -> str:
        return self.pulumi("destroy", "--yes", "--skip-preview", fails=fails).output

    def let_jobs_end(self) -> None:
        """The jobs under way end now, and later ones take no time."""
        with self.emulator.lock:
            for job in self.emulator.platform.jobs():
                job.seconds = 0
        for model_id in {job.model_id for job in self.emulator.jobs()}:
            self.emulator.set_model(model_id, job_seconds=0.3)

    def state(self) -> dict[str, Any]:
        exported: dict[str, Any] = json.loads(self.pulumi("stack", "export").output)["deployment"]
        return exported

    def resource(self, name: str) -> dict[str, Any]:
        """A model's resource as the state has it."""
        found: dict[str, Any]
        (found,) = (item for item in self.state()["resources"] if item["urn"].endswith(f":ModelDeployment::{name}"))
        return found

    def outputs(self, name: str) -> dict[str, Any]:
        outputs: dict[str, Any] = self.resource(name)["outputs"]
        return outputs

    def sent(self) -> list[str]:
        """What was asked of the platform since the last look, several looks at one job in a row as one.

        `deploy cm-1`, `undeploy cm-1`, `wait deploy cm-1`.
        """
        requests = [entry for entry in self.emulator.requests() if entry.number > self._seen]
        jobs = {job.id: f"wait {job.action.lower()} {job.model_id}" for job in self.emulator.jobs()}
        told: list[str] = []
        for entry in requests:
            self._seen = entry.number
            post = re.fullmatch(r"/api/public/models/([^/]+)/(deploy|undeploy)", entry.path)
            line = f"{post[2]} {post[1]}" if post else jobs[entry.path.rsplit("/", 1)[-1]]
            if not (told and told[-1] == line and line.startswith("wait")):
                told.append(line)
        return told
