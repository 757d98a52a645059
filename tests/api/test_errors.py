"""The tree of errors: its drawing, the fields, the messages, the way through a pickle."""

import inspect
import pickle
import re

import pytest

from pulumi_koreai.api import errors
from pulumi_koreai.api.errors import (
    AbsenceInDoubt,
    Advice,
    AdviceKind,
    AnswerLost,
    ApiError,
    BadAnswer,
    Busy,
    ConfigError,
    ExportProblem,
    ExportUnusable,
    Forbidden,
    ForeignAnswer,
    JobError,
    JobFailed,
    JobStuck,
    JobTimeout,
    KoreaiError,
    NotDeployed,
    NotFound,
    NotSent,
    OutageRefused,
    RateLimited,
    Refused,
    Remedy,
    ServerError,
    SettingFault,
    Unauthorized,
    WrongJob,
)

LOOK = Advice(AdviceKind.LOOK_AT_MODEL)

API_ERRORS: list[type[ApiError]] = [
    ApiError,
    NotSent,
    AnswerLost,
    OutageRefused,
    BadAnswer,
    WrongJob,
    Refused,
    Unauthorized,
    Forbidden,
    NotFound,
    NotDeployed,
    AbsenceInDoubt,
    ForeignAnswer,
    Busy,
    RateLimited,
    ServerError,
]
JOB_ERRORS: list[type[JobError]] = [JobError, JobFailed, JobTimeout, JobStuck]


def classes() -> dict[str, type[KoreaiError]]:
    found = inspect.getmembers(errors, lambda item: inspect.isclass(item) and issubclass(item, KoreaiError))
    return dict(found)


def drawn() -> dict[str, str]:
    """Each class of the drawing with the one that it hangs on."""
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"^( {4}(?:[│├└─ ]*))([A-Z]\w+)(\s{2,}|$)", line):
            depth, name = len(found[1]), found[2]
            while above and above[-1][0] >= depth:
                above.pop()
            parents[name] = above[-1][1] if above else ""
            above.append((depth, name))
    return parents


def test_the_tree_that_is_drawn_is_the_tree_of_the_classes() -> None:
    assert drawn() == {
        name: "" if kind is KoreaiError else kind.__bases__[0].__name__ for name, kind in classes().items()
    }


def test_no_class_is_left_out_of_these_tests() -> None:
    assert set(classes().values()) == {KoreaiError, ConfigError, ExportUnusable, *API_ERRORS, *JOB_ERRORS}


def test_an_export_that_is_of_no_use_survives_pickling() -> None:
    error = ExportUnusable("cm-1", ExportProblem.REFUSED, "HTTP status 403")
    assert str(error) == "export of cm-1: the download was refused (HTTP status 403)"
    back = pickle.loads(pickle.dumps(error))
    assert (str(back), vars(back)) == (str(error), vars(error))


def api_error(kind: type[ApiError], status: int = 418) -> ApiError:
    return kind(
        "deploying cm-1: refused",
        method="POST",
        path="/api/public/models/cm-1/deploy",
        status=status,
        platform_message="no such thing",
        advice=LOOK,
        retry_after=7.5,
    )


@pytest.mark.parametrize("kind", API_ERRORS)
def test_an_api_error_carries_its_facts_and_says_them(kind: type[ApiError]) -> None:
    error = api_error(kind)
    assert str(error) == ('POST /api/public/models/cm-1/deploy: deploying cm-1: refused: "no such thing"')
    assert (error.method, error.path, error.status) == ("POST", "/api/public/models/cm-1/deploy", 418)
    assert (error.platform_message, error.advice, error.retry_after) == ("no such thing", (LOOK,), 7.5)


@pytest.mark.parametrize("kind", API_ERRORS)
def test_an_api_error_with_nothing_more_to_say_has_no_empty_quotes_and_no_empty_line(kind: type[ApiError]) -> None:
    error = kind("asking", method="GET", path="/p")
    assert str(error) == "GET /p: asking"
    assert (error.status, error.platform_message, error.advice, error.retry_after) == (0, "", (), None)


@pytest.mark.parametrize("kind", JOB_ERRORS)
def test_a_job_error_carries_its_facts(kind: type[JobError]) -> None:
    error = kind("it failed", job_id="ds-1", action="DEPLOY", status="FAILED")
    assert (str(error), error.job_id, error.action, error.status) == ("it failed", "ds-1", "DEPLOY", "FAILED")


EXAMPLES: list[KoreaiError] = [
    KoreaiError("root"),
    ConfigError([SettingFault("api_key", "not set", Remedy.SET_KEY)]),
    *(api_error(kind) for kind in API_ERRORS),
    *(kind("it failed", job_id="ds-1", action="DEPLOY", status="FAILED") for kind in JOB_ERRORS),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_survives_pickling(error: KoreaiError, protocol: int) -> None:
    copy = pickle.loads(pickle.dumps(error, protocol))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.args == error.args
    assert vars(copy) == vars(error)


def test_a_timeout_is_also_a_timeout_to_who_knows_nothing_of_this_package() -> None:
    assert {name for name, kind in classes().items() if issubclass(kind, TimeoutError)} == {"JobTimeout", "JobStuck"}


MAY_BE_TAKEN = {AnswerLost, BadAnswer, WrongJob, ServerError}
TRANSIENT = {NotSent, AnswerLost, BadAnswer, Busy, RateLimited, ServerError}


@pytest.mark.parametrize("kind", API_ERRORS)
def test_which_errors_leave_it_open_whether_the_platform_took_the_request(kind: type[ApiError]) -> None:
    assert api_error(kind, 500).may_be_taken == (kind in MAY_BE_TAKEN)


@pytest.mark.parametrize(
    "status, taken", [(500, True), (502, True), (503, False), (504, True), (507, True), (520, True)]
)
def test_of_the_5xx_only_503_was_certainly_not_taken(status: int, taken: bool) -> None:
    assert api_error(ServerError, status).may_be_taken is taken


@pytest.mark.parametrize("kind", API_ERRORS)
def test_which_errors_may_be_gone_a_little_later(kind: type[ApiError]) -> None:
    assert kind.transient == (kind in TRANSIENT)


def test_other_advice_replaces_the_first_and_changes_nothing_else() -> None:
    error = api_error(AnswerLost)
    text = str(error)
    other = Advice(AdviceKind.SETTLE_DEPLOY, "cm-1")
    assert error.advising(other) is error
    assert error.advice == (other,)
    assert str(error) == text
