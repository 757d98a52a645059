"""The sentences: each fact has one, in each front end's own terms, and none speaks of the other front end."""

import re
from dataclasses import replace

import pytest

from pulumi_koreai.api.errors import Advice, AdviceKind, ApiError, ConfigError
from pulumi_koreai.base.progress import Note, NoteKind, Retry, RetryReason
from pulumi_koreai.core.renderer import ADVICE, Renderer
from pulumi_koreai.core.rules import Goal, ModelState, Record
from pulumi_koreai.core.stopped import Stopped
from pulumi_koreai.stackfile.terms import PULUMI
from pulumi_koreai.terraform.terms import TERRAFORM
from tests.core.fakes import MODEL, REQUEST
from tests.core.test_impact import DEPLOYING, FAILED, LOST, OFF, RUNNING, TABLE, UNDEPLOYING, ahead

RENDERERS = {"pulumi": PULUMI, "terraform": TERRAFORM}
NOTES = [
    Note(kind, MODEL, "deploy", "ds-1", "no GPU", 2, Retry(RetryReason.REFUSED, 503), doubtful)
    for kind in NoteKind
    for doubtful in (False, True)
]
INTERRUPTED = KeyboardInterrupt()


def report(error: BaseException) -> str:
    """What a front end says of a bug."""
    return f"report {type(error).__name__}"


def everything(renderer: Renderer) -> list[str]:
    """A sentence of each kind that a front end can show."""
    stopped = [
        Stopped(operation, MODEL, cause, RUNNING, now, Goal(REQUEST))
        for operation in ("create", "update", "delete")
        for cause in (INTERRUPTED, ApiError("asking", method="GET", path="/p", advice=Advice(AdviceKind.NEW_KEY)))
        for now in (None, RUNNING, OFF, DEPLOYING, LOST)
    ]
    return [
        *(renderer.advice(Advice(kind, "it")) for kind in AdviceKind),
        *map(renderer.note, NOTES),
        *(line for _, record, goal, _, _ in TABLE for line in renderer.impact(MODEL, ahead(record, goal))),
        *(renderer.stopped(one, bug=report, recordable=recordable) for one in stopped for recordable in (True, False)),
    ]


def test_each_kind_of_advice_has_a_sentence() -> None:
    assert set(ADVICE) == set(AdviceKind)


@pytest.mark.parametrize("renderer", RENDERERS.values(), ids=RENDERERS)
def test_every_sentence_is_filled_in(renderer: Renderer) -> None:
    for text in everything(renderer):
        assert text
        assert not re.search(r"[{}]|None|  ", text), text


def test_terraform_s_users_read_no_word_of_pulumi_s() -> None:
    for text in everything(TERRAFORM):
        assert not re.search(r"\bpulumi\b|koreai:|stack", text.lower()), text


def test_pulumi_s_users_read_no_word_of_terraform_s() -> None:
    for text in everything(PULUMI):
        assert "terraform" not in text.lower(), text


def test_an_error_is_followed_by_what_to_do() -> None:
    error = ApiError("asking", method="GET", path="/p", advice=Advice(AdviceKind.NEW_KEY, "https://h"))
    assert PULUMI.error(error).splitlines() == [
        "GET /p: asking",
        "https://h does not accept the key in koreai:apiKey. Create one for an API app there and set it.",
    ]
    assert "the key in api_key" in TERRAFORM.error(error)


@pytest.mark.parametrize(
    "now, words",
    [
        (UNDEPLOYING, "interrupted: undeploy job ds-4 of cm-1 is still running on the platform; the next `pulumi up`"),
        (OFF, "interrupted; nothing runs for cm-1; the next `pulumi up` goes on from there."),
        (RUNNING, "interrupted; cm-1 is deployed as before;"),
        (LOST, "interrupted; what runs for cm-1 is unknown;"),
        (None, "interrupted; nothing runs for cm-1;"),
    ],
)
def test_an_interruption_says_what_is_known_to_run(now: Record | None, words: str) -> None:
    stopped = Stopped("update", MODEL, INTERRUPTED, FAILED, now, Goal(REQUEST))
    assert PULUMI.stopped(stopped, bug=report, recordable=True).startswith(words)


def test_an_interrupted_deletion_is_begun_again_by_the_same_command() -> None:
    stopped = Stopped("delete", MODEL, INTERRUPTED, RUNNING, UNDEPLOYING, None)
    assert "run the same command again" in PULUMI.stopped(stopped, bug=report, recordable=True)


def test_an_update_that_ended_between_its_undeploy_and_its_deploy_says_that_the_model_is_down() -> None:
    error = ApiError("deploying", method="POST", path="/p")
    down = Stopped("update", MODEL, error, RUNNING, OFF, Goal(REQUEST))
    assert "cm-1 was undeployed first and is not deployed now." in PULUMI.stopped(down, bug=report, recordable=True)
    for other in (
        Stopped("update", MODEL, error, OFF, OFF, Goal(REQUEST)),
        Stopped("update", MODEL, error, RUNNING, OFF, Goal(None)),
        Stopped("update", MODEL, error, RUNNING, RUNNING, Goal(REQUEST)),
    ):
        assert "undeployed first" not in PULUMI.stopped(other, bug=report, recordable=True)


def test_what_can_not_be_recorded_says_what_the_next_run_does() -> None:
    create = PULUMI.not_recorded(MODEL, DEPLOYING, "create")
    assert "job ds-3 may still be running" in create
    assert "the next `pulumi up` deploys cm-1 again" in create
    assert "`adopt`" in create
    update = PULUMI.not_recorded(MODEL, FAILED, "update")
    assert "what runs is unknown on the platform" in update
    assert "as it was before" in update


def test_a_bug_and_a_wrong_configuration_are_said_as_they_are() -> None:
    bug = Stopped("update", MODEL, ZeroDivisionError(), RUNNING, DEPLOYING, Goal(REQUEST))
    assert (bug.is_bug, bug.is_interruption, bug.has_news) == (True, False, True)
    assert PULUMI.stopped(bug, bug=report, recordable=True).splitlines() == [
        "the deploy of cm-1 was still running when last seen; job ds-3 is resumed.",
        "report ZeroDivisionError",
    ]
    assert not Stopped("update", MODEL, ConfigError([]), RUNNING, RUNNING, Goal(REQUEST)).has_news


def test_a_record_that_is_as_before_is_news_only_while_a_job_goes_on() -> None:
    assert Stopped("update", MODEL, INTERRUPTED, DEPLOYING, DEPLOYING, Goal(REQUEST)).has_news
    assert not Stopped("update", MODEL, INTERRUPTED, FAILED, replace(FAILED), Goal(REQUEST)).has_news
    assert not Stopped("create", MODEL, INTERRUPTED, None, None, Goal(REQUEST)).has_news
    assert Stopped("create", MODEL, INTERRUPTED, None, Record(ModelState.FAILED), Goal(REQUEST)).has_news
