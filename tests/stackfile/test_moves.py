"""`koreai check --since`: a model that leaves one stack's file and enters another's (report R10)."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from pulumi_koreai import cli
from tests.stackfile.entries import SHORT

HERE = "https://here.example.com"
ENV = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{f"GIT_{who}_{what}": "ann@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def main(arguments: Sequence[str]) -> int:
    return cli.main(["check", *arguments])


class Repository:
    """Stack files in a git repository, in which a revision is named `base`."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        (folder / "stacks").mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.folder, env={**os.environ, **ENV}, check=True)

    def write(self, stack: str, host: object = HERE, /, **models: object) -> None:
        entries = {name: {**SHORT, **entry} if isinstance(entry, dict) else entry for name, entry in models.items()}
        lines = [f"      {json.dumps(name)}: {json.dumps(entry)}\n" for name, entry in entries.items()]
        text = f"config:\n  koreai:host: {json.dumps(host)}\n  koreai:models:\n{''.join(lines) or '      {}'}"
        (self.folder / "stacks" / f"Pulumi.{stack}.yaml").write_text(text)

    def remove(self, stack: str) -> None:
        (self.folder / "stacks" / f"Pulumi.{stack}.yaml").unlink()

    def commit(self) -> None:
        self.git("add", ".")
        self.git("commit", "-q", "-m", "base")
        self.git("tag", "-f", "base")

    def check(self, *stacks: str, since: str = "base") -> tuple[int, list[str], str]:
        """The exit status, the errors, and what else is said."""
        files = [f"stacks/Pulumi.{stack}.yaml" for stack in stacks]
        status = main([f"--since={since}", *(files or map(str, sorted(Path("stacks").glob("*.yaml"))))])
        printed = self._capsys.readouterr()
        return status, printed.out.splitlines(), printed.err


