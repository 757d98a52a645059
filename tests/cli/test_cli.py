"""`koreai`: the commands are there, each says what it takes, and a wrong command line is an error of one line."""

import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

from pulumi_koreai import cli

ROOT = Path(__file__).resolve().parents[2]


def test_help_lists_every_command_in_the_order_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:")[2].splitlines()
    assert [line.split()[0] for line in listed if line.startswith("  ") and "`koreai" not in line] == list(cli.COMMANDS)
    assert not any(line.endswith("...") for line in listed), "a summary is too long for its line"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_s_help_has_what_it_does_and_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--help", "-h"):
        assert cli.main([name, option]) == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"Usage: koreai {name} ")
        assert cli.COMMANDS[name] in " ".join(shown.split())
        assert "\nExample" in shown
        assert f"  koreai {name}" in shown or f"| koreai {name}" in shown


def test_each_module_of_a_command_is_in_the_table() -> None:
    modules = {path.stem for path in Path(cli.__file__).parent.glob("*.py")} - {"__init__", "output", "stacks"}
    assert modules == set(cli.COMMANDS)
    assert all(callable(import_module(f"pulumi_koreai.cli.{name}").command) for name in modules)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "Missing command."),
        (["chekc"], "No such command 'chekc'. Did you mean 'check'?"),
        (["--nonsense"], "No such option: --nonsense"),
        (["up"], "Missing argument 'STACK'. (`koreai up --help` says more)"),
        (["preview", "prod", "--fail-on", "nothing"], "'nothing' is not one of 'undeploy', 'replace'"),
    ],
)
def test_a_wrong_command_line_is_an_error_of_usage(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert (shown.out, shown.err.count("\n")) == ("", 1)


def test_it_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"koreai {version('pulumi-koreai')}\n"


def test_the_module_is_the_same_program() -> None:
    command = [sys.executable, "-m", "pulumi_koreai", "check", "nowhere"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: no stack 'nowhere': stacks/Pulumi.nowhere.yaml does not exist. Stacks of this project: dev, prod.\n"
    )


SLOW = ("pulumi", "pydantic", "requests", "aiohttp", "grpc", "yaml", "rich")


def test_the_help_loads_nothing_that_is_slow() -> None:
    found = f"sorted({set(SLOW)} & set(sys.modules))"
    code = f"import sys; from pulumi_koreai.cli import main; main(['--help']); print({found})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words, found", [("koreai che", ["check"]), ("koreai up p", ["prod"])])
def test_the_shell_completes_commands_and_the_project_s_stacks(words: str, found: list[str]) -> None:
    env = {**os.environ, "_KOREAI_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [sys.executable, "-m", "pulumi_koreai"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == found


@pytest.mark.parametrize("name", ["x" * 5000, "\x1b[31m", "a\0b", "../x", "-"])
def test_whatever_a_stack_is_called_there_is_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", name]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: no stack ")
    assert shown.count("\n") == 1
    assert "\x1b" not in shown


def project(folder: Path, text: str = "name: p\nstackConfigDir: config\n", *stacks: str) -> None:
    (folder / "Pulumi.yaml").write_text(text)
    (folder / "config").mkdir()
    for stack in stacks:
        (folder / "config" / f"Pulumi.{stack}.yaml").write_text("config: {'koreai:models': {}}\n")


@pytest.mark.parametrize("command", ["check", "preview", "up", "drift"])
def test_a_folder_without_a_project_is_an_error_of_one_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([command, "prod"]) in (1, 2)
    assert capsys.readouterr() == (
        "",
        "error: no Pulumi.yaml in this folder. Change to the folder of a Pulumi project.\n",
    )


def test_a_stack_s_file_is_where_the_project_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    project(tmp_path, "name: p\nstackConfigDir: config\n", "one", "two")
    assert cli.main(["check", "one"]) == 0
    assert cli.main(["check", "acme/p/two"]) == 0
    assert cli.main(["check"]) == 0
    (tmp_path / "config" / "Pulumi.two.yaml").write_text("config: {'koreai:models': 3}\n")
    assert capsys.readouterr() == ("", "")
    assert cli.main(["check"]) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("config/Pulumi.two.yaml:1:10: ")
    assert cli.main(["check", "two", "--format", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["file"], found["line"], found["column"]) == ("config/Pulumi.two.yaml", 1, 10)


@pytest.mark.parametrize(
    "text, said",
    [
        ("a: [", "Pulumi.yaml:2:1: this is not YAML"),
        ("[]", "none in ."),
        ("name: 3\nstackConfigDir: [x]", "none in ."),
    ],
)
def test_an_odd_project_file_is_an_error_of_one_line(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    project(tmp_path, text)
    assert cli.main(["check", "x"]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1
