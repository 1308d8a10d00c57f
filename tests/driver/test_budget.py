"""Jobs that are stopped at their budget or deadline, on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from aflint.cost import US_EAST_1, Usage
from aflint.driver.budget import Watch
from aflint.driver.report import Reporter
from aflint.errors import BudgetExceededError, DeadlineExceededError, ThrottledError
from aflint.events import Event, JobEnded, JobStarted, StageInfo, TaskEnded, TaskStarted
from aflint.plan.planner import Job
from aflint.scheduler.loop import Scheduler
from aflint.task import TaskDescription, TaskId, TaskMetrics, TaskResult
from aflint.testing import (
    Answer,
    Fail,
    Hang,
    RecordingShuffles,
    ScriptedInvoker,
    Step,
    VirtualClock,
    succeeded,
)
from tests.scheduler.builders import flat_job, shuffle_job

SECOND = US_EAST_1.lambda_gb_second_x86
MEMORY_MB = 1024


def lasting(seconds: float, sqs_requests: int = 0) -> Callable[[TaskDescription], Step]:
    """Every attempt takes so long, and is billed for that."""

    def script(task: TaskDescription) -> Step:
        result = succeeded(task)
        billed = TaskMetrics(seconds, billed_seconds=seconds, sqs_requests=sqs_requests)
        return Answer(
            TaskResult(task.id, result.value, result.map_statuses, metrics=billed), seconds
        )

    return script


class World:
    def __init__(self, script: Callable[[TaskDescription], Step], slots: int) -> None:
        self.invoker = ScriptedInvoker(script, slots=slots)
        self.shuffles = RecordingShuffles()
        self.events: list[Event] = []
        self.asked = Usage()

    async def run(self, job: Job) -> int:
        count = job.result_stage.tasks
        async with self.scheduler.run(job) as running:
            return len([p async for p, _ in running.results(range(count))])

    def left(self) -> tuple[set[TaskId], set[tuple[str, int]]]:
        return self.invoker.running, self.shuffles.open_now

    @asynccontextmanager
    async def watched(
        self, budget_usd: float | None, deadline_s: float | None = None, runs_on_s: float = 0.0
    ) -> AsyncIterator[Scheduler]:
        reporter = Reporter(MEMORY_MB, estimate=False, asked=lambda: self.asked)

        def listen(event: Event) -> None:
            self.events.append(event)
            reporter(event)
            watch(event)

        self.scheduler = Scheduler(self.invoker, self.shuffles, listeners=[listen])
        watch = Watch(
            budget_usd,
            deadline_s,
            MEMORY_MB,
            estimate=False,
            runs_on_s=runs_on_s,
            driver_usd=lambda: price_of(reporter.uncharged),
            cancel=self.scheduler.cancel,
        )
        async with self.scheduler:
            yield self.scheduler


def price_of(usage: Usage) -> float:
    return usage.sqs_requests * US_EAST_1.sqs_request


async def test_one_long_task_is_stopped_before_it_costs_too_much(
    virtual_time: VirtualClock,
) -> None:
    world = World(lambda _: Hang(), slots=1)
    async with world.watched(100 * SECOND):
        with pytest.raises(BudgetExceededError) as caught:
            await world.run(shuffle_job(1, 1))
        assert world.left() == (set(), set())
    assert 99.9 < virtual_time.now < 99.96
    assert 99.9 * SECOND < caught.value.spent_usd <= 100 * SECOND
    message = str(caught.value)
    assert "job j (job j) was stopped before it would pass its budget of $0.00167" in message
    assert "it ran for 99.9 s, 0 of 2 tasks are done" in message
    assert "$0.00167 of it by attempts that were still running (1)" in message
    assert "Raise `budget_usd`" in message
    assert "more may be billed" not in message


async def test_many_at_once_cost_as_much_in_less_time(virtual_time: VirtualClock) -> None:
    world = World(lambda _: Hang(), slots=1000)
    async with world.watched(1000 * SECOND):
        with pytest.raises(BudgetExceededError):
            await world.run(flat_job(1000))
        assert world.left() == (set(), set())
    assert 0.9 < virtual_time.now < 1.0


async def test_what_ended_counts_and_a_job_that_keeps_to_its_budget_ends(
    virtual_time: VirtualClock,
) -> None:
    world = World(lasting(10), slots=2)
    async with world.watched(101 * SECOND):
        assert await world.run(flat_job(10)) == 10
        with pytest.raises(BudgetExceededError, match="10 of 12 tasks are done") as caught:
            await world.run(flat_job(12, "k"))
    assert 100 * SECOND <= caught.value.spent_usd <= 101 * SECOND
    assert virtual_time.now == pytest.approx(100.4, abs=0.1)


async def test_nothing_starts_that_cannot_be_paid_for() -> None:
    world = World(lasting(0.001, sqs_requests=1000), slots=1)
    async with world.watched(0.001):
        with pytest.raises(BudgetExceededError, match="2 of 9 tasks are done"):
            await world.run(flat_job(9))
    assert len(world.invoker.invoked) == 2  # a third would ask for another 0.0004
    world = World(lambda _: Hang(), slots=5)
    async with world.watched(1e-7):
        with pytest.raises(BudgetExceededError, match=r"0 of 5 tasks .* \$0 is spent"):
            await world.run(flat_job(5))
    assert world.invoker.invoked == []


async def test_a_launch_in_the_same_moment_is_not_invoked() -> None:
    world = World(lambda _: Hang(), slots=50)
    async with world.watched(5e-7):
        with pytest.raises(BudgetExceededError):
            await world.run(flat_job(50))
    assert world.invoker.invoked == []
    started = [event for event in world.events if isinstance(event, TaskStarted)]
    assert len(started) == 50


async def test_the_drivers_requests_count() -> None:
    world = World(lasting(1), slots=1)
    world.asked = Usage(sqs_requests=1_000_000)
    async with world.watched(0.4 + 1.5 * SECOND):
        with pytest.raises(BudgetExceededError, match="1 of 3 tasks"):
            await world.run(flat_job(3))


async def test_throttled_calls_cost_nothing_and_lost_ones_their_time(
    virtual_time: VirtualClock,
) -> None:
    def script(task: TaskDescription) -> Step:
        return Fail(ThrottledError("429"), delay=100) if task.id.attempt < 5 else Hang()

    world = World(script, slots=1)
    async with world.watched(150 * SECOND):
        with pytest.raises(BudgetExceededError):
            await world.run(flat_job(1))
    assert virtual_time.now > 600


async def test_what_cannot_be_stopped_is_told() -> None:
    world = World(lambda _: Hang(), slots=2)
    async with world.watched(200 * SECOND, runs_on_s=900):
        with pytest.raises(BudgetExceededError, match=r"at most \$0.0267 more may be billed"):
            await world.run(flat_job(2))  # both have 800 s left


async def test_a_deadline_is_wall_clock(virtual_time: VirtualClock) -> None:
    world = World(lambda task: lasting(40)(task), slots=1)
    async with world.watched(None, deadline_s=60):
        with pytest.raises(DeadlineExceededError) as caught:
            await world.run(shuffle_job(1, 1))
        assert world.left() == (set(), set())
        assert virtual_time.now == pytest.approx(60)
    message = str(caught.value)
    assert "job j (job j) was stopped at its deadline of 60 s: it ran for 60.0 s" in message
    assert "1 of 2 tasks are done" in message
    assert caught.value.spent_usd == pytest.approx(60 * SECOND, rel=1e-2)
    assert "Raise `deadline_s`" in message


async def test_other_jobs_go_on(virtual_time: VirtualClock) -> None:
    def script(task: TaskDescription) -> Step:
        return Hang() if task.id.job == "dear" else lasting(30)(task)

    world = World(script, slots=8)
    async with world.watched(100 * SECOND), asyncio.TaskGroup() as group:
        cheap = group.create_task(world.run(flat_job(3, "cheap")))
        with pytest.raises(BudgetExceededError, match="job dear"):
            await world.run(flat_job(5, "dear"))
        assert virtual_time.now == pytest.approx(20, abs=0.1)
    assert cheap.result() == 3


async def test_a_job_that_is_over_leaves_no_timer(virtual_time: VirtualClock) -> None:
    world = World(lasting(1), slots=1)
    async with world.watched(50 * SECOND, deadline_s=1000):
        assert await world.run(flat_job(2)) == 2
        await asyncio.sleep(5000)
        ended = [event for event in world.events if isinstance(event, JobEnded)]
        assert [event.error for event in ended] == [""]
        assert await world.run(flat_job(2)) == 2


async def test_one_timer_is_set_however_many_tasks_there_are() -> None:
    scheduled: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    stopped: list[str] = []
    watch = Watch(1.0, 50.0, MEMORY_MB, False, 0.0, lambda: 0.0, lambda job, _: stopped.append(job))
    watch(JobStarted("j", "j", (StageInfo(0, "s", 1000),)))
    for partition in range(1000):
        watch(TaskStarted(TaskId("j", 0, partition, 0), False, MEMORY_MB))
    for partition in range(1000):
        id = TaskId("j", 0, partition, 0)
        watch(TaskEnded(id, True, "", TaskMetrics(billed_seconds=0.001), ""))
        assert len([handle for handle in scheduled if not handle.cancelled()]) == 1
    watch(JobEnded("j", ""))
    assert not [handle for handle in scheduled if not handle.cancelled()]
    assert stopped == []
