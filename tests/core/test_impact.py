"""What lies ahead for a model, as facts, and the sentences that are made of them."""

from dataclasses import replace

import pytest

from pulumi_koreai.core.impact import CutOff, Impact, Order, Unfinished, Why
from pulumi_koreai.core.rules import UNCONFIRMED_STATUS, UNKNOWN_STATUS, Goal, ModelState, Record, Step, steps_ahead
from pulumi_koreai.stackfile.terms import PULUMI
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
ENDS = (ModelState.DEPLOYED, ModelState.UNDEPLOYED)


def ahead(record: Record, goal: Goal) -> Impact:
    return Impact.ahead(record, goal, settled=record.state in ENDS)


TABLE: list[tuple[str, Record, Goal, CutOff, list[str]]] = [
    (
        "an outcome that nobody was told of",
        replace(LOST, last_status=UNCONFIRMED_STATUS),
        Goal(REQUEST),
        CutOff.NEVER,
        [
            "the outcome of the last deploy of cm-1 is unknown.",
            (
                "`pulumi up` stops once and sends nothing for it: look at cm-1 in the console. If it is deployed as"
                " declared, set `adopt` to true; otherwise run `pulumi up` again."
            ),
        ],
    ),
    (
        "other parameters",
        RUNNING_OTHER,
        Goal(REQUEST),
        CutOff.UNTIL_DEPLOYED,
        [
            (
                "cm-1 is undeployed, then deployed as declared; its callers get no answers for about 4 min"
                " (last deploy: 4m05s)."
            )
        ],
    ),
    (
        "other parameters, never watched before",
        replace(RUNNING_OTHER, last_job_seconds=0.0),
        Goal(REQUEST),
        CutOff.UNTIL_DEPLOYED,
        ["cm-1 is undeployed, then deployed as declared; its callers get no answers until then."],
    ),
    (
        "other parameters, over the running one",
        RUNNING_OTHER,
        Goal(REQUEST, "redeploy"),
        CutOff.NEVER,
        ["cm-1 is deployed over the running deployment by the strategy redeploy (last deploy: 4m05s)."],
    ),
    ("off", RUNNING, Goal(None), CutOff.FOR_GOOD, ["cm-1 is undeployed; every active instance is cut off at once."]),
    ("on", OFF, Goal(REQUEST), CutOff.NEVER, ["cm-1 is deployed."]),
    ("nothing", RUNNING, Goal(REQUEST), CutOff.NEVER, []),
    (
        "a job under way, as declared",
        DEPLOYING,
        Goal(REQUEST),
        CutOff.NEVER,
        ["the deploy of cm-1 was still running when last seen; job ds-3 is resumed."],
    ),
    (
        "a job under way, then off",
        DEPLOYING,
        Goal(None),
        CutOff.FOR_GOOD,
        [
            "the deploy of cm-1 was still running when last seen; job ds-3 is resumed.",
            "cm-1 is undeployed; whatever is active is cut off at once.",
        ],
    ),
    (
        "an undeploy under way, then on",
        UNDEPLOYING,
        Goal(REQUEST),
        CutOff.NEVER,
        ["the undeploy of cm-1 was still running when last seen; job ds-4 is resumed.", "cm-1 is deployed."],
    ),
    (
        "a failed deploy",
        FAILED,
        Goal(REQUEST),
        CutOff.NEVER,
        ["the last deploy of cm-1 failed (job ds-5).", "cm-1 is deployed over what may be running."],
    ),
    (
        "a lost deploy that is adopted",
        LOST,
        Goal(REQUEST, adopt=True),
        CutOff.NEVER,
        ["the outcome of the last deploy of cm-1 is unknown.", "cm-1 is adopted as declared; nothing is sent."],
    ),
]


@pytest.mark.parametrize("record, goal, cut_off, lines", [pytest.param(*row[1:], id=row[0]) for row in TABLE])
def test_each_impact(record: Record, goal: Goal, cut_off: CutOff, lines: list[str]) -> None:
    impact = ahead(record, goal)
    assert impact.cut_off is cut_off
    assert PULUMI.impact(MODEL, impact) == lines


def test_a_replacement_says_what_comes_first() -> None:
    assert PULUMI.impact(MODEL, Impact.of_replacing(RUNNING, "cm-2", Goal(REQUEST))) == [
        "cm-1 is replaced by cm-2, which is deployed first, then cm-1 is undeployed and its callers are cut off."
    ]
    assert PULUMI.impact(MODEL, Impact.of_replacing(OFF, None, Goal(REQUEST))) == [
        "cm-1 is replaced by another model, which is deployed first."
    ]
    assert PULUMI.impact(MODEL, Impact.of_replacing(RUNNING, "cm-2", Goal(REQUEST), Order.OLD_FIRST)) == [
        "cm-1 is undeployed first and its callers are cut off; then cm-2, which replaces it, is deployed."
    ]
    assert PULUMI.impact(MODEL, Impact.of_replacing(RUNNING, "cm-2", Goal(REQUEST), Order.OLD_GONE)) == [
        "cm-1, which an earlier run has undeployed, is replaced by cm-2, which is deployed."
    ]


def test_what_an_option_of_the_user_s_may_make_otherwise_is_not_claimed() -> None:
    """An engine does not tell a provider that an update is to be a replacement, nor in which order one is done."""
    (replaced,) = PULUMI.impact(MODEL, Impact.of_replacing(RUNNING, "cm-2", Goal(REQUEST), Order.OPEN))
    assert replaced.startswith("cm-1 is replaced by cm-2; by default cm-2 is deployed first, then cm-1 is undeployed")
    for record, goal, qualified in [
        (RUNNING_OTHER, Goal(REQUEST), True),
        (RUNNING_OTHER, Goal(REQUEST, "redeploy"), True),
        (RUNNING, Goal(None), False),
        (OFF, Goal(REQUEST), False),
        (FAILED, Goal(REQUEST), True),
    ]:
        said = PULUMI.impact(MODEL, ahead(record, goal), in_place=False)[-1]
        assert said.startswith("updated in place, cm-1 is ") is qualified, said


