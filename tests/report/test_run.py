"""The report on a run: what came of each model, its jobs, and what failed with which reason."""

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pulumi_koreai.api.dock_job import DockJob
from pulumi_koreai.base.progress import formatted
from pulumi_koreai.core.telling import progress_of
from pulumi_koreai.report.engine_json import MODEL_TYPE, Run, read_engine_json
from pulumi_koreai.report.run import Report
from tests.report.test_markdown import outside_code, texts

LIMIT = 20_000


class Stream:
    """Events as the engine writes them, second by second."""

    def __init__(self, *declared: str) -> None:
        self.now = 1_700_000_000
        self.events: list[dict[str, Any]] = []
        models = json.dumps({name: {} for name in declared})
        self.tell(preludeEvent={"config": {"koreai:models": models, "koreai:apiKey": "[secret]"}})

    def tell(self, after: int = 0, **event: object) -> None:
        self.now += after
        self.events.append({"sequence": len(self.events), "timestamp": self.now, **event})

    def operation(self, kind: str, name: str, op: str, after: int = 0, type_: str = MODEL_TYPE, **new: object) -> None:
        urn = f"urn:pulumi:test::project::{type_}::{name}"
        state = {"type": type_, **new}
        self.tell(after, **{kind: {"metadata": {"op": op, "urn": urn, "type": type_, "old": None, "new": state}}})

    def say(self, name: str, message: str, after: int = 0, severity: str = "info", *, kept: bool = False) -> None:
        urn = f"urn:pulumi:test::project::{MODEL_TYPE}::{name}" if name else ""
        line = {"urn": urn, "message": message, "severity": severity, "ephemeral": not kept}
        self.tell(after, diagnosticEvent=line)

    def end(self) -> None:
        self.tell(summaryEvent={"durationSeconds": 1, "isPreview": False})

    @property
    def text(self) -> str:
        return "".join(json.dumps(event) + "\n" for event in self.events)

    @property
    def report(self) -> Report:
        told = read_engine_json(self.text)
        assert isinstance(told, Run)
        return Report.of(told)


def job(action: str, job_id: str, percent: int = 5) -> str:
    """A line of progress as the lifecycle has it."""
    return formatted(progress_of(DockJob(_id=job_id, status="IN_PROGRESS", percentageComplete=percent), action, 7.0))  # type: ignore[arg-type]


def redeployed() -> Stream:
    stream = Stream("chat", "later")
    stream.operation("resourcePreEvent", "chat", "update")
    stream.say("chat", job("UNDEPLOY", "ds-1"), 2)
    stream.say("chat", job("UNDEPLOY", "ds-1", 80), 38)
    stream.say("chat", job("DEPLOY", "ds-2"), 5)
    outputs = {"state": "deployed", "dock_status_id": "ds-2", "last_action": "DEPLOY", "last_job_seconds": 700.4}
    stream.operation("resOutputsEvent", "chat", "update", 700, outputs=outputs)
    return stream


def test_the_jobs_of_an_update_and_their_times_are_told_of() -> None:
    stream = redeployed()
    stream.end()
    report = stream.report
    (told,) = report.models
    begun = 1_700_000_000
    assert [(one.action, one.id, one.begun - begun, one.ended - begun, one.seconds) for one in told.jobs] == [
        ("undeploy", "ds-1", 0, 45, 45),
        ("deploy", "ds-2", 38, 745, 700.4),
    ]
    text = report.markdown(LIMIT)
    assert text.startswith("**The run ended well after 12m25s: 1 done.**")
    assert "undeployed, then deployed | undeploy `ds-1` 45s<br>deploy `ds-2` 11m40s | 12m25s |" in text
    assert not report.failed
    assert [(bar.kind, bar.begun - begun, bar.ended - begun) for bar in report.bars()] == [
        ("undeploy", 0, 45),
        ("deploy", 38, 745),
    ]


