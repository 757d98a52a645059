"""The lifecycle against a platform that follows a script and a clock that passes only in sleeps."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import pairwise
from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPResponse

from pulumi_koreai.api.errors import (
    AbsenceInDoubt,
    Advice,
    AdviceKind,
    AnswerLost,
    ApiError,
    BadAnswer,
    Forbidden,
    ForeignAnswer,
    JobFailed,
    JobTimeout,
    NotDeployed,
    NotFound,
    NotSent,
    RateLimited,
    Refused,
    ServerError,
    Unauthorized,
    WrongJob,
)
from pulumi_koreai.api.settings import Settings
from pulumi_koreai.base.progress import parsed
from pulumi_koreai.core.lifecycle import (
    DEPLOY_TIMEOUT_SECONDS,
    UNDEPLOY_TIMEOUT_SECONDS,
    Lifecycle,
    OutcomeUnknown,
)
from pulumi_koreai.core.polling import pause_before_poll
from pulumi_koreai.core.rules import UNKNOWN_STATUS, Goal, ModelState, Record
from pulumi_koreai.stackfile.terms import PULUMI
from tests.core.fakes import (
    KEY,
    MODEL,
    OTHER,
    REQUEST,
    SETTINGS,
    Answer,
    FakePlatform,
    Interrupted,
    SimClock,
    Told,
    foreign,
    in_doubt,
    job,
    not_found,
    rate_limited,
    server_error,
    takes,
)
from tests.system.chaos.wire import Request, WiredClient, answer, refused

MINUTE = 60.0
DEPLOYED = Goal(REQUEST)
UNDEPLOYED = Goal(None)
RUNNING = Record(ModelState.DEPLOYED, REQUEST, "ds-0", "DEPLOY", "SUCCESS", 60.0)
RUNNING_OTHER = replace(RUNNING, request=OTHER)
DEPLOYING = Record(ModelState.DEPLOYING, REQUEST, "ds-1", "DEPLOY", "IN_PROGRESS", 60.0)
UNDEPLOYING = Record(ModelState.UNDEPLOYING, REQUEST, "ds-1", "UNDEPLOY", "IN_PROGRESS", 60.0)


class Scene:
    """A lifecycle with all that is handed to it."""

    def __init__(self, record: Record | None = None, *answers: Answer, settings: Settings = SETTINGS) -> None:
        self.clock = SimClock()
        self.start = self.clock.now
        self.platform = FakePlatform(self.clock, answers, settings)
        self.told = Told()
        self.lifecycle = Lifecycle(self.platform, MODEL, record, clock=self.clock, rng=Random(7), reporter=self.told)

    @property
    def record(self) -> Record:
        assert self.lifecycle.record is not None
        return self.lifecycle.record

    @property
    def elapsed(self) -> float:
        return self.clock.now - self.start

    def posts(self) -> list[str]:
        return [asked.what for asked in self.platform.asked if not asked.what.startswith("job ")]

    def looks(self) -> list[float]:
        """When jobs were looked at, in seconds since the start."""
        return [asked.at - self.start for asked in self.platform.asked if asked.what.startswith("job ")]

    def gaps(self) -> list[float]:
        return [after - before for before, after in pairwise(self.looks())]


# The pace of the looks at a job


@pytest.mark.parametrize("percent", [True, False], ids=["with a percentage", "without"])
@pytest.mark.parametrize("minutes", [0.5, 5, 40])
def test_looks_are_at_least_a_second_apart_and_at_most_the_bound(minutes: float, percent: bool) -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    scene.platform.looks = takes(minutes * MINUTE, percent=percent)
    scene.lifecycle.reach(DEPLOYED)
    looks = [0.0, *scene.looks()]
    gaps = [after - before for before, after in pairwise(looks)]
    assert min(gaps) >= 1.0
    assert max(gaps) <= 60.0 + 1e-9
    assert scene.elapsed - minutes * MINUTE <= 60.0


def test_looks_back_off_as_the_job_gets_older() -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    scene.platform.looks = takes(40 * MINUTE, percent=False)
    scene.lifecycle.reach(DEPLOYED)
    gaps = scene.gaps()
    assert gaps[0] < 5.0
    assert gaps[-1] == pytest.approx(60.0)
    assert len(gaps) < 80


def test_looks_come_faster_again_when_the_percentage_says_that_the_end_is_near() -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    scene.platform.looks = takes(39.5 * MINUTE, percent=True)
    scene.lifecycle.reach(DEPLOYED)
    gaps = scene.gaps()
    assert max(gaps) == pytest.approx(60.0)
    assert gaps[-1] < 30.0
    assert scene.elapsed - 39.5 * MINUTE < 24.0


@pytest.mark.parametrize("percent", [True, False], ids=["with a percentage", "without"])
def test_a_job_of_ten_minutes_is_looked_at_forty_times_at_most_and_its_end_noticed_within_a_twentieth(
    percent: bool,
) -> None:
    lates = []
    for seconds in range(570, 631):
        scene = Scene(None, job("IN_PROGRESS"))
        scene.platform.looks = takes(seconds, percent=percent)
        scene.lifecycle.reach(DEPLOYED)
        assert len(scene.looks()) <= 40
        lates.append(scene.elapsed - seconds)
    assert fmean(lates) <= 0.05 * 600


def test_the_pace_is_the_one_of_the_settings() -> None:
    scene = Scene(None, job("IN_PROGRESS"), settings=Settings("https://p.example.com", KEY, 60, 4.0, 6.0))
    scene.platform.looks = takes(10 * MINUTE, percent=False)
    scene.lifecycle.reach(DEPLOYED)
    assert min(scene.gaps()) >= 4.0
    assert max(scene.gaps()) == 6.0


@given(
    elapsed=st.floats(0, 1e6),
    percent=st.none() | st.floats(0, 100),
    shortest=st.floats(0.01, 30),
    more=st.floats(0, 30),
    seed=st.integers(0, 9),
)
def test_no_pause_leaves_its_bounds(
    elapsed: float, percent: float | None, shortest: float, more: float, seed: int
) -> None:
    pause = pause_before_poll(elapsed, percent, shortest, shortest + more, Random(seed))
    assert shortest <= pause <= shortest + more


def test_pauses_are_spread_by_a_twentieth_and_no_more() -> None:
    rng = Random(1)
    pauses = [pause_before_poll(90, None, 1, 100, rng) for _ in range(1000)]
    assert min(pauses) == pytest.approx(9.0, rel=0.01)
    assert max(pauses) == pytest.approx(9.45, rel=0.01)


def test_a_percentage_never_makes_a_pause_longer() -> None:
    for percent in (1, 10, 50, 90, 99, 100):
        assert pause_before_poll(90, percent, 1, 100, Random(1)) <= pause_before_poll(90, None, 1, 100, Random(1))


# The ends of a wait


def test_a_job_that_ends_well_leaves_the_model_deployed() -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    scene.platform.looks = takes(95)
    scene.lifecycle.reach(DEPLOYED)
    assert replace(scene.record, last_job_seconds=0) == Record(
        ModelState.DEPLOYED, REQUEST, "ds-1", "DEPLOY", "SUCCESS"
    )
    assert scene.record.last_job_seconds == pytest.approx(95, abs=5)
    assert scene.platform.requests == [REQUEST]
    assert scene.platform.commands == ["deploy cm-1"]


def test_a_job_that_is_finished_in_the_first_answer_is_not_waited_on() -> None:
    scene = Scene(None, job("SUCCESS"))
    scene.lifecycle.reach(DEPLOYED)
    assert (scene.platform.sent, scene.clock.sleeps) == (["deploy cm-1"], [])
    assert scene.record == Record(ModelState.DEPLOYED, REQUEST, "ds-1", "DEPLOY", "SUCCESS", 0.0)


def test_a_job_that_failed_in_the_first_answer_is_a_failure_at_once() -> None:
    scene = Scene(None, job("FAILED", reason="no quota"))
    with pytest.raises(JobFailed, match='job ds-1 failed: "no quota"'):
        scene.lifecycle.reach(DEPLOYED)
    assert scene.clock.sleeps == []
    assert scene.record.state is ModelState.FAILED


def test_a_failed_deploy_is_an_error_with_the_platforms_reason_and_its_facts() -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    scene.platform.looks = takes(30, end=job("FAILED", reason="out of g5.xlarge"))
    with pytest.raises(JobFailed) as caught:
        scene.lifecycle.reach(DEPLOYED)
    assert 'deploy of cm-1: job ds-1 failed: "out of g5.xlarge"' in str(caught.value)
    assert [one.kind for one in caught.value.advice] == [AdviceKind.MAY_STILL_SERVE, AdviceKind.FIX_AND_DEPLOY_AGAIN]
    assert (caught.value.job_id, caught.value.action, caught.value.status) == ("ds-1", "DEPLOY", "FAILED")
    assert (scene.record.state, scene.record.last_status, scene.record.request) == (
        ModelState.FAILED,
        "FAILED",
        REQUEST,
    )


def test_a_failure_without_a_reason_says_so() -> None:
    scene = Scene(None, job("FAILED"))
    with pytest.raises(JobFailed, match="the platform gave no reason"):
        scene.lifecycle.reach(DEPLOYED)


def test_a_failed_redeploy_does_not_claim_to_know_whether_the_earlier_one_serves() -> None:
    scene = Scene(RUNNING_OTHER, job("FAILED"))
    with pytest.raises(JobFailed) as caught:
        scene.lifecycle.reach(Goal(REQUEST, "redeploy"))
    assert [one.kind for one in caught.value.advice] == [AdviceKind.MAY_STILL_SERVE, AdviceKind.FIX_AND_DEPLOY_AGAIN]


def test_a_failed_undeploy_is_an_error_and_stays_visible() -> None:
    scene = Scene(RUNNING, job("FAILED", reason="locked"))
    with pytest.raises(JobFailed, match='undeploy of cm-1: job ds-1 failed: "locked"') as caught:
        scene.lifecycle.reach(UNDEPLOYED)
    assert caught.value.action == "UNDEPLOY"
    assert (scene.record.state, scene.record.last_action) == (ModelState.FAILED, "UNDEPLOY")


def test_a_timeout_says_the_job_the_time_and_the_last_status() -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    scene.platform.looks = takes(999 * MINUTE)
    with pytest.raises(JobTimeout) as caught:
        scene.lifecycle.reach(DEPLOYED, timeout_seconds=10 * MINUTE)
    message = str(caught.value)
    assert "deploy of cm-1: job ds-1 has not ended after 10m00s (last status IN_PROGRESS, 1 %)" in message
    assert "may still be running" in message
    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.job_id, caught.value.status) == ("ds-1", "IN_PROGRESS")
    assert scene.record == Record(ModelState.DEPLOYING, REQUEST, "ds-1", "DEPLOY", "IN_PROGRESS")


def test_a_timeout_tells_what_went_wrong_at_the_last_look() -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    scene.platform.looks = lambda _: server_error(503)
    with pytest.raises(JobTimeout, match=r"The last look at it failed: GET /p: asking"):
        scene.lifecycle.reach(DEPLOYED, timeout_seconds=60)


def test_there_is_one_last_look_at_the_deadline() -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    scene.platform.looks = takes(600, percent=False)
    scene.lifecycle.reach(DEPLOYED, timeout_seconds=600)
    assert scene.looks()[-1] == 600
    assert scene.record.state is ModelState.DEPLOYED


def test_no_look_and_no_sleep_comes_after_the_deadline() -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    scene.platform.looks = takes(601, percent=False)
    with pytest.raises(JobTimeout):
        scene.lifecycle.reach(DEPLOYED, timeout_seconds=600)
    assert scene.looks()[-1] == 600
    assert scene.elapsed == 600


def test_the_last_look_has_time_for_its_request() -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    scene.platform.looks = takes(999 * MINUTE)
    with pytest.raises(JobTimeout):
        scene.lifecycle.reach(DEPLOYED, timeout_seconds=600)
    assert all(asked.until - asked.at >= 1.0 for asked in scene.platform.asked)
    assert all(asked.until <= scene.start + 600 + 2 for asked in scene.platform.asked)


def test_an_interruption_during_a_wait_comes_through_and_the_job_stays_on_record() -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    scene.platform.looks = takes(40 * MINUTE)

    def interrupt(_: float) -> None:
        if scene.elapsed > 5 * MINUTE:
            raise Interrupted

    scene.clock.on_sleep = interrupt
    with pytest.raises(Interrupted):
        scene.lifecycle.reach(DEPLOYED)
    assert scene.record == Record(ModelState.DEPLOYING, REQUEST, "ds-1", "DEPLOY", "IN_PROGRESS")
    assert scene.record.under_way


@pytest.mark.parametrize("status", ["QUEUED", "OPTIMIZING", "SUCCEEDED", "ERROR", "in_progress"])
def test_a_status_never_seen_before_is_not_an_end(status: str) -> None:
    scene = Scene(None, job(status), job(status), job(status), job("success"))
    scene.lifecycle.reach(DEPLOYED)
    assert len(scene.looks()) == 3
    assert scene.record.state is ModelState.DEPLOYED


def test_a_status_never_seen_before_is_on_record_while_it_lasts() -> None:
    scene = Scene(None, job("QUEUED"))
    scene.platform.looks = lambda _: job("QUEUED")
    with pytest.raises(JobTimeout, match="last status QUEUED"):
        scene.lifecycle.reach(DEPLOYED, timeout_seconds=60)
    assert (scene.record.state, scene.record.last_status) == (ModelState.DEPLOYING, "QUEUED")


# Trouble during a wait

TRANSIENT: dict[str, Callable[[], ApiError]] = {
    "429": rate_limited,
    "500": server_error,
    "502": lambda: server_error(502),
    "503": lambda: server_error(503),
    "reset": lambda: AnswerLost("asking", method="GET", path="/p"),
    "refused connection": lambda: NotSent("asking", method="GET", path="/p"),
    "HTML page": lambda: BadAnswer("asking", method="GET", path="/p", status=200),
}
LASTING: dict[str, Callable[[], ApiError]] = {
    "401": lambda: Unauthorized("asking", method="GET", path="/p", status=401),
    "403": lambda: Forbidden("asking", method="GET", path="/p", status=403),
    "400": lambda: Refused("asking", method="GET", path="/p", status=400),
    "another job": lambda: WrongJob("asking", method="GET", path="/p", status=200),
}


@pytest.mark.parametrize("trouble", TRANSIENT.values(), ids=TRANSIENT)
def test_trouble_at_a_look_is_not_the_end_of_the_wait(trouble: Callable[[], ApiError]) -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    healthy = takes(10 * MINUTE)
    scene.platform.looks = lambda age: trouble() if 100 < age < 400 else healthy(age)
    scene.lifecycle.reach(DEPLOYED)
    assert scene.record.state is ModelState.DEPLOYED
    assert min(scene.gaps()) >= 1.0
    assert scene.platform.commands == ["deploy cm-1"]


@pytest.mark.parametrize("trouble", LASTING.values(), ids=LASTING)
def test_what_a_later_look_can_not_mend_ends_the_wait_and_the_job_stays_on_record(
    trouble: Callable[[], ApiError],
) -> None:
    error = trouble()
    scene = Scene(None, job("IN_PROGRESS"), error)
    with pytest.raises(ApiError) as caught:
        scene.lifecycle.reach(DEPLOYED)
    assert caught.value is error
    assert scene.record == Record(ModelState.DEPLOYING, REQUEST, "ds-1", "DEPLOY", "IN_PROGRESS")


def test_a_job_that_is_not_found_yet_in_the_first_half_minute_is_waited_for() -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    healthy = takes(60)
    scene.platform.looks = lambda age: not_found() if age < 28 else healthy(age)
    scene.lifecycle.reach(DEPLOYED)
    assert scene.record.state is ModelState.DEPLOYED


def test_a_job_that_is_not_found_later_is_an_error_and_stays_on_record() -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    healthy = takes(999)
    scene.platform.looks = lambda age: healthy(age) if age < 31 else not_found()
    with pytest.raises(NotFound):
        scene.lifecycle.reach(DEPLOYED)
    assert 31 <= scene.elapsed < 60
    assert scene.record.under_way


def test_a_job_that_is_never_found_is_given_up_after_the_half_minute() -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    scene.platform.looks = lambda _: not_found()
    with pytest.raises(NotFound):
        scene.lifecycle.reach(DEPLOYED)
    assert 30 <= scene.elapsed < 45


def test_retry_after_is_obeyed() -> None:
    scene = Scene(None, job("IN_PROGRESS"), rate_limited(120), job("SUCCESS"))
    scene.lifecycle.reach(DEPLOYED)
    assert scene.gaps() == [120]


def test_retry_after_holds_for_one_pause_only() -> None:
    scene = Scene(None, job("IN_PROGRESS"), rate_limited(120), job("IN_PROGRESS"), job("SUCCESS"))
    scene.lifecycle.reach(DEPLOYED)
    assert scene.gaps()[0] == 120
    assert scene.gaps()[1] < 20


@pytest.mark.parametrize("seconds", [3600.0, float("inf")])
def test_retry_after_never_lifts_the_deadline(seconds: float) -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    scene.platform.looks = lambda _: rate_limited(seconds)
    with pytest.raises(JobTimeout):
        scene.lifecycle.reach(DEPLOYED, timeout_seconds=300)
    assert scene.elapsed == 300


# What is recorded when a command itself goes wrong


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param(AnswerLost("sent", method="POST", path="/p"), id="reset"),
        pytest.param(BadAnswer("sent", method="POST", path="/p", status=200), id="HTML page"),
        pytest.param(WrongJob("sent", method="POST", path="/p", status=200), id="another job"),
        pytest.param(ServerError("sent", method="POST", path="/p", status=502), id="502"),
    ],
)
def test_a_deploy_whose_answer_is_lost_is_recorded_as_unknown_and_not_sent_again(lost: ApiError) -> None:
    scene = Scene(replace(RUNNING_OTHER, state=ModelState.UNDEPLOYED), lost)
    with pytest.raises(ApiError) as caught:
        scene.lifecycle.reach(DEPLOYED)
    assert caught.value is lost
    assert scene.platform.sent == ["deploy cm-1"]
    assert scene.record == Record(ModelState.FAILED, REQUEST, "", "DEPLOY", UNKNOWN_STATUS, 60.0)
    assert lost.advice == (Advice(AdviceKind.SETTLE_DEPLOY, MODEL),)
    assert "not sent again" in PULUMI.error(lost)
    assert "`adopt`" in PULUMI.error(lost)


@pytest.mark.parametrize(
    "refusal",
    [
        NotSent("sent", method="POST", path="/p"),
        RateLimited("sent", method="POST", path="/p", status=429),
        ServerError("sent", method="POST", path="/p", status=503),
        Refused("sent", method="POST", path="/p", status=400),
        NotFound("sent", method="POST", path="/p", status=404),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("goal, before", [(DEPLOYED, None), (UNDEPLOYED, RUNNING)], ids=["deploy", "undeploy"])
def test_a_command_that_was_not_taken_leaves_the_record_as_it_was(
    goal: Goal, before: Record | None, refusal: ApiError
) -> None:
    scene = Scene(before, refusal)
    with pytest.raises(type(refusal)):
        scene.lifecycle.reach(goal)
    assert scene.lifecycle.record is before


def test_an_undeploy_whose_answer_is_lost_is_recorded_as_unknown() -> None:
    scene = Scene(RUNNING, AnswerLost("sent", method="POST", path="/p"))
    with pytest.raises(AnswerLost) as caught:
        scene.lifecycle.reach(UNDEPLOYED)
    assert caught.value.advice == (Advice(AdviceKind.REPEAT_UNDEPLOY, MODEL),)
    assert scene.record == Record(ModelState.FAILED, REQUEST, "", "UNDEPLOY", UNKNOWN_STATUS, 60.0)


@pytest.mark.parametrize("goal, action", [(DEPLOYED, "DEPLOY"), (UNDEPLOYED, "UNDEPLOY")], ids=["deploy", "undeploy"])
def test_a_command_that_ends_with_a_bug_of_ours_is_recorded_as_unknown(goal: Goal, action: str) -> None:
    scene = Scene(RUNNING if action == "UNDEPLOY" else None, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        scene.lifecycle.reach(goal)
    assert scene.record.request == REQUEST
    assert (scene.record.state, scene.record.last_action, scene.record.last_status) == (
        ModelState.FAILED,
        action,
        UNKNOWN_STATUS,
    )


def test_a_deploy_refused_after_the_undeploy_leaves_it_recorded_as_undeployed_with_the_old_parameters() -> None:
    scene = Scene(RUNNING_OTHER, job("SUCCESS", id="ds-9"), Refused("no", method="POST", path="/p", status=400))
    with pytest.raises(Refused):
        scene.lifecycle.reach(DEPLOYED)
    assert (scene.record.state, scene.record.request, scene.record.job_id) == (ModelState.UNDEPLOYED, OTHER, "ds-9")


# Undeploying what is not deployed

NOT_DEPLOYED = NotDeployed("no", method="POST", path="/p", status=400)


@pytest.mark.parametrize("before", [None, RUNNING], ids=["new", "running on record"])
def test_not_deployed_is_success_and_is_said(before: Record | None) -> None:
    scene = Scene(before, NOT_DEPLOYED)
    scene.lifecycle.reach(UNDEPLOYED)
    assert scene.record.state is ModelState.UNDEPLOYED
    assert (scene.record.job_id, scene.record.last_action, scene.record.last_status) == ("", "UNDEPLOY", "SUCCESS")
    assert scene.told.notes[-1] == "cm-1 was not deployed: there was nothing to undeploy."


@pytest.mark.parametrize(
    "reason", ["Model is not deployed", "2 of 3 replicas are not deployed on healthy nodes, 1 still serving"]
)
@pytest.mark.parametrize("end", [Lifecycle.retire, partial(Lifecycle.reach, goal=UNDEPLOYED)], ids=["retire", "reach"])
def test_an_undeploy_that_failed_is_a_failure_whatever_its_reason_says(
    end: Callable[[Lifecycle], None], reason: str
) -> None:
    scene = Scene(RUNNING, job("FAILED", reason=reason))
    with pytest.raises(JobFailed):
        end(scene.lifecycle)
    assert (scene.record.state, scene.record.last_action) == (ModelState.FAILED, "UNDEPLOY")
    assert scene.told.notes == ["undeploy of cm-1: job ds-1 started"]


def test_an_update_goes_on_when_there_was_nothing_to_undeploy() -> None:
    scene = Scene(RUNNING_OTHER, NOT_DEPLOYED, job("SUCCESS"))
    scene.lifecycle.reach(DEPLOYED)
    assert scene.platform.sent == ["undeploy cm-1", "deploy cm-1"]
    assert scene.record.state is ModelState.DEPLOYED


# Retiring


def test_retiring_undeploys_and_waits() -> None:
    scene = Scene(RUNNING, job("IN_PROGRESS"))
    scene.platform.looks = takes(60)
    scene.lifecycle.retire()
    assert scene.platform.commands == ["undeploy cm-1"]
    assert scene.record.state is ModelState.UNDEPLOYED


def test_retiring_a_model_that_does_not_exist_is_success_and_is_said_where_the_platform_knows_the_key() -> None:
    scene = Scene(RUNNING, not_found(), job("SUCCESS", id="ds-0"))
    scene.lifecycle.retire()
    assert scene.platform.sent == ["undeploy cm-1", "job ds-0 DEPLOY cm-1"]
    assert scene.told.notes == ["the platform has no model cm-1: there was nothing to undeploy."]


def test_a_platform_that_has_answered_a_job_to_this_process_is_not_asked_for_another() -> None:
    scene = Scene(RUNNING_OTHER, job("SUCCESS", id="ds-1"), job("SUCCESS", id="ds-2"), not_found())
    scene.lifecycle.reach(DEPLOYED)
    scene.lifecycle.retire()
    assert scene.platform.sent == ["undeploy cm-1", "deploy cm-1", "undeploy cm-1"]


@pytest.mark.parametrize(
    "record, answers",
    [
        (RUNNING, [not_found()]),
        (RUNNING, [foreign()]),
        (RUNNING, [in_doubt()]),
        (RUNNING, [server_error(503)]),
        (RUNNING, [WrongJob("asking", method="GET", path="/p", status=200)]),
        (Record(ModelState.DEPLOYED, REQUEST), []),
    ],
    ids=["no such job", "a gateway", "in doubt", "503", "another job", "adopted, no job"],
)
def test_that_every_model_is_unknown_is_no_success_of_retiring(record: Record, answers: list[Answer]) -> None:
    scene = Scene(record, not_found(), *answers)
    with pytest.raises(NotFound) as caught:
        scene.lifecycle.retire()
    assert [one.kind for one in caught.value.advice] == [AdviceKind.KEY_UNPROVEN, AdviceKind.LET_GO]
    assert "`pulumi state delete URN`" in PULUMI.error(caught.value)
    assert scene.record == record
    assert scene.told.notes == []


@pytest.mark.parametrize("doubt", [foreign, in_doubt])
@pytest.mark.parametrize("known", [False, True])
def test_retiring_lets_go_of_nothing_in_doubt_and_names_the_way_out(
    doubt: Callable[[], AbsenceInDoubt], known: bool
) -> None:
    scene = Scene(RUNNING, *([job("SUCCESS", id="ds-0")] if known else []), doubt())
    if known:
        scene.lifecycle.refresh()
    with pytest.raises(AbsenceInDoubt) as caught:
        scene.lifecycle.retire()
    assert caught.value.advice == (Advice(AdviceKind.LET_GO, MODEL),)
    assert scene.record == RUNNING


def test_a_model_that_is_new_has_nothing_in_the_state_to_let_go_of() -> None:
    scene = Scene(None, foreign())
    with pytest.raises(ForeignAnswer) as caught:
        scene.lifecycle.reach(UNDEPLOYED)
    assert caught.value.advice == ()


def test_retiring_what_is_undeployed_sends_nothing() -> None:
    scene = Scene(replace(RUNNING, state=ModelState.UNDEPLOYED))
    scene.lifecycle.retire()
    assert scene.platform.sent == []


def test_an_undeploy_job_that_is_lost_sight_of_is_no_success_of_retiring() -> None:
    scene = Scene(RUNNING, job("IN_PROGRESS"))
    healthy = takes(999)
    scene.platform.looks = lambda age: healthy(age) if age < 31 else not_found()
    with pytest.raises(NotFound):
        scene.lifecycle.retire()
    assert scene.record.under_way


def test_retiring_gives_up_on_a_stuck_job_after_its_time_and_undeploys_all_the_same() -> None:
    scene = Scene(DEPLOYING, job("SUCCESS", id="ds-2"))
    scene.platform.looks = lambda _: job("ROLLED_BACK")
    scene.lifecycle.retire(5 * MINUTE)
    assert scene.elapsed == 5 * MINUTE
    assert scene.platform.commands == ["undeploy cm-1"]
    assert scene.record.state is ModelState.UNDEPLOYED


def test_retiring_waits_a_deploy_under_way_out_first() -> None:
    scene = Scene(DEPLOYING, job("IN_PROGRESS"), job("SUCCESS"), job("SUCCESS", id="ds-2"))
    scene.lifecycle.retire()
    assert scene.platform.sent == ["job ds-1 DEPLOY cm-1", "job ds-1 DEPLOY cm-1", "undeploy cm-1"]


def test_an_update_of_a_model_that_does_not_exist_is_an_error() -> None:
    scene = Scene(RUNNING_OTHER, not_found())
    with pytest.raises(NotFound):
        scene.lifecycle.reach(DEPLOYED)


@pytest.mark.parametrize("record", [None, RUNNING], ids=["create", "update"])
def test_declaring_a_model_undeployed_that_does_not_exist_is_an_error(record: Record | None) -> None:
    scene = Scene(record, not_found())
    with pytest.raises(NotFound):
        scene.lifecycle.reach(UNDEPLOYED)
    assert scene.lifecycle.record is record


# Taking a job up again


def test_a_resumed_job_is_looked_at_at_once_and_nothing_is_sent_when_it_ended_well() -> None:
    scene = Scene(DEPLOYING, job("SUCCESS"))
    scene.lifecycle.reach(DEPLOYED)
    assert scene.platform.sent == ["job ds-1 DEPLOY cm-1"]
    assert scene.elapsed == 0
    assert scene.record == replace(RUNNING, job_id="ds-1")
    assert scene.told.notes == ["resuming deploy job ds-1 of cm-1"]


def test_a_resumed_job_is_looked_at_even_when_the_time_is_up() -> None:
    scene = Scene(DEPLOYING, job("SUCCESS"))
    scene.lifecycle.reach(DEPLOYED, timeout_seconds=0)
    assert scene.record.state is ModelState.DEPLOYED


def test_a_resumed_job_that_is_running_is_waited_on() -> None:
    scene = Scene(DEPLOYING)
    scene.platform.looks = takes(5 * MINUTE)
    scene.lifecycle.reach(DEPLOYED)
    assert scene.platform.commands == []
    assert min(scene.gaps()) >= 1.0
    assert scene.record.state is ModelState.DEPLOYED


def test_a_resumed_deploy_of_other_parameters_is_replaced_by_the_strategy() -> None:
    scene = Scene(
        replace(DEPLOYING, request=OTHER), job("SUCCESS"), job("SUCCESS", id="ds-2"), job("SUCCESS", id="ds-3")
    )
    scene.lifecycle.reach(DEPLOYED)
    assert scene.platform.sent == ["job ds-1 DEPLOY cm-1", "undeploy cm-1", "deploy cm-1"]
    assert (scene.record.request, scene.record.job_id) == (REQUEST, "ds-3")


def test_a_resumed_deploy_that_had_failed_is_told_and_sent_anew() -> None:
    scene = Scene(DEPLOYING, job("FAILED", reason="no quota"), job("SUCCESS", id="ds-2"))
    scene.lifecycle.reach(DEPLOYED)
    assert scene.platform.sent == ["job ds-1 DEPLOY cm-1", "deploy cm-1"]
    assert 'deploy job ds-1 of cm-1 failed: "no quota"' in scene.told.notes


def test_a_resumed_undeploy_is_asked_for_as_one_and_followed_by_the_deploy() -> None:
    scene = Scene(UNDEPLOYING, job("SUCCESS"), job("SUCCESS", id="ds-2"))
    scene.lifecycle.reach(DEPLOYED)
    assert scene.platform.sent == ["job ds-1 UNDEPLOY cm-1", "deploy cm-1"]


def test_a_deploy_job_that_the_platform_forgot_stops_once_and_is_then_settled_by_the_strategy() -> None:
    scene = Scene(DEPLOYING)
    scene.platform.looks = lambda _: not_found()
    with pytest.raises(OutcomeUnknown):
        scene.lifecycle.reach(DEPLOYED)
    assert scene.platform.commands == []
    assert "the platform no longer knows deploy job ds-1 of cm-1." in scene.told.notes
    scene.platform.looks = None
    scene.platform.answers = [job("SUCCESS", id="ds-2"), job("SUCCESS", id="ds-3")]
    scene.lifecycle.reach(DEPLOYED)
    assert scene.platform.commands == ["undeploy cm-1", "deploy cm-1"]


def test_an_undeploy_job_that_the_platform_forgot_is_sent_again() -> None:
    scene = Scene(UNDEPLOYING)
    scene.platform.looks = lambda _: not_found() if scene.platform.commands == [] else job("SUCCESS", id="ds-3")
    scene.platform.answers = [job("SUCCESS", id="ds-2"), job("SUCCESS", id="ds-3")]
    scene.lifecycle.reach(DEPLOYED)
    assert scene.platform.commands == ["undeploy cm-1", "deploy cm-1"]


def test_a_job_that_the_platform_forgot_can_be_settled_by_adopting() -> None:
    scene = Scene(DEPLOYING)
    scene.platform.looks = lambda _: not_found()
    scene.lifecycle.reach(Goal(REQUEST, adopt=True))
    assert scene.platform.commands == []
    assert scene.record == Record(ModelState.DEPLOYED, REQUEST)


@pytest.mark.parametrize("doubt", [foreign, in_doubt])
@pytest.mark.parametrize("record", [DEPLOYING, UNDEPLOYING], ids=["deploying", "undeploying"])
@pytest.mark.parametrize("end", [Lifecycle.retire, partial(Lifecycle.reach, goal=DEPLOYED)], ids=["retire", "reach"])
def test_a_job_that_may_be_forgotten_stays_on_record_and_nothing_is_sent(
    end: Callable[[Lifecycle], None], record: Record, doubt: Callable[[], AbsenceInDoubt]
) -> None:
    scene = Scene(record)
    scene.platform.looks = lambda _: doubt()
    with pytest.raises(AbsenceInDoubt) as caught:
        end(scene.lifecycle)
    assert caught.value.advice == (Advice(AdviceKind.LET_GO_OF_JOB, "ds-1"),)
    assert scene.record == record
    assert scene.platform.commands == []
    assert scene.elapsed >= 30, "it may be too young"


@pytest.mark.parametrize("doubt", [foreign, in_doubt])
def test_a_gateway_that_loses_its_way_in_the_first_half_minute_does_not_end_a_wait(
    doubt: Callable[[], AbsenceInDoubt],
) -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    healthy = takes(60)
    scene.platform.looks = lambda age: doubt() if age < 28 else healthy(age)
    scene.lifecycle.reach(DEPLOYED)
    assert scene.record.state is ModelState.DEPLOYED


@pytest.mark.parametrize("status", ["SUCCESS", "FAILED"])
@pytest.mark.parametrize("record", [DEPLOYING, UNDEPLOYING], ids=["deploying", "undeploying"])
def test_a_record_that_contradicts_itself_is_asked_for_and_does_not_go_round_in_circles(
    record: Record, status: str
) -> None:
    scene = Scene(replace(record, last_status=status))
    scene.platform.looks = lambda _: job("SUCCESS")
    scene.platform.answers = [job("SUCCESS", id="ds-2")]
    scene.lifecycle.reach(DEPLOYED)
    assert scene.platform.sent[0].startswith("job ds-1")
    assert scene.record.state is ModelState.DEPLOYED


# Refreshing


def test_a_refresh_asks_once_and_records_what_the_job_says() -> None:
    scene = Scene(DEPLOYING, job("SUCCESS"))
    scene.lifecycle.refresh()
    assert scene.platform.sent == ["job ds-1 DEPLOY cm-1"]
    assert scene.record == replace(RUNNING, job_id="ds-1")
    assert scene.clock.sleeps == []


@pytest.mark.parametrize(
    "record, answer, state",
    [
        (DEPLOYING, job("IN_PROGRESS"), ModelState.DEPLOYING),
        (DEPLOYING, job("FAILED"), ModelState.FAILED),
        (UNDEPLOYING, job("SUCCESS"), ModelState.UNDEPLOYED),
        (UNDEPLOYING, job("FAILED"), ModelState.FAILED),
        (RUNNING, job("SUCCESS", id="ds-0"), ModelState.DEPLOYED),
    ],
)
def test_a_refresh_records_the_state(record: Record, answer: Answer, state: ModelState) -> None:
    scene = Scene(record, answer)
    scene.lifecycle.refresh()
    assert scene.record.state is state
    assert scene.record.last_action == record.last_action
    assert scene.record.request == REQUEST


@pytest.mark.parametrize("record", [None, Record(ModelState.DEPLOYED, REQUEST), Record(ModelState.FAILED, REQUEST)])
def test_a_refresh_without_a_job_asks_nothing(record: Record | None) -> None:
    scene = Scene(record)
    scene.lifecycle.refresh()
    assert scene.platform.sent == []
    assert scene.lifecycle.record is record


def test_a_refresh_tells_once_why_a_job_has_failed() -> None:
    scene = Scene(DEPLOYING)
    scene.platform.looks = lambda _age: job("FAILED", reason="no quota")
    scene.lifecycle.refresh()
    scene.lifecycle.refresh()
    assert scene.told.notes == ['deploy job ds-1 of cm-1 failed: "no quota"']


def test_a_refresh_does_not_forget_a_job_that_is_not_found_yet() -> None:
    scene = Scene(UNDEPLOYING, not_found())
    scene.lifecycle.refresh()
    assert scene.record == UNDEPLOYING, "the wait that takes it up again tells whether it is too young or too old"


@pytest.mark.parametrize("record", [DEPLOYING, RUNNING], ids=["deploying", "deployed"])
def test_a_refresh_through_a_gateway_that_has_lost_its_way_is_an_error(record: Record) -> None:
    scene = Scene(record, foreign())
    with pytest.raises(ForeignAnswer):
        scene.lifecycle.refresh()
    assert scene.record == record


def test_a_refresh_keeps_what_is_known_where_a_job_may_be_forgotten() -> None:
    scene = Scene(RUNNING, in_doubt())
    scene.lifecycle.refresh()
    assert scene.record == RUNNING


def test_an_interruption_between_two_steps_sends_nothing_more() -> None:
    scene = Scene(RUNNING, job("SUCCESS"))

    def interrupt_after_the_undeploy() -> None:
        if scene.posts():
            raise Interrupted

    scene.clock.on_moment = interrupt_after_the_undeploy
    with pytest.raises(Interrupted):
        scene.lifecycle.reach(Goal(OTHER))
    assert scene.posts() == ["undeploy cm-1"]
    assert scene.record.state is ModelState.UNDEPLOYED


def test_an_interruption_before_the_first_step_sends_nothing() -> None:
    scene = Scene(None)

    def interrupt() -> None:
        raise Interrupted

    scene.clock.on_moment = interrupt
    with pytest.raises(Interrupted):
        scene.lifecycle.reach(DEPLOYED)
    assert scene.posts() == []


def test_a_step_is_not_begun_when_the_time_for_the_whole_is_up() -> None:
    scene = Scene(RUNNING, job("IN_PROGRESS"))
    scene.platform.looks = takes(60)
    with pytest.raises(
        JobTimeout, match=r"^deploy of cm-1: not sent, the time for the whole operation \(1m00s\) was up before$"
    ):
        scene.lifecycle.reach(Goal(OTHER), timeout_seconds=60)
    assert "deploy cm-1" not in scene.posts()
    assert scene.record.state is ModelState.UNDEPLOYED


def test_a_refresh_keeps_what_is_known_when_a_job_that_had_ended_is_forgotten() -> None:
    scene = Scene(RUNNING, not_found())
    scene.lifecycle.refresh()
    assert scene.record == RUNNING


def test_a_refresh_that_can_not_ask_is_an_error_and_changes_nothing() -> None:
    scene = Scene(DEPLOYING, server_error(503))
    with pytest.raises(ServerError):
        scene.lifecycle.refresh()
    assert scene.record == DEPLOYING


def test_a_refresh_has_a_bound() -> None:
    scene = Scene(DEPLOYING, job("SUCCESS"))
    scene.lifecycle.refresh()
    assert 10 <= scene.platform.asked[0].until - scene.start <= 300


# Timeouts


def undeploy_then_deploy(scene: Scene, undeploy_seconds: float, deploy_seconds: float) -> None:
    scene.platform.answers = [job("IN_PROGRESS"), job("IN_PROGRESS")]

    def look(age: float) -> Answer:
        undeploying = scene.platform.commands[-1].startswith("undeploy")
        return takes(undeploy_seconds if undeploying else deploy_seconds)(age)

    scene.platform.looks = look


def test_the_defaults_bound_each_job() -> None:
    scene = Scene(RUNNING_OTHER)
    undeploy_then_deploy(scene, 29 * MINUTE, 59 * MINUTE)
    scene.lifecycle.reach(DEPLOYED)
    assert scene.record.state is ModelState.DEPLOYED
    assert scene.elapsed > 88 * MINUTE


@pytest.mark.parametrize(
    "goal, record, minutes",
    [(DEPLOYED, None, 60), (UNDEPLOYED, RUNNING, 30), (DEPLOYED, DEPLOYING, 60), (UNDEPLOYED, UNDEPLOYING, 30)],
    ids=["deploy", "undeploy", "resumed deploy", "resumed undeploy"],
)
def test_the_default_timeouts(goal: Goal, record: Record | None, minutes: int) -> None:
    scene = Scene(record, job("IN_PROGRESS"))
    scene.platform.looks = takes(999 * MINUTE)
    with pytest.raises(JobTimeout):
        scene.lifecycle.reach(goal)
    assert scene.elapsed == minutes * MINUTE
    assert (DEPLOY_TIMEOUT_SECONDS, UNDEPLOY_TIMEOUT_SECONDS) == (3600, 1800)


def test_a_timeout_that_is_given_bounds_the_whole_call() -> None:
    scene = Scene(RUNNING_OTHER)
    undeploy_then_deploy(scene, 29 * MINUTE, 59 * MINUTE)
    with pytest.raises(JobTimeout) as caught:
        scene.lifecycle.reach(DEPLOYED, timeout_seconds=60 * MINUTE)
    assert caught.value.action == "DEPLOY"
    assert scene.elapsed == 60 * MINUTE
    assert {asked.until for asked in scene.platform.asked[:-1]} == {scene.start + 60 * MINUTE}


def test_a_timeout_that_is_given_may_be_longer_than_the_defaults() -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    scene.platform.looks = takes(3 * 60 * MINUTE)
    scene.lifecycle.reach(DEPLOYED, timeout_seconds=4 * 60 * MINUTE)
    assert scene.record.state is ModelState.DEPLOYED


def test_retiring_obeys_its_timeout_over_both_jobs() -> None:
    scene = Scene(DEPLOYING)
    scene.platform.looks = takes(999 * MINUTE)
    with pytest.raises(JobTimeout) as caught:
        scene.lifecycle.retire(5 * MINUTE)
    assert caught.value.action == "DEPLOY"
    assert scene.elapsed == 5 * MINUTE


# The duration of the last job


def test_the_seconds_of_a_job_that_was_watched_from_its_start_are_kept() -> None:
    scene = Scene(RUNNING, job("IN_PROGRESS"), job("IN_PROGRESS"), job("SUCCESS"))
    scene.lifecycle.reach(UNDEPLOYED)
    assert scene.record.last_job_seconds == round(scene.elapsed, 1)
    assert scene.elapsed > 0


def test_the_seconds_of_a_job_that_was_taken_up_again_are_not() -> None:
    scene = Scene(DEPLOYING)
    scene.platform.looks = takes(5 * MINUTE)
    scene.lifecycle.reach(DEPLOYED)
    assert scene.record.last_job_seconds == 60.0


def test_the_seconds_of_a_failed_job_are_kept_too() -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    scene.platform.looks = takes(100, end=job("FAILED"))
    with pytest.raises(JobFailed):
        scene.lifecycle.reach(DEPLOYED)
    assert scene.record.last_job_seconds == pytest.approx(scene.elapsed, abs=0.1)


# Taking over, and what is told


def test_taking_over_sends_nothing_and_records_what_is_declared() -> None:
    scene = Scene(None)
    scene.lifecycle.reach(Goal(REQUEST, adopt=True))
    assert scene.platform.sent == []
    assert scene.record == Record(ModelState.DEPLOYED, REQUEST)
    assert scene.told.notes == ["cm-1 is adopted as declared; nothing was sent."]


def test_what_is_as_declared_takes_no_request_and_no_word() -> None:
    scene = Scene(RUNNING)
    scene.lifecycle.reach(DEPLOYED)
    assert (scene.platform.sent, scene.told.notes, scene.told.progressed) == ([], [], [])
    assert scene.record is RUNNING


def test_progress_tells_the_job_the_percentage_the_time_and_what_is_left() -> None:
    scene = Scene(None, job("IN_PROGRESS"))
    scene.platform.looks = takes(100)
    scene.lifecycle.reach(DEPLOYED)
    assert any(
        line.startswith("deploying ") and " %, " in line and line.endswith(" left, job ds-1")
        for line in scene.told.progressed
    )
    assert "left" not in scene.told.progressed[-1]
    assert "SUCCESS" in scene.told.progressed[-1]


def test_progress_is_told_when_it_changes_and_once_a_minute_otherwise() -> None:
    scene = Scene(None, job("IN_PROGRESS"), settings=replace(SETTINGS, poll_max_seconds=15.0))
    scene.platform.looks = takes(30 * MINUTE, percent=False)
    scene.lifecycle.reach(DEPLOYED)
    assert 25 <= len(scene.told.progressed) <= 33
    assert len(scene.looks()) > 100


@pytest.mark.parametrize("failures", [3, 7], ids=["a look goes well in the end", "the next one does"])
def test_what_the_client_told_of_its_trouble_stays_until_a_look_goes_well_and_no_longer(failures: int) -> None:
    clock, told = SimClock(), Told()
    statuses = [*["IN_PROGRESS"] * 3, *[""] * failures, *["IN_PROGRESS"] * 3, "SUCCESS"]

    def serve(_: Request) -> HTTPResponse:
        status = statuses.pop(0)
        return answer(200, {"dockStatusId": "ds-1", "status": status}) if status else answer(503)

    client = WiredClient(serve, clock, told)
    Lifecycle(client, MODEL, None, clock=clock, rng=Random(7), reporter=told).reach(DEPLOYED)
    first, *troubles, after, last = told.progressed
    assert {line.partition(";")[0] for line in troubles} == {"HTTP status 503"}
    jobs = [parsed(line) for line in (first, after, last)]
    assert [job and (job.verb, job.job_id, job.status) for job in jobs] == [
        ("deploy", "ds-1", ""),
        ("deploy", "ds-1", ""),
        ("deploy", "ds-1", "SUCCESS"),
    ]


def test_one_look_told_to_come_back_in_an_hour_does_not_sleep_the_deadline_away() -> None:
    clock, told = SimClock(), Told()
    began, looks = clock.now, list[float]()

    def serve(request: Request) -> HTTPResponse:
        if request.method == "GET":
            looks.append(clock.now - began)
            if len(looks) == 1:
                return answer(503, None, {"Retry-After": "3600"})
        status = "SUCCESS" if clock.now - began > 60 else "IN_PROGRESS"
        return answer(200, {"dockStatusId": "ds-1", "status": status})

    client = WiredClient(serve, clock, told)
    Lifecycle(client, MODEL, None, clock=clock, rng=Random(7), reporter=told).reach(DEPLOYED)
    assert 250 < looks[1] - looks[0] < 350, "some minutes, no more"
    assert clock.now - began < 400


@pytest.mark.parametrize("trouble", ["503", "refused"])
@pytest.mark.parametrize("before, gives_up", [(RUNNING_OTHER, False), (None, True)], ids=["an outage", "a new model"])
def test_a_deploy_that_ends_an_outage_is_tried_until_the_deadline(
    trouble: str, before: Record | None, gives_up: bool
) -> None:
    clock, told = SimClock(), Told()
    began = clock.now

    def serve(request: Request) -> HTTPResponse:
        if request.target.partition("?")[0].endswith("/deploy") and clock.now - began < 20 * MINUTE:
            if trouble == "refused":
                raise refused()
            return answer(503)
        return answer(200, {"dockStatusId": "ds-1", "status": "SUCCESS"})

    client = WiredClient(serve, clock, told)
    lifecycle = Lifecycle(client, MODEL, before, clock=clock, rng=Random(7), reporter=told)
    with pytest.raises(ApiError) if gives_up else nullcontext():
        lifecycle.reach(DEPLOYED)
    elapsed = clock.now - began
    assert elapsed < 2 * MINUTE if gives_up else 20 * MINUTE < elapsed < 21 * MINUTE
    assert lifecycle.record is None if gives_up else lifecycle.record.state is ModelState.DEPLOYED  # type: ignore[union-attr]


ODDITIES: dict[str, ApiError] = {
    "no page": Refused("no", method="GET", path="/p", status=404),
    "signed out": Unauthorized("no", method="GET", path="/p", status=401),
    "sign in": Refused("no", method="GET", path="/p", status=302),
    "another job": WrongJob("no", method="GET", path="/p", status=200),
}


@pytest.mark.parametrize("oddity", ODDITIES.values(), ids=ODDITIES)
def test_an_oddity_is_borne_for_some_minutes_once_a_model_is_down_by_this_call(oddity: ApiError) -> None:
    scene = Scene(RUNNING_OTHER)
    scene.platform.answers = [job("IN_PROGRESS"), job("IN_PROGRESS", id="ds-2")]
    scene.platform.looks = lambda age: oddity if age < 2 * MINUTE else job("SUCCESS")
    scene.lifecycle.reach(DEPLOYED)
    assert scene.platform.commands == ["undeploy cm-1", "deploy cm-1"]
    assert scene.record.state is ModelState.DEPLOYED


@pytest.mark.parametrize("oddity", ODDITIES.values(), ids=ODDITIES)
def test_an_oddity_is_not_borne_for_ever_nor_for_a_model_that_is_not_down(oddity: ApiError) -> None:
    scene = Scene(RUNNING_OTHER)
    scene.platform.answers = [job("IN_PROGRESS")]
    scene.platform.looks = lambda _: oddity
    with pytest.raises(type(oddity)):
        scene.lifecycle.reach(DEPLOYED)
    assert 5 * MINUTE < scene.elapsed < 7 * MINUTE
    scene = Scene(None)
    scene.platform.answers = [job("IN_PROGRESS")]
    scene.platform.looks = lambda _: oddity
    with pytest.raises(type(oddity)):
        scene.lifecycle.reach(DEPLOYED)
    assert scene.elapsed < MINUTE


def test_a_deploy_that_ends_an_outage_is_sent_again_after_an_oddity() -> None:
    clock, told, commands = SimClock(), Told(), list[str]()

    def serve(request: Request) -> HTTPResponse:
        commands.append(" ".join(reversed(request.target.partition("?")[0].split("/")[-2:])))
        if commands[-1].startswith("deploy") and len(commands) < 4:
            return answer(302, headers={"Location": "https://sign-in.example.com/"})
        return answer(200, {"dockStatusId": f"ds-{len(commands)}", "status": "SUCCESS"})

    client = WiredClient(serve, clock, told)
    lifecycle = Lifecycle(client, MODEL, RUNNING_OTHER, clock=clock, rng=Random(7), reporter=told)
    lifecycle.reach(DEPLOYED)
    assert commands == ["undeploy cm-1", "deploy cm-1", "deploy cm-1", "deploy cm-1"]
    assert lifecycle.record is not None
    assert lifecycle.record.state is ModelState.DEPLOYED
