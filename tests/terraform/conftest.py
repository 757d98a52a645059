"""Each test with the real Terraform has a configuration, a state and a platform of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pulumi_koreai.emulator import Emulator, Options
from tests.terraform.workspace import Terraform, environment, install


@pytest.fixture
def platform() -> Iterator[Emulator]:
    """Jobs that take half a second, so that each has to be waited for."""
    with Emulator(Options(job_seconds=0.5, undeploy_seconds=0.3, requests_per_minute=None)) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def terraform_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The provider in a mirror, for all tests of this process."""
    folder = tmp_path_factory.mktemp("terraform")
    return environment(folder, install(folder))


@pytest.fixture
def terraform(tmp_path: Path, terraform_env: dict[str, str], platform: Emulator) -> Terraform:
    return Terraform(tmp_path / "configuration", terraform_env, platform)
