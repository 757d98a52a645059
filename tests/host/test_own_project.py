"""The host serves the projects that name it, and no others of the same environment."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.engine

# One program for both: its output tells which host called the provider.
PROGRAM = """
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider
from pulumi_koreai.host import current_call


class Asking(ResourceProvider):
    def create(self, props):
        return CreateResult("one", {"hosted": current_call().hosted})


def program():
    pulumi.export("hosted", Asked("asked").hosted)


class Asked(Resource, module="tests", name="Asked"):
    hosted: pulumi.Output[bool]

    def __init__(self, name):
        super().__init__(Asking(), name, {"hosted": None})
"""
INLINE = f"""
import json, sys
from pulumi import automation
{PROGRAM}

from pulumi_koreai.host import ProjectSettings

options = {{"project_settings": ProjectSettings("shop", runtime="python")}} if sys.argv[1] == "named" else {{}}
stack = automation.create_or_select_stack(
    "dev", project_name="shop", program=program, opts=automation.LocalWorkspaceOptions(**options)
)
shown = []
outputs = stack.up(on_output=shown.append).outputs
print(json.dumps([outputs["hosted"].value, any("from $PATH" in line for line in shown)]))
"""


@pytest.mark.parametrize("named", [False, True])
def test_a_project_has_the_host_that_it_names(engine_env: dict[str, str], tmp_path: Path, named: bool) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / ".venv").symlink_to(sys.prefix)
    plugins = {"plugins": {"providers": [{"name": "pulumi-python", "path": ".venv/libexec/koreai"}]}} if named else {}
    runtime = {"name": "python", "options": {"virtualenv": ".venv"}}
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "shop", "runtime": runtime, **plugins}))
    (folder / "__main__.py").write_text(f"{PROGRAM}\nprogram()\n")

    def pulumi(*arguments: str) -> str:
        done = subprocess.run(
            ["pulumi", *arguments], cwd=folder, env=engine_env, capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    pulumi("stack", "init", "dev")
    # The environment is activated: its programs are first on the PATH, and the engine warns of one that it takes there.
    assert "from $PATH" not in pulumi("up", "--yes", "--skip-preview")
    assert json.loads(pulumi("stack", "output", "hosted", "--json")) is named


@pytest.mark.parametrize("named", [False, True])
def test_an_inline_program_has_the_host_that_its_settings_name(
    engine_env: dict[str, str], tmp_path: Path, named: bool
) -> None:
    (tmp_path / "run.py").write_text(INLINE)
    done = subprocess.run(
        [sys.executable, "run.py", "named" if named else "stock"],
        cwd=tmp_path,
        env=engine_env,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [named, False]
