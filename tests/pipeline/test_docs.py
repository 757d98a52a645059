"""docs/gitops.md as a newcomer goes through it: its own commands, in its own order, against the emulator."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pulumi_koreai import cli
from pulumi_koreai.emulator import Emulator
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
    clone = tmp_path / "models"
    clone.mkdir()
    for folder in ("policy", "stacks", "tools"):
        shutil.copytree(ROOT / folder, clone / folder)
    for file in ("Makefile", "Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / file, clone / file)
    (clone / ".venv").symlink_to(sys.prefix)
    # Its environment is there already; making one takes a minute and is what `make test` begins with.
    (clone / "tools" / "setup.sh").write_text("exit 0\n")
    model_id = "cm-66999999-fbd8-5f0b-8bf5-419999999990"
    platform.set_model(model_id, state="Deployed", deployment={"name": "chat"})

    # One shell for all of them, as a newcomer has it. What is to be written into the stack's file is written into it.
    script = "set -e\n"
    for kind, text in blocks("bash", "yaml"):
        step = f"cat >>{STACK} <<'END'\n{text}END\n" if kind == "yaml" else text
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


def test_no_command_of_gh_can_mean_the_repository_that_this_one_was_made_from() -> None:
    commands = [line.strip() for _, text in blocks("sh") for line in text.splitlines()]
    (cloned,) = (line for line in commands if "git clone" in line)
    assert cloned.startswith("git clone --origin template "), "gh takes `upstream` and `github` before `origin`"
    default = next(number for number, line in enumerate(commands) if 'gh repo set-default "$repo"' in line)
    assert commands[default].startswith("repo=$(git remote get-url origin) && ")
    asking = [
        (number, line) for number, line in enumerate(commands) if re.search(r"gh (api|secret|variable|pr) ", line)
    ]
    assert len(asking) == 6
    assert all(number > default for number, _ in asking)
    # The default does not count for them.
    assert all('--repo "$repo"' in line for _, line in asking if re.search(r"gh (secret|variable) ", line))


@pytest.mark.parametrize("change", ["git rm -q {}", "git mv {} stacks/Pulumi.renamed.yaml", "echo '# new' >>{}"])
def test_a_newer_version_that_changes_an_example_is_merged_without_a_conflict(tmp_path: Path, change: str) -> None:
    package, models = tmp_path / "package", tmp_path / "models"
    shutil.copytree(ROOT / "stacks", package / "stacks")
    (package / ".gitignore").write_text(".venv\n")
    (package / "Makefile").write_text("engine:\n\tmkdir .venv .venv/bin && touch .venv/bin/activate\n")
    env = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{f"GIT_{who}_{what}": "ann@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }

    def sh(script: str, folder: Path = package) -> None:
        command = ["bash", "-c", f"set -e\ngh() {{ :; }}\n{script}"]
        ended = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    sh("git init -q -b main && git add . && git commit -qm first && git init -q --bare ../origin.git")
    _, cloned = blocks("sh")[0]
    _, made = blocks("bash")[0]
    sh(cloned.replace("<this repository>", "package") + made, tmp_path)
    (_, declared), *_ = blocks("yaml")
    (models / STACK).write_text(declared)
    (pushed,) = (text for _, text in blocks("sh") if "git push -u origin main" in text)
    sh(f"git remote add origin ../origin.git\n{pushed}", models)
    sh(change.format("stacks/Pulumi.prod.yaml") + " && git commit -qam newer")
    _, newer = blocks("sh")[-1]
    sh(newer, models)
    assert (models / STACK).read_text() == declared
    sh(f"git diff --exit-code template/main newer -- stacks ':!{STACK}'", models)


def test_what_the_page_calls_the_workflows_secrets_and_environments_they_are_called_in_them() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.yml"))
    for secret in set(re.findall(r"secrets\.(\w+)", text)):
        assert f"`{secret}`" in PAGE
    for environment in ("preview", "${{ matrix.stack }}", "${{ matrix.stack }}-drift"):
        assert f"environment: {environment}\n" in text
        assert f"`{environment.replace('${{ matrix.stack }}', 'production')}`" in PAGE
    assert "vars.KOREAI_STACKS" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_linked_exists(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
