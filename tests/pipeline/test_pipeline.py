"""A pull request, its merge and the nights after, by the workflows' own steps, the real engine and the emulator."""

import os
import re
import signal
import time

import pytest

from pulumi_koreai.emulator.platform import Fail
from tests.pipeline.forges import TOKEN, ForgeServer
from tests.pipeline.workflows import Runner
from tests.processes import hosts_below
from tests.system.engine.lost_runs import jobs_of, slow, wait_for
from tests.system.engine.workspace import KEY, Workspace, model
from tests.tiers import OLDEST_ENGINE

pytestmark = pytest.mark.engine


def test_from_a_pull_request_to_the_merge(workspace: Workspace, runner: Runner, forge: ForgeServer) -> None:
    said = ["> <!-- koreai-models: preview -->\nWhat is this?", *["And this?"] * 150]
    forge.comments = [{"id": 1 + n, "user": {"type": "User"}, "body": text} for n, text in enumerate(said)]
    people = len(forge.comments)
    workspace.declare(chat=model(), summary=model(2))

    seen = runner.run("preview", "preview", pull_request=True)
    assert seen.code == 0, seen.output
    assert len(forge.comments) == people + 1
    comment = forge.comments[-1]
    assert "## test" in comment["body"]
    assert "chat" in comment["body"]
    assert f"For commit {forge.head}:" in comment["body"]
    assert "https://forge.example.com/team/models/actions/runs/1234" in comment["body"]
    assert runner.page in seen.output

    workspace.declare(chat=model(), renamed=model(2))
    forge.head = "f" * 40
    assert runner.run("preview", "preview", pull_request=True).code == 0
    assert len(forge.comments) == people + 1, "one comment, however often"
    assert "renamed" in comment["body"]
    assert f"For commit {forge.head}:" in comment["body"], "a reader sees whether it is the newest"
    assert [comment["body"] for comment in forge.comments[:people]] == said
    assert workspace.sent() == []

    writes = forge.writes
    assert runner.run("up", "preview").code == 0
    assert runner.stacks == ["test"]
    assert forge.writes == writes, "after the merge there is no pull request to comment on"
    assert workspace.sent() == []
    merged = runner.run("up", "up")
    assert merged.code == 0, merged.output
    assert {"deploy cm-1", "deploy cm-2"} < set(workspace.sent())
    assert "chat" in runner.page
    assert KEY not in merged.output

    assert runner.run("up", "preview").code == 0
    assert runner.stacks == [], "nobody is asked to approve nothing"


@pytest.mark.nightly
def test_a_deletion_that_is_left_over_is_seen_by_a_night_and_done_by_the_next_up(
    workspace: Workspace, runner: Runner, forge: ForgeServer
) -> None:
    workspace.declare(chat=model(1))
    workspace.up()
    workspace.emulator.set_model("cm-1", fail=Fail(undeploy="No node answers", once=True))
    workspace.declare(chat=model(2))
    assert runner.run("up", "up").code == 1
    assert "No node answers" in runner.page

    night = runner.run("drift", "drift")
    assert night.code == 3, night.output
    (issue,) = forge.open_issues
    assert "cm-1" in issue["body"]
    assert runner.run("up", "preview").code == 0
    assert runner.stacks == ["test"]
    workspace.sent()
    assert runner.run("up", "up").code == 0
    assert workspace.sent() == ["wait undeploy cm-1", "undeploy cm-1", "wait undeploy cm-1"], (
        "the failed job is asked for"
    )


@pytest.mark.nightly
def test_a_protection_that_comes_or_goes_alone_is_a_change(workspace: Workspace, runner: Runner) -> None:
    workspace.declare(chat=model())
    workspace.up()
    for protect in (True, False):
        workspace.declare(chat=model(protect=protect))
        assert runner.run("up", "preview").code == 0
        assert runner.stacks == ["test"]
        assert runner.run("up", "up").code == 0
        assert workspace.resource("chat").get("protect", False) is protect


