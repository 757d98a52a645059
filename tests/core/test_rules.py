"""The table of the lifecycle's rules: what is done, out of what is recorded and what is declared."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from pulumi_koreai.core.rules import UNKNOWN_STATUS, Goal, ModelState, Record, Step, next_step, steps_ahead
from tests.core.fakes import OTHER, REQUEST

RESUME, ADOPTION, DEPLOY, UNDEPLOY = Step.RESUME, Step.ADOPT, Step.DEPLOY, Step.UNDEPLOY

UNDEPLOY_FIRST = Goal(REQUEST)
REDEPLOY = Goal(REQUEST, "redeploy")
ADOPT = Goal(REQUEST, adopt=True)
UNDEPLOYED = Goal(None)

NEW = None
RUNNING = Record(ModelState.DEPLOYED, REQUEST, "ds-1", "DEPLOY", "SUCCESS", 60.0)
RUNNING_OTHER = replace(RUNNING, request=OTHER)
ADOPTED = Record(ModelState.DEPLOYED, REQUEST)
OFF = Record(ModelState.UNDEPLOYED, REQUEST, "ds-2", "UNDEPLOY", "SUCCESS")
NEVER_ON = Record(ModelState.UNDEPLOYED, None, "", "UNDEPLOY", "SUCCESS")
DEPLOYING = Record(ModelState.DEPLOYING, REQUEST, "ds-3", "DEPLOY", "IN_PROGRESS")
DEPLOYING_OTHER = replace(DEPLOYING, request=OTHER)
UNDEPLOYING = Record(ModelState.UNDEPLOYING, REQUEST, "ds-4", "UNDEPLOY", "IN_PROGRESS")
DEPLOY_FAILED = Record(ModelState.FAILED, REQUEST, "ds-5", "DEPLOY", "FAILED")
UNDEPLOY_FAILED = Record(ModelState.FAILED, REQUEST, "ds-6", "UNDEPLOY", "FAILED")
DEPLOY_LOST = Record(ModelState.FAILED, REQUEST, "", "DEPLOY", UNKNOWN_STATUS)
UNDEPLOY_LOST = Record(ModelState.FAILED, REQUEST, "", "UNDEPLOY", UNKNOWN_STATUS)

ROWS: list[tuple[str, Record | None, Goal, list[Step]]] = [
    # what                                                  recorded         declared        done
    ("create, deployed", NEW, UNDEPLOY_FIRST, [DEPLOY]),
    ("create, deployed, whatever the strategy", NEW, REDEPLOY, [DEPLOY]),
    ("create, adopt", NEW, ADOPT, [ADOPTION]),
    ("create, undeployed", NEW, UNDEPLOYED, [UNDEPLOY]),
    ("other parameters, undeploy-first", RUNNING_OTHER, UNDEPLOY_FIRST, [UNDEPLOY, DEPLOY]),
    ("other parameters, redeploy", RUNNING_OTHER, REDEPLOY, [DEPLOY]),
    ("other parameters of an adopted one", replace(ADOPTED, request=OTHER), UNDEPLOY_FIRST, [UNDEPLOY, DEPLOY]),
    ("other parameters and adopt is no take-over", RUNNING_OTHER, ADOPT, [UNDEPLOY, DEPLOY]),
    ("true to false", RUNNING, UNDEPLOYED, [UNDEPLOY]),
    ("true to false, deploy under way", DEPLOYING, UNDEPLOYED, [RESUME, UNDEPLOY]),
    ("false to true", OFF, UNDEPLOY_FIRST, [DEPLOY]),
    ("false to true, never deployed before", NEVER_ON, UNDEPLOY_FIRST, [DEPLOY]),
    ("false to true with adopt: nothing is there to take over", OFF, ADOPT, [DEPLOY]),
    ("only the strategy differs", RUNNING, REDEPLOY, []),
    ("only adopt differs", RUNNING, ADOPT, []),
    ("nothing differs", RUNNING, UNDEPLOY_FIRST, []),
    ("nothing differs, undeployed", OFF, UNDEPLOYED, []),
    ("interrupted deploy, the same declared", DEPLOYING, UNDEPLOY_FIRST, [RESUME]),
    (
        "interrupted deploy, others declared, undeploy-first",
        DEPLOYING_OTHER,
        UNDEPLOY_FIRST,
        [RESUME, UNDEPLOY, DEPLOY],
    ),
    ("interrupted deploy, others declared, redeploy", DEPLOYING_OTHER, REDEPLOY, [RESUME, DEPLOY]),
    ("interrupted undeploy, declared deployed", UNDEPLOYING, UNDEPLOY_FIRST, [RESUME, DEPLOY]),
    ("interrupted undeploy, declared undeployed", UNDEPLOYING, UNDEPLOYED, [RESUME]),
    ("interrupted deploy is asked for before it is adopted", DEPLOYING_OTHER, ADOPT, [RESUME, UNDEPLOY, DEPLOY]),
    ("failed deploy, undeploy-first: nothing to undeploy", DEPLOY_FAILED, UNDEPLOY_FIRST, [DEPLOY]),
    ("failed deploy, redeploy", DEPLOY_FAILED, REDEPLOY, [DEPLOY]),
    ("failed deploy is nothing to adopt", DEPLOY_FAILED, ADOPT, [DEPLOY]),
    ("failed undeploy, undeploy-first", UNDEPLOY_FAILED, UNDEPLOY_FIRST, [UNDEPLOY, DEPLOY]),
    ("failed undeploy, redeploy", UNDEPLOY_FAILED, REDEPLOY, [DEPLOY]),
    ("lost deploy, undeploy-first", DEPLOY_LOST, UNDEPLOY_FIRST, [UNDEPLOY, DEPLOY]),
    ("lost deploy, redeploy", DEPLOY_LOST, REDEPLOY, [DEPLOY]),
    ("lost deploy, adopt", DEPLOY_LOST, ADOPT, [ADOPTION]),
    ("lost undeploy, undeploy-first", UNDEPLOY_LOST, UNDEPLOY_FIRST, [UNDEPLOY, DEPLOY]),
    ("lost undeploy, redeploy", UNDEPLOY_LOST, REDEPLOY, [DEPLOY]),
    ("lost undeploy, declared undeployed", UNDEPLOY_LOST, UNDEPLOYED, [UNDEPLOY]),
    ("delete, deployed", RUNNING, UNDEPLOYED, [UNDEPLOY]),
    ("delete, failed deploy", DEPLOY_FAILED, UNDEPLOYED, [UNDEPLOY]),
    ("delete, failed undeploy", UNDEPLOY_FAILED, UNDEPLOYED, [UNDEPLOY]),
    ("delete, lost deploy", DEPLOY_LOST, UNDEPLOYED, [UNDEPLOY]),
    ("delete, undeployed", NEVER_ON, UNDEPLOYED, []),
]


@pytest.mark.parametrize("record, goal, steps", [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_each_row_of_the_table(record: Record | None, goal: Goal, steps: list[Step]) -> None:
    assert steps_ahead(record, goal) == steps
    assert next_step(record, goal) == (steps[0] if steps else None)


def _combinations() -> Iterator[tuple[Record | None, Goal]]:
    goals = [
        Goal(request, strategy, adopt)  # type: ignore[arg-type] # of the strategy's literal
        for request, strategy, adopt in product((None, REQUEST), ("undeploy-first", "redeploy"), (False, True))
    ]
    records = [
        Record(*fields)
        for fields in product(
            ModelState,
            (None, REQUEST, OTHER),
            ("", "ds-1"),
            ("", "DEPLOY", "UNDEPLOY"),
            ("", "IN_PROGRESS", "SUCCESS", "FAILED", UNKNOWN_STATUS, "QUEUED"),
        )
    ]
    yield from product([None, *records], goals)


COMBINATIONS = list(_combinations())


def settled(record: Record | None, goal: Goal) -> bool:
    if record is None:
        return False
    if goal.request is None:
        return record.state is ModelState.UNDEPLOYED
    return record.state is ModelState.DEPLOYED and record.request == goal.request


def after(step: Step, record: Record | None, goal: Goal) -> Record:
    """What a job that ends well leaves behind, told apart from the code under test."""
    if step in (Step.DEPLOY, Step.ADOPT):
        return Record(ModelState.DEPLOYED, goal.request)
    if step is Step.RESUME:
        assert record is not None
        return replace(
            record, state=ModelState.DEPLOYED if record.state is ModelState.DEPLOYING else ModelState.UNDEPLOYED
        )
    return Record(ModelState.UNDEPLOYED, record.request if record else None)


def test_every_combination_ends_where_it_is_declared_to_in_three_steps_at_most() -> None:
    for start, goal in COMBINATIONS:
        record, steps = start, list[Step]()
        while (step := next_step(record, goal)) is not None:
            steps.append(step)
            assert len(steps) <= 3, (start, goal, steps)
            record = after(step, record, goal)
        assert settled(record, goal), (start, goal, steps)
        assert steps_ahead(start, goal) == steps, (start, goal)


def test_nothing_is_done_exactly_when_the_record_is_what_is_declared_and_no_job_is_under_way() -> None:
    for record, goal in COMBINATIONS:
        assert (next_step(record, goal) is None) == settled(record, goal), (record, goal)


def test_a_job_that_can_be_asked_for_comes_before_all_else_and_only_such_a_one_is_resumed() -> None:
    for record, goal in COMBINATIONS:
        under_way = (
            record is not None
            and record.state in (ModelState.DEPLOYING, ModelState.UNDEPLOYING)
            and record.job_id == "ds-1"
        )
        assert (next_step(record, goal) is Step.RESUME) == under_way, (record, goal)


def test_undeploy_first_never_deploys_over_what_may_be_running() -> None:
    for record, goal in COMBINATIONS:
        if record is None or goal.strategy != "undeploy-first" or next_step(record, goal) is not Step.DEPLOY:
            continue
        off = record.state is ModelState.UNDEPLOYED
        failed = record.state is not ModelState.DEPLOYED and (record.last_action, record.last_status) == (
            "DEPLOY",
            "FAILED",
        )
        assert off or failed, (record, goal)


def test_redeploy_never_cuts_the_callers_off_when_it_is_to_be_deployed() -> None:
    for record, goal in COMBINATIONS:
        if goal.strategy == "redeploy" and goal.request is not None:
            assert Step.UNDEPLOY not in steps_ahead(record, goal), (record, goal)


def test_what_is_declared_undeployed_is_never_deployed_nor_taken_over() -> None:
    for record, goal in COMBINATIONS:
        if goal.request is None:
            assert not {Step.DEPLOY, Step.ADOPT} & set(steps_ahead(record, goal)), (record, goal)


def test_taking_over_needs_adopt_and_a_model_that_is_new_or_whose_last_attempt_is_unknown() -> None:
    for record, goal in COMBINATIONS:
        if next_step(record, goal) is Step.ADOPT:
            assert goal.adopt
            assert record is None or record.last_status == UNKNOWN_STATUS, (record, goal)
            assert record is None or record.state not in (ModelState.DEPLOYED, ModelState.UNDEPLOYED), (record, goal)


def test_the_duration_of_the_last_job_decides_nothing() -> None:
    for record, goal in COMBINATIONS:
        if record is not None:
            assert next_step(replace(record, last_job_seconds=99.0), goal) is next_step(record, goal)
