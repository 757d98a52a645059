"""The platform layer: the contract's table of the deploy body, its limits, and its states, with a simulated clock."""

import copy
import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pulumi_koreai.emulator.console import Console
from pulumi_koreai.emulator.deploy_body import DEPLOY_BODY, Json, Rule, Rules, faults
from pulumi_koreai.emulator.platform import EmulatedJob, EmulatedPlatform, EmulatorSettings, Fail, Refusal, random_ids

SAMPLES = Path(__file__).parent / "samples"
BODY: dict[str, Json] = json.loads((SAMPLES / "deploy-request.json").read_text("utf-8"))
LIMITS: dict[str, Any] = json.loads((SAMPLES / "rate-limits.json").read_text("utf-8"))
ROWS: list[dict[str, Any]] = json.loads((SAMPLES / "deploy-body.json").read_text("utf-8"))

each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row["field"])


class Simulation:
    """A platform with a clock that is moved by hand."""

    def __init__(self, settings: EmulatorSettings | None = None) -> None:
        self.now = 1000.0
        self.platform = EmulatedPlatform(settings or EmulatorSettings(), lambda: self.now, random_ids(1))

    def deploy(self, model_id: str = "cm-a", account: str = "account") -> EmulatedJob:
        return self.platform.deploy(account, model_id, "openSource", copy.deepcopy(BODY))

    def undeploy(self, model_id: str = "cm-a") -> EmulatedJob:
        return self.platform.undeploy("account", model_id)

    def state(self, model_id: str = "cm-a") -> tuple[str, str | None]:
        model = self.platform.model(model_id)
        return model.state, model.deployment.name if model.deployment else None


