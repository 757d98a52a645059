"""`koreai`: the subcommands are there, each says what it takes, and a wrong one is an error."""

import pytest

from pulumi_koreai import cli


def test_help_lists_every_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in cli._COMMANDS)


@pytest.mark.parametrize("name", cli._COMMANDS)
def test_each_subcommand_says_what_it_takes_by_its_own_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: koreai {name}")


@pytest.mark.parametrize("arguments, words", [([], "which command?"), (["chekc"], "unknown command 'chekc'")])
def test_a_wrong_command_is_an_error_of_usage(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert shown.out == ""
