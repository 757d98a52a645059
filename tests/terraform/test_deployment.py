"""What Terraform asks of the resource, with a scripted platform behind it: the plans, and what no real run can time."""

import threading
from collections.abc import Iterable
from typing import Any

import pytest
from tf.types import Unknown  # type: ignore[import-untyped] # it has no types
from tf.utils import Diagnostic, Diagnostics  # type: ignore[import-untyped]

from pulumi_koreai.api.errors import ConfigError, Refused
from pulumi_koreai.terraform.deployment import ModelDeployment, Planned
from pulumi_koreai.terraform.process import Interrupted, ProviderProcess
from pulumi_koreai.terraform.schema import ATTRIBUTES, RESULTS, VERSION, Values, decoded
from tests.core.fakes import KEY, MODEL, PARAMETERS, SETTINGS, Answer, FakePlatform, SimClock, job, not_found, takes


class Simulated(ProviderProcess):
    """On a clock of its own, before a scripted platform."""

    def __init__(self, answers: Iterable[Answer] = ()) -> None:
        super().__init__(lambda *_: self.platform)
        self.clock = SimClock()
        self.platform = FakePlatform(self.clock, answers)
        self.configure({"host": SETTINGS.host, "api_key": KEY})

    def monotonic(self) -> float:
        return self.clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)


def config(**changes: object) -> Values:
    return decoded(ATTRIBUTES, {**PARAMETERS, "model_id": MODEL, **changes})


def state(**changes: object) -> Values:
    """A model that is deployed as `config` declares."""
    defaults = {"model_type": "openSource", "deployed": True, "adopt": False, "update_strategy": "undeploy-first"}
    results = dict(zip(RESULTS, ("deployed", "ds-1", "DEPLOY", "SUCCESS", 725.0, False), strict=True))
    return config(**{**defaults, **results, **changes})


FAILED = {"state": "failed", "last_status": "FAILED"}
UNDER_WAY = {"state": "deploying", "last_status": "IN_PROGRESS"}
ENDED_WELL = {"unfinished_creation": True}  # as a refresh found it


def proposed(prior: Values | None, given: Values) -> Values:
    """As Terraform proposes it: what is computed and not given stays as it was."""
    if prior is None:
        return given
    computed = [attribute.name for attribute in ATTRIBUTES if attribute.computed]
    return given | {name: prior[name] for name in computed if given[name] is None}


def planned(
    prior: Values | None, platform: ProviderProcess | None = None, private: bytes = b"", **changes: object
) -> tuple[Planned, list[Diagnostic]]:
    diagnostics, given = Diagnostics(), config(**changes)
    plan = ModelDeployment(platform or Simulated()).plan(diagnostics, prior, proposed(prior, given), given, private)
    return plan, diagnostics.diagnostics


def planned_deletion(platform: ProviderProcess, prior: Values) -> list[Diagnostic]:
    diagnostics = Diagnostics()
    assert ModelDeployment(platform).plan(diagnostics, prior, None, {}).values is None
    told: list[Diagnostic] = diagnostics.diagnostics
    return told


def errors(diagnostics: Iterable[Diagnostic]) -> list[str]:
    return [found.summary for found in diagnostics if found.severity == Diagnostic.ERROR]


def values_of(plan: Planned) -> Values:
    assert plan.values is not None
    return plan.values


def texts(diagnostics: Iterable[Diagnostic]) -> list[str]:
    return [f"{found.summary}\n{found.detail}".strip() for found in diagnostics]


def test_a_creation_is_planned_with_the_defaults_and_nothing_is_known_of_its_end() -> None:
    plan, warnings = planned(None)
    values = values_of(plan)
    assert (values["model_type"], values["deployed"], values["adopt"]) == ("openSource", True, False)
    assert {values[name] for name in RESULTS} == {Unknown}
    assert (plan.replaces, warnings) == ([], [])


def test_nothing_changes_where_nothing_differs() -> None:
    plan, warnings = planned(state())
    assert plan.values == state()
    assert warnings == []


def test_a_setting_that_is_not_given_any_more_is_the_default_again() -> None:
    plan, warnings = planned(state(update_strategy="redeploy", deployed=True, adopt=True))
    assert values_of(plan) == state(), "of this side alone: the results stay as they are"
    assert warnings == []