def refusal(call: Any, *args: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        call(*args)
    return caught.value


# The deploy body


def body_with(path: str, value: Json) -> dict[str, Json]:
    body = copy.deepcopy(BODY)
    *groups, name = path.split(".")
    target: Any = body
    for group in groups:
        target = target[group]
    target[name] = value
    return body


def body_without(path: str) -> dict[str, Json]:
    body = body_with(path, None)
    *groups, name = path.split(".")
    target: Any = body
    for group in groups:
        target = target[group]
    del target[name]
    return body


def paths(rules: Rules, prefix: str = "") -> Iterator[str]:
    for name, rule_or_group in rules.items():
        if isinstance(rule_or_group, Rule):
            yield prefix + name
        else:
            yield from paths(rule_or_group, f"{prefix}{name}.")


def test_it_knows_the_fields_of_the_contract_and_no_other() -> None:
    assert sorted(paths(DEPLOY_BODY)) == sorted(row["field"] for row in ROWS)


@each_row
def test_a_field_may_be_missing_exactly_where_the_contract_says_so(row: dict[str, Any]) -> None:
    found = faults(body_without(row["field"]))
    assert [row["field"] in fault for fault in found] == ([True] if row["required"] else [])


@pytest.mark.parametrize("row", [row for row in ROWS if "range" in row], ids=lambda row: row["field"])
def test_a_range_holds_at_both_of_its_bounds(row: dict[str, Any]) -> None:
    low, high = row["range"]
    below, above = (
        (low - 1, high + 1)
        if row["type"] == "int"
        else (math.nextafter(low, -math.inf), math.nextafter(high, math.inf))
    )
    assert [faults(body_with(row["field"], value)) for value in (low, high)] == [[], []]
    for value in (below, above, math.nan, math.inf):
        assert [row["field"] in fault for fault in faults(body_with(row["field"], value))] == [True]


def values_of(row: dict[str, Any]) -> st.SearchStrategy[Json]:
    match row["type"]:
        case "float":
            low, high = row["range"]
            return st.floats(low, high) | st.integers(low, high)
        case "int":
            whole = st.integers(*row["range"])
            return whole | whole.map(float)
        case "enum":
            return st.sampled_from(row["values"])
        case "bool":
            return st.booleans()
        case "string[]":
            return st.lists(st.text())
        case _:
            return st.text(min_size=1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


def allows(row: dict[str, Any], value: Any) -> bool:
    """The contract's row, read once more in another way than the emulator does."""
    number = type(value) in (int, float) and "range" in row and row["range"][0] <= value <= row["range"][1]
    return {
        "float": number,
        "int": number and value % 1 == 0,
        "enum": type(value) is str and value in row.get("values", ()),
        "bool": type(value) is bool,
        "string[]": type(value) is list and all(type(item) is str for item in value),
        "string": type(value) is str and len(value) > 0,
    }[row["type"]]


@each_row
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_value_is_taken_exactly_when_the_contract_allows_it(row: dict[str, Any], data: st.DataObject) -> None:
    value = data.draw(values_of(row) | json_values)
    found = faults(body_with(row["field"], value))
    assert [row["field"] in fault for fault in found] == ([] if allows(row, value) else [True])


@pytest.mark.parametrize("body", [None, [], "text", 1, True])
def test_a_body_that_is_no_object_is_refused(body: Json) -> None:
    assert faults(body) == ["the body must be a JSON object"]


def test_a_field_nobody_knows_and_a_group_that_is_none_are_named() -> None:
    assert faults(body_with("hyperParameters.maxToken", 1)) == [
        "hyperParameters.maxToken is not a field of a deployment"
    ]
    assert faults(body_with("scalingParameters", [])) == ["scalingParameters must be an object"]


# Jobs and states


def test_a_deploy_runs_for_its_time_and_says_how_far_it_is() -> None:
    sim = Simulation(EmulatorSettings(job_seconds=10))
    job = sim.deploy()
    seen = []
    for _ in range(5):
        seen.append((sim.platform.dock_status(job.id).status, sim.platform.percent(job), sim.state()[0]))
        sim.now += 3.25
    assert seen == [
        ("IN_PROGRESS", 0, "Deploying"),
        ("IN_PROGRESS", 32, "Deploying"),
        ("IN_PROGRESS", 65, "Deploying"),
        ("IN_PROGRESS", 97, "Deploying"),
        ("SUCCESS", 100, "Deployed"),
    ]


def test_a_redeploy_serves_the_old_deployment_until_it_has_succeeded_and_the_history_counts() -> None:
    sim = Simulation()
    for expected in ("support-bot", "support-bot_v1", "support-bot_v2"):
        before = sim.state()[1]
        sim.deploy()
        assert sim.state() == ("Deploying", before)
        sim.now += 5
        assert sim.state() == ("Deployed", expected)
    sim.undeploy()
    sim.now += 1
    assert sim.state() == ("Ready to Deploy", None)
    assert [past.name for past in sim.platform.model("cm-a").history] == [
        "support-bot",
        "support-bot_v1",
        "support-bot_v2",
    ]


def test_an_undeploy_cuts_off_when_its_job_succeeds() -> None:
    sim = Simulation()
    sim.platform.set_model("cm-a", state="Deployed")
    job = sim.undeploy()
    sim.now += 0.99
    assert (sim.state(), sim.platform.dock_status(job.id).status) == (("Deployed", "console"), "IN_PROGRESS")
    sim.now += 0.02
    assert (sim.state(), sim.platform.dock_status(job.id).status) == (("Ready to Deploy", None), "SUCCESS")


def test_a_job_may_be_done_in_its_first_answer() -> None:
    sim = Simulation(EmulatorSettings(job_seconds=0, undeploy_seconds=0))
    assert (sim.deploy().status, sim.state()[0]) == ("SUCCESS", "Deployed")
    assert (sim.undeploy().status, sim.state()[0]) == ("SUCCESS", "Ready to Deploy")


def test_a_deploy_that_fails_leaves_the_model_failed_and_the_old_deployment_serving() -> None:
    sim = Simulation(EmulatorSettings(failures={"cm-a": "no GPU left"}))
    for _ in range(2):
        job = sim.deploy()
        sim.now += 5
        assert (sim.platform.dock_status(job.id).status, job.reason) == ("FAILED", "no GPU left")
        assert sim.platform.percent(job) == 99
        assert sim.state() == ("Failed", None)
    assert refusal(sim.undeploy).code == "MODEL_NOT_DEPLOYED"

    sim.platform.set_model("cm-a", deployment={"name": "by-hand"})
    sim.deploy()
    sim.now += 5
    assert sim.state() == ("Failed", "by-hand")


def test_a_failure_can_be_for_once_and_for_the_undeploy() -> None:
    sim = Simulation(EmulatorSettings(job_seconds=0, undeploy_seconds=0))
    sim.platform.set_model("cm-a", fail=Fail(deploy="flaky", undeploy="stuck", once=True))
    assert [sim.deploy().status, sim.deploy().status] == ["FAILED", "SUCCESS"]
    assert (sim.undeploy().status, sim.state()) == ("FAILED", ("Deployed", "support-bot"))
    assert (sim.undeploy().status, sim.state()) == ("SUCCESS", ("Ready to Deploy", None))


def test_one_job_at_a_time_for_a_model() -> None:
    sim = Simulation()
    sim.deploy()
    for call in (sim.deploy, sim.undeploy, lambda: sim.platform.export("account", "cm-a")):
        refused = refusal(call)
        assert (refused.status, refused.code) == (409, "JOB_IN_PROGRESS")
        assert "Another job is running" in refused.messages[0]
    sim.deploy("cm-b")
    sim.now += 5
    assert sim.undeploy().status == "IN_PROGRESS"


def test_what_is_not_deployed_is_not_undeployed() -> None:
    refused = refusal(Simulation().undeploy)
    assert (refused.status, refused.messages) == (400, ("Model is not deployed",))


def test_the_first_deployment_is_made_in_the_console() -> None:
    sim = Simulation(EmulatorSettings(job_seconds=0))
    sim.platform.set_model("cm-a", state="Never Deployed")
    refused = refusal(sim.deploy)
    assert refused.status == 400
    assert "first deployment in the console" in refused.messages[0]
    sim.platform.set_model("cm-a", state="Deployed")
    assert sim.deploy().status == "SUCCESS"


def test_which_models_exist() -> None:
    sim = Simulation()
    assert refusal(sim.deploy, "cm-unknown-1").status == refusal(sim.deploy, "a-1").status == 404
    sim.platform.set_model("cm-unknown-1", job_seconds=0)
    assert sim.deploy("cm-unknown-1").status == "SUCCESS"

    only = Simulation(EmulatorSettings(models=frozenset({"x"})))
    assert refusal(only.deploy, "cm-a").messages == ("Model cm-a not found",)
    assert [model.id for model in only.platform.models()] == ["x"]


def test_a_model_that_is_deleted_is_unknown_and_its_job_fails() -> None:
    sim = Simulation()
    job = sim.deploy()
    sim.platform.delete_model("cm-a")
    assert refusal(sim.deploy).status == refusal(sim.platform.delete_model, "cm-a").status == 404
    assert (sim.platform.dock_status(job.id).status, sim.platform.models()) == ("FAILED", [])
    sim.platform.set_model("cm-a", state="Deployed")
    assert sim.state() == ("Deployed", "console")


def test_someone_at_the_console_can_be_overtaken_by_a_job_under_way() -> None:
    sim = Simulation()
    sim.deploy()
    sim.platform.set_model("cm-a", state="Ready to Deploy")
    assert sim.state() == ("Ready to Deploy", None)
    sim.now += 5
    assert sim.state() == ("Deployed", "support-bot")


def test_an_unknown_job_is_not_found() -> None:
    assert refusal(Simulation().platform.dock_status, "ds-none").status == 404


def test_a_reset_forgets_everything_and_gives_new_ids() -> None:
    sim = Simulation(EmulatorSettings(requests_per_minute=1))
    job = sim.deploy()
    sim.platform.reset()
    assert (sim.platform.models(), sim.platform.jobs()) == ([], [])
    assert refusal(sim.platform.dock_status, job.id).status == 404
    assert sim.deploy().id != job.id


# Rate limits


def accepted(sim: Simulation, call: Any, *args: Any) -> bool:
    try:
        call(*args)
    except Refusal as refused:
        if refused.status != 429:
            return True
        refused_with = refused
    else:
        return True
    assert refused_with.messages == (LIMITS["message"],)
    assert refused_with.retry_after is not None
    return False


def test_the_published_limit_of_a_minute_per_account_and_per_job() -> None:
    window = LIMITS["windows"][0]
    sim = Simulation()
    job = sim.deploy(account="other")
    for call in (lambda: sim.platform.dock_status(job.id), lambda: sim.deploy("cm-unknown")):
        assert [accepted(sim, call) for _ in range(window["requests"] + 1)] == [True] * window["requests"] + [False]
    assert accepted(sim, sim.deploy, "cm-b", "third")
    assert refusal(sim.platform.dock_status, job.id).retry_after == window["seconds"]
    sim.now += window["seconds"]
    assert accepted(sim, sim.platform.dock_status, job.id)


def test_the_published_limit_of_an_hour() -> None:
    window = LIMITS["windows"][1]
    sim = Simulation()
    job = sim.deploy()
    taken = 0
    for _ in range(window["seconds"] - 1):
        sim.now += 1
        taken += accepted(sim, sim.platform.dock_status, job.id)
    assert taken == window["requests"]
    assert refusal(sim.platform.dock_status, job.id).retry_after == 2
    sim.now += 2
    assert accepted(sim, sim.platform.dock_status, job.id)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 20, 59, 60, 61, 600, 3600]), max_size=120))
