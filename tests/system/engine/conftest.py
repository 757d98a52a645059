"""Each test with the real engine has a stack, a backend and a platform of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pulumi_koreai.emulator import Emulator, Options
from tests.system.engine.workspace import Host, Workspace

MakeWorkspace = Callable[..., Workspace]


@pytest.fixture(params=[pytest.param("stock", marks=pytest.mark.nightly), "own"])
def host(request: pytest.FixtureRequest) -> Host:
    """The dynamic provider host: this package's, and at night the one that comes with Pulumi's SDK too.

    A test that is about the host asks for both by `BOTH_HOSTS`.
    """
    kind: Host = request.param
    return kind


@pytest.fixture
def platform() -> Iterator[Emulator]:
    """Jobs that take half a second, so that each has to be waited for."""
    with Emulator(Options(job_seconds=0.5, undeploy_seconds=0.3, requests_per_minute=None)) as emulator:
        yield emulator


@pytest.fixture
def workspace(
    tmp_path: Path, engine_env: dict[str, str], platform: Emulator, host: Host, stock_folder: Path
) -> Workspace:
    return Workspace(tmp_path / "project", engine_env, platform, host, stock_folder)