RENEWALS = [
    (RUNNING, Goal(REQUEST), Order.NEW_FIRST, CutOff.NEVER, "deployed over the running deployment; nothing is undep"),
    (FAILED, Goal(REQUEST), Order.NEW_FIRST, CutOff.NEVER, "deployed over what may be running; nothing is undeployed"),
    (RUNNING, Goal(REQUEST), Order.OLD_FIRST, CutOff.UNTIL_DEPLOYED, "undeployed, then deployed as declared; its call"),
    (OFF, Goal(REQUEST), Order.OLD_FIRST, CutOff.NEVER, "is deployed."),
    (RUNNING, Goal(REQUEST), Order.OLD_GONE, CutOff.NEVER, "cm-1 is deployed (last deploy: 4m05s)."),
    (RUNNING, Goal(None), Order.NEW_FIRST, CutOff.FOR_GOOD, "is undeployed; every active instance is cut off at once."),
    (RUNNING, Goal(None), Order.OLD_FIRST, CutOff.FOR_GOOD, "is undeployed; every active instance is cut off at once."),
    (OFF, Goal(None), Order.NEW_FIRST, CutOff.NEVER, "is undeployed already; the undeploy is sent once more."),
    (RUNNING, Goal(REQUEST, adopt=True), Order.NEW_FIRST, CutOff.NEVER, "is adopted as declared; nothing is sent."),
    (RUNNING, Goal(REQUEST, adopt=True), Order.OLD_FIRST, CutOff.FOR_GOOD, "though it is not deployed again."),
]


@pytest.mark.parametrize("record, goal, order, cut_off, said", RENEWALS)
def test_a_replacement_by_a_resource_of_the_same_model_is_no_update(
    record: Record, goal: Goal, order: Order, cut_off: CutOff, said: str
) -> None:
    impact = Impact.of_renewing(record, goal, order)
    assert impact.cut_off is cut_off
    first, second = PULUMI.impact(MODEL, impact)
    assert first == "the resource of cm-1 is replaced by another of the same model."
    assert said in second


def test_a_job_under_way_of_what_is_replaced_by_itself_is_told() -> None:
    assert (
        "job ds-3 is resumed" in PULUMI.impact(MODEL, Impact.of_renewing(DEPLOYING, Goal(REQUEST), Order.NEW_FIRST))[0]
    )


def test_an_impact_has_exactly_the_steps_that_lie_ahead_and_its_sentences_promise_nothing_else() -> None:
    for record, goal in COMBINATIONS:
        if record is None:
            continue
        steps, impact = steps_ahead(record, goal), ahead(record, goal)
        text = "\n".join(PULUMI.impact(MODEL, impact))
        assert list(impact.steps) == steps
        assert bool(text) == bool(steps) or record.state not in ENDS, (record, goal)
        assert ("is adopted" in text) == (Step.ADOPT in steps), (record, goal)
        assert ("cm-1 is undeployed" in text) == (Step.UNDEPLOY in steps), (record, goal)
        assert ("cm-1 is deployed" in text or "then deployed" in text) == (Step.DEPLOY in steps), (record, goal)
        assert ("is resumed" in text) == (Step.RESUME in steps), (record, goal)


def test_callers_are_warned_whenever_what_runs_is_undeployed() -> None:
    for record, goal in COMBINATIONS:
        if record is not None and record.state is ModelState.DEPLOYED and Step.UNDEPLOY in steps_ahead(record, goal):
            impact = ahead(record, goal)
            assert impact.cut_off is not CutOff.NEVER, (record, goal)
            text = "\n".join(PULUMI.impact(MODEL, impact))
            assert "cut off" in text or "get no answers" in text, (record, goal)


def test_callers_of_what_may_be_running_are_warned_too() -> None:
    # After a lost deploy, a failed undeploy or a resumed deploy the model may well be serving until it is undeployed.
    for record in (LOST, UNDEPLOY_FAILED, replace(DEPLOYING, request=OTHER)):
        text = "\n".join(PULUMI.impact(MODEL, ahead(record, Goal(REQUEST))))
        assert "its callers, if it has any, get no answers until then" in text, record


@pytest.mark.parametrize(
    "record, why, text",
    [
        (DEPLOYING, Why.UNDER_WAY, "the deploy of cm-1 was still running when last seen; job ds-3 is resumed."),
        (UNDEPLOYING, Why.UNDER_WAY, "the undeploy of cm-1 was still running when last seen; job ds-4 is resumed."),
        (FAILED, Why.FAILED, "the last deploy of cm-1 failed (job ds-5)."),
        (replace(FAILED, job_id=""), Why.FAILED, "the last deploy of cm-1 failed."),
        (LOST, Why.OUTCOME_UNKNOWN, "the outcome of the last deploy of cm-1 is unknown."),
        (
            replace(LOST, last_action="UNDEPLOY"),
            Why.OUTCOME_UNKNOWN,
            "the outcome of the last undeploy of cm-1 is unknown.",
        ),
        (OFF, Why.NOT_FINISHED, "the last update of cm-1 was not finished: it is undeployed now."),
    ],
)
def test_why_the_recorded_state_is_not_the_declared_one(record: Record, why: Why, text: str) -> None:
    unfinished = Unfinished.of(record)
    assert unfinished.why is why
    assert PULUMI.unfinished(MODEL, unfinished) == text
