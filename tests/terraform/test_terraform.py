"""What a user of Terraform does, by the real `terraform` or `tofu`, against the emulator."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from pulumi_koreai.emulator import Emulator, Fail
from tests.system.engine.workspace import KEY, ROOT, Workspace, model, warmer
from tests.terraform.workspace import Terraform, snake

pytestmark = pytest.mark.engine

DEPLOY = ["deploy cm-1", "wait deploy cm-1"]
UNDEPLOY = ["undeploy cm-1", "wait undeploy cm-1"]
MODELS = 12  # more than the ten calls that tf's own server takes


def in_one_line(output: str) -> str:
    return " ".join(output.split())


class Example(Terraform):
    """The configuration of examples/terraform with models of a test's own."""

    def configure(self, **config: object) -> None:
        shutil.copytree(ROOT / "examples" / "terraform", self.folder, dirs_exist_ok=True)
        (self.folder / "models.auto.tfvars").unlink()
        self.env |= {"KOREAI_HOST": str(config["host"])}

    def declare(self, models: Any = None, /, **more: object) -> None:
        entries = {name: snake(given) for name, given in {**(models or {}), **more}.items()}
        (self.folder / "models.auto.tfvars.json").write_text(json.dumps({"models": entries}))


def test_the_example_with_ten_models(tmp_path: Path, terraform_env: dict[str, str], platform: Emulator) -> None:
    """One long test: each command costs seconds, as each starts the provider several times."""
    example = Example(tmp_path / "example", terraform_env, platform)
    names = [f"model-{number}" for number in range(10)]
    models = {name: model(number) for number, name in enumerate(names)}
    example.declare(models)
    assert "configuration is valid" in example.terraform("validate").output
    assert "10 to add" in example.preview()
    example.terraform("apply", "-auto-approve")
    assert sorted(example.sent()) == sorted(f"{what} cm-{n}" for n in range(10) for what in ("deploy", "wait deploy"))
    assert {name: example.outputs(name)["state"] for name in names} == dict.fromkeys(names, "deployed")
    outputs = json.loads(example.terraform("output", "-json", "models").output)
    assert outputs["model-0"] == {"state": "deployed", "job": example.outputs("model-0")["dock_status_id"]}

    example.terraform("plan", "-detailed-exitcode")  # 0: no change
    assert sorted(example.sent()) == [f"wait deploy cm-{n}" for n in range(10)], "the refresh: the last jobs"

    example.declare(models | {"model-1": warmer(1)})
    plan = in_one_line(example.preview())
    assert "cm-1 is undeployed, then deployed as declared; its callers get no answers" in plan
    assert 'with koreai_model_deployment.this["model-1"], on main.tf line' in plan
    assert "hyper_parameters = each.value.hyper_parameters" in plan, "at the attribute"
    example.up()
    assert example.sent() == UNDEPLOY + DEPLOY

    # Drift, as far as the platform tells it: an update that timed out, whose job ended meanwhile.
    platform.set_model("cm-2", job_seconds=600, fail=Fail(deploy="no GPU is free", once=True))
    drifting = warmer(2, updateStrategy="redeploy", timeouts={"update": "1s"})
    example.declare(models | {"model-1": warmer(1), "model-2": drifting})
    example.up(fails=True)
    assert example.outputs("model-2")["state"] == "deploying"
    example.let_jobs_end()
    example.sent()
    drifted = in_one_line(example.terraform("plan", "-detailed-exitcode", code=2).output)
    assert "the last deploy of cm-2 failed (job ds-" in drifted
    example.sent()
    example.up()
    assert example.sent() == ["wait deploy cm-2", "deploy cm-2", "wait deploy cm-2"], "a plan keeps no refresh"

    address = 'koreai_model_deployment.this["model-3"]'
    example.terraform("state", "rm", address)
    example.terraform("import", address, "cm-3")
    example.declare(models | {"model-1": warmer(1), "model-2": drifting, "model-3": model(3, adopt=True)})
    assert "cm-3 is adopted as declared; nothing is sent" in in_one_line(example.preview())
    example.up()
    assert example.sent() == []
    assert example.outputs("model-3")["state"] == "deployed"

    example.terraform("taint", 'koreai_model_deployment.this["model-4"]')
    example.up()
    assert example.sent() == ["deploy cm-4", "wait deploy cm-4"], "created first: over what runs, which then stays"
    assert platform.model("cm-4").deployment is not None

    assert "every active instance is cut off at once" in example.preview("-destroy")
    example.destroy()
    assert [platform.model(f"cm-{n}").deployment for n in range(10)] == [None] * 10
    assert list(example.instances()) == []