@OLDEST_ENGINE
@pytest.mark.nightly
def test_a_stack_of_an_organisation_has_its_files_by_the_last_part_of_its_name(
    workspace: Workspace, runner: Runner, forge: ForgeServer
) -> None:
    name = "organization/koreai-models/test"  # the only organisation that a state outside of Pulumi Cloud has
    runner.values["join(fromJSON(vars.KOREAI_STACKS), ' ')"] = runner.values["matrix.stack"] = name
    workspace.declare(chat=model())
    assert runner.run("up", "preview").code == 0
    assert runner.stacks == [name]
    (workspace.folder / "policy" / "test.json").write_text('{"allowed-hardware": {"deviceTypes": []}}')
    assert runner.run("up", "up").code == 1
    assert f"## {name}" in runner.page
    assert "allowed: none" in runner.page


def test_a_pipeline_refuses_to_preview_a_stack_whose_file_has_the_key(
    workspace: Workspace, runner: Runner, forge: ForgeServer
) -> None:
    workspace.set_key(KEY)
    workspace.declare(chat=model())
    assert runner.by_hand("preview test").code == 0, "it is for people"
    refused = runner.run("preview", "preview", pull_request=True)
    assert refused.code == 3
    (comment,) = forge.comments
    assert "**Refused**: `stacks/Pulumi.test.yaml` has `koreai:apiKey`" in comment["body"]
    assert "(`pulumi config rm koreai:apiKey --stack test`)" in comment["body"]
    workspace.pulumi("config", "rm", "koreai:apiKey", "--stack", "test")
    assert "koreai:apiKey" not in (workspace.folder / "stacks" / "Pulumi.test.yaml").read_text()


def test_a_run_that_the_branch_has_left_behind_does_nothing(
    workspace: Workspace, runner: Runner, forge: ForgeServer
) -> None:
    workspace.declare(chat=model())
    ended = runner.run("up", "up", sha="b" * 40)
    assert ended.code == 0
    assert f"nothing is done. The branch is at {forge.tip}" in runner.page
    assert workspace.sent() == []


def test_a_faulty_file_is_told_in_the_comment(workspace: Workspace, runner: Runner, forge: ForgeServer) -> None:
    workspace.declare(chat=model(deviceType="g5.tiny"))
    assert runner.run("preview", "preview", pull_request=True).code == 1
    (comment,) = forge.comments
    assert "g5.tiny" in comment["body"]
    workspace.declare(chat=model())
    assert runner.run("preview", "preview", pull_request=True).code == 0
    assert "g5.tiny" not in comment["body"]


@pytest.mark.nightly
def test_what_the_engine_refuses_is_told_in_the_comment(
    workspace: Workspace, runner: Runner, forge: ForgeServer
) -> None:
    workspace.declare(chat=model(protect=True))
    workspace.up()
    workspace.declare()
    assert runner.run("preview", "preview", pull_request=True).code == 1
    (comment,) = forge.comments
    assert "protected" in comment["body"]
    runner.values["join(fromJSON(vars.KOREAI_STACKS), ' ')"] = "nobody"
    (workspace.folder / "stacks" / "Pulumi.nobody.yaml").write_text("config: {'koreai:models': {}}\n")
    assert runner.run("preview", "preview", pull_request=True).code == 1
    assert "no stack named 'nobody' found" in comment["body"]


def test_what_fail_on_names_is_refused(workspace: Workspace, runner: Runner) -> None:
    workspace.declare(chat=model(), summary=model(2))
    workspace.up()
    workspace.declare(chat=model())
    refused = runner.by_hand("preview test --fail-on undeploy")
    assert refused.code == 3
    assert "**Refused**: this pipeline is run with `--fail-on undeploy`." in refused.output
    assert runner.by_hand("preview test").code == 0


@OLDEST_ENGINE
@pytest.mark.nightly
def test_what_a_policy_forbids_is_told_in_the_comment(workspace: Workspace, runner: Runner, forge: ForgeServer) -> None:
    (workspace.folder / "policy" / "test.json").write_text('{"allowed-hardware": {"deviceTypes": ["g4dn.xlarge"]}}')
    workspace.declare(chat=model())
    assert runner.run("preview", "preview", pull_request=True).code == 1
    (comment,) = forge.comments
    reason = "mandatory policy allowed-hardware: chat: deviceType g5.xlarge is not allowed"
    assert reason in comment["body"]
    assert comment["body"].index("The preview failed") < comment["body"].index(reason), "the summary comes first"
    assert runner.run("up", "up").code == 1
    assert reason in runner.page
    assert workspace.sent() == []


