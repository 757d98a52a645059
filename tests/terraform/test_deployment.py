"""What Terraform asks of the resource, with a scripted platform behind it: the plans, and what no real run can time."""

import threading
from collections.abc import Iterable
from typing import Any

import pytest
from tf.types import Unknown  # type: ignore[import-untyped] # it has no types
from tf.utils import Diagnostic, Diagnostics  # type: ignore[import-untyped]

from pulumi_koreai.api.errors import ConfigError, Refused
from pulumi_koreai.terraform.deployment import ModelDeployment, Planned
from pulumi_koreai.terraform.platform import Interrupted, Platform
from pulumi_koreai.terraform.schema import ATTRIBUTES, VERSION, Values, decoded
from tests.unit.fakes import KEY, MODEL, PARAMETERS, Answer, FakePlatform, SimClock, job, not_found, takes

RESULTS = ("state", "dock_status_id", "last_action", "last_status", "last_job_seconds")


class Simulated(Platform):
    """On a clock of its own, before a scripted platform."""

    def __init__(self, answers: Iterable[Answer] = ()) -> None:
        super().__init__()
        self.clock = SimClock()
        self.platform = FakePlatform(self.clock, answers)
        self._client = self.platform

    def monotonic(self) -> float:
        return self.clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)


def config(**changes: object) -> Values:
    return decoded(ATTRIBUTES, {**PARAMETERS, "model_id": MODEL, **changes})


def state(**changes: object) -> Values:
    """A model that is deployed as `config` declares."""
    defaults = {"model_type": "openSource", "deployed": True, "adopt": False, "update_strategy": "undeploy-first"}
    results = dict(zip(RESULTS, ("deployed", "ds-1", "DEPLOY", "SUCCESS", 725.0), strict=True))
    return config(**{**defaults, **results, **changes})


FAILED = {"state": "failed", "last_status": "FAILED"}
UNDER_WAY = {"state": "deploying", "last_status": "IN_PROGRESS"}


def proposed(prior: Values | None, given: Values) -> Values:
    """As Terraform proposes it: what is computed and not given stays as it was."""
    if prior is None:
        return given
    computed = [attribute.name for attribute in ATTRIBUTES if attribute.computed]
    return given | {name: prior[name] for name in computed if given[name] is None}


def planned(prior: Values | None, **changes: object) -> tuple[Planned, list[Diagnostic]]:
    diagnostics, given = Diagnostics(), config(**changes)
    plan = ModelDeployment(Simulated()).plan(diagnostics, prior, proposed(prior, given), given)
    return plan, diagnostics.diagnostics


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
    assert (plan.private, plan.replaces, warnings) == (MODEL.encode(), [], [])


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
        ({"device_type": "g5.2xlarge"}, ["device_type"], "cm-1 is undeployed, then deployed with what is declared;"),
        ({"device_type": "g5.2xlarge"}, ["device_type"], "(the last deploy took 12m05s)"),
        ({"update_strategy": "redeploy", "device_type": "g5.2xlarge"}, ["device_type"], "over the running deployment"),
        ({"deployed": False}, ["deployed"], "every active instance is cut off at once"),
        ({"model_id": "cm-2"}, ["model_id"], "its callers are cut off until cm-2 is there"),
        ({"model_id": Unknown}, ["model_id"], "cm-1 is replaced by another model"),
    ],
)
def test_a_plan_says_what_happens_to_callers_at_the_attribute(
    changes: dict[str, object], path: list[str], words: str
) -> None:
    plan, (warning,) = planned(state(), **changes)
    assert words in warning.summary
    assert (warning.severity, warning.path) == (Diagnostic.WARNING, path)
    assert plan.replaces == [name for name in changes if name == "model_id"]
    assert values_of(plan)["dock_status_id"] is Unknown


@pytest.mark.parametrize("left, words", [(FAILED, "the last deploy of cm-1 failed"), (UNDER_WAY, "is taken up again")])
def test_unfinished_work_is_a_change_though_nothing_differs(left: dict[str, object], words: str) -> None:
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
    diagnostics = Diagnostics()
    plan = ModelDeployment(Simulated()).plan(diagnostics, state(), None, {})
    assert plan.values is None
    assert texts(diagnostics.diagnostics) == ["cm-1 is undeployed; every active instance is cut off at once."]


def applied(
    platform: Platform, prior: Values | None, after: Values | None, private: bytes = b""
) -> tuple[Values | None, Diagnostics]:
    diagnostics = Diagnostics()
    return ModelDeployment(platform).apply(diagnostics, prior, after, private), diagnostics


def to_create(**changes: object) -> Values:
    return state(**dict.fromkeys(RESULTS, Unknown), **changes)


