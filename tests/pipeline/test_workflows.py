"""What the workflows promise, read from their files; and what a linter that knows GitHub's rules says of them."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.workflows import WORKFLOWS, gitlab_pipeline, linter, workflow
from tests.stackfile.entries import SHORT
from tests.system.engine.workspace import ROOT

NAMES = sorted(path.stem for path in WORKFLOWS.glob("*.yml"))
JOBS = [(name, job) for name in NAMES for job in workflow(name)["jobs"]]


def triggers(name: str) -> dict[str, Any]:
    found: dict[str, Any] = workflow(name)[True]  # type: ignore[index] # YAML 1.1 reads `on` so
    return found


@pytest.fixture(scope="module")
def actionlint() -> Path:
    return linter()


def test_the_linter_has_nothing_to_say(actionlint: Path) -> None:
    files = [str(WORKFLOWS / f"{name}.yml") for name in NAMES]
    ended = subprocess.run([actionlint, "-no-color", *files], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_the_linter_would_find_a_fault(actionlint: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(
        (WORKFLOWS / "up.yml").read_text().replace("needs.preview.outputs.stacks", "needs.nobody.outputs.x")
    )
    ended = subprocess.run([actionlint, "-no-color", wrong], capture_output=True, text=True, check=False)
    assert "nobody" in ended.stdout


def test_there_are_the_three() -> None:
    assert {"preview", "up", "drift"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_fork_brings_never_runs_with_this_repository_s_rights(name: str) -> None:
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(triggers(name))


@pytest.mark.parametrize("name, job", JOBS)
def test_a_job_has_the_permissions_that_it_names_and_may_write_only_where_it_has_to(name: str, job: str) -> None:
    assert workflow(name)["permissions"] == {}
    needed = {("preview", "preview"): {"pull-requests"}, ("drift", "drift"): {"issues"}}.get((name, job), set())
    permissions = workflow(name)["jobs"][job]["permissions"]
    assert permissions == {"contents": "read"} | dict.fromkeys(needed, "write")


@pytest.mark.parametrize("name, job", JOBS)
def test_each_action_is_pinned_by_its_commit_and_leaves_no_token_behind(name: str, job: str) -> None:
    text = (WORKFLOWS / f"{name}.yml").read_text()
    pinned = re.findall(r"uses: ([\w/-]+@[0-9a-f]{40}) # v\d+\.\d+\.\d+$", text, re.MULTILINE)
    assert len(pinned) == text.count("uses:")
    checkouts = [
        step for step in workflow(name)["jobs"][job]["steps"] if step.get("uses", "").startswith("actions/checkout@")
    ]
    compares = {"fetch-depth": 2} if (name, job) == ("preview", "check") else {}
    assert [step["with"] for step in checkouts] == [{"persist-credentials": False} | compares]


@pytest.mark.parametrize("name, job", JOBS)
def test_a_secret_is_given_to_one_step_of_a_job_that_has_an_environment(name: str, job: str) -> None:
    declared = workflow(name)["jobs"][job]
    holding = [step for step in declared["steps"] if "secrets." in str(step)]
    assert "secrets." not in str({key: value for key, value in declared.items() if key != "steps"})
    assert "secrets." not in str({key: value for key, value in workflow(name).items() if key != "jobs"})
    assert len(holding) == ("environment" in declared)
    assert all(".venv/bin/koreai " in step["run"] for step in holding)
    # Text of others never becomes a part of a script.
    assert all("${{" not in step.get("run", "") for step in declared["steps"])


@pytest.mark.parametrize("name, job", [("preview", "preview"), ("up", "preview")])
def test_a_preview_does_not_get_the_key(name: str, job: str) -> None:
    (step,) = (step for step in workflow(name)["jobs"][job]["steps"] if step.get("name") == "Preview")
    assert step["env"]["KOREAI_API_KEY"] == "not-the-key"


def test_a_pull_request_from_a_fork_gets_the_check_alone() -> None:
    jobs = workflow("preview")["jobs"]
    assert "head.repo.full_name == github.repository" in jobs["preview"]["if"]
    assert "environment" not in jobs["check"]
    assert "secrets." not in str(jobs["check"])


def test_a_pull_request_s_check_finds_what_moves_between_stacks(tmp_path: Path) -> None:
    """GitHub hands a run the merge of the pull request, and as many commits of it as the checkout asks for."""
    job = workflow("preview")["jobs"]["check"]
    depth = next(step["with"]["fetch-depth"] for step in job["steps"] if "checkout" in step.get("uses", ""))
    (script,) = (step["run"] for step in job["steps"] if "koreai check" in step.get("run", ""))
    who = {f"GIT_{who}_{what}": "ann@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, **who}

    def sh(folder: Path, command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-ec", command], cwd=folder, env=env, capture_output=True, text=True, check=False
        )

    def write(*stacks: str) -> None:
        for stack in ("one", "two"):
            entry = f"{{chat: {json.dumps(SHORT)}}}" if stack in stacks else "{}"
            (origin / "stacks" / f"Pulumi.{stack}.yaml").write_text(f"config: {{koreai:models: {entry}}}\n")

    origin, run = tmp_path / "origin", tmp_path / "run"
    (origin / "stacks").mkdir(parents=True)
    write("one")
    sh(origin, "git init -q -b main; git add .; git commit -qm base; git checkout -qb move")
    write("two")
    sh(
        origin,
        "git commit -qam move; git checkout -q main; git commit -q --allow-empty -m later; git merge -q --no-edit move",
    )
    sh(tmp_path, f"git clone -q --depth {depth} file://{origin} run")
    (run / ".venv").symlink_to(sys.prefix)
    ended = sh(run, script)
    assert ended.returncode == 1, ended.stderr
    assert "cm-1 moves from entry chat of stack one" in ended.stdout

    script = gitlab_pipeline()["preview"]["script"][-1]
    assert sh(run, script).returncode == 0, "not of a merge request"
    ended = sh(run, f"CI_MERGE_REQUEST_DIFF_BASE_SHA=$(git rev-parse HEAD^)\n{script}")
    assert "cm-1 moves from entry chat of stack one" in ended.stdout


def test_every_pull_request_is_previewed_so_that_no_comment_is_left_behind() -> None:
    assert triggers("preview") == {"pull_request": None}, "no filter: see the file"
    assert "changes" not in str(gitlab_pipeline()["preview"]["rules"])


def test_a_stack_whose_preview_failed_does_not_keep_the_others_from_coming_up() -> None:
    job = workflow("up")["jobs"]["up"]
    assert job["needs"] == "preview"
    conditions = job["if"].removeprefix("${{ ").removesuffix(" }}").split(" && ")
    assert conditions == [
        "!cancelled()",  # without a word on the state of what it needs, GitHub demands its success
        "needs.preview.outputs.stacks != ''",
        "needs.preview.outputs.stacks != '[]'",
    ]


def test_a_repository_with_stacks_of_its_own_does_not_run_the_package_s_tests() -> None:
    jobs = [job for name in ("test", "nightly") for job in workflow(name)["jobs"].values()]
    assert {job["if"] for job in jobs} == {"${{ !vars.KOREAI_STACKS }}"}


@pytest.mark.parametrize("name", ["test", "nightly"])
def test_the_tests_run_on_each_python_and_system_that_the_package_says_it_works_with(name: str) -> None:
    runs = set()
    for job in workflow(name)["jobs"].values():
        (python,) = (step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", ""))
        assert job["env"]["PYTHON"] == f"python{python}", "the set-up takes the newest of the PATH else"
        if python == "${{ matrix.python }}":
            assert job["runs-on"] == "${{ matrix.runner }}"
            runs |= {(entry["runner"], entry["python"]) for entry in job["strategy"]["matrix"]["include"]}
        else:
            runs.add((job["runs-on"], python))
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    assert {python for _, python in runs} == set(re.findall(r"Python :: (3\.\d+)", str(classifiers)))
    assert {runner.partition("-")[0] for runner, _ in runs} == {"ubuntu", "macos"}


def test_one_up_at_a_time_for_a_stack_and_none_is_cut_short() -> None:
    assert workflow("up")["jobs"]["up"]["concurrency"] == {
        "group": "up-${{ matrix.stack }}",
        "cancel-in-progress": False,
    }
    assert workflow("up")["jobs"]["up"]["environment"] == "${{ matrix.stack }}"
    assert triggers("up")["push"] == {"branches": ["main"]}, "no filter: see the file"