def test_a_request_is_refused_exactly_when_a_window_is_full(pauses: list[int]) -> None:
    sim = Simulation(EmulatorSettings(requests_per_minute=2))
    job = sim.deploy()
    times: list[float] = []
    for pause in pauses:
        sim.now += pause
        full = any(sum(time > sim.now - span for time in times) >= size for size, span in ((2, 60), (60, 3600)))
        assert accepted(sim, sim.platform.dock_status, job.id) is not full
        if not full:
            times.append(sim.now)


def test_no_limits() -> None:
    sim = Simulation(EmulatorSettings(requests_per_minute=None))
    assert all(accepted(sim, sim.deploy, "cm-unknown") for _ in range(5000))


# Everything at once


class AnyOrder(RuleBasedStateMachine):
    """Calls in any order, at any time: what always holds."""

    models = st.sampled_from(["cm-a", "cm-b"])

    def __init__(self) -> None:
        super().__init__()
        self.sim = Simulation(EmulatorSettings(requests_per_minute=None))
        self.twin = Simulation(EmulatorSettings(requests_per_minute=None))
        self.last: dict[str, tuple[str, int]] = {}

    def both(self, name: str, *args: Any, **changes: Any) -> None:
        answers = []
        for sim in (self.sim, self.twin):
            try:
                getattr(sim.platform, name)(*args, **changes)
            except Refusal as refused:
                answers.append(refused.args)
        assert answers in ([], answers[:1] * 2)

    @rule(model=models)
    def deploy(self, model: str) -> None:
        self.both("deploy", "account", model, "openSource", copy.deepcopy(BODY))

    @rule(model=models, operation=st.sampled_from(["undeploy", "export"]))
    def other(self, model: str, operation: str) -> None:
        self.both(operation, "account", model)

    @rule(model=models, deploy=st.none() | st.just("no"), undeploy=st.none() | st.just("no"), once=st.booleans())
    def fail(self, model: str, deploy: str | None, undeploy: str | None, once: bool) -> None:
        self.both("set_model", model, fail=Fail(deploy, undeploy, once), job_seconds=3.0 if once else 0.0)

    @rule(model=models, state=st.sampled_from(["Never Deployed", "Ready to Deploy", "Deployed", "Failed"]))
    def console(self, model: str, state: str) -> None:
        self.both("set_model", model, state=state)

    @rule(model=models)
    def delete(self, model: str) -> None:
        self.both("delete_model", model)

    @precondition(lambda self: self.sim.platform.jobs())
    @rule(seconds=st.floats(0, 6))
    def wait(self, seconds: float) -> None:
        self.sim.now += seconds
        self.twin.now += seconds

    @invariant()
    def the_same_calls_give_the_same_state(self) -> None:
        assert self.sim.platform.models() == self.twin.platform.models()
        assert self.sim.platform.jobs() == self.twin.platform.jobs()

    @invariant()
    def a_model_has_at_most_one_job_and_a_job_under_way_has_its_model(self) -> None:
        under_way = sorted(job.model_id for job in self.sim.platform.jobs() if job.status == "IN_PROGRESS")
        assert under_way == [model.id for model in self.sim.platform.models() if model.job_id]

    @invariant()
    def a_state_fits_what_is_deployed(self) -> None:
        for model in self.sim.platform.models():
            assert model.deployment is None or model.deployment in model.history
            assert (model.state, model.deployment is None) not in {
                ("Deployed", True),
                ("Ready to Deploy", False),
                ("Never Deployed", False),
            }

    @invariant()
    def a_job_that_has_ended_stays_so_and_none_goes_backwards(self) -> None:
        for job in self.sim.platform.jobs():
            now = (job.status, self.sim.platform.percent(job))
            before = self.last.get(job.id, ("IN_PROGRESS", 0))
            assert before[0] in ("IN_PROGRESS", now[0])
            assert before[1] <= now[1] <= 100
            self.last[job.id] = now


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def test_no_time_passes_within_a_change() -> None:
    """Else a job might end between what somebody else does at a request and the request's answer."""
    ticks = itertools.count()
    console = Console(EmulatorSettings(job_seconds=30.0), lambda: float(next(ticks)), random_ids(5))
    with console.changing() as platform:
        job = platform.deploy("account", "cm-1", "openSource", copy.deepcopy(BODY))
        with console.changing():
            assert platform.percent(job) == 0
        assert platform.percent(job) == 0
    with console.changing():
        assert platform.percent(job) > 0