@pytest.mark.parametrize(
    "changes, path, words",
    [
        ({"device_type": "g5.2xlarge"}, ["device_type"], "updated in place, cm-1 is undeployed, then deployed as"),
        ({"device_type": "g5.2xlarge"}, ["device_type"], "(last deploy: 12m05s)"),
        ({"update_strategy": "redeploy", "device_type": "g5.2xlarge"}, ["device_type"], "over the running deployment"),
        ({"deployed": False}, ["deployed"], "every active instance is cut off at once"),
        ({"model_id": "cm-2"}, ["model_id"], "its callers are cut off until cm-2 is there"),
        ({"model_id": Unknown}, ["model_id"], "cm-1 is replaced by another model"),
    ],
)
def test_a_plan_says_what_happens_to_callers_at_the_attribute(
    changes: dict[str, Any], path: list[str], words: str
) -> None:
    plan, (warning,) = planned(state(), **changes)
    assert words in warning.summary
    assert (warning.severity, warning.path) == (Diagnostic.WARNING, path)
    assert plan.replaces == [name for name in changes if name == "model_id"]
    assert values_of(plan)["dock_status_id"] is Unknown


def test_in_an_apply_the_old_object_s_deletion_claims_no_end_of_what_the_new_one_has_brought_up() -> None:
    """With `create_before_destroy` Terraform plans it again when the new object is there."""
    platform = Simulated([job("SUCCESS")])
    (alone,) = planned_deletion(platform, state(model_id="cm-2"))
    assert "cm-2 is undeployed; every active instance is cut off at once." in alone.summary
    plan, _ = planned(None, platform)
    applied(platform, None, values_of(plan))
    assert planned_deletion(platform, state()) == []


@pytest.mark.parametrize(
    "left, words",
    [
        (FAILED, "the last deploy of cm-1 failed"),
        (UNDER_WAY, "is resumed"),
        (ENDED_WELL, "the run that created cm-1 ended before its job did, which has succeeded since"),
    ],
)
def test_unfinished_work_is_a_change_though_nothing_differs(left: dict[str, Any], words: str) -> None:
    plan, warnings = planned(state(**left))
    assert words in warnings[0].summary
    assert warnings[0].path == ["state"]
    assert values_of(plan)["state"] == "deployed"
    assert values_of(plan)["dock_status_id"] is Unknown


def test_of_what_is_not_known_yet_nothing_is_foretold() -> None:
    plan, warnings = planned(state(), device_type=Unknown)
    assert warnings == []
    assert values_of(plan)["state"] is Unknown


def test_a_deletion_that_undeploys_says_so() -> None:
    told = planned_deletion(Simulated(), state())
    assert texts(told) == ["cm-1 is undeployed; every active instance is cut off at once."]


def test_a_model_of_two_resources_is_refused_and_one_that_is_planned_twice_is_not() -> None:
    platform = Simulated()
    first, told = planned(state(model_id="cm-2"), platform)
    assert errors(told) == []
    assert errors(planned(None, platform, first.private)[1]) == [], "the same, as a replacement"
    assert "Another resource has the model_id cm-1 too" in errors(planned(None, platform)[1])[0]
    unknown: dict[str, Any] = {"model_id": Unknown}
    assert errors(planned(None, platform, **unknown)[1] + planned(None, platform, **unknown)[1]) == []


@pytest.mark.parametrize("deletion_first", [True, False])
def test_a_plan_that_would_undeploy_an_unchanged_model_is_refused(deletion_first: bool) -> None:
    platform = Simulated()
    told = planned_deletion(platform, state()) if deletion_first else planned(state(), platform)[1]
    assert errors(told) == []
    told = planned(state(), platform)[1] if deletion_first else planned_deletion(platform, state())
    assert "cm-1 would be undeployed, though a resource that stays as it is has it" in errors(told)[0]


@pytest.mark.parametrize("deletion_first", [True, False])
@pytest.mark.parametrize("changes", [{"timeouts": {"create": "4h"}}, {"deployed": False}, {"model_id": "cm-2"}])
def test_a_deletion_beside_a_change_is_not_refused(changes: dict[str, Any], deletion_first: bool) -> None:
    platform = Simulated()
    told = planned_deletion(platform, state()) if deletion_first else []
    told += planned(state(), platform, **changes)[1]
    told += [] if deletion_first else planned_deletion(platform, state())
    assert errors(told) == []


