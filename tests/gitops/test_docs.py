"""docs/gitops.md as a newcomer goes through it: its own commands, in its own order, against the emulator."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pulumi_koreai.emulator import Emulator
from tests.engine.workspace import KEY, ROOT

PAGE = (ROOT / "docs" / "gitops.md").read_text()
MARK = "=== the next step"
PAGES = [ROOT / "docs" / "gitops.md", ROOT / "docs" / "teams.md", ROOT / "policy" / "README.md"]


@pytest.mark.engine
def test_the_steps_do_what_the_page_says(tmp_path: Path, engine_env: dict[str, str], platform: Emulator) -> None:
    clone = tmp_path / "models"
    clone.mkdir()
    for folder in ("policy", "stacks", "tools"):
        shutil.copytree(ROOT / folder, clone / folder)
    for file in ("Makefile", "Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / file, clone / file)
    (clone / ".venv").symlink_to(sys.prefix)
    # Its environment is there already; making one takes a minute and is what `make test` begins with.
    (clone / "tools" / "setup.sh").write_text("exit 0\n")
    model_id = "cm-77aaaaab-0ce9-5a1c-8d06-52aaaaaaaaa1"
    platform.set_model(model_id, state="Deployed", deployment={"name": "chat"})

    # One shell for all of them, as a newcomer has it. What is to be written into the stack's file is written into it.
    script = "set -e\n"
    for kind, text in re.findall(r"^```(bash|yaml)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        step = f"cat >>stacks/Pulumi.prod.yaml <<'END'\n{text}END\n" if kind == "yaml" else text
        script += f"echo '{MARK}'\n{step}"
    ended = subprocess.run(
        ["bash", "-c", script.replace("https://ai-for-process.example.com", platform.url)],
        cwd=clone,
        env=engine_env,
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
    assert "taken over" in taken_over
    assert "No caller is cut off" in taken_over
    assert "1 done" in settled or "recorded" in settled
    assert "mandatory policy" in guarded
    assert "0.7 → 0.2" in first_change.replace("`", "")
    assert "cut off" in first_change
    assert platform.requests() == [], "nothing was sent: nothing was merged"


def test_what_the_page_calls_the_workflows_secrets_and_environments_they_are_called_in_them() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.yml"))
    for secret in set(re.findall(r"secrets\.(\w+)", text)):
        assert f"`{secret}`" in PAGE
    for environment in ("preview", "${{ matrix.stack }}", "${{ matrix.stack }}-drift"):
        assert f"environment: {environment}\n" in text
        assert f"`{environment.replace('${{ matrix.stack }}', 'prod')}`" in PAGE
    assert "vars.KOREAI_STACKS" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_linked_exists(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
