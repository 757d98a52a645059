"""A Terraform configuration in the place of a stack, driven by the real `terraform` or `tofu` in the same words."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic.alias_generators import to_snake

from pulumi_koreai.terraform.provider import ADDRESS
from tests.system.engine.workspace import KEY, Ended, Host, Model, Workspace

VERSION = "0.1.0"


def program() -> str:
    """The real one: `terraform` or `tofu` of the PATH."""
    found = shutil.which("terraform") or shutil.which("tofu")
    if not found:
        pytest.skip("neither terraform nor tofu is on the PATH: `make test-terraform` says what to do")
    return found


def install(folder: Path) -> Path:
    """A filesystem mirror with the provider in it, as docs/terraform.md has it; the answer is the CLI configuration."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    target = folder / "mirror" / ADDRESS / VERSION / f"{platform.system().lower()}_{machine}"
    target.mkdir(parents=True)
    launcher = target / f"terraform-provider-koreai_v{VERSION}"
    launcher.write_text(f"#!{sys.executable}\nfrom pulumi_koreai.terraform.__main__ import main\n\nmain()\n")
    launcher.chmod(0o755)
    configuration = folder / "cli.tfrc"
    configuration.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{folder / "mirror"}"\n  }}\n}}\n'
    )
    return configuration


def snake(given: Any) -> Any:
    """An entry of a stack's file with Terraform's names."""
    if isinstance(given, Mapping):
        return {to_snake(key): snake(value) for key, value in given.items()}
    return given


@dataclass
class Terraform(Workspace):
    """One configuration with its state. The methods are a stack's, so that a test can drive either.

    Attributes:
        new_first: whether another model id is deployed before the old one is undeployed (`create_before_destroy`).
        refreshes: whether `up` and `destroy` begin with Terraform's own refresh, as they do when a user types them:
            a look at each last job. Without it what is recorded counts, as for `pulumi up`.
    """

    host: Host = "own"
    stock_folder: Path = Path()
    new_first: bool = field(default=False, init=False)
    refreshes: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.env = {**self.env, "KOREAI_API_KEY": KEY}
        self.configure(host=self.emulator.url, poll_min_seconds=0.2)
        self.terraform("init")

    def configure(self, **config: object) -> None:
        """Write the provider's block."""
        source = {"required_providers": {"koreai": {"source": ADDRESS}}}
        (self.folder / "provider.tf.json").write_text(
            json.dumps({"terraform": source, "provider": {"koreai": config}}, indent=2)
        )

    def use(self, host: Host) -> None:
        """There is but one way to be served."""

    def declare(self, models: Mapping[str, object] | None = None, /, **more: object) -> None:
        resources: dict[str, Model] = {}
        for name, given in {**(models or {}), **more}.items():
            resources[name] = {**snake(given), "lifecycle": {"create_before_destroy": self.new_first}}
        content = {"resource": {"koreai_model_deployment": resources}} if resources else {}
        (self.folder / "models.tf.json").write_text(json.dumps(content, indent=2))

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command, in a process group of its own, as a shell does."""
        return subprocess.Popen(
            [program(), *arguments, "-no-color"],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def terraform(self, *arguments: str, code: int = 0) -> Ended:
        """Run a command; it has to end as foretold."""
        running = self.begin(*arguments)
        output, _ = running.communicate(timeout=240)
        assert running.returncode == code, output
        return Ended(running.returncode, output)

    def up(self, *, fails: bool = False) -> str:
        return self.terraform("apply", "-auto-approve", self._refresh, code=int(fails)).output

    def preview(self, *options: str, fails: bool = False) -> str:
        return self.terraform("plan", "-refresh=false", *options, code=int(fails)).output

    def refresh(self) -> str:
        return self.terraform("apply", "-auto-approve", "-refresh-only").output

    def destroy(self, *, fails: bool = False) -> str:
        return self.terraform("destroy", "-auto-approve", self._refresh, code=int(fails)).output

    @property
    def _refresh(self) -> str:
        return f"-refresh={str(self.refreshes).lower()}"

    def instances(self) -> Iterable[tuple[str, dict[str, Any]]]:
        """All models of the state: the name in it, and the instance."""
        state = json.loads((self.folder / "terraform.tfstate").read_text())
        for resource in state["resources"]:
            for instance in resource["instances"]:
                yield instance.get("index_key", resource["name"]), instance

    def resource(self, name: str) -> dict[str, Any]:
        (found,) = (instance for found, instance in self.instances() if found == name)
        return found

    def outputs(self, name: str) -> dict[str, Any]:
        outputs: dict[str, Any] = self.resource(name)["attributes"]
        return outputs


def environment(home: Path, configuration: Path) -> dict[str, str]:
    """Terraform's environment: nothing of this machine's own settings."""
    base = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "KOREAI_"))}
    return {**base, "HOME": str(home), "TF_CLI_CONFIG_FILE": str(configuration), "CHECKPOINT_DISABLE": "1"}