@pytest.mark.nightly
def test_two_entries_of_the_example_for_one_model(
    tmp_path: Path, terraform_env: dict[str, str], platform: Emulator
) -> None:
    example = Example(tmp_path / "example", terraform_env, platform)
    example.declare(chat=model(), talk=model())
    assert "Two entries have the same model_id" in example.preview(fails=True)


def test_all_faults_are_told_at_their_attributes_before_anything_is_planned(terraform: Terraform) -> None:
    wrong = model(deviceType="p5", hyperParameters={"temperature": 7, "maxTokens": 1.5, "topP": 1, "topK": 10})
    terraform.declare(chat=wrong, talk=model(2, timeouts={"create": "soon"}, deploymentName=" talk"))
    output = in_one_line(terraform.terraform("validate", code=1).output)
    for fault in (
        "device_type: got a value that is not shown (it may be secret); expected one of g4dn.xlarge,",
        "hyper_parameters.temperature: got 7; expected a number from 0 to 2",
        "hyper_parameters.max_tokens: got 1.5; expected a whole number from 0 to 512",
        "timeouts.create: got a value that is not shown (it may be secret); expected a duration such as 45m or 1h30m",
        "deployment_name: got a value that is not shown (it may be secret); expected one line of text",
        'in resource.koreai_model_deployment.talk: 28: "timeouts": { 29: "create": "soon" 30: },',
    ):
        assert fault in output


@pytest.mark.nightly
def test_a_fault_does_not_show_a_sensitive_value(terraform: Terraform) -> None:
    (terraform.folder / "variables.tf").write_text('variable "name" {\n  sensitive = true\n}\n')
    terraform.env |= {"TF_VAR_name": "hush-3c1 "}
    terraform.declare(chat=model(deploymentName="${var.name}"))
    output = terraform.preview(fails=True)
    assert "deployment_name: got a value that is not shown (it may be secret)" in in_one_line(output)
    assert "hush-3c1" not in output


@pytest.mark.nightly
def test_a_home_that_can_t_be_written_is_no_hindrance(terraform: Terraform) -> None:
    terraform.declare(chat=model())
    terraform.env |= {"HOME": os.devnull}
    assert "configuration is valid" in terraform.terraform("validate").output


def test_a_missing_or_wrong_configuration_is_told_in_terraform_s_words(terraform: Terraform) -> None:
    terraform.declare(chat=model())
    del terraform.env["KOREAI_API_KEY"]
    terraform.configure(host="http://ai-for-process.example.com")
    assert "configuration is valid" in terraform.terraform("validate").output, "the environment is not there yet"
    output = in_one_line(terraform.preview(fails=True))
    assert "api_key: not set. Set it in the provider's block or, better, in KOREAI_API_KEY." in output
    assert "host: got 'http://ai-for-process.example.com', which would send the key unencrypted" in output
    assert "in provider.koreai" in output, "each at its attribute"
    assert "pulumi config" not in output
    assert "koreai:host" not in output


