"""A report on a terminal, and as data."""

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from pulumi_koreai import cli
from pulumi_koreai.report import terminal
from tests.report import samples
from tests.report.samples import HERE, rendered

ALL = samples.samples()


def shown(report: str, width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    return terminal.laid_out(report, io.StringIO())


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("sample", ALL, ids=lambda sample: sample.stem)
def test_no_markdown_is_left_and_no_line_is_too_long(sample: Path, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(rendered(sample.read_text(encoding="utf-8")), width, monkeypatch)
    assert not any(raw in text for raw in ("**", "| ---", "<br>", "<details>", "```", "[!WARNING]", "dateFormat"))
    assert max(map(len, text.splitlines())) <= width


def test_each_word_of_the_report_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(rendered((HERE / "previews" / "mix-over-100.json").read_text(encoding="utf-8")), 300, monkeypatch)
    for part in (
        "100 models change: 11 undeployed",
        "Warnings",
        "27 more rows",
        "-\N{NO-BREAK SPACE}undeployed",
        "g5.2xlarge",
        "<|41|>",
    ):
        assert part in text


def test_what_looks_like_rich_s_markup_or_markdown_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = "`[red]x[/red] **b** <b>`"
    text = shown(
        f"| a | b |\n| --- | --- |\n| ~ {odd} | {odd} |\n\n- {odd}\n\n{odd}\n\n```text\n[bold]\n```", 140, monkeypatch
    )
    assert text.count("[red]x[/red] **b** <b>") == 4
    assert "[bold]" in text


def on_a_terminal(*arguments: str, **env: str) -> str:
    """What the program prints where its output is a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pulumi_koreai", *arguments]
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    with subprocess.Popen(command, env={**environment, "TERM": "xterm", **env}, stdout=theirs) as process:
        os.close(theirs)
        said = b""
        try:
            while part := os.read(ours, 65536):
                said += part
        except OSError:  # the other end is closed
            pass
        assert process.wait(30) == 0
    os.close(ours)
    return said.decode()


def test_a_terminal_gets_colours_unless_it_wants_none_and_a_pipe_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    sample = str(HERE / "previews" / "redeploy.json")
    assert "\x1b[33m~" in on_a_terminal("report", sample)
    plain = on_a_terminal("report", sample, NO_COLOR="1")
    assert "~\N{NO-BREAK SPACE}redeployed" in plain
    assert "\x1b[33m" not in plain
    assert on_a_terminal("report", "--format", "markdown", sample).startswith("**1 model changes")
    assert cli.main(["report", sample]) == 0
    assert capsys.readouterr().out.startswith("**1 model changes")


def test_a_preview_and_a_run_as_data(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["report", "--format", "json", str(HERE / "previews" / "redeploy.json")])
    preview = json.loads(capsys.readouterr().out)
    changed = next(model for model in preview["models"] if model["what"] == "redeployed")
    assert (changed["name"], changed["cutsOff"], changed["lastDeploySeconds"]) == ("support-chat", True, 642.0)
    assert changed["differences"][0] == {"path": "hyperParameters.temperature", "old": 0.7, "new": 0.2}
    assert cli.main(["report", "--format", "json", str(HERE / "runs" / "failed.jsonl")]) == 1
    run = json.loads(capsys.readouterr().out)
    assert run["failed"]
    assert run["notBegun"] == ["after"]
    assert {model["outcome"] for model in run["models"]} == {"failed", "not finished", "done", "unchanged"}
