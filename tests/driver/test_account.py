from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.cost import US_EAST_1, Usage, lambda_usage, price
from aflint.driver.account import Account
from aflint.task import TaskId

SECOND = US_EAST_1.lambda_gb_second_x86
INVOCATION = US_EAST_1.lambda_request


def task(partition: int, stage: int = 0) -> TaskId:
    return TaskId("j", stage, partition, 0)


def test_what_runs_costs_its_memory_by_the_begun_millisecond() -> None:
    account = Account()
    account.started(task(0), 2.0, 1024)
    account.started(task(1), 3.0, 2048)
    assert account.spent(5.0) == pytest.approx(2 * INVOCATION + (3.001 + 2 * 2.001) * SECOND)
    assert account.running == 2


def test_what_ended_costs_what_was_billed() -> None:
    account = Account()
    account.started(task(0), 0.0, 1024)
    usage = lambda_usage(1.5, 1024) + Usage(sqs_requests=10, s3_put=2)
    account.finished(task(0), 2.0, usage)
    assert account.spent(100.0) == pytest.approx(price(usage).total)
    assert (account.running, account.silent) == (0, 0)


def test_what_was_throttled_costs_nothing() -> None:
    account = Account()
    account.started(task(0), 0.0, 1024)
    account.finished(task(0), 0.1, Usage())
    assert account.spent(1.0) == 0.0


def test_what_never_told_costs_the_time_that_is_known() -> None:
    account = Account(runs_on_s=900)
    account.started(task(0), 0.0, 1024)
    account.finished(task(0), 10.0, None)
    assert account.spent(500.0) == pytest.approx(INVOCATION + 10.001 * SECOND)
    assert account.silent == 1
    account.started(task(1), 100.0, 1024)
    assert account.tail(200.0) == pytest.approx((890 + 800) * SECOND)


def test_an_end_without_a_start_is_nothing() -> None:
    account = Account()
    account.finished(task(0), 1.0, lambda_usage(1, 1024))
    account.started(task(1), 1.0, 1024)
    account.finished(task(1), 2.0, lambda_usage(1, 1024))
    account.finished(task(1), 2.0, lambda_usage(1, 1024))
    assert account.spent(9.0) == pytest.approx(price(lambda_usage(1, 1024)).total)


def test_requests_are_expected_to_be_those_of_the_stage_so_far() -> None:
    account = Account()
    for partition in range(3):
        account.started(task(partition), 0.0, 1024)
    account.started(task(0, stage=1), 0.0, 1024)
    before = account.committed(1.0)
    assert before == account.spent(1.0)
    account.finished(task(0), 0.0, lambda_usage(0.001, 1024) + Usage(s3_put=100))
    assert account.committed(1.0) == pytest.approx(before - 1.0 * SECOND + 3 * 100 * 5e-6)
    assert account.entry(0, 1024) == pytest.approx(INVOCATION + 0.001 * SECOND + 100 * 5e-6)
    assert account.entry(1, 1024) == account.entry(7, 1024) < 1e-6


def test_nothing_running_never_reaches_a_sum() -> None:
    account = Account()
    assert account.reaches(1e-9) == math.inf
    account.started(task(0), 0.0, 1024)
    account.finished(task(0), 1.0, lambda_usage(1.0, 1024))
    assert account.reaches(1e-9) == -math.inf


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9), st.integers(0, 2), st.floats(0, 100), st.sampled_from([128, 10240])
        ),
        max_size=60,
    ),
    st.floats(1e-7, 10),
)
def test_sums_are_those_of_all_attempts_one_by_one(
    steps: list[tuple[int, int, float, int]], dollars: float
) -> None:
    """An attempt starts where none of its name runs, and else ends: known, unknown or throttled."""
    account, now = Account(), 0.0
    running: dict[TaskId, tuple[float, int]] = {}
    ended: list[float] = []
    for partition, how, passes, memory_mb in steps:
        now += passes
        id = task(partition)
        if id not in running:
            running[id] = now, memory_mb
            account.started(id, now, memory_mb)
            continue
        start, memory_mb = running.pop(id)
        known = lambda_usage(now - start, memory_mb)
        account.finished(id, now, (known, None, Usage())[how])
        if how < 2:
            ended.append(price(known).total)
    accrued = sum(
        INVOCATION + (now - start + 0.001) * memory_mb / 1024 * SECOND
        for start, memory_mb in running.values()
    )
    assert account.ended == pytest.approx(sum(ended), rel=1e-3, abs=3e-5)  # by the millisecond
    assert account.spent(now) - account.ended == pytest.approx(accrued, abs=1e-12)
    at = account.reaches(dollars)
    if running and at >= now:
        assert account.committed(at) == pytest.approx(dollars)
    elif running:
        assert account.committed(now) >= dollars * (1 - 1e-9)