def test_a_failure_has_its_reason_first_and_what_was_not_begun_is_named() -> None:
    stream = Stream("chat", "later")
    stream.operation("resourcePreEvent", "chat", "create")
    stream.say("chat", job("DEPLOY", "ds-1"), 3)
    reason = 'deploy of cm-1: job ds-1 failed: "no GPU".'
    stream.say("chat", f"1 error occurred:\n\t* {reason}\n\n", 9, "error", kept=True)
    stream.operation("resOpFailedEvent", "chat", "create", outputs={"state": "failed"}, initErrors=[reason])
    stream.say("", "update failed", severity="error", kept=True)
    stream.end()
    text = stream.report.markdown(LIMIT)
    assert text.startswith(
        f"**The run failed after 12s: 1 failed, 1 not begun.**\n\n`chat` failed:\n\n```text\n{reason}\n```"
    )
    assert "1 model not begun: `later`." in text
    assert [bar.kind for bar in stream.report.bars()] == ["failed"]
    for event in stream.events:  # as the stock host has it: nothing recorded, the reason in the diagnostics alone
        event.get("resOpFailedEvent", {}).get("metadata", {}).get("new", {}).pop("initErrors", None)
    assert stream.report.markdown(LIMIT) == text


def test_a_job_that_goes_on_is_not_finished_rather_than_failed() -> None:
    stream = Stream("chat")
    stream.operation("resourcePreEvent", "chat", "create")
    outputs = {"state": "deploying", "dock_status_id": "ds-1", "last_action": "DEPLOY"}
    stream.operation("resOpFailedEvent", "chat", "create", 60, outputs=outputs, initErrors=["interrupted: …"])
    stream.end()
    assert stream.report.models[0].outcome == "not finished"
    assert "deploy not finished | deploy `ds-1` 1m00s" in stream.report.markdown(LIMIT)
    assert stream.report.failed


def test_a_stream_that_breaks_off_says_so_whatever_it_ends_with() -> None:
    stream = redeployed()
    whole = stream.text
    broken = read_engine_json(whole[: whole.rindex("resOutputsEvent")])
    assert isinstance(broken, Run)
    report = Report.of(broken)
    assert report.failed
    assert report.markdown(LIMIT).startswith("**The run broke off after 45s: 1 not finished, 1 not begun.**")
    assert [told.outcome for told in report.models] == ["not finished"]


def test_where_nothing_was_sent_the_notes_say_what_was_done() -> None:
    stream = Stream("new")
    stream.operation("resourcePreEvent", "new", "create")
    stream.say("new", "cm-7 is adopted as declared; nothing was sent.", kept=True)
    stream.operation("resOutputsEvent", "new", "create", outputs={"state": "deployed", "dock_status_id": ""})
    stream.operation("resourcePreEvent", "old", "update")
    stream.operation("resOutputsEvent", "old", "update", outputs={"state": "deployed", "dock_status_id": ""})
    stream.end()
    text = stream.report.markdown(LIMIT)
    assert "| `cm-7` is adopted as declared; nothing was sent. |" in text
    assert "| nothing was sent |" in text
    assert "mermaid" not in text


def test_a_program_that_declares_its_models_elsewhere_has_none_that_was_not_begun() -> None:
    for models in ("[secret]", "[]"):
        stream = redeployed()
        stream.events[0]["preludeEvent"]["config"]["koreai:models"] = models
        assert stream.report.failed
        assert stream.report.not_begun == []


def test_a_replacement_is_its_two_halves() -> None:
    stream = Stream("chat")
    for op, last in (("create-replacement", "DEPLOY"), ("replace", ""), ("delete-replaced", "UNDEPLOY")):
        stream.operation("resourcePreEvent", "chat", op)
        if last:
            stream.say("chat", job(last, f"ds-{last}"), 4)
        stream.operation("resOutputsEvent", "chat", op, 4, outputs={})
    stream.end()
    whats = [told.what for told in stream.report.models]
    assert whats == ["the new model: deployed", "the old model: undeployed"]


