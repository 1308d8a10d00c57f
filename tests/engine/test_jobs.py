"""Jobs side by side, plain functions, cancelling, and the life of a session."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import sys
import time
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest

import aflint
from aflint import (
    ClosureError,
    InvalidArgumentError,
    JobCancelledError,
    Session,
    SessionError,
    TaskError,
    task_context,
)
from tests.engine.conftest import Flag
from tests.engine.shuffles import removed

pytestmark = pytest.mark.asyncio(loop_scope="module")


def hang(flag: str) -> int:
    """Run in a task: say that it is in the middle, and stay there."""
    with open(flag, "wb", buffering=0) as file:
        file.write(b"!")
    time.sleep(600)
    return 0


async def test_map_runs_plain_functions(session: Session) -> None:
    assert await session.map(lambda x: x * x, range(5)) == [0, 1, 4, 9, 16]
    assert await session.map(str, []) == []
    assert await session.map(lambda x: [x], iter("ab")) == [["a"], ["b"]]
    found = [value async for value in session.as_completed(lambda x: x * x, [3, 1, 2])]
    assert sorted(found) == [1, 4, 9]
    assert [value async for value in session.as_completed(str, [])] == []
    assert session.last_job is not None
    with pytest.raises(InvalidArgumentError, match="needs a function"):
        await session.map(3, [1])  # type: ignore[arg-type]


async def test_map_says_which_call_failed(session: Session) -> None:
    def divide(x: int) -> int:
        return 1 // x

    with pytest.raises(TaskError, match="ZeroDivisionError") as caught:
        await session.map(divide, [1, 0, 2])
    assert caught.value.partition == 1
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "return 1 // x" in caught.value.remote_traceback
    with pytest.raises(TaskError):
        async for _ in session.as_completed(divide, [0]):
            pass
    assert await session.map(divide, [1]) == [1]


async def test_jobs_run_side_by_side_in_nested_groups(session: Session) -> None:
    async def sums(count: int) -> list[int]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(session.range(10).map(lambda x, n=n: x + n).sum())  # type: ignore[misc]
                for n in range(count)
            ]
        return [task.result() for task in tasks]

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(sums(count)) for count in range(4)]
    assert [task.result() for task in tasks] == [[], [45], [45, 55], [45, 55, 65]]


async def test_a_cancelled_job_leaves_another_alone(session: Session, flag: Flag) -> None:
    started = flag.path
    stuck = session.range(8, num_slices=8).map(lambda x: (x, hang(started))).group_by_key()
    sums = session.range(100, num_slices=6).map(lambda x: (x % 2, x)).reduce_by_key(int.__add__)
    async with asyncio.TaskGroup() as group:
        one = group.create_task(stuck.collect())
        other = group.create_task(sums.collect())
        await flag.wait()
        one.cancel()
    assert sorted(other.result()) == [(0, 2450), (1, 2500)]
    assert one.cancelled()
    await removed(session, 1)  # what the other made is kept for as long as there is its RDD
    del sums
    await removed(session, 0)
    assert await session.range(3).count() == 3


async def test_a_failing_job_cancels_its_group(session: Session, flag: Flag) -> None:
    started = flag.path

    async def fail() -> None:
        await flag.wait()
        await session.range(2).map(lambda x: 1 // x).collect()

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(session.range(1).map(lambda _: hang(started)).collect())
            group.create_task(fail())

    with pytest.raises(ExceptionGroup) as caught:
        await both()
    assert [type(error) for error in caught.value.exceptions] == [TaskError]


async def test_session_cancel(session: Session, flag: Flag) -> None:
    started = flag.path
    job = asyncio.create_task(session.range(1).map(lambda _: hang(started)).collect())
    await flag.wait()
    assert session.last_job is not None
    assert session.last_job.running
    assert session.cancel(session.last_job.id)
    with pytest.raises(JobCancelledError, match="cancelled"):
        await job
    assert not session.cancel()
    assert not session.cancel("no such job")
    again = asyncio.create_task(session.range(1).map(lambda _: hang(started)).collect())
    await flag.wait()
    assert session.cancel(reason=JobCancelledError("enough"))
    with pytest.raises(JobCancelledError, match="enough"):
        await again


async def test_a_deadline_stops_a_job(tmp_path: Path) -> None:
    async with aflint.connect(workers=1, progress=False, deadline_s=0.5) as session:
        with pytest.raises(
            aflint.DeadlineExceededError, match=r"0 of 1 tasks are done, and \$0"
        ) as e:
            await session.range(1).map(lambda _: time.sleep(600)).collect()
        assert e.value.spent_usd > 0
        assert not session.cancel()


async def test_a_budget_stops_a_single_long_task(tmp_path: Path) -> None:
    budget = 2e-5  # 0.7 s of the default function
    scratch = str(tmp_path)
    async with aflint.connect(
        workers=1, progress=False, budget_usd=budget, scratch_dir=scratch
    ) as session:
        with pytest.raises(aflint.BudgetExceededError, match="0 of 1 tasks are done") as caught:
            await session.range(1).map(lambda _: time.sleep(600)).collect()
        assert 0.5 * budget < caught.value.spent_usd <= budget
        assert not session.cancel()
    assert os.listdir(tmp_path) == []


async def test_a_budget_stops_a_shuffle_and_leaves_nothing(tmp_path: Path) -> None:
    async with aflint.connect(
        workers=2, progress=False, budget_usd=5e-5, scratch_dir=str(tmp_path)
    ) as session:
        pairs = session.range(8, num_slices=4).map(lambda x: (x, x)).group_by_key(2)
        with pytest.raises(aflint.BudgetExceededError, match="4 of 6 tasks are done"):
            await pairs.map(lambda _: time.sleep(600)).collect()
        assert not session.cancel()
        await removed(session, 1)  # its map stage was done: another job need not run that again
        del pairs
        await removed(session, 0)


async def test_a_session_is_as_good_as_new_after_errors(session: Session) -> None:
    for _ in range(3):
        with pytest.raises(TaskError):
            await session.range(4, num_slices=4).map(lambda x: (1 // x, x)).group_by_key().count()
        assert await session.range(4).map(lambda x: (x, x)).group_by_key().count() == 4


async def test_the_life_of_a_session(tmp_path: Path) -> None:
    early = aflint.connect(workers=1, progress=False, scratch_dir=str(tmp_path))
    with pytest.raises(SessionError, match="enter the session first"):
        early.range(3)
    async with early:
        numbers = early.range(3)
        large = early.parallelize([os.urandom(1000) for _ in range(1000)], 1)
        with pytest.raises(SessionError, match="only once"):
            await early.__aenter__()
    for rdd in (numbers, large):
        with pytest.raises(SessionError, match="closed"):
            await rdd.count()
    with pytest.raises(SessionError, match="closed"):
        early.parallelize([1])
    with pytest.raises(SessionError, match="closed"):
        early.broadcast(1)
    with pytest.raises(SessionError, match="closed"):
        await early.map(str, [1])
    assert os.listdir(tmp_path) == []


async def test_leaving_a_session_cancels_its_jobs(tmp_path: Path, flag: Flag) -> None:
    started = flag.path
    async with aflint.connect(workers=1, progress=False, scratch_dir=str(tmp_path / "s")) as brief:
        job = asyncio.create_task(brief.range(1).map(lambda _: hang(started)).collect())
        await flag.wait()
    with pytest.raises(JobCancelledError, match="session"):
        await job
    assert not (tmp_path / "s").exists()


async def test_two_sessions(session: Session, tmp_path: Path) -> None:
    async with aflint.connect(workers=1, progress=False, scratch_dir=str(tmp_path)) as other:
        assert await other.range(3).sum() == await session.range(3).sum()
        for method in ("union", "zip", "cartesian", "join", "cogroup", "subtract", "intersection"):
            with pytest.raises(InvalidArgumentError, match="different sessions"):
                getattr(session.range(3), method)(other.range(3))


async def test_what_cannot_travel(session: Session) -> None:
    numbers = session.range(3)
    lock: Any = __import__("threading").Lock()
    with pytest.raises(ClosureError, match=r"collect at test_jobs\.py.*: closure variable 'lock'"):
        await numbers.map(lambda x: (x, lock)).collect()
    with pytest.raises(ClosureError, match=r"closure variable 'numbers'.*only the driver can run"):
        await numbers.map(lambda x: numbers.count()).collect()
    with pytest.raises(ClosureError, match="a session cannot be used inside a function"):
        await numbers.map(lambda x: session.range(x)).collect()
    with pytest.raises(aflint.SerializationError, match="lock"):
        session.parallelize([1, lock])
    with pytest.raises(aflint.SerializationError, match=r"record 0.*lock"):
        await numbers.map(lambda x: __import__("threading").Lock()).collect()


async def test_tasks_know_where_they_run(session: Session) -> None:
    where = session.range(4, num_slices=2).map(
        lambda _: (task_context().partition, task_context().stage, task_context().attempt)
    )
    assert await where.collect() == [(0, 0, 0)] * 2 + [(1, 0, 0)] * 2
    with pytest.raises(SessionError, match="no task"):
        task_context()


async def test_output_of_tasks_is_shown_when_asked_for() -> None:
    def speak(x: int) -> int:
        print("printed", x)
        sys.stderr.write("to stderr\n")
        logging.getLogger("mine").info("logged %d", x)
        return 1 // x

    shown = io.StringIO()
    with redirect_stderr(shown):
        async with aflint.connect(workers=1, progress=False, task_logs=True) as session:
            with pytest.raises(TaskError):
                await session.range(2, num_slices=2).map(speak).collect()
            await session.range(1, 2, num_slices=1).map(speak).collect()
    mark = f"[{session.id}-2 stage 0, partition 0] "
    for line in ("printed 1", "to stderr", "INFO mine: logged 1"):
        assert f"{mark}{line}\n" in shown.getvalue()
    assert "partition 0] printed 0" in shown.getvalue(), "of a task that failed, too"


async def test_output_of_tasks_is_dropped_otherwise(
    session: Session, capfd: pytest.CaptureFixture[str]
) -> None:
    await session.range(3).map(print).count()
    await session.range(3).map(lambda _: sys.stdout.flush()).count()
    assert capfd.readouterr() == ("", "")


async def test_reports(session: Session) -> None:
    await session.range(100, num_slices=3).map(lambda x: (x % 3, x)).reduce_by_key(max).collect()
    report = session.last_job
    assert report is not None
    assert not report.running
    assert (report.tasks, report.attempts, report.failed_attempts, report.error) == (6, 6, 0, "")
    assert report.metrics.shuffle_write_frames == report.metrics.shuffle_read_frames > 0
    assert report.cost.total > 0
    assert report.name.startswith("collect at test_jobs.py")
    with pytest.raises(TaskError):
        await session.range(1).map(lambda x: 1 // x).collect()
    assert session.last_job is not None
    assert "ZeroDivisionError" in session.last_job.error
