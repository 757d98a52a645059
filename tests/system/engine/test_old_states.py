"""States that each released version left behind are updated, refreshed and destroyed by today's code, on both hosts.

`states/` has files such as `0.1.0-own-sdk-3.272.0.json`: what version 0.1.0 wrote under our own host with that SDK, the
output of `pulumi stack export` of a stack with a model in each condition that a state can hold. Another version's are
added, before it is released, with

    KEEP_STATES=1 .venv/bin/python -m pytest -n0 tests/system/engine/test_old_states.py -k format

and with `.venv-oldest/bin/python` those of the oldest SDK. A file that is there is never written again: it is what
users have. The secrets in them are encrypted with the passphrase of these tests. Each test takes some ten seconds: the
engine is started anew for every command.
"""

import json
import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from semver import Version

from pulumi_koreai.emulator import Emulator, Fail, ScriptedFault
from pulumi_koreai.emulator.platform import Deployment, EmulatedJob
from pulumi_koreai.emulator.platform import Model as PlatformModel
from tests.system.engine.workspace import KEY, Host, Model, Workspace, model

pytestmark = pytest.mark.engine

FOLDER: Final = Path(__file__).parent / "states"
KEPT: Final = sorted(FOLDER.glob("*.json"))
NEWEST_SDK: Final = max((file.stem.rpartition("-")[2] for file in KEPT), key=Version.parse, default="")
# Each under both hosts. The SDK leaves no trace in a state: an older one's are only handed from host to host.
HANDED_ON: Final[list[tuple[Path, Host]]] = [
    (file, host)
    for file in KEPT
    for host in get_args(Host)
    if file.stem.endswith(f"-{NEWEST_SDK}") or f"-{host}-" not in file.stem
]
NOT_TO_BE_RUN: Final = 'raise SystemExit("the program was run")\n'


def entry(condition: str, **changes: object) -> Model:
    return {**model(), "modelId": f"cm-{condition}", "deploymentName": condition, **changes}


SETTLED: Final = {
    "deployed": entry("deployed"),
    "undeployed": entry("undeployed", deployed=False),
    "adopted": entry("adopted", adopt=True),
}
# Only our own host records these when a creation ends so; the stock one has them as its refresh leaves them then.
UNSETTLED: Final = {
    "failed": entry("failed"),
    "deploying": entry("deploying", timeouts={"create": "1s"}),
    "unknown": entry("unknown"),
}
DECLARED: Final = {**SETTLED, **UNSETTLED}


