"""The sliding windows: never over a limit in any of them, first come, first served."""

import threading
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_koreai.api.pacing import Limit, Pacer, published_limits
from tests.core.fakes import SimClock

FOREVER = float("inf")


def most_in_any(window: float, instants: list[float]) -> int:
    """The largest number of instants in any half-open window of that length."""
    ordered = sorted(instants)
    return max((bisect_left(ordered, at + window) - index for index, at in enumerate(ordered)), default=0)


def test_the_published_limits_are_60_a_minute_and_1800_an_hour() -> None:
    assert published_limits(60) == (Limit(60, 60.0), Limit(1800, 3600.0))


def test_another_account_limit_scales_both_windows() -> None:
    assert published_limits(10) == (Limit(10, 60.0), Limit(300, 3600.0))


def test_up_to_the_limit_nobody_waits_and_then_until_the_window_has_passed_on_the_platform_too() -> None:
    pacer = Pacer(SimClock(), [Limit(3, 60)])
    assert [pacer.reserve("account", FOREVER) for _ in range(4)] == [0, 0, 0, 61]


def test_the_hour_s_window_counts_as_well() -> None:
    clock = SimClock()
    pacer = Pacer(clock, [Limit(2, 10), Limit(3, 100)])
    assert [pacer.reserve("account", FOREVER) for _ in range(4)] == [0, 0, 11, 101]


def test_keys_do_not_share_a_window() -> None:
    pacer = Pacer(SimClock(), [Limit(1, 60)])
    assert [pacer.reserve(key, FOREVER) for key in ("account", "ds-1", "ds-2")] == [0, 0, 0]
    assert pacer.reserve("ds-1", FOREVER) == 61


def test_a_place_that_is_too_late_is_not_taken() -> None:
    clock = SimClock()
    pacer = Pacer(clock, [Limit(1, 60)])
    pacer.reserve("account", FOREVER)
    assert pacer.reserve("account", clock.now + 60.9) is None
    assert pacer.reserve("account", clock.now + 61) == 61
    assert pacer.reserve("account", FOREVER) == 122


def test_a_forgotten_key_begins_anew() -> None:
    pacer = Pacer(SimClock(), [Limit(1, 60)])
    pacer.reserve("ds-1", FOREVER)
    pacer.forget("ds-1")
    pacer.forget("never seen")
    assert pacer.reserve("ds-1", FOREVER) == 0


def test_old_requests_are_not_kept() -> None:
    clock = SimClock()
    pacer = Pacer(clock, published_limits(60))
    for _ in range(5000):
        clock.sleep(pacer.reserve("account", FOREVER) or 0)
        clock.now += 7
    assert len(pacer._sent["account"]) <= 3601 / 7 + 1


limits = st.lists(
    st.builds(Limit, st.integers(1, 6), st.floats(0.5, 60).map(lambda seconds: round(seconds, 1))),
    min_size=1,
    max_size=3,
)
steps = st.lists(
    st.tuples(st.floats(0, 30), st.sampled_from("ab"), st.none() | st.floats(0, 60)), min_size=1, max_size=80
)


@given(limits, steps)
def test_no_window_ever_holds_more_than_its_limit_and_the_first_come_is_the_first_served(
    limits: list[Limit], steps: list[tuple[float, str, float | None]]
) -> None:
    clock = SimClock()
    pacer = Pacer(clock, limits)
    sent: dict[str, list[float]] = {"a": [], "b": []}
    for later, key, patience in steps:
        clock.now += later
        until = FOREVER if patience is None else clock.now + patience
        wait = pacer.reserve(key, until)
        if wait is None:
            assert patience is not None
            continue
        assert wait >= 0
        assert clock.now + wait <= until + 1e-6
        sent[key].append(clock.now + wait)
    for instants in sent.values():
        assert instants == sorted(instants)
        for limit in limits:
            # 1e-6: the windows are cut from sums of floats.
            assert most_in_any(limit.seconds - 1e-6, instants) <= limit.requests


@given(st.integers(1, 5), st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_nobody_waits_without_need(requests: int, steps: list[float]) -> None:
    clock = SimClock()
    pacer = Pacer(clock, [Limit(requests, 30)])
    sent: list[float] = []
    for later in steps:
        clock.now += later
        wait = pacer.reserve("account", FOREVER)
        assert wait is not None
        if wait > 0:
            assert clock.now + wait == pytest.approx(sent[-requests] + 31)
        sent.append(clock.now + wait)


def test_threads_together_keep_to_the_limit() -> None:
    clock = SimClock()
    pacer = Pacer(clock, [Limit(10, 60)])
    waits: list[float] = []
    begin = threading.Barrier(8)

    def send() -> None:
        begin.wait()
        for _ in range(50):
            wait = pacer.reserve("account", FOREVER)
            assert wait is not None
            waits.append(wait)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == [61.0 * (place // 10) for place in range(400)]
