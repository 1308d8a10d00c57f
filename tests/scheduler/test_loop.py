"""The asyncio shell: contexts, cancellation, clean-up, and what is raised where."""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
from collections.abc import Callable

import pytest

from aflint import errors, events
from aflint.plan.planner import Job
from aflint.scheduler.loop import RunningJob, Scheduler
from aflint.scheduler.policy import Policy
from aflint.task import TaskDescription, TaskFailure, TaskResult
from aflint.testing import (
    Answer,
    Fail,
    Hang,
    RecordingShuffles,
    ScriptedInvoker,
    Step,
    VirtualClock,
    succeed,
    succeeded,
)
from tests.scheduler.builders import flat_job, shuffle_job, task_id

LOST = errors.WorkerLostError("signal 9")


async def collect(job: RunningJob, count: int) -> list[int]:
    return [partition async for partition, _ in job.results(range(count))]


async def run(scheduler: Scheduler, job: Job) -> list[int]:
    async with scheduler.run(job) as running:
        return await collect(running, job.result_stage.tasks)


def by_partition(steps: dict[int, Step]) -> Callable[[TaskDescription], Step]:
    return lambda task: steps.get(task.id.partition, Answer())


async def test_results_come_in_order_of_completion(virtual_time: VirtualClock) -> None:
    invoker = ScriptedInvoker(by_partition({0: Answer(delay=3), 1: Answer(delay=1)}))
    async with Scheduler(invoker, RecordingShuffles()) as scheduler:
        assert await run(scheduler, flat_job(3)) == [2, 1, 0]
    assert virtual_time.now == pytest.approx(3)


async def test_a_job_of_two_stages() -> None:
    invoker, shuffles = ScriptedInvoker(), RecordingShuffles()
    async with Scheduler(invoker, shuffles) as scheduler:
        assert sorted(await run(scheduler, shuffle_job(3, 2))) == [0, 1]
        assert shuffles.closed == [("j", 7)]
    assert len(invoker.invoked) == 5


async def test_more_can_be_asked_for_and_the_map_stage_is_reused() -> None:
    invoker = ScriptedInvoker()
    async with (
        Scheduler(invoker, RecordingShuffles()) as scheduler,
        scheduler.run(shuffle_job(2, 4)) as job,
    ):
        assert [p async for p, _ in job.results([0])] == [0]
        assert sorted([p async for p, _ in job.results([1, 2])]) == [1, 2]
        assert [p async for p, _ in job.results([])] == []
    assert len(invoker.invoked) == 5


async def test_partitions_asked_for_twice_come_once_and_on_request_again() -> None:
    async with (
        Scheduler(ScriptedInvoker(), RecordingShuffles()) as scheduler,
        scheduler.run(flat_job(2)) as job,
    ):
        assert [p async for p, _ in job.results([1, 1])] == [1]
        assert [p async for p, _ in job.results([1])] == [1]


async def test_two_readers_may_want_the_same_partition() -> None:
    invoker = ScriptedInvoker(lambda _: Answer(delay=1))
    async with (
        Scheduler(invoker, RecordingShuffles()) as scheduler,
        scheduler.run(flat_job(2)) as job,
        asyncio.TaskGroup() as group,
    ):
        readers = [group.create_task(collect(job, 2)) for _ in range(2)]
    assert [sorted(reader.result()) for reader in readers] == [[0, 1], [0, 1]]
    assert len(invoker.invoked) == 2


async def test_a_partition_that_is_not_there_is_an_argument_error() -> None:
    async with (
        Scheduler(ScriptedInvoker(), RecordingShuffles()) as scheduler,
        scheduler.run(flat_job(2)) as job,
    ):
        with pytest.raises(errors.InvalidArgumentError, match="no partition 2: it has 2"):
            await anext(job.results([2]))


async def test_jobs_run_side_by_side(virtual_time: VirtualClock) -> None:
    invoker = ScriptedInvoker(lambda _: Answer(delay=1), slots=10)
    async with (
        Scheduler(invoker, RecordingShuffles()) as scheduler,
        asyncio.TaskGroup() as group,
    ):
        jobs = [group.create_task(run(scheduler, flat_job(5, name))) for name in "ab"]
    assert [len(job.result()) for job in jobs] == [5, 5]
    assert virtual_time.now == pytest.approx(1)


