"""The workflows' own steps, taken from their files and run as a runner runs them."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import filelock
import pytest
import yaml

from tests.pipeline.forges import TOKEN, ForgeServer
from tests.pipeline.projects import initialised, yaml_of
from tests.system.engine.workspace import KEY, ROOT, Ended, Workspace

WORKFLOWS = ROOT / ".github" / "workflows"

_LINTER = ROOT / "tools" / "actionlint"

MERGE = "e" * 40
"""The commit that GitHub makes of a pull request for its run."""

Name = Literal["preview", "up", "drift"]


def workflow(name: str) -> dict[str, Any]:
    """A workflow of GitHub Actions; its `on` is spelled True, as YAML 1.1 has it."""
    read: dict[str, Any] = yaml.safe_load((WORKFLOWS / f"{name}.yml").read_text())
    return read


def linter() -> Path:
    """The actionlint of the PATH, else the pinned one, built with Go and kept with the engine."""
    if found := shutil.which("actionlint"):
        return Path(found)
    if shutil.which("go") is None:
        pytest.fail("The workflows can't be checked: neither `actionlint` nor `go`, to build it, is on the PATH.")
    version = re.search(r"rhysd/actionlint v(\S+)", (_LINTER / "go.mod").read_text())
    assert version
    folder = Path.home() / ".cache" / "pulumi-koreai" / f"actionlint-{version[1]}"
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / "lock"):
        if not (folder / "actionlint").exists():
            package = "github.com/rhysd/actionlint/cmd/actionlint"
            subprocess.run(
                ["go", "build", "-mod=readonly", "-trimpath", "-o", f"{folder}/", package], cwd=_LINTER, check=True
            )
    return folder / "actionlint"


@cache
def gitlab_pipeline() -> dict[str, Any]:
    """The pipeline that `koreai init --ci gitlab` writes for the stack `production`."""
    with tempfile.TemporaryDirectory() as folder:
        initialised(Path(folder), stack="production", ci="gitlab")
        return yaml_of(Path(folder, ".gitlab-ci.yml"))


@dataclass
class Runner:
    """Runs a pipeline's steps in a workspace's project, whose only stack is `test`.

    Attributes:
        workspace: the project; its stack's file has no key.
        forge: what the steps write to.
        scratch: a folder for the files that GitHub's runner gives a step.
        values: what GitHub's expressions stand for.
    """

    workspace: Workspace
    forge: ForgeServer
    scratch: Path
    values: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.values = {
            "join(fromJSON(vars.KOREAI_STACKS), ' ')": "test",
            "matrix.stack": "test",
            "github.token": TOKEN,
            "secrets.KOREAI_API_KEY": KEY,
            "secrets.PULUMI_ACCESS_TOKEN": "",
            "secrets.PULUMI_BACKEND_URL": self.workspace.env["PULUMI_BACKEND_URL"],
            "secrets.PULUMI_CONFIG_PASSPHRASE": self.workspace.env["PULUMI_CONFIG_PASSPHRASE"],
            "secrets.PGPASSWORD": "",
        }

    def start(self, name: Name, job: str, *, pull_request: bool = False, sha: str = "") -> "subprocess.Popen[str]":
        """Begin the one step of a job of GitHub's that calls the pipeline."""
        steps = workflow(name)["jobs"][job]["steps"]
        (step,) = (step for step in steps if re.search(r"koreai (preview|up|drift) ", step.get("run", "")))
        for file in ("page", "output"):
            (self.scratch / file).write_text("")
        (self.scratch / "event").write_text(json.dumps({"pull_request": {"head": {"sha": self.forge.head}}}))
        given = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.forge.url,
            "GITHUB_SERVER_URL": "https://forge.example.com",
            "GITHUB_REPOSITORY": "team/models",
            "GITHUB_RUN_ID": "1234",
            "GITHUB_REF": "refs/pull/7/merge" if pull_request else "refs/heads/main",
            "GITHUB_SHA": MERGE if pull_request else sha or self.forge.tip,
            "GITHUB_EVENT_PATH": str(self.scratch / "event"),
            "GITHUB_STEP_SUMMARY": str(self.scratch / "page"),
            "GITHUB_OUTPUT": str(self.scratch / "output"),
        }
        asked = {key: self._value(str(text)) for key, text in step.get("env", {}).items()}
        return self._start(step["run"], given | asked)

    def run(self, name: Name, job: str, *, pull_request: bool = False, sha: str = "") -> Ended:
        """Run it to its end."""
        return _ended(self.start(name, job, pull_request=pull_request, sha=sha))

    def gitlab(self, job: str, **more: str) -> Ended:
        """Run the script of a job of GitLab's pipeline."""
        read = gitlab_pipeline()
        given = {
            "GITLAB_CI": "true",
            "CI_API_V4_URL": self.forge.url,
            "CI_PROJECT_ID": "31",
            "CI_COMMIT_SHA": self.forge.head,
            "CI_JOB_URL": "https://forge.example.com/jobs/1234",
            "GITLAB_TOKEN": TOKEN,
            "KOREAI_API_KEY": KEY,
            **{key: str(text) for key, text in read[job].get("variables", {}).items()},
            **more,
            "STACKS": "test",
            "STACK": "test",
        }
        return _ended(self._start("\n".join(read[job]["script"]), given))

    def by_hand(self, arguments: str) -> Ended:
        """Run the pipeline's program on a terminal that no forge has lent."""
        return _ended(self._start(f".venv/bin/koreai {arguments}", {"KOREAI_API_KEY": KEY}))

    def _start(self, script: str, given: Mapping[str, str]) -> "subprocess.Popen[str]":
        # What the workflow does not hand to the step is not there.
        kept = {key: text for key, text in self.workspace.env.items() if not key.startswith("KOREAI_")}
        return subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.workspace.folder,
            env={**kept, **given},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def _value(self, text: str) -> str:
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda expression: self.values[expression[1]], text)

    @property
    def page(self) -> str:
        """What the last step showed on its run's page."""
        return (self.scratch / "page").read_text()

    @property
    def stacks(self) -> list[str]:
        """What the last step handed on to the job `up`."""
        stacks: list[str] = json.loads((self.scratch / "output").read_text().removeprefix("stacks="))
        return stacks


def _ended(process: "subprocess.Popen[str]") -> Ended:
    output, _ = process.communicate(timeout=240)
    return Ended(process.returncode, output)
