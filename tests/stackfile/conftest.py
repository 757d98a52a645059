"""A project with a stack and a platform of each test's own; this package's host alone serves it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_koreai.emulator import Emulator, Options
from tests.system.engine.workspace import Workspace


@pytest.fixture
def platform() -> Iterator[Emulator]:
    with Emulator(Options(job_seconds=0.3, undeploy_seconds=0.2, requests_per_minute=None)) as emulator:
        yield emulator


@pytest.fixture
def workspace(tmp_path: Path, engine_env: dict[str, str], platform: Emulator) -> Workspace:
    return Workspace(tmp_path / "project", engine_env, platform, "own", tmp_path)