def test_what_a_replaced_deletion_hands_over_the_creation_goes_on_from() -> None:
    platform = Simulated()
    platform.platform.looks = takes(60)
    prior = state(**UNDER_WAY)
    assert applied(platform, prior, None, MODEL.encode())[0] is None
    after, diagnostics = applied(platform, None, to_create())
    assert platform.platform.commands == []
    assert after is not None
    assert (after["state"], after["dock_status_id"]) == ("deployed", "ds-1")
    assert not diagnostics.has_errors()
    assert platform.handed == {}


def test_an_adopt_that_was_true_before_does_not_count_after_a_hand_over() -> None:
    """The user has looked at the console, and then changed something else: only a new `adopt` says so."""
    platform = Simulated([job("SUCCESS"), job("SUCCESS", id="ds-2")])
    unknown = state(state="failed", last_status="UNKNOWN", dock_status_id="", adopt=True)
    applied(platform, unknown, None, MODEL.encode())
    applied(platform, None, to_create(adopt=True))
    assert platform.platform.commands == [f"undeploy {MODEL}", f"deploy {MODEL}"]


@pytest.mark.parametrize("private", [b"", b"cm-2"], ids=["a deletion", "a replacement by another model"])
def test_no_other_deletion_hands_anything_over(private: bytes) -> None:
    platform = Simulated([job("SUCCESS")])
    applied(platform, state(**FAILED), None, private)
    assert platform.platform.commands == [f"undeploy {MODEL}"]
    assert platform.handed == {}


def test_a_hand_over_that_is_interrupted_keeps_the_object() -> None:
    platform = Simulated()
    platform.platform.looks = takes(600)

    def interrupt(_: float) -> None:
        raise Interrupted

    platform.clock.on_sleep = interrupt
    after, diagnostics = applied(platform, state(**UNDER_WAY), None, MODEL.encode())
    assert after == state(**UNDER_WAY)
    assert diagnostics.has_errors()
    assert platform.handed == {}


def interrupted(prior: Values | None, after: Values, *, answers: Iterable[Answer]) -> tuple[Values | None, Diagnostics]:
    platform = Simulated(answers)
    platform.platform.looks = takes(600)

    def interrupt(_: float) -> None:
        raise Interrupted

    platform.clock.on_sleep = interrupt
    return applied(platform, prior, after)


def test_an_interrupted_creation_is_kept_with_a_warning_and_an_interrupted_update_with_an_error() -> None:
    begun = job("IN_PROGRESS", id="ds-1")
    created, warned = interrupted(None, to_create(), answers=[begun])
    assert created is not None
    assert (created["state"], created["dock_status_id"]) == ("deploying", "ds-1")
    assert not warned.has_errors()
    assert "job ds-1 (deploy of cm-1) is still running" in texts(warned.diagnostics)[0]
    changed = {"device_type": "g5.2xlarge", "update_strategy": "redeploy"}
    updated, told = interrupted(state(), to_create(**changed), answers=[begun])
    assert updated is not None
    assert (updated["state"], updated["device_type"]) == ("deploying", "g5.2xlarge")
    assert told.has_errors()


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


def test_a_deletion_after_a_creation_of_the_same_model_undeploys_nothing() -> None:
    platform = Simulated([job("SUCCESS", id="ds-1")])
    applied(platform, None, to_create())
    after, diagnostics = applied(platform, state(), None)
    assert after is None
    assert "is another object of this configuration now" in texts(diagnostics.diagnostics)[0]
    assert platform.platform.commands == [f"deploy {MODEL}"]


def test_a_deletion_beside_a_creation_of_the_same_model_waits_for_it() -> None:
    platform = Simulated([job("SUCCESS", id="ds-1")])
    deploying, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        deploying.set()
        assert go_on.wait(10)

    platform.clock.on_moment = hold
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


def test_a_deletion_of_a_model_that_is_no_more_is_a_success() -> None:
    after, diagnostics = applied(Simulated([not_found()]), state(), None)
    assert after is None
    assert not diagnostics.has_errors()


def test_a_configuration_that_is_not_known_yet_is_told_only_where_it_is_needed() -> None:
    platform = Platform()
    platform.configure({"host": Unknown, "api_key": KEY})
    with pytest.raises(ConfigError, match="the provider's host is not known before"):
        platform.lifecycle(MODEL, None)


def test_the_numbers_of_the_configuration_are_read() -> None:
    platform = Platform()
    given: dict[str, Any] = {"host": "http://127.0.0.1:1", "api_key": KEY, "requests_per_minute": 7}
    platform.configure({**given, "poll_min_seconds": 0.5, "poll_max_seconds": None})
    settings = platform._settings()
    assert (settings.requests_per_minute, settings.poll_min_seconds, settings.poll_max_seconds) == (7, 0.5, 60.0)


def test_a_state_of_the_first_version_is_upgraded() -> None:
    old = {name: value for name, value in state().items() if name != "timeouts"}
    upgraded = ModelDeployment(Simulated()).upgrade(None, VERSION - 1, {**old, "custom_timeouts": {"create": "45m"}})
    assert upgraded == {**state(), "timeouts": {"create": "45m"}}