def test_the_key_goes_to_the_platform_and_nowhere_else(terraform: Terraform) -> None:
    terraform.configure(host=terraform.emulator.url, api_key="${var.key}", poll_min_seconds=0.2)
    (terraform.folder / "variables.tf").write_text('variable "key" {\n  sensitive = true\n}\n')
    del terraform.env["KOREAI_API_KEY"]
    terraform.env |= {"TF_VAR_key": KEY, "TF_LOG_PROVIDER": "trace"}
    terraform.declare(chat=model())
    terraform.emulator.set_model("cm-1", fail=Fail(deploy="no GPU is free", once=True))
    told = terraform.up(fails=True) + terraform.up() + terraform.preview("-out=plan")
    assert "[INFO]" in told, "the log is there"
    assert KEY not in told
    assert KEY not in (terraform.folder / "terraform.tfstate").read_text()


def begun(terraform: Terraform, *, after: int = 0) -> "Any":
    """An apply of many models, each with its deploy under way."""
    running = terraform.begin("apply", "-auto-approve", "-refresh=false", "-parallelism=30")
    deadline = time.monotonic() + 120
    while len(terraform.emulator.jobs()) < after + MODELS:
        assert time.monotonic() < deadline
        assert running.poll() is None, running.communicate()[0]
        time.sleep(0.1)
    time.sleep(1)  # each has taken its answer and waits
    return running


@pytest.mark.parametrize(
    "number, to_all",
    [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGTERM, False)],
    ids=["ctrl-c in a terminal", "sigint", "sigterm"],
)
def test_an_interrupted_apply_keeps_every_job_and_the_next_one_sends_no_deploy(
    terraform: Terraform, number: signal.Signals, to_all: bool
) -> None:
    for n in range(MODELS):
        terraform.emulator.set_model(f"cm-{n}", job_seconds=3600)
    terraform.declare({f"model-{n}": model(n) for n in range(MODELS)})
    running = begun(terraform)
    began = time.monotonic()
    (os.killpg if to_all else os.kill)(running.pid, number)
    output, _ = running.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert running.returncode == 1, output
    jobs = {job.model_id: job.id for job in terraform.emulator.jobs()}
    assert f"interrupted: deploy job {jobs['cm-0']} of cm-0 is still running" in in_one_line(output)
    assert "Traceback" not in output
    held = {instance["attributes"]["model_id"]: instance for _, instance in terraform.instances()}
    assert {model_id: instance["attributes"]["dock_status_id"] for model_id, instance in held.items()} == jobs
    assert not any(instance.get("status") == "tainted" for instance in held.values())
    terraform.sent()
    terraform.let_jobs_end()
    assert "is resumed" in terraform.up()
    assert [line for line in terraform.sent() if not line.startswith("wait")] == [], "no deploy is sent again"
    assert {instance["attributes"]["state"] for _, instance in terraform.instances()} == {"deployed"}
    assert "No changes." in terraform.preview()


@pytest.mark.nightly
def test_an_interrupted_retry_of_a_creation_that_timed_out_keeps_the_job_too(terraform: Terraform) -> None:
    terraform.emulator.set_model("cm-1", job_seconds=600)
    terraform.declare(chat=model(timeouts={"create": "1s"}))
    assert "Run `terraform apply` again: it resumes the job" in in_one_line(terraform.up(fails=True))
    (job,) = terraform.emulator.jobs()
    assert terraform.resource("chat")["status"] == "tainted"
    assert terraform.outputs("chat")["dock_status_id"] == job.id
    terraform.declare(chat=model(timeouts={"create": "5m"}))
    terraform.sent()
    running = terraform.begin("apply", "-auto-approve", "-refresh=false")
    wait_until(terraform.sent, running)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert terraform.outputs("chat")["dock_status_id"] == job.id
    terraform.let_jobs_end()
    terraform.up()
    assert [line for line in terraform.sent() if not line.startswith("wait")] == []
    assert terraform.outputs("chat")["state"] == "deployed"
    assert terraform.resource("chat").get("status") != "tainted"


