"""The reports that are kept are what the report says now, and what the real engine has it say."""

import re
from pathlib import Path

import pytest

import engine as engine_tool
from pulumi_koreai import cli
from pulumi_koreai.base.status import ExitStatus
from tests.report import samples
from tests.report.samples import CHANGES, HERE, base, golden, preview, rendered, workspace

ALL = samples.samples()


@pytest.mark.parametrize("sample", ALL, ids=lambda sample: sample.stem)
def test_the_report_is_the_one_that_is_kept(sample: Path) -> None:
    assert rendered(sample.read_text(encoding="utf-8")) == golden(sample).read_text(encoding="utf-8")


def test_there_is_a_sample_of_each_change_and_no_other_report() -> None:
    more = {"mix-over-100", "failed", "unsettled", "leftover", "others", "faults"}
    assert {sample.stem for sample in ALL} >= {*CHANGES, *more}
    assert {golden(sample) for sample in ALL} == set((HERE / "golden").glob("*.md"))


@pytest.mark.engine
def test_the_previews_made_now_give_the_reports_that_are_kept(
    tmp_path: Path, engine_env: dict[str, str], real_engine: engine_tool.Engine
) -> None:
    """By the digests, and by the stream of events of one. Slow by the engine: two seconds and more for each preview."""
    assert real_engine.folder is not None
    with workspace(tmp_path / "project", engine_env, real_engine.folder) as stack:
        stack.declare(base())
        stack.up()
        for name, models in CHANGES.items():
            stack.declare(models)
            kept = golden(HERE / "previews" / f"{name}.json").read_text(encoding="utf-8")
            assert rendered(preview(stack)) == kept, name
        stack.declare(CHANGES["redeploy"])
        stack.pulumi("preview", "--event-log", str(tmp_path / "events.jsonl"))
    kept = golden(HERE / "previews" / "redeploy.json").read_text(encoding="utf-8")
    by_events = rendered((tmp_path / "events.jsonl").read_text(encoding="utf-8"))
    without_time = [line for line in by_events.splitlines() if "took" not in line and "about" not in line]
    assert without_time == [line for line in kept.splitlines() if "took" not in line and "about" not in line]


DONE, FAILED, USAGE, REFUSED = ExitStatus

STATUSES = [
    ("previews/redeploy.json", [], DONE),
    ("previews/redeploy.json", ["--fail-on", "cut-off"], REFUSED),
    ("previews/redeploy.json", ["--fail-on", "undeploy", "--fail-on", "replace", "--fail-on", "warning"], DONE),
    ("previews/redeploy-over.json", ["--fail-on", "cut-off"], DONE),
    ("previews/redeploy-over.json", ["--fail-on", "change"], REFUSED),
    ("previews/undeploy.json", ["--fail-on", "undeploy"], REFUSED),
    ("previews/remove.json", ["--fail-on=undeploy"], REFUSED),
    ("previews/rename.json", ["--fail-on", "undeploy"], DONE),
    ("previews/replace.json", ["--fail-on", "replace"], REFUSED),
    ("previews/fewer-replicas.json", ["--fail-on", "warning"], REFUSED),
    ("previews/nothing.json", ["--fail-on", "change"], DONE),
    ("previews/protect.json", ["--fail-on", "change"], REFUSED),
    ("previews/protect.json", ["--fail-on", "undeploy", "--fail-on", "cut-off", "--fail-on", "warning"], DONE),
    ("previews/leftover.json", ["--fail-on", "undeploy"], REFUSED),
    ("previews/move.json", ["--fail-on", "undeploy", "--fail-on", "cut-off"], DONE),
    ("previews/others.json", ["--fail-on", "cut-off"], REFUSED),
    ("previews/others.json", ["--fail-on", "replace"], DONE),
    ("previews/faults.json", [], FAILED),
    ("previews/protected.json", ["--fail-on", "undeploy"], FAILED),
    ("runs/failed.jsonl", [], FAILED),
    ("runs/mix-over-100.jsonl", [], DONE),
]


@pytest.mark.parametrize("sample, options, status", STATUSES)
def test_the_exit_status_says_what_a_pipeline_needs(
    sample: str, options: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", *options, str(HERE / sample)]) == status
    shown = capsys.readouterr()
    assert shown.out == golden(HERE / sample).read_text(encoding="utf-8"), "the report is written whatever the status"
    assert shown.err == ""


def test_the_report_is_read_from_stdin_and_the_picture_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = HERE / "runs" / "failed.jsonl"
    with sample.open(encoding="utf-8") as text:
        monkeypatch.setattr("sys.stdin", text)
        assert cli.main(["report", "--gantt", str(tmp_path / "run.svg")]) == FAILED
    assert capsys.readouterr().out == golden(sample).read_text(encoding="utf-8")
    assert (tmp_path / "run.svg").read_text(encoding="utf-8").startswith("<svg ")


def test_a_picture_that_can_t_be_written_is_an_error_in_one_line_below_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = HERE / "runs" / "failed.jsonl"
    assert cli.main(["report", "--gantt", str(tmp_path / "missing" / "run.svg"), str(sample)]) == USAGE
    shown = capsys.readouterr()
    assert shown.out == golden(sample).read_text(encoding="utf-8")
    assert re.fullmatch(r"error: --gantt: .*run\.svg: can't be written: No such file or directory\n", shown.err)


@pytest.mark.parametrize("text", ["", "no JSON", "\xff"])
def test_what_can_t_be_read_is_an_error_of_its_own(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "given").write_bytes(text.encode("latin-1"))
    assert cli.main(["report", str(tmp_path / "given")]) == USAGE
    assert cli.main(["report", str(tmp_path / "missing")]) == USAGE
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")


@pytest.mark.parametrize("options", [["--fail-on", "nothing"], ["--max-chars", "100"], ["--max-chars", "many"]])
def test_a_wrong_option_ends_with_the_same_status(options: list[str]) -> None:
    assert cli.main(["report", *options]) == USAGE


def test_the_bound_is_kept_to(capsys: pytest.CaptureFixture[str]) -> None:
    for sample in ALL:
        cli.main(["report", "--max-chars", "20000", str(sample)])
        assert len(capsys.readouterr().out) <= 20_000
