"""`koreai init`: what it writes, what it leaves alone, and that the files of this repository are the same project."""

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import runtime_lock
from pulumi_koreai import __version__
from pulumi_koreai.emulator import Emulator
from pulumi_koreai.pipeline.init import InitError, NameRefusedError
from pulumi_koreai.pipeline.requirements import NoHashError, PackageError, ask_index
from tests.pipeline.projects import DIGEST, initialised, yaml_of
from tests.pipeline.workflows import linter, workflow
from tests.system.engine.workspace import KEY, ROOT

COMMIT = "a" * 40
GIT = f"git+https://git.example.com/koreai.git@{COMMIT}"
WORKFLOWS = ("preview", "up", "drift")


def koreai(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.prefix) / "bin" / "koreai"), *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=240)


def test_an_empty_folder_becomes_a_project(tmp_path: Path) -> None:
    outcome = initialised(tmp_path / "models")
    there = {path.relative_to(tmp_path / "models").as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert set(outcome.written) == there
    assert there == {
        *("Pulumi.yaml", "__main__.py", "requirements.txt", ".gitignore", "CODEOWNERS", "README.md"),
        *("stacks/Pulumi.dev.yaml", "stacks/schema.json"),
    }
    assert (outcome.kept, outcome.host) == ([], "")
    assert yaml_of(tmp_path / "models/Pulumi.yaml")["name"] == "models"
    assert not any("%{" in (tmp_path / "models" / file).read_text() for file in there)


@pytest.mark.parametrize("stack", ["dev", "production", "acme/production"])
def test_a_new_stack_s_file_has_no_error(stack: str, tmp_path: Path) -> None:
    initialised(tmp_path, stack=stack)
    file = f"stacks/Pulumi.{stack.rpartition('/')[2]}.yaml"
    checked = koreai("check", file, cwd=tmp_path)
    assert (checked.returncode, checked.stdout) == (0, "")
    models = yaml_of(tmp_path / file)["config"]["koreai:models"]
    assert list(models) == (["chat", "summary"] if stack == "dev" else [])


def test_the_repository_s_own_top_level_is_the_same_project(tmp_path: Path) -> None:
    initialised(tmp_path, name="koreai-models", policy=True)
    for file in ("Pulumi.yaml", "__main__.py", "stacks/schema.json"):
        assert (tmp_path / file).read_text() == (ROOT / file).read_text(), file
    # It has more models to show.
    assert (ROOT / "stacks/Pulumi.dev.yaml").read_text().startswith((tmp_path / "stacks/Pulumi.dev.yaml").read_text())
    assert {path.name for path in (ROOT / "policy").iterdir()} - {"__pycache__"} == {
        path.name for path in (tmp_path / "policy").iterdir()
    }
    for path in (tmp_path / "policy").iterdir():
        assert path.read_text() == (ROOT / "policy" / path.name).read_text(), path.name


def test_the_pins_are_those_of_the_repository_s_lock() -> None:
    for file, text in runtime_lock.parts().items():
        assert (runtime_lock.FOLDER / file).read_text() == text, "run `python tools/runtime_lock.py`"
    names = re.findall(r"^[a-z][\w.-]*", runtime_lock.parts()["runtime.txt"], re.MULTILINE)
    assert {"pulumi", "pydantic", "grpcio", "requests"} <= set(names)
    assert not {"aiohttp", "pytest", "pulumi-policy", "tf"} & set(names)
    assert len(names) <= 40


@pytest.mark.parametrize(
    "name, written", [("ünder wegs", "-nder-wegs"), ("yes", "yes"), ("007", "007"), ("1e3", "1e3")]
)
def test_a_folder_s_name_becomes_one_that_the_engine_takes(name: str, written: str, tmp_path: Path) -> None:
    initialised(tmp_path / name)
    text = (tmp_path / name / "Pulumi.yaml").read_text()
    assert text.startswith((f"name: {written}\n", f'name: "{written}"\n'))
    assert yaml_of(tmp_path / name / "Pulumi.yaml")["name"] == written


@pytest.mark.parametrize(
    "asked", [{"name": "a b"}, {"name": ""}, {"stack": "../x"}, {"stack": "a b"}, {"stack": "$(x)"}]
)
def test_a_name_that_can_t_be_one_is_refused_before_anything_is_written(asked: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(NameRefusedError, match=f"^--{next(iter(asked))}: "):
        initialised(tmp_path / "models", **asked)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine\n")
    (tmp_path / "CODEOWNERS").symlink_to("nowhere")
    (tmp_path / ".gitignore").mkdir()
    outcome = initialised(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine\n"
    assert not (tmp_path / "nowhere").exists()
    kept = {file.path: file.text for file in outcome.kept}
    assert set(kept) == {"README.md", "CODEOWNERS", ".gitignore"}
    assert "koreai up dev" in kept["README.md"]
    assert kept[".gitignore"].startswith(".venv/\n")
    again = initialised(tmp_path)
    assert again.written == []
    assert [file.path for file in again.kept] == [file.path for file in outcome.kept]


def test_a_file_that_can_t_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "stacks").write_text("a file")
    with pytest.raises(InitError, match=r"^stacks/Pulumi\.dev\.yaml: its folder can't be made: "):
        initialised(tmp_path)


PYTHON = "name: shop\nruntime: python\n"
OPTIONS = "name: shop\nruntime: {name: python, options: {virtualenv: venv}}\nstackConfigDir: config\nmain: infra\n"


def test_an_existing_project_gets_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(PYTHON)
    (tmp_path / "__main__.py").write_text("import pulumi\n")
    outcome = initialised(tmp_path, stack="prod")
    assert (tmp_path / "Pulumi.yaml").read_text() == PYTHON
    assert outcome.host.startswith("runtime:\n  name: python\n")
    assert "      path: .venv/libexec/koreai\n" in outcome.host
    assert {"Pulumi.prod.yaml", "schema.json", "requirements.txt"} <= set(outcome.written), "its stacks are at the top"
    assert {"Pulumi.yaml", "__main__.py"} == {file.path for file in outcome.kept}


def test_an_existing_project_s_own_folders_count(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(OPTIONS)
    outcome = initialised(tmp_path, ci="github")
    assert {"config/Pulumi.dev.yaml", "infra/__main__.py"} <= set(outcome.written)
    assert outcome.host.startswith("plugins:\n")
    assert "path: venv/libexec/koreai" in outcome.host
    assert "venv/bin/koreai check --since HEAD^ config/Pulumi.*.yaml" in (
        tmp_path / ".github/workflows/preview.yml"
    ).read_text().replace(".venv", "a wrong one")
    (tmp_path / "Pulumi.yaml").write_text(OPTIONS + outcome.host)
    assert initialised(tmp_path).host == ""


def test_what_a_project_s_file_says_leads_nowhere_else(tmp_path: Path) -> None:
    text = "runtime: {name: python, options: {virtualenv: $(x)}}\nmain: ../elsewhere\nstackConfigDir: /etc\n"
    (tmp_path / "models").mkdir()
    (tmp_path / "models/Pulumi.yaml").write_text(text)
    outcome = initialised(tmp_path / "models", ci="github")
    assert not any("elsewhere" in path or path.startswith("/") for path in outcome.written)
    assert "$(x)" not in (tmp_path / "models/README.md").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


@pytest.mark.parametrize(
    "text, said",
    [("runtime: nodejs\n", "language is not Python"), ("[", "this is not YAML"), ("", "language is not Python")],
)
def test_another_kind_of_project_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(text)
    with pytest.raises(InitError, match=said):
        initialised(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["Pulumi.yaml"]


def requirements(folder: Path) -> dict[str, str]:
    """Each requirement of a project's file, with its lines."""
    entries = re.split(r"^(?=[^\s#])", (folder / "requirements.txt").read_text(), flags=re.MULTILINE)[1:]
    return {re.split(r"[=\[ ]", entry)[0]: entry for entry in entries}


def test_every_package_is_pinned_with_its_hashes(tmp_path: Path) -> None:
    initialised(tmp_path, stack="prod")
    needed = requirements(tmp_path)
    assert needed["pulumi-koreai"] == f"pulumi-koreai=={__version__} \\\n    --hash=sha256:{DIGEST}\n\n"
    assert all("==" in entry and "--hash=sha256:" in entry for entry in needed.values())
    assert not {"aiohttp", "pulumi-policy", "pytest"} & set(needed)


def test_the_emulator_and_the_policies_bring_what_they_need(tmp_path: Path) -> None:
    initialised(tmp_path, policy=True)
    assert {"aiohttp", "pulumi-policy"} <= set(requirements(tmp_path))
    assert f"pulumi-koreai[emulator,policy]=={__version__} \\\n" in (tmp_path / "requirements.txt").read_text()


def test_a_wheel_is_a_part_of_the_project(tmp_path: Path) -> None:
    wheel = tmp_path / f"pulumi_koreai-{__version__}-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    outcome = initialised(tmp_path / "models", package=str(wheel), hash_of=unreachable)
    copy = tmp_path / "models/wheels" / wheel.name
    assert copy.read_bytes() == b"a wheel"
    assert f"wheels/{wheel.name}" in outcome.written
    pinned = f"./wheels/{wheel.name}[emulator] \\\n    --hash=sha256:{hashlib.sha256(b'a wheel').hexdigest()}\n"
    assert pinned in (tmp_path / "models/requirements.txt").read_text()


def test_beside_a_git_address_pip_takes_no_hashes(tmp_path: Path) -> None:
    outcome = initialised(tmp_path, package=GIT, ci="github", hash_of=unreachable)
    text = (tmp_path / "requirements.txt").read_text()
    assert f"pulumi-koreai[emulator] @ {GIT}\n" in text
    assert "--hash" not in text
    assert "\\" not in text
    assert not outcome.hashed
    assert outcome.no_hash is None
    assert "--require-hashes" not in (tmp_path / ".github/actions/koreai/action.yml").read_text()


@pytest.mark.parametrize(
    "package",
    [
        *(
            "git+https://git.example.com/koreai.git",
            f"{GIT[:-1]}",
            f"{GIT} --index-url=https://x",
            "git+http://x@" + COMMIT,
        ),
        *("pulumi-koreai", "nowhere.whl", f"pulumi_koreai-{__version__}-py3-none-any.whl"),
        "pulumi_koreai-99.0-py3-none-any.whl",
    ],
)
def test_a_package_that_can_t_be_pinned_is_refused(package: str, tmp_path: Path) -> None:
    with pytest.raises(PackageError):
        initialised(tmp_path / "models", package=package)
    assert list(tmp_path.iterdir()) == []


def unreachable(requirement: str) -> str:
    raise NoHashError("no answer")


def test_without_an_index_the_versions_alone_are_pinned_and_a_pipeline_does_not_take_that(tmp_path: Path) -> None:
    outcome = initialised(tmp_path, ci="github", hash_of=unreachable)
    assert str(outcome.no_hash) == "no answer"
    assert "--hash" not in (tmp_path / "requirements.txt").read_text()
    assert "pip install -r" in (tmp_path / "README.md").read_text()
    assert "pip install --require-hashes -r" in (tmp_path / ".github/actions/koreai/action.yml").read_text()


def test_the_index_that_pip_is_configured_for_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "some_thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("some_thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: some-thing\nVersion: 1.0\n")
        archive.writestr(
            "some_thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("some_thing-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert ask_index("some-thing==1.0") == hashlib.sha256(wheel.read_bytes()).hexdigest()
    with pytest.raises(NoHashError, match="No matching distribution"):
        ask_index("some-thing==2.0")


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the workflows of GitHub Actions."""
    folder = tmp_path_factory.mktemp("pipelines")
    initialised(folder, stack="production", ci="github")
    return folder / ".github"


def test_the_linter_has_nothing_to_say_of_the_workflows(pipelines: Path) -> None:
    (pipelines.parent / ".git").mkdir()  # it finds the action beside them by that
    files = [f".github/workflows/{name}.yml" for name in WORKFLOWS]
    command = [str(linter()), "-no-color", *files]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=pipelines.parent)
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_keeps_what_this_repository_s_own_guards(name: str, pipelines: Path) -> None:
    """Who may run it, with which rights, secrets and approvals."""
    text = (pipelines / "workflows" / f"{name}.yml").read_text()
    assert len(text.splitlines()) <= 40
    made, own = yaml_of(pipelines / "workflows" / f"{name}.yml"), workflow(name)
    assert made["permissions"] == own["permissions"] == {}
    assert made.get("concurrency") == own.get("concurrency")
    assert text.count("pull_request_target") == (name == "preview"), "in a comment"
    assert set(made["jobs"]) == set(own["jobs"])
    for job in own["jobs"]:
        assert guards(made["jobs"][job]) == guards(own["jobs"][job])


def guards(job: dict[str, Any]) -> dict[str, Any]:
    """What a job guards: all but how its packages get there."""
    kept = {key: value for key, value in job.items() if key not in ("steps", "timeout-minutes")}
    (last,) = (step for step in job["steps"] if re.search(r"koreai (check|preview|up|drift) ", step.get("run", "")))
    checkouts = [step for step in job["steps"] if "actions/checkout@" in step.get("uses", "")]
    command = last["run"].partition(" stacks/")[0]
    return {**kept, "checkouts": checkouts, "command": command, "env": last.get("env"), "id": last.get("id")}


def test_each_action_is_pinned_by_its_commit(pipelines: Path) -> None:
    own = "".join(file.read_text() for file in (ROOT / ".github/workflows").glob("*.yml"))
    text = "".join(file.read_text() for file in pipelines.rglob("*.yml"))
    used = set(re.findall(r"uses: ([^\s,}]+)", text))
    assert used == set(re.findall(r"uses: ((?:actions/(?:checkout|setup-python))@[0-9a-f]{40})", own)) | {
        "./.github/actions/koreai",
        "pulumi/actions@8e5e406f4007fca908480587cb9893c07090f58d",
    }


@pytest.mark.parametrize("ci, file", [("github", ".github/actions/koreai/action.yml"), ("gitlab", ".gitlab-ci.yml")])
def test_a_pipeline_has_the_engine_and_the_packages_that_are_tested(ci: str, file: str, tmp_path: Path) -> None:
    initialised(tmp_path, ci=ci)
    text = (tmp_path / file).read_text()
    newest = re.search(r"pulumi/pkg/v3 v(\S+)", (ROOT / "tools/engine/newest/go.mod").read_text())
    assert newest
    assert re.findall(r"version:? (3[\d.]+)", text) == [newest[1]]
    assert "pip install --require-hashes -r requirements.txt" in text


def test_up_brings_two_models_to_an_emulator(tmp_path: Path, engine_env: dict[str, str], platform: Emulator) -> None:
    project = tmp_path / "models"
    initialised(project)
    (project / ".venv").symlink_to(sys.prefix)
    stack_file = project / "stacks/Pulumi.dev.yaml"
    stack_file.write_text(stack_file.read_text().replace("http://127.0.0.1:8731", platform.url))
    env = {**engine_env, "KOREAI_API_KEY": KEY}
    subprocess.run(["pulumi", "stack", "init", "dev"], cwd=project, env=env, check=True, capture_output=True)
    ended = koreai("up", "dev", cwd=project, env=env)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    models = yaml_of(stack_file)["config"]["koreai:models"].values()
    assert len(models) == 2
    assert all(platform.model(model["modelId"]).deployment for model in models)
    assert re.search(r"deploying \d+ %|2 done", ended.stdout), ended.stdout