async def test_one_id_runs_once_at_a_time() -> None:
    async with Scheduler(ScriptedInvoker(), RecordingShuffles()) as scheduler:
        async with scheduler.run(flat_job(1)):
            with pytest.raises(errors.InvalidArgumentError, match="running already"):
                async with scheduler.run(flat_job(1)):
                    pass
        assert await run(scheduler, flat_job(1)) == [0]


async def test_a_lost_worker_is_replaced() -> None:
    def script(task: TaskDescription) -> Step:
        return Fail(LOST) if task.id.attempt == 0 else Answer()

    async with Scheduler(ScriptedInvoker(script), RecordingShuffles()) as scheduler:
        assert sorted(await run(scheduler, flat_job(3))) == [0, 1, 2]


async def test_throttles_are_waited_out(virtual_time: VirtualClock) -> None:
    def script(task: TaskDescription) -> Step:
        return Answer() if task.id.attempt > 7 else Fail(errors.ThrottledError("429"))

    async with Scheduler(ScriptedInvoker(script), RecordingShuffles()) as scheduler:
        assert await run(scheduler, flat_job(1)) == [0]
    assert virtual_time.now > 10


async def test_a_straggler_is_overtaken_and_stopped(virtual_time: VirtualClock) -> None:
    def script(task: TaskDescription) -> Step:
        return Hang() if task.id.partition == 3 and task.id.attempt == 0 else Answer(delay=10)

    invoker = ScriptedInvoker(script)
    policy = Policy(speculation=True, speculation_multiplier=2.0)
    async with Scheduler(invoker, RecordingShuffles(), policy) as scheduler:
        assert sorted(await run(scheduler, flat_job(4))) == [0, 1, 2, 3]
    assert invoker.stopped == [task_id(0, 3)]
    assert virtual_time.now == pytest.approx(30)


def user_error() -> TaskFailure:
    return TaskFailure(
        "TaskError",
        "ValueError: bad row",
        {"partition": 1, "remote_traceback": "Traceback ..."},
        pickle.dumps(ValueError("bad row")),
    )


async def test_a_user_error_carries_the_users_exception() -> None:
    invoker = ScriptedInvoker(by_partition({0: Hang(), 1: Fail(user_error())}))
    async with Scheduler(invoker, RecordingShuffles()) as scheduler:
        with pytest.raises(errors.TaskError, match="bad row") as caught:
            await run(scheduler, flat_job(2))
        assert isinstance(caught.value.__cause__, ValueError)
        assert (caught.value.partition, caught.value.remote_traceback) == (1, "Traceback ...")
        assert invoker.running == set()


@pytest.mark.parametrize("pickled", [b"", b"junk", pickle.dumps("no exception")])
async def test_an_exception_that_cannot_be_unpickled_is_left_out(pickled: bytes) -> None:
    failure = TaskFailure("TaskError", "boom", {}, pickled)
    invoker = ScriptedInvoker(lambda _: Fail(failure))
    async with Scheduler(invoker, RecordingShuffles()) as scheduler:
        with pytest.raises(errors.TaskError, match="boom") as caught:
            await run(scheduler, flat_job(1))
    assert caught.value.__cause__ is None
    assert (caught.value.partition, caught.value.remote_traceback) == (-1, "")


async def test_after_a_failure_nothing_more_can_be_had() -> None:
    invoker = ScriptedInvoker(lambda _: Fail(user_error()))
    async with (
        Scheduler(invoker, RecordingShuffles()) as scheduler,
        scheduler.run(flat_job(1)) as job,
    ):
        for _ in range(2):
            with pytest.raises(errors.TaskError):
                await collect(job, 1)