def outputs_in(deployment: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The outputs of each model, by its condition."""
    return {
        resource["urn"].rpartition("::")[2]: resource["outputs"]
        for resource in deployment["resources"]
        if resource["type"].endswith(":ModelDeployment")
    }


def as_recorded(platform: Emulator, exported: dict[str, Any]) -> None:
    """Have the platform in the conditions that a state tells of; the deploy whose answer was lost had been taken."""
    for condition, recorded in outputs_in(exported["deployment"]).items():
        this = PlatformModel(f"cm-{condition}")
        serving = Deployment(condition, "openSource", {"name": condition})
        job = EmulatedJob(recorded["dock_status_id"], this.id, "DEPLOY", time.monotonic(), 0, "SUCCESS")
        match condition:
            case "deployed" | "adopted" | "unknown":
                this.state, this.deployment = "Deployed", serving
            case "undeployed":
                job.action = "UNDEPLOY"
            case "failed":
                this.state, job.status, job.reason = "Failed", "FAILED", "no GPU is free"
            case "deploying":
                this.state, this.job_id = "Deploying", job.id
                job.status, job.seconds, job.deployment = "IN_PROGRESS", 3600, serving
            case _:
                raise AssertionError(condition)
        with platform.lock:
            platform.platform.restore([this], [job] if job.id else [])


@pytest.fixture
def old(request: pytest.FixtureRequest, workspace: Workspace) -> Workspace:
    """A stack as an old version left it."""
    kept: Path = request.param
    exported = json.loads(kept.read_text())
    for resource in exported["deployment"]["resources"]:
        if resource["type"].startswith("pulumi:providers:"):
            # What does not run the program asks the platform that the last `up` was configured with.
            for properties in resource["inputs"], resource["outputs"]:
                properties["koreai:host"] = workspace.emulator.url
    workspace.pulumi("stack", "import", given=json.dumps(exported))
    as_recorded(workspace.emulator, exported)
    workspace.declare(DECLARED)
    return workspace


handed_on = pytest.mark.parametrize(
    "old, host", HANDED_ON, indirect=True, ids=[f"{file.stem}-then-{host}" for file, host in HANDED_ON]
)


def sent(workspace: Workspace) -> dict[str, list[str]]:
    """What was asked of the platform, model by model: the order between them is by chance."""
    told: dict[str, list[str]] = {}
    for line in workspace.sent():
        what, _, condition = line.rpartition(" cm-")
        if told.setdefault(condition, [])[-1:] != [what]:  # looks at several jobs alternate
            told[condition].append(what)
    return told


def serving(workspace: Workspace) -> set[str]:
    """The conditions whose models are deployed on the platform."""
    return {condition for condition in DECLARED if workspace.emulator.model(f"cm-{condition}").deployment}


def states(workspace: Workspace) -> dict[str, str]:
    """What the stack's state says of each model."""
    outputs = outputs_in(workspace.state())
    return {condition: recorded["state"] for condition, recorded in outputs.items()}


@handed_on
def test_an_old_state_is_brought_to_what_is_declared(old: Workspace) -> None:
    old.let_jobs_end()
    old.up()
    assert sent(old) == {
        "failed": ["deploy", "wait deploy"],
        "deploying": ["wait deploy"],
        "unknown": ["undeploy", "wait undeploy", "deploy", "wait deploy"],
    }
    assert serving(old) == DECLARED.keys() - {"undeployed"}
    assert states(old) == dict.fromkeys(DECLARED, "deployed") | {"undeployed": "undeployed"}
    assert "unchanged" in old.preview("--expect-no-changes")
    assert sent(old) == {}


@handed_on
def test_an_old_state_is_refreshed_without_the_program(old: Workspace) -> None:
    old.program(NOT_TO_BE_RUN)
    old.refresh()
    assert sent(old) == {
        "deployed": ["wait deploy"],
        "undeployed": ["wait undeploy"],
        "failed": ["wait deploy"],
        "deploying": ["wait deploy"],
    }
    assert states(old) == {
        "deployed": "deployed",
        "undeployed": "undeployed",
        "adopted": "deployed",
        "failed": "failed",
        "deploying": "deploying",
        "unknown": "failed",
    }


@handed_on
def test_an_old_state_is_destroyed_without_the_program(old: Workspace) -> None:
    old.program(NOT_TO_BE_RUN)
    old.let_jobs_end()
    old.destroy()
    assert sent(old) == {
        "deployed": ["undeploy", "wait undeploy"],
        "adopted": ["undeploy", "wait undeploy"],
        "failed": ["undeploy"],
        "deploying": ["wait deploy", "undeploy", "wait undeploy"],
        "unknown": ["undeploy", "wait undeploy"],
    }
    assert serving(old) == set()
    assert not old.state().get("resources")


@pytest.fixture
def written(workspace: Workspace) -> dict[str, Any]:
    """What this version writes: a state with every condition in it."""
    platform, host = workspace.emulator, workspace.host
    for model_id in ("cm-undeployed", "cm-adopted"):
        platform.set_model(model_id, deployment={"name": "by-hand"})
    workspace.declare(SETTLED)
    workspace.up()
    platform.set_model("cm-failed", fail=Fail(deploy="no GPU is free"))
    platform.set_model("cm-deploying", job_seconds=3600)
    platform.use(ScriptedFault.named("reset-taken", "deploy", model="cm-unknown"))
    workspace.use("own")
    workspace.declare(DECLARED)
    workspace.up(fails=True)
    if host == "stock":
        workspace.use(host)
        workspace.refresh()
    exported: dict[str, Any] = json.loads(workspace.pulumi("stack", "export").output)
    return exported


def portable(exported: Any) -> Any:
    """Without the positions in the sources, which are paths of the machine."""
    if isinstance(exported, dict):
        return {key: portable(item) for key, item in exported.items() if key not in ("sourcePosition", "stackTrace")}
    return [portable(item) for item in exported] if isinstance(exported, list) else exported


def form(exported: dict[str, Any]) -> dict[str, Any]:
    """What a state says of the models, save what differs from run to run."""
    return {
        resource["id"]: {
            **{key: resource.get(key) for key in ("type", "urn", "custom", "inputs", "parent", "propertyDependencies")},
            "outputs": resource["outputs"]
            | {key: bool(resource["outputs"][key]) for key in ("dock_status_id", "last_job_seconds")},
            "initErrors": len(resource.get("initErrors", ())),
        }
        for resource in exported["deployment"]["resources"]
        if resource["type"].endswith(":ModelDeployment")
    }


def test_this_version_keeps_to_its_format(workspace: Workspace, written: dict[str, Any]) -> None:
    started = f"{version('pulumi-koreai')}-{workspace.host}-sdk-"
    path = FOLDER / f"{started}{version('pulumi')}.json"
    if "KEEP_STATES" in os.environ and not path.exists():
        path.write_text(json.dumps(portable(written), indent=2, sort_keys=True) + "\n")
    kept = sorted(FOLDER.glob(f"{started}*.json"))
    assert kept, "no state of this version is kept yet; the docstring of this module says how to add it"
    for file in kept:
        assert form(json.loads(file.read_text())) == form(written), file.name


def test_the_kept_states_name_no_path_of_a_machine_and_no_key() -> None:
    for file in KEPT:
        text = file.read_text()
        assert "project:///" not in text
        assert KEY not in text
