"""The policy pack, run by the real engine on a stack's preview; and what it can't see, caught by the engine itself."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi_policy import PolicyCustomTimeouts, PolicyResourceOptions, ResourceValidationArgs

from pulumi_koreai import ModelDeployment
from tests.system.engine.workspace import ROOT, Workspace, model, warmer
from tests.tiers import OLDEST_ENGINE

Test = Callable[..., None]


def with_packs(test: Test) -> Test:
    """A test of packs: the language host built from Go modules runs none for newer engines, an installed one does."""
    marked: Test = pytest.mark.nightly(OLDEST_ENGINE(test))
    return marked


SERVING = {"updateStrategy": "redeploy", "protect": True, "scalingParameters": {"maxReplicas": 4}}


def preview(workspace: Workspace, config: dict[str, object], *, fails: bool = False) -> str:
    """Preview with the pack; what it prints, in one line."""
    file = workspace.folder / "policy.json"
    file.write_text(json.dumps(config))
    options = ("--policy-pack", str(ROOT / "policy"), "--policy-pack-config", str(file))
    return " ".join(workspace.preview(*options, fails=fails).split())


@with_packs
def test_without_a_configuration_nothing_is_forbidden(workspace: Workspace) -> None:
    workspace.declare(chat=model(deviceType="g5.48xlarge", deployed=False))
    assert "2 to create" in preview(workspace, {}), "the model, and the stack itself"


@with_packs
def test_each_policy_names_the_model_the_key_and_the_way_out(workspace: Workspace) -> None:
    workspace.declare(
        big=model(1, deviceType="g5.48xlarge", **SERVING),
        wide=model(2, **{**SERVING, "scalingParameters": {"maxReplicas": 9}}),
        unbounded=model(3, **{**SERVING, "scalingParameters": {"minReplicas": 1}}),
        off=model(4, **SERVING, deployed=False),
        cut=model(5, **{**SERVING, "updateStrategy": "undeploy-first"}),
        loose=model(6, **{**SERVING, "protect": False}),
        fine=model(7, **SERVING),
        exempt=model(8, deployed=False, scalingParameters={"maxReplicas": 8}),
    )
    config: dict[str, object] = {
        "allowed-hardware": {"deviceTypes": ["g5.xlarge", "g4dn.xlarge"]},
        "bounded-replicas": {"maxReplicas": 8},
        "serves-callers": {"enforcementLevel": "mandatory", "except": ["exempt"]},
    }
    told = preview(workspace, config, fails=True)
    for line in (
        "big: deviceType g5.48xlarge is not allowed in this stack; allowed: g5.xlarge, g4dn.xlarge.",
        "wide: scalingParameters.maxReplicas 9 is above this stack's bound of 8.",
        "unbounded: scalingParameters.maxReplicas is not declared",
        "off: this stack requires `deployed: true`",
        "cut: this stack requires `updateStrategy: redeploy`",
        "loose: this stack requires `protect: true`",
    ):
        assert line in told
    assert told.count("[mandatory]") == 6, "each model breaks one"
    config["serves-callers"] = "disabled"
    told = preview(workspace, config, fails=True)
    assert told.count("[mandatory]") == 3
    config = {"serves-callers": "advisory"}
    assert preview(workspace, config).count("[advisory]") == 6, "a warning, three of them for the one that was exempt"
    assert workspace.sent() == []


@with_packs
def test_a_removal_is_not_seen_by_a_policy_but_refused_by_the_engine(workspace: Workspace) -> None:
    config: dict[str, object] = {"serves-callers": "mandatory"}
    workspace.declare(chat=model(1, **SERVING), loose=model(2))
    workspace.up()
    workspace.declare(chat=model(1, **SERVING))
    assert "1 to delete" in preview(workspace, config), "no policy sees what is gone: `loose` was never protected"
    workspace.declare(loose=model(2))
    assert "cannot be deleted because it is protected" in preview(workspace, {}, fails=True)
    workspace.declare(chat=model(3, **SERVING), loose=model(2))
    assert "as it is currently marked for protection" in preview(workspace, {}, fails=True)
    # Taking `protect` away first is what the policy refuses.
    workspace.declare(chat=model(1, **{**SERVING, "protect": False}))
    assert "chat: this stack requires `protect: true`" in preview(workspace, config, fails=True)


@with_packs
def test_a_policy_stops_an_up_before_anything_is_sent(workspace: Workspace) -> None:
    file = workspace.folder / "policy.json"
    file.write_text(json.dumps({"allowed-hardware": {"deviceTypes": []}}))
    workspace.declare(chat=warmer())
    options = ("--policy-pack", str(ROOT / "policy"), "--policy-pack-config", str(file))
    output = workspace.pulumi("up", "--yes", "--skip-preview", *options, fails=True).output
    assert "allowed: none" in output
    assert workspace.sent() == []


def violations(rule: str, config: dict[str, object], **props: object) -> list[str]:
    """What a rule of the pack says of a model."""
    pack = runpy.run_path(str(ROOT / "policy"), run_name="pack")
    declared = {"device_type": "g5.xlarge", "deployed": True, "update_strategy": "redeploy", **props}
    options = PolicyResourceOptions(True, [], None, [], PolicyCustomTimeouts(0, 0, 0), [])
    args = ResourceValidationArgs(pack["TYPE"], declared, "urn", "chat", options, None, config)
    return list(pack[rule](args))


def test_what_the_rules_find() -> None:
    assert violations("allowed_hardware", {}) == []
    assert violations("allowed_hardware", {"deviceTypes": ["g5.xlarge"]}) == []
    (told,) = violations("allowed_hardware", {"deviceTypes": []})
    assert told.startswith("chat: deviceType g5.xlarge is not allowed in this stack; allowed: none.")
    assert violations("bounded_replicas", {}) == []
    assert violations("bounded_replicas", {"maxReplicas": 4}, scaling_parameters={"max_replicas": 4}) == []
    assert "is not declared" in violations("bounded_replicas", {"maxReplicas": 4})[0]
    assert "9 is above" in violations("bounded_replicas", {"maxReplicas": 8}, scaling_parameters={"max_replicas": 9})[0]
    assert violations("serves_callers", {}) == []
    assert "`deployed: true`" in violations("serves_callers", {}, deployed=False)[0]
    assert "`updateStrategy: redeploy`" in violations("serves_callers", {}, update_strategy="undeploy-first")[0]
    assert violations("serves_callers", {"except": ["chat"]}, deployed=False) == []


def configurations() -> list[Path]:
    return sorted((ROOT / "policy").glob("*.json"))


@pytest.mark.parametrize("file", configurations(), ids=lambda file: file.name)
def test_a_configuration_in_the_repository_names_policies_and_options_that_exist(file: Path) -> None:
    # The engine takes no notice of a name that it does not know: a slip there would be a guard rail that isn't.
    known = {
        "allowed-hardware": {"deviceTypes"},
        "bounded-replicas": {"maxReplicas"},
        "serves-callers": {"except"},
    }
    config: dict[str, Any] = json.loads(file.read_text())
    assert {"example.json"} <= {path.name for path in configurations()}
    for policy, options in config.items():
        assert set(options) - {"enforcementLevel"} <= known[policy], policy


def test_the_pack_looks_at_the_type_that_models_have() -> None:
    text = (ROOT / "policy" / "__main__.py").read_text()
    assert f'TYPE: Final = "pulumi-python:{ModelDeployment._resource_type_name}"' in text