@OLDEST_ENGINE
@pytest.mark.nightly
def test_what_a_policy_says_of_many_models_it_says_once(
    workspace: Workspace, runner: Runner, forge: ForgeServer
) -> None:
    (workspace.folder / "policy" / "test.json").write_text('{"serves-callers": "advisory"}')
    workspace.declare({f"model-{number}": model(number, protect=number > 10) for number in range(1, 13)})
    seen = runner.run("preview", "preview", pull_request=True)
    assert seen.code == 0, seen.output
    (comment,) = forge.comments
    told = " ".join(comment["body"].split())
    assert told.count("this stack requires `updateStrategy: redeploy`") == 1
    assert re.search(
        r"advisory policy serves-callers: (model-\d+, ){5}model-\d+ and 6 more: this stack requires `upd", told
    )
    assert re.search(
        r"advisory policy serves-callers: (model-\d+, ){5}model-\d+ and 4 more: this stack requires `pro", told
    )
    assert told.index("12 models change: 12 deployed.") < told.index("advisory policy")


def test_the_program_under_review_gets_neither_the_key_nor_the_token(
    workspace: Workspace, runner: Runner, forge: ForgeServer
) -> None:
    workspace.program(
        "import os, pathlib\n"
        "pathlib.Path('seen').write_text('\\n'.join(os.environ.values()))\n"
        f"{(workspace.folder / '__main__.py').read_text()}"
    )
    workspace.declare(chat=model())
    assert runner.run("preview", "preview", pull_request=True).code == 0
    seen = (workspace.folder / "seen").read_text()
    assert "not-the-key" in seen
    assert TOKEN not in seen
    assert KEY not in seen


@pytest.mark.nightly
def test_a_refused_token_is_an_error_that_says_what_is_missing(
    workspace: Workspace, runner: Runner, forge: ForgeServer
) -> None:
    workspace.declare(chat=model())
    runner.values["github.token"] = "expired"
    ended = runner.run("preview", "preview", pull_request=True)
    assert ended.code == 1
    assert "answered 401" in ended.output
    assert "Has the step GITHUB_TOKEN, and the job the permission?" in ended.output
    assert "Traceback" not in ended.output


@pytest.mark.nightly
def test_a_night_finds_a_job_that_failed_meanwhile(workspace: Workspace, runner: Runner, forge: ForgeServer) -> None:
    workspace.declare(chat=model(timeouts={"create": "2s"}), summary=model(2))
    workspace.emulator.set_model("cm-1", job_seconds=3600)
    assert runner.run("up", "up").code == 1
    assert "chat" in runner.page
    with workspace.emulator.lock:
        (job,) = (job for job in workspace.emulator.platform.jobs() if job.model_id == "cm-1")
        job.seconds, job.reason = 0, "No GPU is left in the region"
    workspace.sent()

    night = runner.run("drift", "drift")
    assert night.code == 3, night.output
    assert set(workspace.sent()) == {"wait deploy cm-1", "wait deploy cm-2"}, "it only asks"
    (issue,) = forge.issues
    assert issue["title"] == "test: models are not as declared"
    assert f"The last deploy of the model failed (job `{job.id}`)" in issue["body"]
    assert "`chat`" in issue["body"]

    assert runner.run("drift", "drift").code == 3
    assert len(forge.issues) == 1, "the next night it is the same issue"

    workspace.emulator.set_model("cm-1", job_seconds=0.3)
    workspace.declare(chat=model(), summary=model(2))
    assert runner.run("up", "up").code == 0
    assert runner.run("drift", "drift").code == 0
    assert issue["state"] == "closed"
    assert "as declared again" in issue["said"][0]
    writes = forge.writes
    assert runner.run("drift", "drift").code == 0
    assert forge.writes == writes, "a quiet night is quiet"


