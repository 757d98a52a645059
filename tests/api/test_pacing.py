"""The sliding windows: never over a limit in any of them, a place that is held is never lost, and who goes first."""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.turns import TurnClock
from pulumi_koreai.api.pacing import Limit, Pacer, published_limits
from pulumi_koreai.base.clock import SystemClock
from tests.core.fakes import Interrupted, SimClock

FOREVER = float("inf")


def most_in_any(window: float, instants: list[float]) -> int:
    """The largest number of instants in any half-open window of that length."""
    ordered = sorted(instants)
    return max((bisect_left(ordered, at + window) - index for index, at in enumerate(ordered)), default=0)


def untold(_: float) -> None:
    """Nobody is told of a wait."""


class Line:
    """A pacer and its clock."""

    def __init__(self, *limits: Limit) -> None:
        self.clock = SimClock()
        self.pacer = Pacer(self.clock, limits)

    def waits(self, key: str = "account", until: float = FOREVER, *, uses: str = "", holds: str = "") -> float | None:
        """The seconds that the next place is waited for; None where it is not had in time."""
        before = self.clock.now
        had = self.pacer.take(key, until, untold, uses=uses, holds=holds)
        return self.clock.now - before if had else None


def test_the_published_limits_are_60_a_minute_and_1800_an_hour() -> None:
    assert published_limits(60) == (Limit(60, 60.0), Limit(1800, 3600.0))


def test_another_account_limit_scales_both_windows() -> None:
    assert published_limits(10) == (Limit(10, 60.0), Limit(300, 3600.0))


def test_up_to_the_limit_nobody_waits_and_then_until_the_window_has_passed_on_the_platform_too() -> None:
    line = Line(Limit(3, 60))
    assert [line.waits() for _ in range(4)] == [0, 0, 0, 61]


def test_the_hour_s_window_counts_as_well() -> None:
    line = Line(Limit(2, 10), Limit(3, 100))
    assert [line.waits() for _ in range(4)] == [0, 0, 11, 90]


def test_keys_do_not_share_a_window() -> None:
    line = Line(Limit(1, 60))
    assert [line.waits(key) for key in ("account", "ds-1", "ds-2", "ds-1")] == [0, 0, 0, 61]


def test_a_place_that_is_too_late_is_not_taken() -> None:
    line = Line(Limit(1, 60))
    line.waits()
    assert line.waits(until=line.clock.now + 60.9) is None
    assert line.waits(until=line.clock.now + 61) == 61
    assert line.waits() == 61


def test_a_forgotten_key_begins_anew() -> None:
    line = Line(Limit(1, 60))
    line.waits("ds-1")
    line.pacer.forget("ds-1")
    line.pacer.forget("never seen")
    assert line.waits("ds-1") == 0


def test_old_requests_are_not_kept() -> None:
    line = Line(*published_limits(60))
    for _ in range(5000):
        line.clock.sleeps.clear()
        line.waits()
        line.clock.now += 7
    assert len(line.pacer._windows["account"].sent) <= 3601 / 7 + 1


def test_an_undeploy_waits_for_its_deploy_s_place_and_the_deploy_for_none() -> None:
    line = Line(Limit(3, 60))
    line.waits()
    line.waits()
    assert line.waits(holds="cm-1") == 61
    assert line.waits(until=line.clock.now + 60) == 0
    assert line.waits(until=line.clock.now + 60) is None, "the third place is the deploy's"
    line.clock.now += 1000
    assert line.waits(uses="cm-1") == 0
    assert [line.waits(uses="cm-1") for _ in range(3)] == [0, 0, 61], "it was held once"


def test_without_room_for_both_in_time_neither_place_is_taken() -> None:
    line = Line(Limit(2, 60))
    line.waits()
    assert line.waits(until=line.clock.now + 60, holds="cm-1") is None
    assert line.waits() == 0


def test_a_place_that_is_held_counts_until_it_is_given_back() -> None:
    line = Line(Limit(2, 60))
    line.waits(holds="cm-1")
    line.clock.now += 10_000
    assert line.waits() == 0
    assert line.waits(until=line.clock.now + 60) is None
    line.pacer.give_back("account", "cm-1")
    line.pacer.give_back("account", "never seen")
    line.pacer.give_back("never seen", "cm-1")
    assert line.waits() == 0


def test_who_waits_sees_that_a_place_was_given_back() -> None:
    line = Line(Limit(2, 60))
    line.waits(holds="cm-1")

    def give_back(_: float) -> None:
        if line.clock.now > 1020:
            line.pacer.give_back("account", "cm-1")

    line.clock.on_sleep = give_back
    assert line.waits() == 45, "it looks again every quarter of a minute"


def test_an_undeploy_that_is_sent_again_holds_no_second_place() -> None:
    line = Line(Limit(2, 60))
    assert [line.waits(until=line.clock.now + 61, holds="cm-1") for _ in range(2)] == [0, 61]


def test_where_the_limit_is_1_the_outage_can_not_be_avoided() -> None:
    line = Line(Limit(1, 60))
    assert line.waits(holds="cm-1") == 0
    assert line.waits(uses="cm-1") == 61


def test_an_interrupted_wait_leaves_the_queue() -> None:
    line = Line(Limit(1, 60))
    line.waits()

    def interrupt(_: float) -> None:
        raise Interrupted

    line.clock.on_sleep = interrupt
    with pytest.raises(Interrupted):
        line.waits()
    line.clock.on_sleep = lambda _: None
    assert line.waits() == 61


