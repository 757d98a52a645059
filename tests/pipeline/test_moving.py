"""docs/moving.md, step by step: its own commands, the real engine and the emulator (report R10)."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.system.engine.workspace import KEY, ROOT, Ended, Workspace

PAGE = (ROOT / "docs" / "moving.md").read_text()
BLOCKS = re.findall(r"^```(bash|yaml)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
MODEL_ID = "cm-66999999-fbd8-5f0b-8bf5-419999999990"
GIT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{f"GIT_{who}_{what}": "ann@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


class Project:
    """The page's two stacks; on `origin/main` the model is in `production`, and it is deployed from there."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        del workspace.env["PULUMI_STACK"]
        workspace.env |= GIT
        workspace.env["PATH"] = os.pathsep.join([str(workspace.folder / ".venv" / "bin"), workspace.env["PATH"]])
        self._file("test").unlink()
        for stack in ("production", "support"):
            workspace.pulumi("stack", "init", stack)
        (text,) = (text for kind, text in BLOCKS if kind == "yaml")
        entries: dict[str, dict[str, Any]] = yaml.safe_load(text)
        self.adopting = entries["chat"]
        self.entry = {key: value for key, value in self.adopting.items() if key != "adopt"}
        self.declare("production", chat=self.entry)
        self.declare("support")
        self.run("git init -q -b main && git add stacks && git commit -qm before")
        self.run("git update-ref refs/remotes/origin/main HEAD")
        workspace.pulumi("up", "--yes", "--skip-preview", "--stack", "production")
        workspace.sent()

    def _file(self, stack: str) -> Path:
        return self.workspace.folder / "stacks" / f"Pulumi.{stack}.yaml"

    def declare(self, stack: str, **models: object) -> None:
        file = self._file(stack)
        read = yaml.safe_load(file.read_text()) if file.exists() else {}
        config = {
            "koreai:host": self.workspace.emulator.url,
            "koreai:pollMinSeconds": "0.2",
            "koreai:models": models,
        }
        file.write_text(yaml.safe_dump({**(read or {}), "config": config}, sort_keys=False))

    def run(self, script: str, *, code: int | None = 0) -> Ended:
        ended = subprocess.run(
            ["bash", "-c", f"set -e\n{script}"],
            cwd=self.workspace.folder,
            env=self.workspace.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=240,
        )
        assert (ended.returncode != 0) if code is None else ended.returncode == code, ended.stdout
        assert KEY not in ended.stdout
        return Ended(ended.returncode, ended.stdout)

    def runs(self) -> bool:
        return self.workspace.emulator.model(MODEL_ID).state == "Deployed"


@pytest.fixture
def project(workspace: Workspace) -> Project:
    return Project(workspace)


@pytest.mark.engine
def test_a_model_moves_without_a_request(project: Project) -> None:
    check, release, preview, up = (text for kind, text in BLOCKS if kind == "bash")
    project.declare("production")
    project.declare("support", chat=project.entry)
    assert "write `adopt: true` in the new entry" in project.run(check, code=1).output
    project.declare("support", chat=project.adopting)
    assert f"note: chat: modelId: {MODEL_ID} moves from entry chat of stack production" in project.run(check).output

    refused = project.run(preview, code=3).output
    assert refused.startswith("**Refused: 1 model would be undeployed while another stack declares it.**")
    # What the comment has is what the page has, and what is pasted from it does it.
    assert release in refused
    assert project.workspace.sent() == []

    project.run(release)
    seen = project.run(preview).output
    assert "adopted" in seen
    assert "No caller is cut off" in seen
    project.run(up)
    assert project.workspace.sent() == []
    assert project.runs()


@pytest.mark.nightly
def test_a_model_that_was_moved_without_the_steps_is_brought_back(project: Project) -> None:
    project.declare("production")
    project.declare("support", chat=project.entry)
    project.run("koreai up support && koreai up production")
    assert not project.runs(), "R10: both were green"
    project.declare("support", chat={**project.entry, "deployed": False})
    project.run("koreai up support")
    project.workspace.sent()
    project.declare("support", chat=project.entry)
    project.run("koreai up support")
    assert project.workspace.sent() == [f"deploy {MODEL_ID}", f"wait deploy {MODEL_ID}"]
    assert project.runs()


@pytest.mark.nightly
def test_a_model_that_is_protected_or_depended_on_moves_as_the_page_says(project: Project) -> None:
    _, release, _, up = (text for kind, text in BLOCKS if kind == "bash")
    other = {**project.entry, "modelId": "cm-2"}
    project.declare("production", chat={**project.entry, "protect": True}, other={**other, "dependsOn": ["chat"]})
    project.run("koreai up production")
    project.workspace.sent()
    assert "because it is protected" in project.run(release, code=None).output
    forced = release.replace("--yes", "--yes --force")
    assert "because the following resources depend on it" in project.run(forced, code=None).output
    project.declare("production", chat={**project.entry, "protect": True}, other=other)
    project.run(f"koreai up production\n{forced}")

    project.declare("production", chat=project.adopting, other=other)
    project.run("koreai up production")
    assert project.workspace.sent() == [], "and back again"
    project.run(release)
    project.declare("production", other=other)
    project.declare("support", chat={**project.adopting, "protect": True})
    project.run(up)
    assert project.workspace.sent() == []
    assert project.runs()
