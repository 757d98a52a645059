"""What is told of stacks, by whatever their previews come to, and what a forge's oddities do to it; no engine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pulumi_koreai import cli
from pulumi_koreai.base.status import ExitStatus
from pulumi_koreai.pipeline import commands, engine
from pulumi_koreai.pipeline.forge import Forge, ForgeError, GitHub
from pulumi_koreai.pipeline.forge import forge as forge_of
from pulumi_koreai.pipeline.stack import Outcome, Stack
from pulumi_koreai.report.engine_json import MODEL_TYPE, Digest, read_engine_json
from pulumi_koreai.report.markdown import MAX_CHARS
from pulumi_koreai.stackfile.project import Project
from tests.pipeline.forges import TOKEN, ForgeServer

BOT = {"type": "Bot"}
DONE, FAILED, _, REFUSED = ExitStatus
PROJECT = Project("p", Path("stacks"))


class Foretold(Stack):
    """A stack whose preview comes to this."""

    def __init__(self, outcome: Outcome) -> None:
        self.name, self.file = outcome.stack, PROJECT.stack_folder / f"Pulumi.{outcome.stack}.yaml"
        self.outcome = outcome

    def preview(self, **_: object) -> Outcome:
        return self.outcome


def foretold(name: str, *, details: str = "", failed: bool = False, changes: bool = False) -> Stack:
    return Foretold(Outcome(name, f"The summary of {name}.", details, failed, changes=changes))


def previewed(stacks: Sequence[Stack], to: Forge) -> ExitStatus:
    return commands.preview(PROJECT, stacks, to, lambda *_: None)


def stack_in(folder: Path) -> Stack:
    """A stack whose engine is never run."""
    (folder / "Pulumi.prod.yaml").touch()
    return Stack("prod", Project("p", folder), {}, folder)


@pytest.fixture
def env(forge: ForgeServer, tmp_path: Path) -> dict[str, str]:
    """What GitHub's runner gives to a step of a pull request's run."""
    (tmp_path / "event").write_text(json.dumps({"pull_request": {"head": {"sha": forge.head}}}))
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": forge.url,
        "GITHUB_SERVER_URL": "https://forge.example.com",
        "GITHUB_REPOSITORY": "team/models",
        "GITHUB_RUN_ID": "1234",
        "GITHUB_REF": "refs/pull/7/merge",
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_EVENT_PATH": str(tmp_path / "event"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "page"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }


@pytest.fixture
def github(env: dict[str, str]) -> Forge:
    return forge_of(env)


def test_the_summaries_of_all_stacks_come_first_and_are_never_cut_off(forge: ForgeServer, github: Forge) -> None:
    long = "\n".join(["A line of a report."] * (MAX_CHARS // 20))
    names = [f"stack-{number}" for number in range(8)]
    assert previewed([foretold(name, details=long, changes=True) for name in names], github) == DONE
    (comment,) = forge.comments
    for name in names:
        assert f"- `{name}`: The summary of {name}." in comment["body"]
    assert "## stack-7" not in comment["body"]
    assert "The rest is in the run's log." in comment["body"]


def test_one_stack_s_summary_is_not_said_twice(forge: ForgeServer, github: Forge) -> None:
    previewed([foretold("prod", changes=True)], github)
    (comment,) = forge.comments
    assert comment["body"].count("The summary of prod.") == 1


def test_a_stack_whose_preview_failed_is_not_brought_up_and_the_others_are(github: Forge, tmp_path: Path) -> None:
    stacks = [
        foretold("broken", failed=True, changes=True),
        foretold("fine", changes=True),
        foretold("quiet"),
    ]
    assert previewed(stacks, github) == FAILED
    assert (tmp_path / "output").read_text() == 'stacks=["fine"]\n'


def planned(*steps: Mapping[str, object]) -> Digest:
    digest = read_engine_json(json.dumps({"steps": steps}))
    assert isinstance(digest, Digest)
    return digest


def test_a_model_that_moves_is_refused_at_the_top_of_the_comment_and_neither_stack_is_brought_up(
    forge: ForgeServer, github: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: p\n")
    for name in ("one", "two", "three"):
        (tmp_path / "stacks" / f"Pulumi.{name}.yaml").write_text("config: {koreai:host: https://h, models: {}}\n")
    of = {"type": MODEL_TYPE}
    here = {"op": "delete", "urn": "urn:pulumi:one::p::t::chat", "oldState": {**of, "id": "cm-1"}}
    there = {"op": "create", "urn": "urn:pulumi:two::p::t::chat", "newState": {**of, "inputs": {"model_id": "cm-1"}}}
    stacks = [
        Foretold(Outcome(name, f"The summary of {name}.", changes=True, digest=planned(*steps)))
        for name, steps in {"one": [here], "two": [there], "three": []}.items()
    ]
    assert previewed(stacks, github) == REFUSED
    (comment,) = forge.comments
    assert comment["body"].index("**Refused: 1 model would be undeployed") < comment["body"].index("- `one`: The summ")
    assert (tmp_path / "output").read_text() == 'stacks=["three"]\n'
    assert previewed(stacks[1:], github) == DONE, "what lets it go is not in this preview"


def test_after_a_signal_no_further_stack_is_previewed_and_none_looks_unchanged(
    github: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_signals", [signal.SIGINT])
    assert previewed([foretold("first", changes=True), stack_in(tmp_path)], github) == FAILED
    page = (tmp_path / "page").read_text()
    assert "- `prod`: **There is no preview**: this run was interrupted before it." in page
    assert (tmp_path / "output").read_text() == 'stacks=["first"]\n'


def test_where_nothing_changes_there_is_no_comment_but_an_older_one_is_brought_up_to_date(
    forge: ForgeServer, github: Forge
) -> None:
    assert previewed([foretold("prod")], github) == DONE
    assert forge.comments == []
    previewed([foretold("prod", failed=True)], github)
    previewed([foretold("prod", details="Nothing changes any more.")], github)
    (comment,) = forge.comments
    assert "Nothing changes any more." in comment["body"]


@pytest.mark.parametrize(
    "path, stack, said",
    [
        (os.devnull, "prod", "`pulumi` is not on the PATH"),
        (".", "prodd", "no stack 'prodd': stacks/Pulumi.prodd.yaml does not exist. Stacks of this project: prod."),
    ],
)
def test_without_an_engine_or_a_stack_the_comment_says_so(
    forge: ForgeServer,
    env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    path: str,
    stack: str,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: p\nstackConfigDir: stacks\n")
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.prod.yaml").touch()
    (tmp_path / "pulumi").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "pulumi").chmod(0o755)
    previewed([foretold("prod", changes=True)], GitHub(env))
    for name, value in {**env, "PATH": path}.items():
        monkeypatch.setenv(name, value)
    assert cli.main(["preview", stack]) == FAILED
    (comment,) = forge.comments
    assert said in " ".join(comment["body"].split())
    assert "The summary of prod." not in comment["body"], "it was an older commit's"
    assert cli.main(["up", stack]) == FAILED
    assert capsys.readouterr().err.count(f"error: {said}") == 2


def test_a_comment_of_an_account_that_is_gone_is_passed_over(forge: ForgeServer, github: Forge) -> None:
    forge.comments = [{"id": 1, "user": None, "body": "<!-- koreai-models: preview -->"}]
    forge.comments += [{"id": 2, "user": BOT, "body": None}]
    github.comment("the text")
    assert len(forge.comments) == 3
    assert "the text" in forge.comments[2]["body"]


def test_a_page_in_the_place_of_the_forge_s_answer_is_an_error_that_says_so(
    forge: ForgeServer, github: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ForgeServer, "answer", lambda *_: (200, b"<html>Please log in</html>"))
    with pytest.raises(ForgeError, match=r"answered 200 without JSON: '<html>Please log in</html>'"):
        github.comment("the text")


def test_what_policies_say_is_bounded_the_mandatory_first(tmp_path: Path) -> None:
    stack = stack_in(tmp_path)
    events = [
        {
            "policyEvent": {
                "resourceUrn": f"urn:pulumi:prod::koreai-models::type::model-{number}",
                "message": f"What it is about.\nmodel-{number}: reason {number}. {'long ' * 700}\n",
                "policyName": "some-policy",
                "enforcementLevel": "mandatory" if number == 99 else "advisory",
            }
        }
        for number in range(100)
    ]
    half = '{"policyEvent": {"message": "of an engine that was killed'
    (tmp_path / "events.jsonl").write_text("\n".join([*map(json.dumps, events), half]))
    told = stack._violations()
    assert told.startswith("```text\nmandatory policy some-policy: model-99: reason 99.")
    assert len(told) < 4_000
    shown = told.count("policy some-policy")
    assert 1 < shown < 10
    assert f"Left out here: {100 - shown} more violations." in told


def test_where_no_policy_says_anything_nothing_is_said(tmp_path: Path) -> None:
    stack = stack_in(tmp_path)
    (tmp_path / "events.jsonl").write_text('{"timestamp": 1}\n')
    assert stack._violations() == ""


FAKE_ENGINE = """#!/usr/bin/env python3
import pathlib, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit("interrupted by Ctrl-C"))
pathlib.Path("begun").touch()
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_whatever_ends_the_run_reaches_the_engine_as_ctrl_c_and_is_reported(
    tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "pulumi").write_text(FAKE_ENGINE)
    (tmp_path / "pulumi").chmod(0o755)
    (tmp_path / "Pulumi.yaml").write_text("name: p\n")
    (tmp_path / "Pulumi.prod.yaml").touch()
    env = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "pulumi_koreai", "up", "prod"]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while not (tmp_path / "begun").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert b"interrupted by Ctrl-C" in errors
    assert b"Nothing was done." in output
