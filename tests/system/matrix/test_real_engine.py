"""The real engine: that it sees what the tables say, and two promises about deploys.

One cell at least for each outcome: many models in one stack, each with a fault of its own, so that a few commands do.
"""

import re
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from pulumi_koreai.emulator import KINDS, Emulator, Options, ScriptedFault
from pulumi_koreai.emulator.faults import OddJob, storm
from pulumi_koreai.emulator.platform import NEVER_SECONDS
from tests.system.engine.workspace import Model, Workspace, model
from tests.system.matrix import watch
from tests.system.matrix.operations import DOWN, RUNNING, WANTED, Host, Often, Run, Seen
from tests.system.matrix.table import GROUPS, OUTCOMES, differences, foretold
from tests.system.matrix.watch import Resource

pytestmark = pytest.mark.engine

SAMPLE: Final[tuple[tuple[str, str, Often], ...]] = (
    ("job-backwards", "create", "once"),
    ("503-html", "create", "once"),
    ("reset-taken", "update: undeploy", "once"),
    ("503-json-taken", "redeploy", "once"),
    ("403", "undeploy", "once"),
    ("503-empty", "undeploy", "always"),
    ("503-empty-taken", "create", "always"),
    ("cut", "create", "once"),
    ("504-html", "redeploy", "once"),
    ("200-other-job", "undeploy", "once"),
    ("job-fails-errors", "update: deploy", "once"),
    ("job-never-ends", "create", "once"),
    ("job-ends-unheard-of", "undeploy", "once"),
    ("302", "delete: look", "once"),
    ("401", "redeploy: look", "once"),
    ("someone-undeployed", "create: look", "always"),
    ("job-fails-message", "resume", "once"),
    ("job-ends-unheard-of", "resume", "once"),
    ("job-fails-none", "refresh", "once"),
    ("job-never-ends", "refresh", "once"),
    ("job-ends-unheard-of", "refresh", "once"),
)
TIMEOUT_SECONDS: Final = 2
TRIED_AGAIN: Final[tuple[str, str, Often]] = (DOWN, "create", "once")
NOT_SENT: Final[tuple[str, str, Often]] = (DOWN, "create", "always")


@pytest.fixture
def platform() -> Iterator[Emulator]:
    with Emulator(Options(job_seconds=0.3, undeploy_seconds=0.3, requests_per_minute=None)) as emulator:
        yield emulator


@pytest.fixture
def workspace(tmp_path: Path, engine_env: dict[str, str], platform: Emulator, stock_folder: Path) -> Workspace:
    made = Workspace(tmp_path / "project", {**engine_env, "PULUMI_PARALLEL": "64"}, platform, "own", stock_folder)
    made.config["config"]["koreai:requestsPerMinute"] = "100000"
    return made


def interrupted_with(run: Run) -> ScriptedFault:
    """Has the deploy that is to be interrupted not end, and be odd if the run's fault says so."""
    kind = KINDS[run.kind or ""]
    assert isinstance(kind, OddJob)
    return ScriptedFault(
        then=[kind.model_copy(update={"seconds": NEVER_SECONDS})], operation=["deploy"], model=run.model
    )


def entry(run: Run, *, begun: bool) -> Model | None:
    """What the stack's file says of the model before the operation, or (`begun`) for it; None: nothing."""
    what = run.what
    if what.call == "delete" if begun else what.begins == "new":
        return None
    made = model(modelId=run.model, deploymentName=watch.DEPLOYMENT_NAME)
    as_wanted = begun or what.begins == "interrupted"
    made["hyperParameters"] |= {"temperature": WANTED if as_wanted else RUNNING}
    if begun:
        made["updateStrategy"] = what.declared.get("update_strategy", "undeploy-first")
        made["deployed"] = what.declared.get("deployed", True)
    if what.begins == "interrupted" or run.often == "always" or run.kind in ("job-never-ends", "job-ends-unheard-of"):
        made["timeouts"] = dict.fromkeys(("create", "update", "delete"), f"{TIMEOUT_SECONDS}s")
    return made