def test_what_ends_an_outage_goes_before_all_else_and_the_rest_in_the_order_of_their_coming() -> None:
    clock = TurnClock()
    pacer = Pacer(clock, [Limit(1, 60)])
    went: list[tuple[str, float]] = []

    def waiter(name: str, *, urgent: bool = False) -> Callable[[], None]:
        def work() -> None:
            assert pacer.take("account", FOREVER, untold, urgent=urgent)
            went.append((name, clock.monotonic()))

        return work

    works = [waiter("first"), waiter("second"), waiter("third"), waiter("u1", urgent=True), waiter("u2", urgent=True)]
    clock.run(works, [0, 1, 2, 3, 4])
    assert went == [("first", 0), ("u1", 61), ("u2", 122), ("second", 183), ("third", 244)]


@dataclass(frozen=True)
class Plan:
    """One thread's doings: an update (an undeploy, its job, the deploy), or a single request."""

    start: float
    updates: bool
    job_seconds: float
    patience: float
    fate: str


class Threads:
    """Carries the plans out, each in a thread of its own on one clock, and keeps what was sent when."""

    def __init__(self, limits: list[Limit]) -> None:
        self.clock = TurnClock()
        self.pacer = Pacer(self.clock, limits)
        self.can_hold = min(limit.requests for limit in limits) > 1
        self.sent: list[float] = []
        self.deploys_waited: list[float] = []
        self.singles: list[tuple[float, float]] = []

    def run(self, plans: list[Plan]) -> None:
        works = [partial(self.update if plan.updates else self.single, f"cm-{n}", plan) for n, plan in enumerate(plans)]
        self.clock.run(works, [plan.start for plan in plans])

    def request(
        self, until: float, *, interrupted: bool = False, uses: str = "", holds: str = "", urgent: bool = False
    ) -> bool:
        def waiting(_: float) -> None:
            if interrupted:
                raise Interrupted

        had = self.pacer.take("account", until, waiting, uses=uses, holds=holds, urgent=urgent)
        if had:
            self.sent.append(self.clock.monotonic())
        return had

    def single(self, _: str, plan: Plan) -> None:
        came = self.clock.monotonic()
        if self.request(came + plan.patience):
            self.singles.append((came, self.clock.monotonic()))

    def update(self, model_id: str, plan: Plan) -> None:
        try:
            if self.undeploy(model_id, plan):
                self.clock.sleep(plan.job_seconds)
                self.deploy(model_id, plan)
        except Interrupted:
            pass
        finally:
            self.pacer.give_back("account", model_id)

    def undeploy(self, model_id: str, plan: Plan) -> bool:
        until = self.clock.monotonic() + plan.patience
        had = self.request(until, interrupted=plan.fate == "interrupted", holds=model_id)
        if had and plan.fate == "undeploy turned away":
            self.clock.sleep(1)
            had = self.request(until, holds=model_id, urgent=True)
        return had

    def deploy(self, model_id: str, plan: Plan) -> None:
        if plan.fate == "gives up":
            return
        before = self.clock.monotonic()
        assert self.request(before if self.can_hold else FOREVER, uses=model_id, urgent=True)
        if self.can_hold:
            self.deploys_waited.append(self.clock.monotonic() - before)
        if plan.fate == "deploy turned away":
            self.clock.sleep(1)
            assert self.request(FOREVER, uses=model_id, urgent=True)


limits = st.lists(
    st.builds(Limit, st.integers(1, 6), st.floats(0.5, 60).map(lambda seconds: round(seconds, 1))),
    min_size=1,
    max_size=3,
)
plans = st.lists(
    st.builds(
        Plan,
        st.floats(0, 60),
        st.booleans(),
        st.floats(0, 120),
        st.just(FOREVER) | st.floats(0, 200),
        st.sampled_from(["good", "good", "undeploy turned away", "deploy turned away", "gives up", "interrupted"]),
    ),
    min_size=1,
    max_size=25,
)


@given(limits, plans)
def test_no_window_ever_holds_more_than_its_limit_and_no_deploy_waits_once_its_undeploy_is_sent(
    limits: list[Limit], plans: list[Plan]
) -> None:
    threads = Threads(limits)
    threads.run(plans)
    for limit in limits:
        # 1e-6: the windows are cut from sums of floats.
        assert most_in_any(limit.seconds - 1e-6, threads.sent) <= limit.requests
    assert not any(threads.deploys_waited)
    singles = sorted(threads.singles)
    assert [went for _, went in singles] == sorted(went for _, went in singles)
    windows = threads.pacer._windows.get("account")
    assert windows is None or not (windows.held or windows.queue)


@given(st.integers(1, 5), st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_nobody_waits_without_need(requests: int, steps: list[float]) -> None:
    line = Line(Limit(requests, 30))
    sent: list[float] = []
    for later in steps:
        line.clock.now += later
        if line.waits():
            assert line.clock.now == pytest.approx(sent[-requests] + 31)
        sent.append(line.clock.now)


def test_threads_on_the_machine_s_clock_keep_to_the_limit_and_all_come_to_their_turn() -> None:
    pacer = Pacer(SystemClock(), [Limit(10, 0.1)])
    sent: list[float] = []
    begin = threading.Barrier(12)

    def update(model_id: str) -> None:
        begin.wait()
        assert pacer.take("account", FOREVER, untold, holds=model_id)
        sent.append(time.monotonic())
        assert pacer.take("account", 0, untold, uses=model_id, urgent=True), "it waits for nothing"
        sent.append(time.monotonic())

    threads = [threading.Thread(target=update, args=(f"cm-{number}",)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert len(sent) == 24
    assert most_in_any(1.0, sent) <= 10
    assert not pacer._windows["account"].held
