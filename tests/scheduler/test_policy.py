from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint import errors
from aflint.scheduler.policy import Concurrency, Durations, Policy, Verdict


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        (errors.WorkerLostError, Verdict.RETRY),
        (errors.OutOfMemoryError, Verdict.RETRY),
        (errors.TimedOutError, Verdict.RETRY),
        (errors.ThrottledError, Verdict.LATER),
        (errors.FetchFailedError, Verdict.REFETCH),
        (errors.TaskError, Verdict.FAIL),
        (errors.UncuttableTaskError, Verdict.FAIL),
        (errors.InternalError, Verdict.FAIL),
        (errors.InputError, Verdict.FAIL),
        (ValueError, Verdict.FAIL),
    ],
)
def test_the_class_of_an_error_decides(kind: type[BaseException], verdict: Verdict) -> None:
    assert Policy().judge(kind) is verdict


def test_backoff_depends_on_seed_and_task_alone() -> None:
    assert Policy(seed=1).backoff(3, "a") == Policy(seed=1).backoff(3, "a")
    assert Policy(seed=1).backoff(3, "a") != Policy(seed=2).backoff(3, "a")
    assert Policy(seed=1).backoff(3, "a") != Policy(seed=1).backoff(3, "b")


def test_backoff_is_bounded_however_long_it_lasts() -> None:
    policy = Policy(throttle_base_s=0.5, throttle_max_s=30)
    assert 15 <= policy.backoff(10_000, "a") <= 30
    assert 0.25 <= policy.backoff(1, "a") <= 0.5


@pytest.mark.parametrize(
    ("base", "kills", "expected"),
    [(512, 0, 512), (512, 1, 1024), (512, 9, 2048), (2048, 3, 2048), (0, 1, 512)],
)
def test_memory_sizes(base: int, kills: int, expected: int) -> None:
    assert Policy(memory_sizes_mb=(512, 1024, 2048)).memory_mb(base, kills) == expected


def test_memory_stays_where_there_are_no_sizes() -> None:
    assert Policy().memory_mb(700, 3) == 700


def test_a_straggler_is_known_only_past_the_quantile() -> None:
    policy = Policy(speculation=True, speculation_quantile=0.5, speculation_multiplier=3)
    assert policy.straggles_after(durations(4.0), 4) is None
    assert policy.straggles_after(durations(5.0, 4.0), 4) == 15.0
    assert policy.straggles_after(durations(0.01, 0.01), 4) == policy.speculation_min_s
    assert policy.straggles_after(durations(), 0) is None


@given(st.lists(st.floats(0, 10), min_size=1))
def test_the_median_of_durations_is_the_one_in_the_middle(seconds: list[float]) -> None:
    assert durations(*seconds).median == sorted(seconds)[len(seconds) // 2]


def durations(*seconds: float) -> Durations:
    found = Durations()
    for each in seconds:
        found.add(each)
    return found


def fill(concurrency: Concurrency, now: float) -> int:
    count = 0
    while concurrency.has_room(now):
        concurrency.launched(now)
        count += 1
    return count


RAMPED = Policy(ramp_burst=100, ramp_environments=1000, ramp_s=10)


def test_without_a_ramp_all_slots_fill_at_once() -> None:
    assert fill(Concurrency(Policy(), 5000), 0) == 5000


def test_environments_ramp_up() -> None:
    concurrency = Concurrency(RAMPED, 5000)
    assert fill(concurrency, 0) == 100
    assert concurrency.opens_at(0) == pytest.approx(0.1)
    assert fill(concurrency, 0.5) == 50
    assert fill(concurrency, 1000) == 100, "the bucket holds no more than the burst"


def test_an_idle_environment_needs_no_ramp() -> None:
    concurrency = Concurrency(RAMPED, 5000)
    fill(concurrency, 0)
    for _ in range(40):
        concurrency.ended(0)
    assert fill(concurrency, 0) == 40


def test_environments_are_gone_after_long_idleness() -> None:
    concurrency = Concurrency(Policy(ramp_burst=10, environment_idle_s=300), 50)
    fill(concurrency, 0)
    fill(concurrency, 1)
    for _ in range(20):
        concurrency.ended(1)
    assert fill(concurrency, 302) == 10


def test_the_ramp_opens_only_where_it_is_what_waits() -> None:
    concurrency = Concurrency(RAMPED, 10)
    assert concurrency.opens_at(0) is None
    fill(concurrency, 0)
    assert concurrency.opens_at(0) is None


def test_throttles_never_stop_everything() -> None:
    concurrency = Concurrency(Policy(), 8)
    for now in range(1, 50):
        concurrency.launched(now)
        concurrency.throttled(now, now)
        concurrency.ended(now)
    assert concurrency.limit == 1