@pytest.mark.nightly
@pytest.mark.parametrize("ended_by", ["timeout", "ctrl-c"])
def test_a_plain_apply_takes_up_what_an_earlier_one_began(terraform: Terraform, ended_by: str) -> None:
    """With Terraform's own refresh: one job has ended well by then, one has not ended, and one has failed."""
    for n in range(1, 4):
        terraform.emulator.set_model(f"cm-{n}", job_seconds=600)
    terraform.emulator.set_model("cm-3", fail=Fail(deploy="no GPU is free", once=True))
    names = {f"model-{n}": n for n in range(1, 4)}
    timeouts = {"timeouts": {"create": "1s"}} if ended_by == "timeout" else {}
    terraform.declare({name: model(n, **timeouts) for name, n in names.items()})
    if ended_by == "timeout":
        terraform.up(fails=True)
    else:
        running = terraform.begin("apply", "-auto-approve")
        wait_until(lambda: looks(terraform, "cm-1", "cm-2", "cm-3"), running)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    assert {terraform.outputs(name)["state"] for name in names} == {"deploying"}
    terraform.sent()

    end_jobs(terraform, "cm-1", "cm-3")
    terraform.declare({name: model(n) for name, n in names.items()})
    seen = looks(terraform, "cm-2")
    running = terraform.begin("apply", "-auto-approve")
    wait_until(lambda: looks(terraform, "cm-2") > seen + 1, running)
    end_jobs(terraform, "cm-2")
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 0, output
    assert [line for line in terraform.sent() if not line.startswith("wait")] == ["deploy cm-3"]
    assert {terraform.outputs(name)["state"] for name in names} == {"deployed"}
    assert all(terraform.emulator.model(f"cm-{n}").deployment for n in names.values())
    terraform.terraform("plan", "-detailed-exitcode")  # 0: no change


def looks(terraform: Terraform, *model_ids: str) -> int:
    """How often the jobs of these models were asked for: of the one that was asked for least."""
    paths = [entry.path for entry in terraform.emulator.requests()]
    jobs = {
        model_id: {job.id for job in terraform.emulator.jobs() if job.model_id == model_id} for model_id in model_ids
    }
    return min(sum(path.rsplit("/", 1)[-1] in ids for path in paths) for ids in jobs.values())


