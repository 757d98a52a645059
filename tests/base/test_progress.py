"""A progress and its line: what is written is read back, and nothing else is taken for a job's."""

from hypothesis import given
from hypothesis import strategies as st

from pulumi_koreai.base.durations import spoken
from pulumi_koreai.base.progress import (
    AnswerWait,
    JobProgress,
    Progress,
    RateLimitWait,
    Retry,
    RetryReason,
    formatted,
    parsed,
)

durations = st.none() | st.floats(0, 1e6)
job_ids = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60)
statuses = st.just("") | st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1)
jobs = st.builds(
    JobProgress,
    st.sampled_from(["deploy", "undeploy", "export"]),
    job_ids,
    st.none() | st.integers(0, 100),
    statuses,
    durations,
    durations,
)


def shown(seconds: float | None) -> str | None:
    return None if seconds is None else spoken(seconds)


@given(jobs)
def test_a_job_s_line_is_read_back_as_exactly_as_it_is_shown(job: JobProgress) -> None:
    back = parsed(formatted(job))
    assert back is not None
    assert (back.verb, back.job_id, back.percent, back.status) == (job.verb, job.job_id, job.percent, job.status)
    assert (shown(back.elapsed_seconds), shown(back.left_seconds)) == (
        shown(job.elapsed_seconds),
        shown(job.left_seconds),
    )
    assert formatted(back) == formatted(job)


@given(
    st.builds(RateLimitWait, st.floats(0, 1e6))
    | st.builds(Retry, st.sampled_from(RetryReason), st.just(503))
    | st.builds(AnswerWait, st.sampled_from(["deploy", "undeploy", "export"]), st.floats(0, 1e6))
)
def test_another_line_is_no_job_s(progress: Progress) -> None:
    assert parsed(formatted(progress)) is None


@given(st.text())
def test_any_text_can_be_looked_at(text: str) -> None:
    job = parsed(text)
    assert job is None or formatted(job).split()[0] == text.split(maxsplit=1)[0]


def test_what_changes_comes_first_and_the_id_last() -> None:
    job = JobProgress("deploy", "ds-1", 76, "", 725.0, 120.0)
    assert formatted(job) == "deploying 76 %, 12m05s so far, ~2m00s left, job ds-1"
    assert formatted(JobProgress("undeploy", "ds-1")) == "undeploying, job ds-1"
    assert formatted(JobProgress("deploy", "ds-1", status="QUEUED")) == 'deploying, status "QUEUED", job ds-1'
    assert formatted(AnswerWait("deploy", 80.0)) == "waiting for the answer to the deploy, 1m20s so far"
    assert formatted(RateLimitWait(57.4)) == "waiting 57 s for the rate limit"
    assert formatted(Retry(RetryReason.REFUSED, 503, 2.0)) == "HTTP status 503; trying again in 2 s"
    assert formatted(Retry(RetryReason.BUSY, wait_seconds=9)) == (
        "another job is running on the model; trying again in 9 s"
    )