def test_other_resources_are_counted_and_unchanged_models_named() -> None:
    stream = Stream()
    for name, op, type_ in (
        ("b", "create", "my:Bucket"),
        ("s", "create", "pulumi:pulumi:Stack"),
        ("m", "same", MODEL_TYPE),
    ):
        stream.operation("resourcePreEvent", name, op, type_=type_)
        stream.operation("resOutputsEvent", name, op, type_=type_)
    stream.end()
    text = stream.report.markdown(LIMIT)
    assert "Resources of other kinds, not described here: 1 create." in text
    assert "1 model unchanged: `m`." in text
    assert "no model was worked on" in text


def test_the_same_job_takes_as_long_in_the_table_as_in_the_picture() -> None:
    stream = Stream("chat")
    stream.operation("resourcePreEvent", "chat", "create")
    stream.say("chat", job("DEPLOY", "ds-1"), 1)
    outputs = {"dock_status_id": "ds-1", "last_action": "DEPLOY", "last_job_seconds": 0.4}
    stream.operation("resOutputsEvent", "chat", "create", 1, outputs=outputs)
    stream.end()
    (bar,) = stream.report.bars()
    assert bar.seconds == 0.4
    text = stream.report.markdown(LIMIT)
    assert "deploy `ds-1` 0s" in text
    assert "  deploy 0s :" in text


def test_the_wait_for_the_rate_limit_is_no_part_of_a_job() -> None:
    stream = Stream("chat")
    stream.operation("resourcePreEvent", "chat", "update")
    stream.say("chat", "waiting 57 s for the rate limit")
    stream.say("chat", formatted(progress_of(DockJob(_id="ds-1", status="IN_PROGRESS"), "UNDEPLOY", 2.0)), 60)
    stream.say("chat", "waiting 57 s for the rate limit", 3)
    stream.say("chat", job("DEPLOY", "ds-2"), 67)
    stream.operation("resOutputsEvent", "chat", "update", 10, outputs={"dock_status_id": "ds-2"})
    stream.end()
    (told,) = stream.report.models
    begun = told.begun
    assert [(one.begun - begun, one.ended - begun) for one in told.jobs] == [(58, 63), (123, 140)]


operations = st.lists(
    st.tuples(
        texts,
        st.sampled_from(["create", "update", "delete", "same", "create-replacement", "replace"]),
        st.sampled_from(["", "resOutputsEvent", "resOpFailedEvent"]),
        texts,
        st.sampled_from(["deployed", "deploying", "failed"]),
    ),
    max_size=10,
)


@given(operations, st.sampled_from([1, 30]), st.booleans())
def test_whatever_names_and_reasons_hold_the_report_keeps_its_shape_and_its_bound(
    few: list[tuple[str, str, str, str, str]], times: int, ends: bool
) -> None:
    stream = Stream("a", "b")
    for number, (name, op, end, text, state) in enumerate(few * times):
        unique = f"{number}{name}"
        stream.operation("resourcePreEvent", unique, op)
        stream.say(unique, f"deploying, job {text}, 5 %", 1)
        if end:
            outputs = {"state": state, "dock_status_id": text, "last_action": text, "last_job_seconds": 3}
            reasons = [text * 9] if end == "resOpFailedEvent" else []
            stream.operation(end, unique, op, 2, outputs=outputs, initErrors=reasons)
    if ends:
        stream.end()
    text = stream.report.markdown(LIMIT)
    assert len(text) <= LIMIT
    assert re.match(r"\*\*The run (failed|ended well|broke off) after", text)
    fenced = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("<"):
            assert not re.search(
                r"[<&@#$\\]|https?:|www\.", outside_code(line).replace("<br>", "").replace("\\|", "")
            ), line
    assert not fenced