async def test_a_fault_of_the_invoker_is_an_internal_error() -> None:
    invoker = ScriptedInvoker(lambda _: Fail(ZeroDivisionError("oops")))
    async with Scheduler(invoker, RecordingShuffles()) as scheduler:
        with pytest.raises(errors.InternalError, match="oops") as caught:
            await run(scheduler, flat_job(1))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_a_shuffle_that_does_not_open_fails_the_job() -> None:
    shuffles = RecordingShuffles(open_error=errors.DiskFullError("no room"))
    async with Scheduler(ScriptedInvoker(), shuffles) as scheduler:
        with pytest.raises(errors.DiskFullError):
            await run(scheduler, shuffle_job(1, 1))
        shuffles.open_error = OSError("what")
        with pytest.raises(errors.InternalError, match="what"):
            await run(scheduler, shuffle_job(1, 1))


async def test_a_shuffle_that_does_not_close_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    shuffles = RecordingShuffles(close_error=OSError("stuck"))
    async with Scheduler(ScriptedInvoker(), shuffles) as scheduler:
        assert await run(scheduler, shuffle_job(1, 1)) == [0]
    assert "shuffle 7 of job j was not removed" in caplog.text


async def test_leaving_early_stops_what_runs_and_closes_shuffles(
    virtual_time: VirtualClock,
) -> None:
    invoker = ScriptedInvoker(lambda t: Answer() if t.id.stage == 0 else Hang(), slots=8)
    shuffles = RecordingShuffles(close_s=5)
    async with Scheduler(invoker, shuffles) as scheduler:
        async with scheduler.run(shuffle_job(2, 4)) as job:
            reading = asyncio.ensure_future(collect(job, 4))
            await asyncio.sleep(1)
        assert (len(invoker.stopped), invoker.running, shuffles.open_now) == (4, set(), set())
        with pytest.raises(errors.JobCancelledError, match="context was left"):
            await reading
    assert virtual_time.now == pytest.approx(6)


async def test_cancelling_who_waits_cleans_up_and_leaves_the_other_alone() -> None:
    def script(task: TaskDescription) -> Step:
        return Answer(delay=10) if task.id.stage == 0 else Answer(delay=100)

    invoker, shuffles = ScriptedInvoker(script, slots=20), RecordingShuffles(close_s=1)
    async with Scheduler(invoker, shuffles) as scheduler, asyncio.TaskGroup() as group:
        jobs = [group.create_task(run(scheduler, shuffle_job(2, 2, name))) for name in "ab"]
        await asyncio.sleep(50)
        jobs[0].cancel()
        await asyncio.wait([jobs[0]])
        assert jobs[0].cancelled()
        assert {id.job for id in invoker.stopped} == {"a"}
        assert shuffles.open_now == {("b", 7)}
    assert sorted(jobs[1].result()) == [0, 1]


async def test_clean_up_survives_a_second_cancellation(virtual_time: VirtualClock) -> None:
    shuffles = RecordingShuffles(close_s=5)
    invoker = ScriptedInvoker(lambda t: Answer() if t.id.stage == 0 else Hang())
    async with Scheduler(invoker, shuffles) as scheduler:
        job = asyncio.ensure_future(run(scheduler, shuffle_job(1, 1)))
        await asyncio.sleep(1)
        for _ in range(3):
            job.cancel()
            await asyncio.sleep(1)
        assert not job.done()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert shuffles.open_now == set()
    assert virtual_time.now == pytest.approx(6)


async def test_cancel_raises_in_the_consumer() -> None:
    invoker = ScriptedInvoker(lambda _: Hang())
    async with Scheduler(invoker, RecordingShuffles()) as scheduler, asyncio.TaskGroup() as group:

        async def expect(id: str, error: type[Exception], match: str) -> None:
            with pytest.raises(error, match=match):
                await run(scheduler, flat_job(1, id))

        group.create_task(expect("a", errors.JobCancelledError, "job a was cancelled"))
        group.create_task(expect("b", errors.BudgetExceededError, "too dear"))
        await asyncio.sleep(1)
        assert scheduler.cancel("a")
        assert scheduler.cancel("b", errors.BudgetExceededError("too dear"))
        assert not scheduler.cancel("c")
    assert len(invoker.stopped) == 2


