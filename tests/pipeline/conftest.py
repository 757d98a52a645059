"""A project with a stack, a platform, a forge and a runner of each test's own."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_koreai.emulator import Emulator, Options
from tests.pipeline.forges import ForgeServer, forge_server
from tests.pipeline.workflows import Runner
from tests.system.engine.workspace import KEY, ROOT, Workspace


@pytest.fixture(autouse=True)
def no_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipeline that runs the tests is not the tests' own: nothing of it is written to."""
    for name in list(os.environ):
        if name.startswith(("GITHUB_", "GITLAB_", "CI_")):
            monkeypatch.delenv(name)


@pytest.fixture
def platform() -> Iterator[Emulator]:
    """It takes one key alone: with any other a request would fail."""
    options = Options(job_seconds=0.3, undeploy_seconds=0.2, requests_per_minute=None, api_keys={KEY: frozenset()})
    with Emulator(options) as emulator:
        yield emulator


@pytest.fixture
def forge() -> Iterator[ForgeServer]:
    with forge_server() as served:
        yield served


@pytest.fixture
def workspace(tmp_path: Path, engine_env: dict[str, str], platform: Emulator) -> Workspace:
    """As a checkout has it: with the tools and the policies, without the key."""
    made = Workspace(tmp_path / "project", engine_env, platform, "own", tmp_path)
    del made.config["config"]["koreai:apiKey"]
    made.env["KOREAI_API_KEY"] = KEY
    (made.folder / "tools").symlink_to(ROOT / "tools")
    shutil.copytree(ROOT / "policy", made.folder / "policy", ignore=shutil.ignore_patterns("__pycache__"))
    return made


@pytest.fixture
def runner(workspace: Workspace, forge: ForgeServer, tmp_path: Path) -> Runner:
    return Runner(workspace, forge, tmp_path)
