"""docs/gitops.md as a newcomer goes through it: its own commands, in its own order, against the emulator."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pulumi_koreai import cli
from pulumi_koreai.emulator import Emulator
from tests.pipeline.projects import initialised
from tests.system.engine.workspace import KEY, ROOT
from tests.tiers import OLDEST_ENGINE

PAGE = (ROOT / "docs" / "gitops.md").read_text()
MARK = "=== the next step"
STACK = "stacks/Pulumi.production.yaml"
PAGES = [
    ROOT / "docs" / "gitops.md",
    ROOT / "docs" / "moving.md",
    ROOT / "docs" / "teams.md",
    ROOT / "policy" / "README.md",
]


def blocks(*kinds: str) -> list[tuple[str, str]]:
    """The page's blocks of these kinds, each with its kind: commands are `bash`, or `sh` where they need a forge."""
    return re.findall(rf"^```({'|'.join(kinds)})\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.engine
@OLDEST_ENGINE  # the steps switch a policy pack on, see test_policy.py
@pytest.mark.nightly
def test_the_steps_do_what_the_page_says(tmp_path: Path, engine_env: dict[str, str], platform: Emulator) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / ".venv").symlink_to(sys.prefix)
    model_id = "cm-66999999-fbd8-5f0b-8bf5-419999999990"
    platform.set_model(model_id, state="Deployed", deployment={"name": "chat"})

    # One shell for all of them, as a newcomer has it. The stack's file is written as the page has it.
    script = "set -e\n"
    for kind, text in blocks("bash", "yaml"):
        step = f"cat >{STACK} <<'END'\n{text}END\n" if kind == "yaml" else text
        script += f"echo '{MARK}'\n{step}"
    ended = subprocess.run(
        ["bash", "-c", script.replace("https://ai-for-process.example.com", platform.url)],
        cwd=models,
        env={**engine_env, "PIP_NO_INDEX": "1"},
        input=f"{KEY}\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stdout
    assert KEY not in ended.stdout
    _, _, _, _, taken_over, settled, guarded, _, _, first_change = ended.stdout.split(f"{MARK}\n")
    assert "adopted" in taken_over
    assert "No caller is cut off" in taken_over
    assert "1 done" in settled or "recorded" in settled
    assert "mandatory policy" in guarded
    assert "0.7 → 0.2" in first_change.replace("`", "")
    assert "cut off" in first_change
    assert platform.requests() == [], "nothing was sent: nothing was merged"


def test_the_page_s_stack_and_the_examples_beside_it_pass_the_check_of_a_pull_request(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks")
    ((_, text),) = blocks("yaml")
    (tmp_path / STACK).write_text(text)
    assert cli.main(["check", *map(str, (tmp_path / "stacks").glob("*.yaml"))]) == 0


def test_what_the_page_calls_the_workflows_secrets_and_environments_they_are_called_in_them(tmp_path: Path) -> None:
    initialised(tmp_path, stack="production", ci="github")
    text = "\n".join(path.read_text() for path in (tmp_path / ".github" / "workflows").glob("*.yml"))
    for secret in set(re.findall(r"secrets\.(\w+)", text)):
        assert f"`{secret}`" in PAGE
    for environment in ("preview", "${{ matrix.stack }}", "${{ matrix.stack }}-drift"):
        assert re.search(rf"environment: {re.escape(environment)}( #.*)?\n", text)
        assert f"`{environment.replace('${{ matrix.stack }}', 'production')}`" in PAGE
    assert "vars.KOREAI_STACKS" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_linked_exists(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