def test_a_cancelled_run_keeps_its_job_and_a_night_in_the_midst_of_a_run_waits_for_the_next(
    workspace: Workspace, runner: Runner, forge: ForgeServer
) -> None:
    workspace.emulator.set_model("cm-1", job_seconds=3600)
    workspace.declare(chat=model())
    process = runner.start("up", "up")
    deadline = time.monotonic() + 60
    while not workspace.emulator.jobs():
        assert time.monotonic() < deadline
        time.sleep(0.1)

    night = runner.run("drift", "drift")
    assert night.code == 1
    assert "**The refresh failed.**" in night.output
    assert "the stack is currently locked" in night.output
    assert forge.issues == []

    # As GitHub's runner cancels: the process that it started, twice.
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1, output
    (job,) = workspace.emulator.jobs()
    assert workspace.outputs("chat")["dock_status_id"] == job.id
    assert not workspace.state().get("pending_operations")
    workspace.sent()
    workspace.let_jobs_end()
    assert runner.run("up", "up").code == 0
    assert workspace.sent() == ["wait deploy cm-1"], "it is taken up again"


@pytest.mark.nightly
def test_a_signal_ends_the_previews_of_all_stacks(workspace: Workspace, runner: Runner) -> None:
    """As Ctrl-C does; what ends the first stack's engine is not for that engine alone."""
    workspace.declare(chat=model())
    own = (workspace.folder / "stacks" / "Pulumi.test.yaml").read_text()
    (workspace.folder / "stacks" / "Pulumi.second.yaml").write_text(own.replace("cm-1", "cm-2"))
    workspace.program("import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(3600)\n")
    runner.values["join(fromJSON(vars.KOREAI_STACKS), ' ')"] = "test second"
    process = runner.start("up", "preview")
    deadline = time.monotonic() + 60
    while not (workspace.folder / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert "- `second`: **There is no preview**: this run was interrupted before it." in runner.page
    assert "no stack named 'second'" not in output, "its engine was never asked"
    assert runner.stacks == []


def test_the_example_for_gitlab(workspace: Workspace, runner: Runner, forge: ForgeServer) -> None:
    workspace.declare(chat=model(timeouts={"create": "2s"}))
    for _ in range(2):
        seen = runner.gitlab("preview", CI_MERGE_REQUEST_IID="7")
        assert seen.code == 0, seen.output
    (note,) = forge.comments
    assert "chat" in note["body"]
    workspace.emulator.set_model("cm-1", job_seconds=3600)
    assert runner.gitlab("up production").code == 1
    assert runner.gitlab("drift production").code == 3
    assert runner.gitlab("drift production").code == 3
    (issue,) = forge.issues
    assert "is resumed" in issue["description"]
    workspace.let_jobs_end()
    assert runner.gitlab("up production").code == 0
    assert runner.gitlab("drift production").code == 0
    assert forge.open_issues == []


@pytest.mark.nightly
def test_a_step_by_hand_says_on_the_terminal_what_it_has_to_say(workspace: Workspace, runner: Runner) -> None:
    workspace.declare(chat=model())
    ended = runner.by_hand("preview test")
    assert ended.code == 0
    assert "## test" in ended.output
    assert "`chat`" in ended.output


def test_a_run_whose_host_is_killed_is_followed_by_one_that_takes_up_its_jobs(
    workspace: Workspace, runner: Runner
) -> None:
    slow(workspace, "cm-1", "cm-2")
    workspace.declare(chat=model(), talk=model(2))
    running = runner.start("up", "up")
    wait_for(lambda: running.poll() is not None or len(jobs_of(workspace, "DEPLOY")) == 2)
    time.sleep(0.3)
    hosts = hosts_below(running.pid)
    assert hosts
    for pid in hosts:
        os.kill(pid, signal.SIGKILL)
    workspace.let_jobs_end()
    output, _ = running.communicate(timeout=120)
    assert running.returncode == 0, output
    assert sorted(jobs_of(workspace, "DEPLOY")) == ["cm-1", "cm-2"], "nothing is deployed twice"
    assert workspace.outputs("chat")["state"] == workspace.outputs("talk")["state"] == "deployed"
    assert "The first run ended early; this one took up what it had sent" in runner.page


def test_a_run_outlives_who_reads_its_log(workspace: Workspace, runner: Runner) -> None:
    slow(workspace, "cm-1")
    workspace.declare(chat=model())
    running = runner.start("up", "up")
    wait_for(lambda: running.poll() is not None or jobs_of(workspace, "DEPLOY"))
    assert running.stdout is not None
    running.stdout.close()
    time.sleep(1.5)  # some lines of progress find no reader
    workspace.let_jobs_end()
    assert running.wait(timeout=120) == 0
    assert "chat" in runner.page
    assert workspace.outputs("chat")["state"] == "deployed"
