"""What a preview, an interrupted run and a refresh say of a model."""

from dataclasses import replace

import pytest

from pulumi_koreai.core.impact import interrupted, not_recorded, outlook, unfinished
from pulumi_koreai.core.rules import UNKNOWN_STATUS, Goal, ModelState, Record, Step, steps_ahead
from tests.core.fakes import MODEL, OTHER, REQUEST
from tests.core.test_rules import COMBINATIONS

RUNNING = Record(ModelState.DEPLOYED, REQUEST, "ds-1", "DEPLOY", "SUCCESS", 245.0)
RUNNING_OTHER = replace(RUNNING, request=OTHER)
OFF = Record(ModelState.UNDEPLOYED, REQUEST, "ds-2", "UNDEPLOY", "SUCCESS", 20.0)
DEPLOYING = Record(ModelState.DEPLOYING, REQUEST, "ds-3", "DEPLOY", "IN_PROGRESS")
UNDEPLOYING = Record(ModelState.UNDEPLOYING, REQUEST, "ds-4", "UNDEPLOY", "IN_PROGRESS")
FAILED = Record(ModelState.FAILED, REQUEST, "ds-5", "DEPLOY", "FAILED", 12.0)
UNDEPLOY_FAILED = Record(ModelState.FAILED, REQUEST, "ds-6", "UNDEPLOY", "FAILED")
LOST = Record(ModelState.FAILED, REQUEST, "", "DEPLOY", UNKNOWN_STATUS)

TABLE: list[tuple[str, Record, Goal, list[str]]] = [
    (
        "other parameters",
        RUNNING_OTHER,
        Goal(REQUEST),
        [
            (
                "cm-1 is undeployed, then deployed with what is declared; its callers are cut off until then"
                " (the last deploy took 4m05s)."
            )
        ],
    ),
    (
        "other parameters, over the running one",
        RUNNING_OTHER,
        Goal(REQUEST, "redeploy"),
        ["cm-1 is deployed over the running deployment, by the strategy redeploy (the last deploy took 4m05s)."],
    ),
    ("off", RUNNING, Goal(None), ["cm-1 is undeployed; every active instance is cut off at once."]),
    ("on", OFF, Goal(REQUEST), ["cm-1 is deployed."]),
    ("nothing", RUNNING, Goal(REQUEST), []),
    (
        "a job under way, as declared",
        DEPLOYING,
        Goal(REQUEST),
        ["the deploy of cm-1 had not ended when last seen; job ds-3 is taken up again."],
    ),
    (
        "a job under way, then off",
        DEPLOYING,
        Goal(None),
        [
            "the deploy of cm-1 had not ended when last seen; job ds-3 is taken up again.",
            "cm-1 is undeployed; whatever is active is cut off at once.",
        ],
    ),
    (
        "an undeploy under way, then on",
        UNDEPLOYING,
        Goal(REQUEST),
        [
            "the undeploy of cm-1 had not ended when last seen; job ds-4 is taken up again.",
            "cm-1 is deployed.",
        ],
    ),
    (
        "a failed deploy",
        FAILED,
        Goal(REQUEST),
        ["the last deploy of cm-1 failed (job ds-5).", "cm-1 is deployed over what may be running."],
    ),
    (
        "a lost deploy that is taken over",
        LOST,
        Goal(REQUEST, adopt=True),
        ["how the last deploy of cm-1 ended is not known.", "cm-1 is taken over as declared; nothing is sent."],
    ),
]


@pytest.mark.parametrize("record, goal, lines", [pytest.param(*row[1:], id=row[0]) for row in TABLE])
def test_each_outlook(record: Record, goal: Goal, lines: list[str]) -> None:
    assert outlook(MODEL, MODEL, record, goal) == lines


def test_a_replacement_says_what_comes_first() -> None:
    assert outlook(MODEL, "cm-2", RUNNING, Goal(REQUEST)) == [
        "cm-1 is replaced by cm-2, which is deployed first, then cm-1 is undeployed and its callers are cut off."
    ]
    assert outlook(MODEL, object(), OFF, Goal(REQUEST)) == [
        "cm-1 is replaced by another model, which is deployed first."
    ]


def test_an_outlook_speaks_exactly_when_something_lies_ahead_and_never_promises_what_does_not() -> None:
    for record, goal in COMBINATIONS:
        if record is None:
            continue
        steps = steps_ahead(record, goal)
        text = "\n".join(outlook(MODEL, MODEL, record, goal))
        assert bool(text) == bool(steps) or record.state not in (ModelState.DEPLOYED, ModelState.UNDEPLOYED), (
            record,
            goal,
        )
        assert ("is taken over" in text) == (Step.TAKE_OVER in steps), (record, goal)
        assert ("cm-1 is undeployed" in text) == (Step.UNDEPLOY in steps), (record, goal)
        assert ("cm-1 is deployed" in text or "then deployed" in text) == (Step.DEPLOY in steps), (record, goal)
        assert ("is taken up again" in text) == (Step.RESUME in steps), (record, goal)


def test_callers_are_warned_whenever_what_runs_is_undeployed() -> None:
    for record, goal in COMBINATIONS:
        if record is not None and record.state is ModelState.DEPLOYED and Step.UNDEPLOY in steps_ahead(record, goal):
            assert "cut off" in "\n".join(outlook(MODEL, MODEL, record, goal)), (record, goal)


def test_callers_of_what_may_be_running_are_not_told_that_it_serves_nobody() -> None:
    # After a lost deploy, a failed undeploy or a resumed deploy the model may well be serving until it is undeployed.
    for record in (LOST, UNDEPLOY_FAILED, replace(DEPLOYING, request=OTHER)):
        assert "cut off" in "\n".join(outlook(MODEL, MODEL, record, Goal(REQUEST))), record


@pytest.mark.parametrize(
    "record, text",
    [
        (DEPLOYING, "the deploy of cm-1 had not ended when last seen; job ds-3 is taken up again."),
        (UNDEPLOYING, "the undeploy of cm-1 had not ended when last seen; job ds-4 is taken up again."),
        (FAILED, "the last deploy of cm-1 failed (job ds-5)."),
        (replace(FAILED, job_id=""), "the last deploy of cm-1 failed."),
        (LOST, "how the last deploy of cm-1 ended is not known."),
        (replace(LOST, last_action="UNDEPLOY"), "how the last undeploy of cm-1 ended is not known."),
    ],
)
def test_what_is_unfinished_is_told(record: Record, text: str) -> None:
    assert unfinished(MODEL, record) == text


def test_an_interruption_names_the_job_that_is_still_running() -> None:
    assert interrupted(MODEL, UNDEPLOYING, "run it again") == (
        "interrupted: job ds-4 (undeploy of cm-1) is still running on the platform; run it again."
    )


def test_an_interruption_with_nothing_under_way_says_so() -> None:
    assert "nothing is running on the platform for it; run it again." in interrupted(MODEL, OFF, "run it again")


@pytest.mark.parametrize("record", [RUNNING, LOST], ids=["running", "unknown"])
def test_an_interruption_never_claims_that_nothing_runs_where_something_may(record: Record) -> None:
    assert "nothing is running" not in interrupted(MODEL, record, "run it again")


def test_what_can_not_be_recorded_says_what_the_next_run_does() -> None:
    create = not_recorded(MODEL, DEPLOYING, "create")
    assert "job ds-3 may still be running" in create
    assert "the next `pulumi up` deploys cm-1 again" in create
    assert "`adopt`" in create
    update = not_recorded(MODEL, FAILED, "update")
    assert "it is not known what is running on the platform" in update
    assert "as it was before" in update
