"""`declare()`: the whole program of a project of any name, and what else a program may declare beside it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pulumi_koreai.emulator import Emulator
from tests.system.engine.workspace import KEY, ROOT, Workspace, model

pytestmark = pytest.mark.engine

TWO_LINES = "from pulumi_koreai import declare\ndeclare()\n"
AND_ONE_OF_ITS_OWN = """
import pulumi
from pulumi_koreai import ModelDeployment, declare

good = {"temperature": 0.5, "max_tokens": 128, "top_p": 1, "top_k": 10}
first = ModelDeployment("first", model_id="cm-8", deployment_name="f", device_type="g5.xlarge", hyper_parameters=good)
models = declare()
ModelDeployment(
    "mine",
    model_id="cm-9",
    deployment_name=models["chat"].state,
    device_type="g5.xlarge",
    hyper_parameters=good,
)
pulumi.export("names", sorted(models))
"""


def renamed(workspace: Workspace, name: str) -> None:
    """The project and its stack, under another name."""
    file = workspace.folder / "Pulumi.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "name": name}))
    workspace.pulumi("stack", "init", "test", "--no-select")


def test_two_lines_are_the_program_of_a_project_of_any_name(workspace: Workspace, platform: Emulator) -> None:
    renamed(workspace, "shop")
    workspace.program(TWO_LINES)
    workspace.set_config({"shop:models": "a setting of the program's own"})
    workspace.declare(chat=model(), summary=model(2, deployed=False))
    assert "3 to create" in workspace.preview()
    workspace.up()
    assert platform.model("cm-1").deployment is not None
    exported = json.loads(workspace.pulumi("stack", "output", "--json").output)["models"]
    assert {name: each["state"] for name, each in exported.items()} == {"chat": "deployed", "summary": "undeployed"}
    assert workspace.resource("chat")["urn"].split("::")[1] == "shop"
    assert "3 unchanged" in workspace.preview()


def test_a_program_declares_models_of_its_own_beside_those_of_the_file(workspace: Workspace) -> None:
    workspace.program(AND_ONE_OF_ITS_OWN)
    workspace.declare(chat=model())
    workspace.up()
    assert workspace.outputs("mine")["deployment_name"] == "deployed"
    assert json.loads(workspace.pulumi("stack", "output", "--json").output)["names"] == ["chat"]
    workspace.sent()

    # The SDK registers what was declared before a program fails.
    workspace.program(AND_ONE_OF_ITS_OWN.replace('"temperature": 0.5', '"temperature": 0.9'))
    workspace.declare(chat=model(deviceType="g5.huge"))
    output = workspace.up(fails=True)
    assert "Traceback" not in output
    assert output.partition("Diagnostics:")[2].count("1 error in `koreai:models`; nothing was changed:") == 1
    assert workspace.sent() == []


@pytest.mark.parametrize("key", ["koreai-models:models", "shop:models"])
def test_the_models_under_another_key_are_one_error_in_the_preview(workspace: Workspace, key: str) -> None:
    renamed(workspace, "shop")
    workspace.set_config({key: {"chat": model(deviceType="g5.huge")}})
    output = workspace.preview(fails=True)
    assert f"{key}: this key is not read; rename it to koreai:models" in output
    assert ("Traceback" in output, "g5.huge" in output, output.count("not read")) == (False, False, 1)


def test_the_readme_s_inline_program_brings_models_up_with_this_host(
    engine_env: dict[str, str], tmp_path: Path, platform: Emulator
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (block,) = (block for block in blocks if "automation" in block)
    platform.set_model("cm-1", job_seconds=3)
    run = """
import json, sys
models, host, key = sys.argv[1:]
stack.set_config("koreai:models", automation.ConfigValue(models))
stack.set_config("koreai:host", automation.ConfigValue(host))
stack.set_config("koreai:apiKey", automation.ConfigValue(key, secret=True))
shown = []
outputs = stack.up(on_output=shown.append).outputs
print(json.dumps([outputs["models"].value["chat"]["state"], any("deploying " in line for line in shown)]))
"""
    models = json.dumps({"chat": model()})
    done = subprocess.run(
        [sys.executable, "-c", block + run, models, platform.url, KEY],
        cwd=tmp_path,
        env=engine_env,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["deployed", True], "only this host shows progress"