def wait_until(what: Callable[[], object], running: "Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline
        assert running.poll() is None, running.communicate()[0]
        time.sleep(0.1)


def end_jobs(terraform: Terraform, *model_ids: str) -> None:
    """Their jobs under way end now, and later ones take no time."""
    with terraform.emulator.lock:
        for job in terraform.emulator.platform.jobs():
            if job.model_id in model_ids:
                job.seconds = 0
    for model_id in model_ids:
        terraform.emulator.set_model(model_id, job_seconds=0.3)


def test_a_killed_terraform_ends_the_provider(terraform: Terraform) -> None:
    for n in range(MODELS):
        terraform.emulator.set_model(f"cm-{n}", job_seconds=3600)
    terraform.declare({f"model-{n}": model(n) for n in range(MODELS)})
    running = begun(terraform)
    running.kill()
    running.communicate(timeout=10)
    time.sleep(2)
    last = terraform.emulator.requests()[-1].time
    time.sleep(3)
    assert terraform.emulator.requests()[-1].time == last, "no further request"


def test_taint_or_replace_by_hand_undeploys_and_deploys_what_runs(terraform: Terraform) -> None:
    terraform.declare(chat=model())
    terraform.up()
    terraform.sent()
    terraform.terraform("taint", "koreai_model_deployment.chat")
    terraform.up()
    assert terraform.sent() == UNDEPLOY + DEPLOY
    terraform.terraform("apply", "-auto-approve", "-refresh=false", "-replace=koreai_model_deployment.chat")
    assert terraform.sent() == UNDEPLOY + DEPLOY


def test_another_name_for_a_model_leaves_it_deployed(terraform: Terraform) -> None:
    terraform.declare(chat=model())
    terraform.up()
    terraform.sent()
    terraform.declare(talk=model())
    terraform.up()
    assert terraform.sent()[-2:] == DEPLOY
    assert terraform.emulator.model("cm-1").deployment is not None
    assert terraform.outputs("talk")["state"] == "deployed"


@pytest.mark.nightly
def test_import_without_adopt_says_what_comes_and_a_wrong_id_is_refused(terraform: Terraform) -> None:
    terraform.declare(chat=model())
    refused = terraform.terraform("import", "koreai_model_deployment.chat", "cm 1", code=1).output
    assert 'model_id: got "cm 1"; expected a model id such as cm-' in in_one_line(refused)
    terraform.terraform("import", "koreai_model_deployment.chat", "cm-1")
    plan = in_one_line(terraform.preview())
    assert "the outcome of the last deploy of cm-1 is unknown" in plan
    assert "cm-1 is undeployed, then deployed as declared" in plan
    assert terraform.sent() == []


@pytest.mark.nightly
def test_a_state_of_version_1_is_read(terraform: Terraform) -> None:
    terraform.declare(chat=model(timeouts={"create": "45m"}))
    terraform.up()
    terraform.sent()
    path = terraform.folder / "terraform.tfstate"
    state = json.loads(path.read_text())
    (instance,) = state["resources"][0]["instances"]
    instance["schema_version"] = 1
    old = instance["attributes"]
    old["custom_timeouts"] = {"create": old.pop("timeouts")["create"]}
    del old["scaling_parameters"]
    path.write_text(json.dumps(state))
    assert "No changes." in terraform.preview()


def test_numbers_come_back_to_the_last_digit(terraform: Terraform) -> None:
    odd = {"temperature": "${1/3}", "maxTokens": 128.0, "topP": 0.7, "topK": 10}
    terraform.declare(chat=model(hyperParameters=odd))
    terraform.up()
    assert "No changes." in terraform.preview()
    deployment = terraform.emulator.model("cm-1").deployment
    assert deployment is not None
    assert deployment.body["hyperParameters"] == {"temperature": 1 / 3, "maxTokens": 128, "topP": 0.7, "topK": 10}


@pytest.mark.nightly
def test_moving_to_a_pulumi_stack_and_back_sends_nothing(
    terraform: Terraform, tmp_path: Path, engine_env: dict[str, str], stock_folder: Path
) -> None:
    terraform.declare(chat=model())
    terraform.up()
    stack = Workspace(tmp_path / "project", engine_env, terraform.emulator, "own", stock_folder)
    terraform.sent()
    stack.declare(chat=model(adopt=True))
    stack.up()
    terraform.terraform("state", "rm", "koreai_model_deployment.chat")
    assert list(terraform.instances()) == []
    stack.declare(chat=model())
    stack.up()
    assert "unchanged" in stack.preview("--expect-no-changes")

    terraform.declare(chat=model(adopt=True))
    terraform.up()
    stack.pulumi("state", "delete", stack.resource("chat")["urn"], "--yes")
    stack.declare({})
    stack.up()
    terraform.declare(chat=model())
    terraform.up()
    assert "No changes." in terraform.preview()
    assert stack.sent() == ["deploy cm-1", "wait deploy cm-1"], "that of the beginning"
    assert terraform.sent() == []
    assert terraform.emulator.model("cm-1").deployment is not None


@pytest.mark.nightly
def test_with_create_before_destroy_failures_in_a_row_end_with_the_model_deployed(terraform: Terraform) -> None:
    terraform.new_first = True
    terraform.emulator.set_model("cm-1", fail=Fail(deploy="no GPU is free"))
    terraform.declare(chat=model())
    terraform.up(fails=True)
    terraform.up(fails=True)
    assert len(list(terraform.instances())) == 2, "the tainted object and a deposed one"
    terraform.emulator.set_model("cm-1", fail=Fail())
    terraform.up()
    assert terraform.outputs("chat")["state"] == "deployed"
    assert terraform.emulator.model("cm-1").deployment is not None
    assert "No changes." in terraform.preview()


@pytest.fixture
def left_over(terraform: Terraform) -> Terraform:
    """A creation that timed out, and its replacement interrupted: the older object is deposed, both of one model."""
    terraform.new_first = True
    terraform.emulator.set_model("cm-1", job_seconds=600)
    terraform.declare(chat=model(timeouts={"create": "1s"}))
    terraform.up(fails=True)
    end_jobs(terraform, "cm-1")
    terraform.emulator.set_model("cm-1", job_seconds=600)
    terraform.declare(chat=model())
    running = terraform.begin("apply", "-auto-approve")
    wait_until(lambda: len(terraform.emulator.jobs()) == 2, running)
    time.sleep(1)  # it has taken its answer and waits
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    terraform.let_jobs_end()
    terraform.sent()
    assert sorted("deposed" in instance for _, instance in terraform.instances()) == [False, True]
    return terraform


@pytest.mark.nightly
@pytest.mark.parametrize("options", [(), ("-refresh=false",)], ids=["with a refresh", "without"])
def test_a_deposed_object_that_is_left_over_does_not_undeploy_the_live_model(
    left_over: Terraform, options: tuple[str, ...]
) -> None:
    left_over.terraform("apply", "-auto-approve", *options)
    assert {line for line in left_over.sent() if not line.startswith("wait")} == set()
    assert [instance["attributes"]["state"] for _, instance in left_over.instances()] == ["deployed"]
    assert left_over.emulator.model("cm-1").deployment is not None
    left_over.terraform("plan", "-detailed-exitcode")  # 0: no change


def test_what_would_undeploy_an_unchanged_model_is_refused(left_over: Terraform) -> None:
    """As after an interruption between the creation's end and the older object's deletion."""
    path = left_over.folder / "terraform.tfstate"
    state = json.loads(path.read_text())
    (current,) = (found for found in state["resources"][0]["instances"] if "deposed" not in found)
    current["attributes"] |= {"state": "deployed", "unfinished_creation": False}
    path.write_text(json.dumps(state))
    refused = "cm-1 would be undeployed, though a resource that stays as it is has it"
    assert refused in in_one_line(left_over.terraform("apply", "-auto-approve", code=1).output)
    left_over.declare(chat=model(timeouts={"update": "50m"}))
    left_over.terraform("apply", "-auto-approve")
    assert {line for line in left_over.sent() if not line.startswith("wait")} == set()
    assert [instance["attributes"]["state"] for _, instance in left_over.instances()] == ["deployed"]
    left_over.terraform("destroy", "-auto-approve")
    assert left_over.emulator.model("cm-1").deployment is None


@pytest.mark.nightly
def test_two_resources_for_one_model_are_refused(terraform: Terraform) -> None:
    terraform.declare(chat=model(), talk=model(), other=model(2))
    output = in_one_line(terraform.preview(fails=True))
    assert output.count("Another resource has the model_id cm-1 too") == 1
    assert "Another resource has the model_id cm-2" not in output


@pytest.mark.nightly
def test_with_create_before_destroy_an_untainted_object_takes_its_job_up(terraform: Terraform) -> None:
    terraform.new_first = True
    terraform.emulator.set_model("cm-1", job_seconds=600)
    terraform.declare(chat=model(timeouts={"create": "1s"}))
    terraform.up(fails=True)
    assert terraform.sent() == DEPLOY
    terraform.let_jobs_end()
    terraform.terraform("untaint", "koreai_model_deployment.chat")
    terraform.up()
    assert terraform.sent() == ["wait deploy cm-1"]


@pytest.mark.nightly
def test_a_refused_creation_leaves_nothing_and_says_why(terraform: Terraform) -> None:
    terraform.emulator.set_model("cm-1", state="Never Deployed")
    terraform.declare(chat=model())
    output = terraform.up(fails=True)
    assert "Traceback" not in output
    assert "with koreai_model_deployment.chat" in output
    assert list(terraform.instances()) == []