@pytest.fixture
def repository(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.chdir(tmp_path)
    return Repository(tmp_path, capsys)


def test_a_model_that_moves_is_an_error_with_both_places_and_the_way(repository: Repository) -> None:
    repository.write("one", chat={}, other={"modelId": "cm-2"})
    repository.write("two")
    repository.commit()
    repository.write("one", other={"modelId": "cm-2"})
    repository.write("two", talk={})
    column = (repository.folder / "stacks/Pulumi.two.yaml").read_text().splitlines()[3].index('"modelId"') + 1
    status, errors, said = repository.check()
    assert (status, said) == (1, "1 error in 2 files\n")
    [error] = errors
    assert error == (
        f"stacks/Pulumi.two.yaml:4:{column}: talk: modelId: cm-1 moves from entry chat of stack one"
        f" (stacks/Pulumi.one.yaml:4:{column} in base) to entry talk of stack two: `pulumi up` of one undeploys it;"
        " first write `adopt: true` in the new entry and take the old one out of its stack's state with"
        " `pulumi state delete`: docs/moving.md"
    )
    assert main(["stacks/Pulumi.one.yaml", "stacks/Pulumi.two.yaml"]) == 0, "the files alone don't show it"


def test_where_the_new_entry_adopts_it_what_is_left_to_do_is_a_note(repository: Repository) -> None:
    repository.write("one", chat={})
    repository.write("two")
    repository.commit()
    repository.write("one")
    repository.write("two", chat={"adopt": True})
    status, errors, said = repository.check()
    assert (status, errors) == (0, [])
    assert said.startswith("stacks/Pulumi.two.yaml:4:")
    assert "note: chat: modelId: cm-1 moves from entry chat of stack one (" in said
    assert "; first take the old one out of its stack's state with `pulumi state delete`: docs/moving.md\n" in said


def test_a_model_that_leaves_one_of_two_files_that_have_it_is_a_note(repository: Repository) -> None:
    repository.write("one", chat={})
    repository.write("two")
    repository.commit()
    repository.write("two", chat={})
    _, [error], _ = repository.check()
    assert "is also the model of" in error, "nothing has moved"
    repository.commit()
    repository.write("one")
    status, errors, said = repository.check()
    assert (status, errors) == (0, [])
    assert "`pulumi up` of one undeploys it; first take the old one out" in said


def test_two_models_that_change_places_are_two_errors(repository: Repository) -> None:
    repository.write("one", chat={})
    repository.write("two", chat={"modelId": "cm-2"})
    repository.commit()
    repository.write("one", chat={"modelId": "cm-2"})
    repository.write("two", chat={})
    _, errors, _ = repository.check()
    assert [line.split(" moves ")[0].rpartition(" ")[2] for line in errors] == ["cm-2", "cm-1"]


@pytest.mark.parametrize(
    "old, new",
    [({"deployed": False}, {}), ({}, {"deployed": False}), ({}, {"deployed": "no"})],
    ids=["nothing ran", "nothing is to run", "as a text"],
)
def test_what_both_stacks_agree_on_is_no_error(repository: Repository, old: object, new: object) -> None:
    repository.write("one", chat=old)
    repository.write("two")
    repository.commit()
    repository.write("one")
    repository.write("two", chat=new)
    assert repository.check() == (0, [], "")


@pytest.mark.parametrize("host", ["https://there.example.com", {"secure": "v1:abc"}, ""])
def test_a_model_of_another_platform_or_perhaps_another_is_no_error(repository: Repository, host: object) -> None:
    repository.write("one", chat={})
    repository.write("two", host)
    repository.commit()
    repository.write("one")
    repository.write("two", host, chat={})
    assert repository.check() == (0, [], "")


def test_encrypted_hosts_are_not_compared(repository: Repository) -> None:
    host = {"secure": "v1:abc"}
    repository.write("one", host, chat={})
    repository.write("two", host)
    repository.commit()
    repository.write("one", host)
    repository.write("two", host, chat={})
    assert repository.check() == (0, [], "")


def test_an_entry_that_stays_goes_or_is_renamed_in_its_file_is_no_error(repository: Repository) -> None:
    repository.write("one", stays={}, goes={"modelId": "cm-2"}, renamed={"modelId": "cm-3"})
    repository.write("two", stays={"modelId": "cm-4"})
    repository.commit()
    repository.write("one", stays={}, other={"modelId": "cm-3"})
    repository.write("two", stays={"modelId": "cm-4"}, new={"modelId": "cm-5"})
    assert repository.check() == (0, [], "")


def test_a_model_out_of_a_file_that_is_gone_is_an_error_unless_the_file_is_renamed(repository: Repository) -> None:
    repository.write("one", chat={}, talk={"modelId": "cm-2"})
    repository.write("two")
    repository.commit()
    repository.remove("one")
    repository.write("two", chat={})
    _, [error], _ = repository.check()
    assert "cm-1 moves from entry chat of stack one (stacks/Pulumi.one.yaml:4:" in error
    repository.write("two")
    repository.write("renamed", chat={}, talk={"modelId": "cm-2"})
    assert repository.check() == (0, [], ""), "as after `pulumi stack rename`"
    repository.write("renamed", chat={})
    assert len(repository.check()[1]) == 1, "a part of it is another stack"


def test_a_file_that_was_no_yaml_and_one_that_is_new_hide_nothing(repository: Repository) -> None:
    repository.write("one", chat={})
    (repository.folder / "stacks" / "Pulumi.broken.yaml").write_text("[")
    repository.commit()
    repository.write("one")
    repository.write("broken")
    repository.write("new", chat={})
    assert len(repository.check()[1]) == 1


def test_it_finds_the_repository_of_the_files_from_wherever_it_is_run(
    repository: Repository, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("one", chat={})
    repository.write("two")
    repository.commit()
    repository.write("one")
    repository.write("two", chat={})
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    files = [str(repository.folder / "stacks" / f"Pulumi.{stack}.yaml") for stack in ("one", "two", "two")]
    assert main(["--since", "base", *files]) == 1


@pytest.mark.parametrize(
    "revision",
    ["origin/nobody", "--help", "-q", "--all", "--since=now", "--glob=*", "base:stacks", "", "base\nHEAD", ":/"],
)
def test_what_names_no_commit_is_told_and_is_never_an_option(repository: Repository, revision: str) -> None:
    repository.write("one", chat={})
    repository.commit()
    status, errors, said = repository.check(since=revision)
    assert (status, errors) == (2, [])
    assert said.startswith(f"error: the stack files can't be compared with {revision!r}: ")
    assert said.endswith(". Fetch the revision, or name another one.\n")
    assert "usage" not in said


def test_without_a_repository_or_git_it_says_so_and_the_other_errors_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    file = tmp_path / "Pulumi.one.yaml"
    file.write_text("config: {'koreai:models': 3}\n")
    assert main(["--since", "HEAD", str(file)]) == 2
    printed = capsys.readouterr()
    assert "not a git repository" in printed.err
    assert len(printed.out.splitlines()) == 1
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["--since", "HEAD", str(file)]) == 2
    assert "git can't be started: No such file or directory. Install it." in capsys.readouterr().err
