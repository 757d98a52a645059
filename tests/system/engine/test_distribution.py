"""What is released: built, installed where nothing else is, and used from a program elsewhere by the real engine."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

import engine as engine_tool
from pulumi_koreai.emulator import Emulator
from pulumi_koreai.pipeline.init import NewProject, init_project
from tests.system.engine.workspace import KEY, ROOT

pytestmark = pytest.mark.engine

PROGRAM: Final = """
import pulumi, pulumi_koreai
from pulumi_koreai import HyperParameters, ModelDeployment

chat = ModelDeployment(
    "chat",
    model_id="cm-1",
    deployment_name="chat",
    device_type="g5.xlarge",
    hyper_parameters=HyperParameters(temperature=0.7, max_tokens=512, top_p=0.9, top_k=40),
)
pulumi.export("package", pulumi_koreai.__file__)
"""


def run(
    *command: str | Path, cwd: Path, env: dict[str, str] | None = None, fails: bool = False, given: str = ""
) -> str:
    """The output of a command that has to end as foretold."""
    ended = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert (ended.returncode != 0) is fails, ended.stdout
    return ended.stdout


def built(source: Path, into: Path, target: str) -> Path:
    """The one file that hatchling makes of the project in `source`."""
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", into, cwd=source)
    (made,) = into.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, tmp_path_factory.mktemp("wheel"), "wheel")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, tmp_path_factory.mktemp("sdist"), "sdist")


def package(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in (folder / "pulumi_koreai").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (host,) = (entry for entry in archive.infolist() if ".data/" in entry.filename)
    assert names - {host.filename} == package(ROOT / "provider")
    assert host.filename.endswith(".data/data/libexec/koreai/pulumi-resource-pulumi-python")
    assert host.external_attr >> 16 & 0o111 == 0o111, "the engine can start it"
    assert {"pulumi_koreai/py.typed", "pulumi_koreai/pulumi-plugin.json"} <= names


@pytest.mark.nightly
def test_the_source_distribution_makes_the_same_wheel(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    assert {path.name for path in source.iterdir()} == {
        *("provider", "README.md", "LICENSE", "pyproject.toml"),
        *("PKG-INFO", ".gitignore"),  # hatchling's own
    }
    assert built(source, tmp_path / "again", "wheel").read_bytes() == wheel.read_bytes()


@dataclass(frozen=True)
class Elsewhere:
    """A folder with a virtual environment that has nothing in it, and an environment that knows none but that."""

    folder: Path
    env: dict[str, str]

    def pip(self, *arguments: str | Path) -> None:
        run(self.folder / ".venv" / "bin" / "python", "-m", "pip", *arguments, cwd=self.folder, env=self.env)

    def python(self, *arguments: str, fails: bool = False) -> str:
        return run(self.folder / ".venv" / "bin" / "python", *arguments, cwd=self.folder, env=self.env, fails=fails)

    def pulumi(self, *arguments: str, given: str = "") -> str:
        return run("pulumi", *arguments, "--non-interactive", cwd=self.folder, env=self.env, given=given)


@pytest.fixture
def elsewhere(tmp_path: Path, engine_env: dict[str, str], real_engine: engine_tool.Engine) -> Elsewhere:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    run(sys.executable, "-m", "venv", ".venv", cwd=folder)
    here = sysconfig.get_path("scripts")
    path = [str(folder / ".venv" / "bin"), *(one for one in engine_env["PATH"].split(os.pathsep) if one != here)]
    env = {**engine_env, "PATH": os.pathsep.join(path), "VIRTUAL_ENV": str(folder / ".venv")}
    env.pop("PYTHONPATH", None)
    return Elsewhere(folder, env)


@pytest.mark.nightly
def test_installed_where_nothing_else_is_it_serves_a_program_elsewhere(
    wheel: Path, elsewhere: Elsewhere, platform: Emulator
) -> None:
    """Takes a minute, most of which is pip's: it fetches and unpacks the runtime dependencies, and no others."""
    folder = elsewhere.folder
    init_project(NewProject(folder, stack="test", package=str(wheel)))
    # In this mode pip refuses whatever is needed and not in the file, pinned and with hashes.
    elsewhere.pip("install", "--quiet", "--require-hashes", "-r", "requirements.txt")
    elsewhere.pip("check")
    elsewhere.python("-m", "pulumi_koreai", "init", "again", "--package", str(wheel), "--ci", "github", "--policy")
    for file in ("Pulumi.yaml", "__main__.py"):
        assert (folder / "again" / file).read_text().replace("again", "elsewhere") == (folder / file).read_text()

    (folder / "__main__.py").write_text(PROGRAM)
    elsewhere.pulumi("stack", "init", "test")
    elsewhere.pulumi("config", "set", "koreai:host", platform.url)
    elsewhere.pulumi("config", "set", "--secret", "koreai:apiKey", given=KEY)
    platform.set_model("cm-1", job_seconds=5)  # long enough to be looked at in between
    output = elsewhere.pulumi("up", "--yes", "--skip-preview")
    assert re.search(r"deploying \d+ %, .*job ds-\S+", output), "the stock host shows no progress: it is ours"
    assert platform.model("cm-1").deployment is not None
    used = Path(elsewhere.pulumi("stack", "output", "package").strip())
    assert used.is_relative_to(folder / ".venv")
    elsewhere.pulumi("destroy", "--yes", "--skip-preview")
    assert platform.model("cm-1").deployment is None

    needs = elsewhere.python("-m", "pulumi_koreai", "emulator", fails=True)
    assert needs == "the emulator needs aiohttp: pip install 'pulumi-koreai[emulator]'\n"

    # With the emulator and the policies.
    install = ("install", "--quiet", "--dry-run", "--require-hashes", "-r", "requirements.txt")
    run(folder / ".venv" / "bin" / "python", "-m", "pip", *install, cwd=folder / "again", env=elsewhere.env)
