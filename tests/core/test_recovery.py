"""What a journal adds to what a state remembers: a table of what both have."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from pulumi_koreai.api.declared import DeployRequest
from pulumi_koreai.core import state
from pulumi_koreai.core.recovery import BELIEVED_SECONDS, Owner, Recovered, Trace, astray, open_call
from pulumi_koreai.core.rules import PARAMETERS_UNKNOWN, Goal, ModelState, Record, Step, steps_ahead
from pulumi_koreai.core.service import Service
from pulumi_koreai.core.spec import ModelSpec
from pulumi_koreai.journal import Journal, calls
from tests.core.fakes import MODEL, OTHER, PARAMETERS, REQUEST, SETTINGS, FakePlatform, SimClock, Told, job, takes

CHAT, TALK = "urn:chat", "urn:talk"
UP = Record(ModelState.DEPLOYED, REQUEST, "ds-0", "DEPLOY", "SUCCESS", 60.0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_SCRYPT_COST", 2)


@dataclass
class Desk:
    """A journal, the hour, and who writes into it."""

    path: Path
    now: float = 1_000_000.0

    def __post_init__(self) -> None:
        self.journal = Journal(self.path, lambda: self.now, lambda trouble: pytest.fail(str(trouble)))

    def call(self, urn: str, before: Record | None) -> Trace:
        return Trace(self.journal, SETTINGS.host, MODEL, urn, before)

    def deploys(self, urn: str, before: Record | None, request: DeployRequest = REQUEST, job_id: str = "ds-1") -> Trace:
        trace = self.call(urn, before).about_to("DEPLOY", request)
        trace.sending()
        if job_id:
            trace.answered(job("IN_PROGRESS", id=job_id))
        return trace

    def undeploys(self, urn: str, before: Record | None, job_id: str = "ds-1") -> Trace:
        trace = self.call(urn, before).about_to("UNDEPLOY")
        trace.sending()
        if job_id:
            trace.answered(job("IN_PROGRESS", id=job_id))
        return trace

    def recovered(self, urn: str, record: Record | None) -> Recovered:
        return Recovered.of(self.journal, SETTINGS.host, MODEL, urn, record, own=set())

    def known(self, urn: str, record: Record | None, wanted: DeployRequest | None = REQUEST) -> Record | None:
        return self.recovered(urn, record).with_parameters(wanted, self.now)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "p.s.jsonl")


def test_without_a_line_the_state_says_all(desk: Desk) -> None:
    assert desk.known(CHAT, None) is None
    assert desk.known(CHAT, UP) == UP


def test_a_deploy_of_a_killed_creation_is_taken_up(desk: Desk) -> None:
    desk.deploys(CHAT, None)
    known = desk.known(CHAT, None)
    assert known == Record(ModelState.DEPLOYING, REQUEST, "ds-1", "DEPLOY", "IN_PROGRESS")
    assert steps_ahead(known, Goal(REQUEST)) == [Step.RESUME]
    assert steps_ahead(desk.known(CHAT, None, OTHER), Goal(OTHER)) == [Step.RESUME, Step.UNDEPLOY, Step.DEPLOY]


def test_parameters_that_nobody_knows_equal_none_and_stay_so_in_a_state(desk: Desk) -> None:
    desk.deploys(CHAT, None, OTHER)
    known = desk.known(CHAT, None)
    assert known is not None
    assert known.request == PARAMETERS_UNKNOWN
    spec = ModelSpec.model_validate({"model_id": MODEL, **PARAMETERS})
    assert state.record(state.outputs(spec, known)) == known


def test_a_deploy_of_which_no_answer_is_known_stops_once(desk: Desk) -> None:
    desk.deploys(CHAT, UP, OTHER, job_id="")
    known = desk.known(CHAT, UP)
    assert steps_ahead(known, Goal(REQUEST)) == [Step.ASK]
    assert steps_ahead(known, Goal(REQUEST, adopt=True)) == [Step.ADOPT]
    assert steps_ahead(known, Goal(None)) == [Step.UNDEPLOY]
    (call,) = desk.journal.calls(SETTINGS.host, MODEL)
    desk.call(CHAT, UP).told(call.call)
    assert steps_ahead(desk.known(CHAT, UP), Goal(REQUEST)) == [Step.UNDEPLOY, Step.DEPLOY]


def test_an_undeploy_of_which_no_answer_is_known_is_repeated(desk: Desk) -> None:
    desk.undeploys(CHAT, UP, job_id="")
    assert steps_ahead(desk.known(CHAT, UP), Goal(REQUEST)) == [Step.UNDEPLOY, Step.DEPLOY]


def test_an_edit_that_is_taken_back_while_the_model_is_down_is_seen(desk: Desk) -> None:
    desk.undeploys(CHAT, UP)
    assert steps_ahead(desk.known(CHAT, UP), Goal(REQUEST)) == [Step.RESUME, Step.DEPLOY]


def test_a_refused_deploy_after_an_undeploy_leaves_the_undeploy(desk: Desk) -> None:
    trace = desk.undeploys(CHAT, UP)
    trace.ended("ds-1", "SUCCESS")
    trace.about_to("DEPLOY", OTHER).sending()
    trace.not_taken()
    assert steps_ahead(desk.known(CHAT, UP), Goal(REQUEST)) == [Step.RESUME, Step.DEPLOY]


def test_what_was_not_deployed_is_undeployed_again_rather_than_believed(desk: Desk) -> None:
    trace = desk.undeploys(CHAT, UP, job_id="")
    trace.ended("", "SUCCESS")
    assert steps_ahead(desk.known(CHAT, UP), Goal(REQUEST)) == [Step.UNDEPLOY, Step.DEPLOY]


def test_only_the_platform_tells_how_a_job_ended(desk: Desk) -> None:
    trace = desk.deploys(CHAT, None)
    trace.ended("ds-1", "SUCCESS")
    assert steps_ahead(desk.known(CHAT, None), Goal(REQUEST)) == [Step.RESUME]


def test_after_a_day_a_person_is_asked(desk: Desk) -> None:
    desk.deploys(CHAT, None)
    desk.now += BELIEVED_SECONDS + 1
    assert steps_ahead(desk.known(CHAT, None), Goal(REQUEST)) == [Step.ASK]


SHOWN = Record(ModelState.DEPLOYED, REQUEST, "ds-1", "DEPLOY", "SUCCESS", 60.0)


def test_a_state_that_has_the_job_says_all(desk: Desk) -> None:
    trace = desk.deploys(CHAT, None)
    assert desk.known(CHAT, SHOWN) == SHOWN
    trace.close(None)
    assert desk.known(CHAT, SHOWN) == SHOWN
    (call,) = desk.journal.calls(SETTINGS.host, MODEL)
    assert call.shown


def test_a_state_that_has_moved_on_says_all(desk: Desk) -> None:
    desk.deploys(CHAT, UP)
    later = Record(ModelState.DEPLOYED, REQUEST, "ds-9", "DEPLOY", "SUCCESS")
    assert desk.known(CHAT, later) == later


def test_a_call_that_went_well_counts_where_the_state_could_not_be_written(desk: Desk) -> None:
    desk.deploys(CHAT, UP, OTHER).close(None)
    assert steps_ahead(desk.known(CHAT, UP, OTHER), Goal(OTHER)) == [Step.RESUME]


def test_a_creation_that_went_well_counts_where_the_state_has_it_pending(desk: Desk) -> None:
    desk.deploys(CHAT, None).close(None)
    calls = desk.journal.calls(SETTINGS.host, MODEL)
    assert open_call(calls, CHAT, None, pending=True) is not None
    assert open_call(calls, CHAT, None) is None, "let go of, by `pulumi state delete`"


def test_a_resource_that_was_let_go_of_is_new_again(desk: Desk) -> None:
    desk.deploys(CHAT, None).close(None)
    desk.known(CHAT, SHOWN)  # the state had it, before `pulumi state delete`
    assert desk.known(CHAT, None) is None


@pytest.mark.parametrize("urn", [CHAT, ""], ids=["told", "not told"])
def test_what_was_destroyed_is_new_again(desk: Desk, urn: str) -> None:
    desk.deploys(urn, None).close(None)
    desk.undeploys(urn, SHOWN, "ds-2").close(None)
    assert desk.known(urn, None) is None


def test_under_another_name_a_job_that_nobody_waited_for_is_taken_up(desk: Desk) -> None:
    desk.deploys(CHAT, None)
    assert steps_ahead(desk.known(TALK, None), Goal(REQUEST)) == [Step.RESUME]


def test_under_another_name_what_went_well_is_left_to_the_other_one(desk: Desk) -> None:
    desk.deploys(CHAT, None).close(None)
    assert desk.known(TALK, None) is None


def test_of_two_names_the_older_record_is_not_believed(desk: Desk) -> None:
    desk.deploys(CHAT, None).close(None)
    desk.deploys(TALK, None, OTHER, "ds-2").close(None)
    assert steps_ahead(desk.known(CHAT, SHOWN), Goal(REQUEST)) == [Step.RESUME, Step.UNDEPLOY, Step.DEPLOY]
    newer = Record(ModelState.DEPLOYED, OTHER, "ds-2", "DEPLOY", "SUCCESS")
    assert desk.known(TALK, newer, OTHER) == newer


def test_a_name_whose_jobs_another_machine_sent_is_believed(desk: Desk) -> None:
    desk.deploys(TALK, None, OTHER).close(None)
    assert desk.known(CHAT, UP) == UP


def test_what_a_later_call_takes_up_is_settled_with_it(desk: Desk) -> None:
    desk.deploys(CHAT, None)
    recovered = desk.recovered(CHAT, None)
    desk.call(CHAT, None).close(recovered.last)
    (call,) = desk.journal.calls(SETTINGS.host, MODEL)
    assert call.closed
    assert open_call([call], TALK, None) is None


@pytest.mark.parametrize("in_state", [True, False], ids=["replaced by itself", "killed before it was in the state"])
def test_a_creation_of_what_the_state_has_is_a_new_one(desk: Desk, *, in_state: bool) -> None:
    """The engine creates what `--replace` or a taint replaces as if nothing were there, and asks for no diff before."""
    clock = SimClock()
    platform = FakePlatform(clock, [job("SUCCESS"), job("SUCCESS", id="ds-2")])
    platform.looks = takes(0)
    owners: list[Owner] = []

    def create() -> None:
        service = Service(
            lambda: SETTINGS,
            clock=clock,
            rng=Random(5),
            reporter=Told(),
            interruption=KeyboardInterrupt,
            client=lambda *_: platform,
            journal=lambda _: desk.journal,
            witness=lambda _: owners,
        )
        record = service.reach("create", MODEL, None, Goal(REQUEST), None, CHAT)
        owners.append(Owner(CHAT, MODEL if in_state else "", record, pending=not in_state))

    create()
    create()
    assert platform.commands == [f"deploy {MODEL}"] * (2 if in_state else 1)


@pytest.mark.parametrize("status, is_astray", [("", True), ("SUCCESS", True), ("FAILED", False)])
def test_only_an_undeploy_that_may_have_changed_something_is_astray(
    desk: Desk, status: str, *, is_astray: bool
) -> None:
    trace = desk.undeploys(CHAT, UP)
    if status:
        trace.ended("ds-1", status)
    owners = [Owner(CHAT, MODEL, UP)]
    found = astray(desk.journal, desk.journal.last_calls(), owners)
    assert bool(found) is is_astray, "what failed has left the model as the state has it"
