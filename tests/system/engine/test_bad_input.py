"""What the user did wrong is told in one message, by its place, and nothing is sent."""

import pytest

from pulumi_koreai.emulator import Fail
from tests.system.engine.workspace import BOTH_HOSTS, Workspace, model

pytestmark = pytest.mark.engine

TWO_FAULTY_MODELS = """
from pulumi_koreai import ModelDeployment
good = {"temperature": 0.5, "max_tokens": 128, "top_p": 1, "top_k": 10}
ModelDeployment("fine", model_id="cm-1", deployment_name="a", device_type="g5.xlarge", hyper_parameters=good)
ModelDeployment("hot", model_id="cm-2", deployment_name="b", device_type="g5.xlarge",
                hyper_parameters={**good, "temperature": 3})
ModelDeployment("odd", model_id="cm-3", deployment_name="c", device_type="g5.huge",
                hyper_parameters={**good, "topK": 10})
"""


def one_message(output: str) -> None:
    assert "Traceback" not in output
    assert output.count("nothing was changed") >= 1


def test_all_the_faults_of_a_stack_file_are_listed_by_its_own_names(workspace: Workspace) -> None:
    workspace.declare(
        chat=model(hyperParameters={"temperature": 7, "maxTokens": 1, "topP": 1, "topK": 1}, dependsOn=["sumary"]),
        summary=model(2, deviceTyp="g5.xlarge", timeouts={"create": "soon"}),
        twin=model(2),
    )
    output = workspace.preview(fails=True)
    one_message(output)
    for fault in (
        "5 errors in `koreai:models`",
        "chat: hyperParameters.temperature: got 7; expected a number from 0 to 2",
        'chat: dependsOn[0]: there is no entry "sumary" in this file; did you mean summary?',
        "summary: deviceTyp: unknown key; did you mean deviceType?",
        'summary: timeouts.create: got "soon"; expected a duration such as 45m or 1h30m',
        "twin: modelId: cm-2 is also the model of 'summary'",
    ):
        assert fault in output
    workspace.up(fails=True)
    assert workspace.sent() == []


@pytest.mark.nightly
def test_a_cycle_is_told(workspace: Workspace) -> None:
    workspace.declare(a=model(1, dependsOn=["b"]), b=model(2, dependsOn=["a"]))
    output = workspace.preview(fails=True)
    one_message(output)
    assert "dependsOn: a cycle: " in output


@pytest.mark.nightly
def test_a_stack_without_models_is_told_how_to_write_one(workspace: Workspace) -> None:
    output = workspace.preview(fails=True)
    one_message(output)
    assert "missing; expected a map from a name to a model: `{}` for no model" in output


def test_all_the_faults_of_a_program_are_listed_by_its_own_names(workspace: Workspace) -> None:
    workspace.program(TWO_FAULTY_MODELS)
    output = workspace.up(fails=True)
    one_message(output)
    for fault in (
        "3 errors in the models declared",
        "hot: hyper_parameters.temperature: got 3; expected a number from 0 to 2",
        'odd: device_type: got "g5.huge"; expected one of g4dn.xlarge, ',
        "odd: hyper_parameters.topK: unknown key; did you mean top_k?",
    ):
        assert fault in output
    assert workspace.sent() == [], "not even the model without a fault is deployed"


def test_a_missing_key_is_told_in_the_preview(workspace: Workspace) -> None:
    workspace.pulumi("config", "rm", "koreai:apiKey")
    workspace.config["config"].pop("koreai:apiKey")
    workspace.declare(chat=model())
    output = workspace.preview(fails=True)
    assert "koreai:apiKey: not set" in output
    assert "Traceback" not in output
    workspace.pulumi("preview", env={"KOREAI_API_KEY": "from-the-environment"})
    assert workspace.sent() == []


@pytest.mark.nightly
def test_plain_http_to_another_machine_is_refused_in_the_preview(workspace: Workspace) -> None:
    workspace.config["config"]["koreai:host"] = "http://ai-for-process.example.com"
    workspace.declare(chat=model())
    assert "would send the key unencrypted" in workspace.preview(fails=True)


@BOTH_HOSTS
def test_a_failed_deploy_tells_the_platforms_reason(workspace: Workspace, host: str) -> None:
    workspace.emulator.set_model("cm-1", fail=Fail(deploy="no GPU is free"))
    workspace.declare(chat=model())
    output = workspace.up(fails=True)
    assert 'failed: "no GPU is free"' in output
    assert "Traceback" not in output or host == "stock", "the stock host of newer SDKs adds one of its own"


@BOTH_HOSTS
def test_timeouts_bound_the_whole_call_and_the_message_says_how_to_go_on(workspace: Workspace, host: str) -> None:
    workspace.emulator.set_model("cm-1", job_seconds=600)
    workspace.declare(chat=model(timeouts={"create": "1s"}))
    output = workspace.up(fails=True)
    (job,) = workspace.emulator.jobs()
    assert f"job {job.id} has not ended after 1s (last status IN_PROGRESS" in output
    if host == "stock":
        assert "can't record a half-made deployment" in output
        assert "set `adopt` to true" in output
        assert [item["type"] for item in workspace.state()["resources"] if "koreai" in item["type"]] == []
        workspace.let_jobs_end()
        workspace.sent()
        workspace.declare(chat=model(adopt=True))
        workspace.up()
        assert workspace.sent() == [], "what the message advises takes it over without a request"
    else:
        assert workspace.outputs("chat")["dock_status_id"] == job.id


@pytest.mark.nightly
def test_the_first_deployment_is_made_in_the_console(workspace: Workspace) -> None:
    workspace.emulator.set_model("cm-1", state="Never Deployed")
    workspace.declare(chat=model())
    assert "The first deployment of a model is made by hand in the console" in workspace.up(fails=True)


def test_a_missing_model_is_told_by_its_id(workspace: Workspace) -> None:
    workspace.declare(chat=model(modelId="cm-unknown-1"))
    assert "does not know the model" in workspace.up(fails=True)


def test_resource_options_of_an_entry(workspace: Workspace) -> None:
    workspace.declare(b=model(2, dependsOn=["a"]), a=model(1, protect=True))
    workspace.up()
    assert workspace.sent() == ["deploy cm-1", "wait deploy cm-1", "deploy cm-2", "wait deploy cm-2"]
    assert "protect" in workspace.destroy(fails=True)
    assert workspace.emulator.model("cm-1").deployment is not None