def entries(runs: list[Run], *, begun: bool) -> dict[str, Model]:
    made = {run.model: entry(run, begun=begun) for run in runs}
    return {name: declared for name, declared in made.items() if declared is not None}


def resources(workspace: Workspace) -> dict[str, Resource]:
    return {
        item["urn"].rpartition("::")[2]: Resource(
            {key: value for key, value in item["outputs"].items() if key != "__provider"},
            item["inputs"],
            tuple(item.get("initErrors", ())),
        )
        for item in workspace.state()["resources"]
        if item["type"].endswith(":ModelDeployment")
    }


def told(run: Run, output: str) -> tuple[str, tuple[str, ...]]:
    """The error (or the warning) of a run's resource, and the other lines that are about it."""
    diagnostics = output.partition("\nDiagnostics:\n")[2]
    section = re.search(rf"(?m)^  \S+ \({re.escape(run.model)}\):\n((?:    .*\n|\s*\n)*)", diagnostics)
    _, error = re.split(r"    (?:error|warning): ", section[1] + "    error: ", maxsplit=1) if section else ("", "")
    notes = [line for line in output.splitlines() if re.search(rf"{re.escape(run.model)}(?![\w.-])", line)]
    return error.removesuffix("    error: ").strip(), tuple(notes)


def let_jobs_end(emulator: Emulator) -> None:
    emulator.use()
    emulator.forget_requests()
    with emulator.changing() as platform:
        for job in platform.jobs():
            job.seconds = 0


@pytest.mark.parametrize("host", ["own", pytest.param("stock", marks=pytest.mark.nightly)])
def test_the_real_engine_sees_what_the_tables_say(workspace: Workspace, host: Host) -> None:
    runs = [Run(kind, operation, often, host) for kind, operation, often in SAMPLE]
    emulator = workspace.emulator
    # Under our host: the stock one records no interrupted deploy.
    emulator.use(*(interrupted_with(run) for run in runs if run.what.begins == "interrupted"))
    workspace.declare(entries(runs, begun=False))
    workspace.up(fails=True)
    workspace.use(host)
    before = resources(workspace)
    with emulator.changing() as platform:
        endless = {run.model for run in runs if run.kind == "job-never-ends"}
        for job in platform.jobs():
            job.seconds = job.seconds if job.model_id in endless else 0

    def command(*command: str, fails: bool) -> str:
        return workspace.pulumi(*command, "--yes", "--skip-preview", fails=fails).output

    # The operations: some are a refresh, of its models alone, and the next `up` after it is the others' operation.
    refreshed = [run for run in runs if run.what.call == "read"]
    taken_before = watch.deploys_taken(emulator)
    emulator.forget_requests()
    outputs = [command("refresh", *(f"--target=**::{run.model}" for run in refreshed), fails=False)]
    held, sent = [resources(workspace)], [watch.sent(emulator)]
    taken = [taken_before, watch.deploys_taken(emulator)]
    errors: list[dict[Run, str]] = [{}]
    let_jobs_end(emulator)
    emulator.use(*(watch.fault(run) for run in runs if run.what.begins != "interrupted"))
    workspace.declare(entries(runs, begun=True))
    # The last `up` is for what is stuck, which the stock host leaves so.
    for fails in (True, True, host == "stock"):
        outputs.append(command("up", "--continue-on-error", fails=fails))
        held.append(resources(workspace))
        sent.append(watch.sent(emulator))
        taken.append(watch.deploys_taken(emulator))
        errors.append({run: told(run, outputs[-1])[0] for run in runs})
        let_jobs_end(emulator)

    for run in runs:
        at = 0 if run in refreshed else 1
        error, notes = told(run, outputs[at])
        seen = Seen(
            error,
            notes,
            watch.holds(before.get(run.model), held[at].get(run.model)),
            tuple(what for what in sent[at].get(run.model, ()) if what != "look"),
            taken[at + 1][run.model] - taken[at][run.model],
            tuple(sent[at + 1].get(run.model, ())),
            errors[at + 1][run],
            watch.as_declared(emulator, run, held[-1].get(run.model)),
        )
        outcome = foretold(run.kind, run.operation, run.often)
        assert differences(run, outcome, seen, later_process=True) == [], f"{run}: not {outcome.name!r}: {seen}"


