"""`koreai init`: what it says."""

from pathlib import Path

import pytest

from pulumi_koreai import cli

GIT = "git+https://git.example.com/koreai.git@" + "a" * 40


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_says_what_it_wrote_and_what_it_would_have_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "README.md").write_text("mine\n")
    assert cli.main(["init", "--package", GIT]) == 0
    said = capsys.readouterr()
    assert "wrote stacks/Pulumi.dev.yaml\n" in said.out
    assert "README.md is there, and stays as it is. It would have been:\n    # " in said.out
    assert said.out.endswith("Next: koreai check dev\n")
    assert (here / "README.md").read_text() == "mine\n"
    assert cli.main(["check", "dev"]) == 0


def test_it_says_what_an_existing_project_lacks(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "Pulumi.yaml").write_text("name: shop\nruntime: {name: python, options: {virtualenv: .venv}}\n")
    assert cli.main(["init", ".", "--package", GIT, "--stack", "prod"]) == 0
    said = capsys.readouterr().out
    assert "Add these lines, so that the engine finds this package's host:\n    plugins:\n" in said
    assert "      path: .venv/libexec/koreai\n" in said
    assert "It would have been" not in said


def test_without_an_index_it_says_why_there_are_no_hashes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init", "models"]) == 0
    said = capsys.readouterr().out
    assert "    ERROR: No matching distribution found for pulumi-koreai" in said
    assert "Remove it and run this again" in said
    assert said.endswith("README.md has the next steps.\n")


@pytest.mark.parametrize(
    "arguments, status, said",
    [
        (["--package", "nowhere.whl"], 2, "error: --package: expected a wheel's file"),
        (["--ci", "jenkins"], 2, "'jenkins' is not one of 'github', 'gitlab', 'none'"),
        (["--stack", "a b"], 2, "error: --stack: "),
        (["/proc/self/koreai", "--package", GIT], 1, "error: Pulumi.yaml: its folder can't be made: "),
    ],
)
def test_a_mistake_is_an_error_of_one_line(
    arguments: list[str], status: int, said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["init", *arguments]) == status
    shown = capsys.readouterr()
    assert said in shown.err
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert list(here.iterdir()) == []