async def test_leaving_the_scheduler_cancels_its_jobs() -> None:
    invoker, shuffles = ScriptedInvoker(lambda _: Hang()), RecordingShuffles()
    async with Scheduler(invoker, shuffles) as scheduler:
        job = asyncio.ensure_future(run(scheduler, shuffle_job(2, 1)))
        await asyncio.sleep(1)
    with pytest.raises(errors.JobCancelledError, match="session ended"):
        await job
    assert (len(invoker.stopped), shuffles.open_now) == (2, set())


async def test_an_exception_passes_through_the_scheduler_as_it_is() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with Scheduler(ScriptedInvoker(), RecordingShuffles()):
            raise KeyError("mine")


async def test_a_scheduler_works_only_inside_its_context() -> None:
    scheduler = Scheduler(ScriptedInvoker(), RecordingShuffles())
    with pytest.raises(errors.SessionError):
        await run(scheduler, flat_job(1))
    async with scheduler:
        pass
    with pytest.raises(errors.SessionError):
        await run(scheduler, flat_job(1))


async def test_accepted_results_are_told_once() -> None:
    accepted: list[tuple[TaskResult, bool]] = []
    job = shuffle_job(2, 1)
    async with (
        Scheduler(ScriptedInvoker(), RecordingShuffles()) as scheduler,
        scheduler.run(job, on_accept=lambda r, first: accepted.append((r, first))) as running,
    ):
        await collect(running, 1)
    assert [(r.id.stage, r.id.partition, first) for r, first in accepted] == [
        (0, 0, True),
        (0, 1, True),
        (1, 0, True),
    ]


async def test_what_accepting_raises_fails_the_job() -> None:
    def refuse(result: TaskResult, first: bool) -> None:
        raise ValueError("cannot add")

    async with (
        Scheduler(ScriptedInvoker(), RecordingShuffles()) as scheduler,
        scheduler.run(flat_job(2), on_accept=refuse) as running,
    ):
        with pytest.raises(ValueError, match="cannot add"):
            await collect(running, 2)


async def test_a_failing_listener_is_logged_once_and_hurts_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def listener(event: events.Event) -> None:
        raise ValueError("bad listener")

    caplog.set_level(logging.ERROR)
    async with Scheduler(ScriptedInvoker(), RecordingShuffles(), listeners=[listener]) as scheduler:
        assert await run(scheduler, flat_job(1)) == [0]
    assert len([r for r in caplog.records if "listener failed" in r.message]) == 1


async def test_a_listener_may_cancel_its_job() -> None:
    def listener(event: events.Event) -> None:
        if isinstance(event, events.TaskEnded):
            scheduler.cancel(event.id.job)

    scheduler = Scheduler(ScriptedInvoker(slots=1), RecordingShuffles(), listeners=[listener])
    async with scheduler:
        with pytest.raises(errors.JobCancelledError):
            await run(scheduler, flat_job(5))


async def test_the_last_event_says_how_it_ended() -> None:
    seen: list[events.Event] = []
    async with Scheduler(
        ScriptedInvoker(), RecordingShuffles(), listeners=[seen.append]
    ) as scheduler:
        await run(scheduler, flat_job(1))
        assert seen[-1] == events.JobEnded("j", "")
        with pytest.raises(KeyError):
            async with scheduler.run(flat_job(1)):
                raise KeyError("mine")
        assert seen[-1] == events.JobEnded("j", "KeyError: 'mine'")


async def test_slots_may_grow_while_jobs_run() -> None:
    def script(task: TaskDescription) -> Step:
        invoker.slots = 4
        return Answer(delay=1)

    invoker = ScriptedInvoker(script, slots=1)
    async with Scheduler(invoker, RecordingShuffles()) as scheduler:
        assert len(await run(scheduler, flat_job(9))) == 9
    assert invoker.peak == 4


async def test_a_fault_in_the_scheduler_fails_its_jobs(caplog: pytest.LogCaptureFixture) -> None:
    def script(task: TaskDescription) -> Step:
        return Answer(TaskResult(task.id, map_statuses=("no status",)))  # type: ignore[arg-type]

    async with Scheduler(ScriptedInvoker(script), RecordingShuffles()) as scheduler:
        with pytest.raises(errors.InternalError, match="please report it"):
            await run(scheduler, shuffle_job(1, 1))
        with pytest.raises(errors.InternalError):
            await run(scheduler, flat_job(1))
    assert "the scheduler failed; its last stimuli, oldest first" in caplog.text
    assert "AttemptEnded j/" in caplog.text