def test_a_fault_does_not_show_what_was_given() -> None:
    diagnostics = Diagnostics()
    ModelDeployment(Simulated()).validate(diagnostics, "", config(deployment_name="hush "))
    (fault,) = errors(diagnostics.diagnostics)
    assert fault.startswith("deployment_name: got a value that is not shown (it may be secret); expected one line")
    assert "hush" not in fault


def applied(
    platform: ProviderProcess, prior: Values | None, after: Values | None, private: bytes = b""
) -> tuple[Values | None, Diagnostics]:
    diagnostics = Diagnostics()
    return ModelDeployment(platform).apply(diagnostics, prior, after, private), diagnostics


def to_create(**changes: object) -> Values:
    return state(**dict.fromkeys(RESULTS, Unknown), **changes)


def next_one(**changes: Any) -> bytes:
    """The planned private data of a creation."""
    return planned(None, **changes)[0].private


@pytest.mark.parametrize("left", [UNDER_WAY, ENDED_WELL])
def test_what_a_replaced_deletion_hands_over_the_creation_goes_on_from(left: dict[str, object]) -> None:
    platform = Simulated()
    platform.platform.looks = takes(60)
    prior = state(**left)
    assert applied(platform, prior, None, next_one())[0] is None
    after, diagnostics = applied(platform, None, to_create())
    assert platform.platform.commands == []
    assert after is not None
    assert (after["state"], after["dock_status_id"]) == ("deployed", "ds-1")
    assert after["unfinished_creation"] is False
    assert not diagnostics.has_errors()
    assert platform.handed == {}


@pytest.mark.parametrize(
    "allowed, minutes, ends_well",
    [("4h", 180, True), ("2h", 180, False), (Unknown, 50, True), (Unknown, 180, False)],
)
def test_a_hand_over_waits_as_long_as_the_creation_may_take(allowed: object, minutes: int, ends_well: bool) -> None:
    platform = Simulated()
    platform.clock.sleep(9 * 3600)
    platform.platform.looks = takes(9 * 3600 + minutes * 60)
    after, diagnostics = applied(platform, state(**UNDER_WAY), None, next_one(timeouts={"create": allowed}))
    assert (after is None) is ends_well
    assert diagnostics.has_errors() is not ends_well


def test_an_adopt_that_was_true_before_does_not_count_after_a_hand_over() -> None:
    """The user has looked at the console, and then changed something else: only a new `adopt` says so."""
    platform = Simulated([job("SUCCESS"), job("SUCCESS", id="ds-2")])
    unknown = state(state="failed", last_status="UNKNOWN", dock_status_id="", adopt=True)
    applied(platform, unknown, None, next_one())
    applied(platform, None, to_create(adopt=True))
    assert platform.platform.commands == [f"undeploy {MODEL}", f"deploy {MODEL}"]


@pytest.mark.parametrize(
    "prior, private",
    [
        (state(**FAILED), b""),
        (state(**FAILED), next_one(model_id="cm-2")),
        (state(**ENDED_WELL), next_one(model_id="cm-2")),
        (state(), next_one()),
    ],
    ids=["a deletion", "another model", "another model after the job's end", "tainted by hand"],
)
def test_every_other_deletion_undeploys(prior: Values, private: bytes) -> None:
    platform = Simulated([job("SUCCESS")])
    assert applied(platform, prior, None, private)[0] is None
    assert platform.platform.commands == [f"undeploy {MODEL}"]


@pytest.mark.parametrize("prior", [None, state(), state(**UNDER_WAY)], ids=["a creation", "a setting", "a job"])
def test_after_a_deletion_under_another_name_the_model_is_deployed_again(prior: Values | None) -> None:
    platform = Simulated([job("SUCCESS"), job("SUCCESS", id="ds-2")])
    applied(platform, state(), None)
    after, _ = applied(platform, prior, to_create(adopt=True))
    assert platform.platform.commands == [f"undeploy {MODEL}", f"deploy {MODEL}"]
    assert after is not None
    assert (after["state"], after["dock_status_id"]) == ("deployed", "ds-2")


