"""What a preview shows, what counts as a change, and that neither sends anything."""

import json

import pytest

from tests.system.engine.workspace import Workspace, model, warmer

pytestmark = pytest.mark.engine


def test_an_unchanged_up_and_every_preview_send_nothing(workspace: Workspace) -> None:
    workspace.declare(chat=model(1), summary=model(2))
    assert "3 to create" in workspace.preview()
    assert workspace.sent() == []
    workspace.up()
    assert {"deploy cm-1", "deploy cm-2"} < set(workspace.sent())
    assert "3 unchanged" in workspace.up()
    assert "3 unchanged" in workspace.preview("--expect-no-changes")
    workspace.declare(chat=warmer(1), summary=model(2, deployed=False))
    workspace.preview("--diff")
    workspace.pulumi("destroy", "--preview-only")
    assert workspace.sent() == []


def test_other_spellings_of_the_same_declaration_are_no_change(workspace: Workspace) -> None:
    workspace.declare(chat=model(scalingParameters={"minReplicas": 1, "maxReplicas": 2}))
    workspace.up()
    workspace.sent()
    entry = model(
        scalingParameters={"maxReplicas": 2.0, "minReplicas": 1},
        optimizationInfo={},
        modelType="openSource",
        deployed=True,
        adopt=False,
        updateStrategy="undeploy-first",
    )
    entry["hyperParameters"] = {"topK": 10.0, "topP": 1.0, "maxTokens": 128, "temperature": 0.50, "stopSequence": []}
    workspace.declare(chat=dict(reversed(entry.items())))
    output = workspace.preview("--expect-no-changes", "--diff")
    assert "temperature" not in output
    workspace.up()
    assert workspace.sent() == []


def test_a_change_is_shown_by_the_path_of_its_property_and_what_it_means_to_callers(workspace: Workspace) -> None:
    workspace.declare(chat=model(), summary=model(2), old=model(3))
    workspace.up()
    workspace.sent()
    workspace.declare(chat=warmer(), summary=model(2, deployed=False), old=model(4))
    shown = json.loads(workspace.preview("--json"))
    details = {step["urn"].rsplit("::")[-1]: step.get("detailedDiff") for step in shown["steps"]}
    assert details["chat"] == {"hyper_parameters.temperature": {"kind": "update", "inputDiff": True}}
    assert details["summary"] == {"deployed": {"kind": "update", "inputDiff": True}}
    operations = [(step["op"], step["urn"].rsplit("::")[-1]) for step in shown["steps"]]
    assert ("replace", "old") in operations
    told = " ".join(line.get("message", "") for line in shown["diagnostics"])
    assert "updated in place, cm-1 is undeployed, then deployed as declared; its callers get no answers" in told
    assert "cm-2 is undeployed; every active instance is cut off at once." in told
    assert "cm-3 is replaced by cm-4; by default cm-4 is deployed first, then cm-3 is undeployed" in told
    assert workspace.sent() == []


PROGRAM = """
import pulumi
from pulumi_koreai import HyperParameters, ModelDeployment

first = ModelDeployment(
    "first",
    model_id="cm-1",
    deployment_name="first",
    device_type="g5.xlarge",
    hyper_parameters=HyperParameters(temperature=0.5, max_tokens=128, top_p=1, top_k=10),
)
second = ModelDeployment(
    "second",
    model_id="cm-2",
    deployment_name=first.state.apply(lambda state: f"after-{state}"),
    device_type="g5.xlarge",
    hyper_parameters={
        "temperature": 0.5,
        "max_tokens": first.last_job_seconds.apply(lambda seconds: MAX_TOKENS),
        "top_p": 1,
        "top_k": 10,
        "stop_sequence": ["a", first.dock_status_id],
    },
)
pulumi.export("name", second.deployment_name)
"""
FIRST_ALONE = PROGRAM.partition("second =")[0]


def test_outputs_of_another_model_pass_the_preview_and_are_checked_when_known(workspace: Workspace) -> None:
    workspace.program(PROGRAM.replace("MAX_TOKENS", "600"))
    assert "3 to create" in workspace.preview()
    output = workspace.up(fails=True)
    assert "hyper_parameters.max_tokens: got 600; expected a whole number from 0 to 512" in " ".join(output.split())
    assert workspace.sent() == ["deploy cm-1", "wait deploy cm-1"]
    workspace.program(PROGRAM.replace("MAX_TOKENS", "64"))
    workspace.up()
    assert workspace.sent() == ["deploy cm-2", "wait deploy cm-2"]
    outputs = workspace.outputs("second")
    assert outputs["deployment_name"] == "after-deployed"
    assert outputs["hyper_parameters"]["stop_sequence"] == ["a", workspace.outputs("first")["dock_status_id"]]
    assert "unchanged" in workspace.preview("--expect-no-changes")


def test_a_secret_argument_stays_secret(workspace: Workspace) -> None:
    secret = 'pulumi.Output.secret("very-secret-name")'
    workspace.program(FIRST_ALONE.replace('deployment_name="first"', f"deployment_name={secret}"))
    output = workspace.up()
    assert "very-secret-name" not in output
    assert "very-secret-name" not in json.dumps(workspace.state())
    workspace.program(FIRST_ALONE.replace('"first",\n    device', '"plain-name",\n    device'))
    assert "very-secret-name" not in workspace.preview("--diff")


def test_results_are_known_when_nothing_is_sent_and_unknown_when_something_will_be(workspace: Workspace) -> None:
    # A function that is applied to an output runs only when its value is known.
    told = (
        'first.state.apply(lambda state: pulumi.log.info(f"the state is {state}"))\n'
        'first.model_id.apply(lambda model_id: pulumi.log.info(f"the model is {model_id}"))\n'
    )
    program = FIRST_ALONE + told
    workspace.program(program)
    created = workspace.preview()
    assert "the model is cm-1" in created
    assert "the state is" not in created
    workspace.up()
    assert "the state is deployed" in workspace.preview()
    workspace.program(program.replace("temperature=0.5", "temperature=0.9"))
    changed = workspace.preview()
    assert "the model is cm-1" in changed
    assert "the state is" not in changed
