"""The contract for provider authors, outside any host."""

import pickle
import time

import pytest

import pulumi_koreai.host
from pulumi_koreai.host import Call, Cancelled, DetailedDiff, DiffKind, PartialFailure, current_call


def test_outside_a_host_a_call_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    call = current_call()
    assert type(call) is Call
    assert (call.hosted, call.cancelled, call.timeout) == (False, False, None)
    assert (call.urn, call.name, call.type) == ("", "", "")
    call.progress("half")
    call.note("a note")
    call.warn("a warning")
    assert capsys.readouterr().err == "a note\nwarning: a warning\n"


def test_outside_a_host_sleep_sleeps() -> None:
    started = time.monotonic()
    current_call().sleep(0.05)
    current_call().sleep(-1)
    assert 0.05 <= time.monotonic() - started < 1


def test_a_cancellation_is_no_exception_that_a_poll_would_swallow() -> None:
    assert not issubclass(Cancelled, Exception)
    assert str(Cancelled()) == "cancelled"


def test_a_partial_failure_reads_as_its_reasons_and_survives_pickling() -> None:
    failure = PartialFailure("id", {"key": "secret"}, ["one", "two"], inputs={"a": 1})
    again = pickle.loads(pickle.dumps(failure))
    assert str(failure) == str(again) == "one\ntwo"
    assert (again.id, again.outs, again.reasons, again.inputs) == ("id", {"key": "secret"}, ["one", "two"], {"a": 1})


def test_a_lone_text_is_one_reason() -> None:
    assert PartialFailure("id", {}, "it failed").reasons == ["it failed"]


def test_a_detailed_diff_takes_kinds_by_name_and_refuses_others() -> None:
    diff = DetailedDiff(None, ["a"], detailed={"a.b": "update-replace", "c": DiffKind.ADD})
    assert diff.detailed == {"a.b": DiffKind.UPDATE_REPLACE, "c": DiffKind.ADD}
    assert (diff.changes, diff.replaces, diff.stables, diff.delete_before_replace) == (None, ["a"], None, None)
    with pytest.raises(ValueError, match="changed"):
        DetailedDiff(detailed={"a": "changed"})


def test_all_that_is_exported_is_there() -> None:
    assert all(hasattr(pulumi_koreai.host, name) for name in pulumi_koreai.host.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        pulumi_koreai.host.nothing  # noqa: B018