def test_an_update_that_is_refused_after_a_deletion_under_another_name_records_that_nothing_runs() -> None:
    refusal = Refused("deploying", method="POST", path="/p", status=400)
    platform = Simulated([job("SUCCESS"), refusal])
    applied(platform, state(), None)
    after, diagnostics = applied(platform, state(), to_create(timeouts={"create": "4h"}))
    assert after is not None
    assert after["state"] == "undeployed"
    assert diagnostics.has_errors()


def test_a_deletion_of_a_model_that_is_no_more_hands_nothing_over() -> None:
    platform = Simulated([not_found(), job("SUCCESS")])
    applied(platform, state(), None)
    assert platform.handed == {}


def test_a_hand_over_that_is_interrupted_keeps_the_object() -> None:
    platform = Simulated()
    platform.platform.looks = takes(600)

    def interrupt(_: float) -> None:
        raise Interrupted

    platform.clock.on_sleep = interrupt
    after, diagnostics = applied(platform, state(**UNDER_WAY), None, next_one())
    assert after == state(**UNDER_WAY)
    assert diagnostics.has_errors()
    assert platform.handed == {}


def interrupted(
    prior: Values | None, after: Values, *, answers: Iterable[Answer], by: type[BaseException] = Interrupted
) -> tuple[Values | None, Diagnostics]:
    platform = Simulated(answers)
    platform.platform.looks = takes(600)

    def interrupt(_: float) -> None:
        raise by

    platform.clock.on_sleep = interrupt
    return applied(platform, prior, after)


def test_an_interrupted_creation_is_kept_with_a_warning_and_an_interrupted_update_with_an_error() -> None:
    begun = job("IN_PROGRESS", id="ds-1")
    created, warned = interrupted(None, to_create(), answers=[begun])
    assert created is not None
    assert (created["state"], created["dock_status_id"]) == ("deploying", "ds-1")
    assert created["unfinished_creation"]
    assert not warned.has_errors()
    assert "deploy job ds-1 of cm-1 is still running" in texts(warned.diagnostics)[0]
    changed = {"device_type": "g5.2xlarge", "update_strategy": "redeploy"}
    updated, told = interrupted(state(), to_create(**changed), answers=[begun])
    assert updated is not None
    assert (updated["state"], updated["device_type"]) == ("deploying", "g5.2xlarge")
    assert not updated["unfinished_creation"], "Terraform taints no object whose update failed"
    assert told.has_errors()
    again, _ = interrupted({**created, **FAILED}, to_create(), answers=[job("IN_PROGRESS", id="ds-2")])
    assert again is not None
    assert (again["dock_status_id"], again["unfinished_creation"]) == ("ds-2", True), "nor is the update finished"


def test_a_fault_of_our_own_keeps_the_job_and_is_told_in_full() -> None:
    created, told = interrupted(None, to_create(), answers=[job("IN_PROGRESS", id="ds-1")], by=ZeroDivisionError)
    assert created is not None
    assert (created["state"], created["dock_status_id"]) == ("deploying", "ds-1")
    assert told.has_errors()
    (text,) = texts(told.diagnostics)
    assert "job ds-1 is resumed" in text
    assert "please report it to pulumi-koreai" in text
    assert "Traceback (most recent call last):" in text
    begun = state(**created)
    with pytest.raises(ZeroDivisionError):
        interrupted(begun, to_create(), answers=[], by=ZeroDivisionError)


def test_a_creation_that_was_not_begun_leaves_nothing_and_an_update_leaves_the_state() -> None:
    refusal = Refused("deploying", method="POST", path="/p", status=400)
    assert applied(Simulated([refusal]), None, to_create())[0] is None
    changed = to_create(device_type="g5.2xlarge", update_strategy="redeploy")
    after, diagnostics = applied(Simulated([refusal]), state(), changed)
    assert after is None
    assert diagnostics.has_errors()


def test_an_update_that_stopped_half_way_says_what_is_left() -> None:
    platform = Simulated([job("SUCCESS", id="ds-1"), Refused("deploying", method="POST", path="/p", status=400)])
    after, diagnostics = applied(platform, state(), to_create(device_type="g5.2xlarge"))
    assert after is not None
    assert (after["state"], after["device_type"]) == ("undeployed", "g5.xlarge"), "the last that was sent"
    assert "cm-1 was undeployed first and is not deployed now." in texts(diagnostics.diagnostics)[0]