@pytest.mark.parametrize("host", ["own", pytest.param("stock", marks=pytest.mark.nightly)])
def test_the_real_engine_sees_that_nobody_listens(workspace: Workspace, host: Host) -> None:
    """Apart from the others, as nobody listens to them either."""
    run = Run(*NOT_SENT, host)
    emulator = workspace.emulator
    workspace.use(host)
    workspace.declare(entries([run], begun=True))
    watch.leave(emulator)
    assert "no connection" in told(run, workspace.up(fails=True))[0]
    assert run.model not in resources(workspace)
    emulator.come_back()
    assert watch.sent(emulator) == {}
    declared = entries([run], begun=True)
    del declared[run.model]["timeouts"]  # a loaded machine needs more
    workspace.declare(declared)
    workspace.up()
    assert watch.sent(emulator)[run.model][:1] == ["deploy"]
    assert emulator.model(run.model).deployment is not None


def test_the_real_engine_sees_that_somebody_listens_again(workspace: Workspace) -> None:
    """Under our host: the stock one does not show the attempt in vain."""
    run = Run(*TRIED_AGAIN, "own")
    emulator = workspace.emulator
    workspace.declare(entries([run], begun=True))
    watch.leave(emulator)
    process = workspace.begin_up()
    assert process.stdout is not None
    missed = next(line for line in process.stdout if "no connection; trying again" in line)
    emulator.come_back()
    output = missed + process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    assert watch.sent(emulator)[run.model][:1] == ["deploy"]
    assert emulator.model(run.model).deployment is not None


def test_the_sample_has_every_outcome() -> None:
    assert {foretold(*cell).name for cell in (*SAMPLE, TRIED_AGAIN, NOT_SENT)} == set(OUTCOMES)


@pytest.mark.parametrize("host", ["own", pytest.param("stock", marks=pytest.mark.nightly)])
def test_a_deploy_whose_answer_was_lost_is_never_sent_twice_in_the_same_run(workspace: Workspace, host: Host) -> None:
    rows = ("no good answer", "no good answer, and taken", "another job's answer")
    models = {f"cm-{kind}": kind for row in rows for kind in GROUPS[row]}
    workspace.emulator.use(*(ScriptedFault.named(kind, "deploy", model=model_id) for model_id, kind in models.items()))
    workspace.declare({model_id: model(modelId=model_id) for model_id in models})
    workspace.use(host)
    output = workspace.pulumi("up", "--yes", "--skip-preview", "--continue-on-error", fails=True).output
    assert watch.sent(workspace.emulator) == {model_id: ["deploy"] for model_id in models}
    for model_id in models:
        assert f"It is unknown whether {model_id} is being deployed now, so the deploy is not sent again." in output


@pytest.mark.nightly
def test_a_storm_ends_as_declared_with_one_accepted_deploy_each(workspace: Workspace) -> None:
    models = {f"model-{number}": model(number) for number in range(50)}
    seed = secrets.randbelow(1 << 32)
    print(f"seed {seed}")
    workspace.env["PULUMI_PARALLEL"] = "16"
    workspace.emulator.use(*storm(), seed=seed)
    workspace.declare(models)
    workspace.up()
    emulator = workspace.emulator
    refused = Counter(entry.path for entry in emulator.requests() if entry.method == "POST" and entry.fault)
    assert len(refused) == len(models), "each POST was refused once at least"
    assert Counter(job.model_id for job in emulator.jobs()) == dict.fromkeys((f"cm-{n}" for n in range(50)), 1)
    assert {job.status for job in emulator.jobs()} == {"SUCCESS"}
    for declared in models.values():
        deployment = emulator.model(declared["modelId"]).deployment
        assert deployment is not None
        assert deployment.body["hyperParameters"] == declared["hyperParameters"]
    assert {resource.outputs["state"] for resource in resources(workspace).values()} == {"deployed"}
    workspace.emulator.forget_requests()
    workspace.up()
    assert emulator.requests() == []