async def test_thousands_run_at_once() -> None:
    invoker = ScriptedInvoker(lambda _: Answer(delay=1), slots=5000)
    async with Scheduler(invoker, RecordingShuffles()) as scheduler:
        assert len(await run(scheduler, flat_job(5000))) == 5000
    assert invoker.peak == 5000


async def test_attempts_that_follow_each_other_in_a_slot_share_a_task_of_the_loop() -> None:
    tasks = set()

    def script(task: TaskDescription) -> Step:
        tasks.add(asyncio.current_task())
        return Fail(LOST) if task.id.attempt == 0 else Answer()

    async with Scheduler(ScriptedInvoker(script, slots=3), RecordingShuffles()) as scheduler:
        assert len(await run(scheduler, flat_job(20))) == 20
    assert len(tasks) == 3


async def test_an_attempt_that_is_stopped_before_it_begins_is_not_invoked() -> None:
    started: list[int] = []

    def listener(event: events.Event) -> None:
        if isinstance(event, events.TaskStarted):
            started.append(event.id.partition)
            if len(started) == 3:  # in the slot, and by the runner, of one that has just ended
                scheduler.cancel(event.id.job)

    invoker = ScriptedInvoker(slots=2)
    scheduler = Scheduler(invoker, RecordingShuffles(), listeners=[listener])
    async with scheduler:
        with pytest.raises(errors.JobCancelledError):
            await run(scheduler, flat_job(5))
    assert started == [0, 1, 2]
    assert [task.id.partition for task in invoker.invoked] == [0, 1]
    assert invoker.running == set()


async def test_what_answers_though_it_was_stopped_hands_its_slot_to_a_task_of_its_own() -> None:
    cancelled: list[int] = []
    began = asyncio.Event()

    class Stubborn(ScriptedInvoker):
        async def invoke(self, task: TaskDescription) -> TaskResult:
            current = asyncio.current_task()
            assert current is not None
            cancelled.append(current.cancelling())
            began.set()
            try:
                return await super().invoke(task)
            except asyncio.CancelledError:
                return succeeded(task)

    invoker = Stubborn(lambda task: Hang() if task.id.job == "a" else Answer(), slots=1)
    async with Scheduler(invoker, RecordingShuffles()) as scheduler:
        hanging = asyncio.create_task(run(scheduler, flat_job(1, id="a")))
        other = asyncio.create_task(run(scheduler, flat_job(3, id="b")))
        await began.wait()
        scheduler.cancel("a")
        assert sorted(await other) == [0, 1, 2]
        with pytest.raises(errors.JobCancelledError):
            await hanging
    assert cancelled == [0, 0, 0, 0]


@pytest.mark.parametrize(("before", "meanwhile"), [(700, 50_000), (60_000, 60_000), (0, 0)])
async def test_python_looks_for_cycles_less_often_while_jobs_run(
    before: int, meanwhile: int
) -> None:
    seen: list[int] = []

    def script(task: TaskDescription) -> Step:
        seen.append(gc.get_threshold()[0])
        return Answer()

    thresholds = gc.get_threshold()
    try:
        gc.set_threshold(before, *thresholds[1:])
        async with Scheduler(ScriptedInvoker(script), RecordingShuffles()) as scheduler:
            async with scheduler.run(flat_job(1, id="a")) as first:
                await run(scheduler, flat_job(1, id="b"))
                await collect(first, 1)
            assert gc.get_threshold() == (before, *thresholds[1:])
    finally:
        gc.set_threshold(*thresholds)
    assert seen == [meanwhile] * 2


async def test_a_clock_can_be_given() -> None:
    seconds = iter(range(10**9))
    scheduler = Scheduler(
        ScriptedInvoker(succeed), RecordingShuffles(), clock=lambda: float(next(seconds))
    )
    async with scheduler:
        assert await run(scheduler, flat_job(1)) == [0]