@pytest.mark.parametrize("prior", [None, state(**UNDER_WAY), state()], ids=["created", "unfinished", "updated"])
def test_a_deletion_after_the_plan_of_another_object_of_the_model_undeploys_nothing(prior: Values | None) -> None:
    platform = Simulated()
    planned(prior, platform, timeouts={"create": "4h"})
    after, diagnostics = applied(platform, state(), None)
    assert after is None
    assert "is now managed by another resource" in texts(diagnostics.diagnostics)[0]
    assert platform.platform.commands == []


@pytest.mark.parametrize("device, doubtful", [("g5.xlarge", False), ("g5.2xlarge", True)])
def test_a_deletion_after_the_plan_of_another_object_of_the_model_waits_for_its_own_job(
    device: str, doubtful: bool
) -> None:
    platform = Simulated([job("SUCCESS", id="ds-1")])
    planned(state(), platform, timeouts={"create": "4h"}, device_type=device)
    after, diagnostics = applied(platform, state(**UNDER_WAY), None)
    assert after is None
    taken_up, left = texts(diagnostics.diagnostics)
    assert "resuming deploy job ds-1 of cm-1" in taken_up
    assert ("What was last sent for this resource may be what runs" in left) is doubtful
    assert ("`terraform apply`" in left) is doubtful
    assert platform.platform.sent == ["job ds-1 DEPLOY cm-1"]


def test_a_deletion_after_the_creation_of_another_object_of_the_model_has_no_doubt() -> None:
    platform = Simulated([job("SUCCESS", id="ds-2")])
    planned(None, platform)
    applied(platform, None, to_create())
    _, diagnostics = applied(platform, state(**FAILED), None)
    assert texts(diagnostics.diagnostics) == ["cm-1 is now managed by another resource; not undeploying it."]
    assert platform.platform.commands == ["deploy cm-1"]


def test_a_deletion_beside_a_creation_of_the_same_model_waits_for_it() -> None:
    platform = Simulated([job("SUCCESS", id="ds-1")])
    deploying, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        deploying.set()
        assert go_on.wait(10)

    platform.clock.on_moment = hold
    planned(None, platform)
    creation = threading.Thread(target=applied, args=(platform, None, to_create()))
    creation.start()
    assert deploying.wait(10)
    deletion = threading.Thread(target=applied, args=(platform, state(), None))
    deletion.start()
    deletion.join(0.2)
    assert deletion.is_alive()
    go_on.set()
    creation.join(10)
    deletion.join(10)
    assert platform.platform.commands == [f"deploy {MODEL}"]


def test_timeouts_in_a_state_that_can_t_be_read_do_not_keep_a_model_from_being_deleted() -> None:
    platform = Simulated([job("SUCCESS")])
    after, diagnostics = applied(platform, state(timeouts={"create": "45m", "delete": "a fortnight"}), None)
    assert (after, texts(diagnostics.diagnostics)) == (None, [])
    assert platform.platform.commands == [f"undeploy {MODEL}"]


def test_a_deletion_of_a_model_that_is_no_more_is_a_success() -> None:
    after, diagnostics = applied(Simulated([not_found(), job("SUCCESS")]), state(), None)
    assert after is None
    assert not diagnostics.has_errors()


def test_a_configuration_that_is_not_known_yet_is_told_only_where_it_is_needed() -> None:
    platform = ProviderProcess()
    platform.configure({"host": Unknown, "api_key": KEY})
    with pytest.raises(ConfigError, match="host: not known before other resources are applied"):
        platform.service.client()


def test_the_numbers_of_the_configuration_are_read() -> None:
    platform = ProviderProcess()
    given: dict[str, Any] = {"host": "http://127.0.0.1:1", "api_key": KEY, "requests_per_minute": 7}
    platform.configure({**given, "poll_min_seconds": 0.5, "poll_max_seconds": None})
    settings = platform._settings()
    assert (settings.requests_per_minute, settings.poll_min_seconds, settings.poll_max_seconds) == (7, 0.5, 60.0)


def test_a_state_of_the_first_version_is_upgraded() -> None:
    old = {name: value for name, value in state().items() if name not in ("timeouts", "unfinished_creation")}
    upgraded = ModelDeployment(Simulated()).upgrade(None, VERSION - 1, {**old, "custom_timeouts": {"create": "45m"}})
    assert upgraded == {**state(), "timeouts": {"create": "45m"}, "unfinished_creation": None}
