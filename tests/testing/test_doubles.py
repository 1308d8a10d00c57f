from __future__ import annotations

import asyncio

import pytest

from aflint.counts import Counts, pack_counts
from aflint.errors import WorkerLostError
from aflint.task import (
    Blob,
    ShuffleHandle,
    TaskDescription,
    TaskFailure,
    TaskId,
    TaskResult,
)
from aflint.testing import (
    Answer,
    Fail,
    Hang,
    RecordingShuffles,
    ScriptedInvoker,
    VirtualClock,
    succeeded,
)

HANDLE = ShuffleHandle("j", 0, 3)


def task(partition: int = 0, output: ShuffleHandle | None = None) -> TaskDescription:
    return TaskDescription(TaskId("j", 1, partition, 0), Blob("p", 1, b"p"), (), output)


async def test_a_result_task_succeeds_with_its_name() -> None:
    result = await ScriptedInvoker().invoke(task(4))
    assert result.value is not None
    assert result.value.data == b"1/4"


async def test_a_map_task_writes_a_frame_for_each_partition() -> None:
    (status,) = succeeded(task(4, HANDLE)).map_statuses
    assert status.frames == pack_counts([1, 1, 1])
    assert Counts(status.sizes)[2] == 100


async def test_delays_take_virtual_time(virtual_time: VirtualClock) -> None:
    result = TaskResult(TaskId("other", 0, 0, 0))
    assert await ScriptedInvoker(lambda _: Answer(result, delay=90)).invoke(task()) is result
    assert virtual_time.now == pytest.approx(90)


async def test_failures_are_results_or_exceptions() -> None:
    failure = TaskFailure("TaskError", "boom")
    assert (await ScriptedInvoker(lambda _: Fail(failure)).invoke(task())).failure is failure
    with pytest.raises(WorkerLostError):
        await ScriptedInvoker(lambda _: Fail(WorkerLostError("gone"))).invoke(task())


async def test_what_hangs_can_be_stopped() -> None:
    invoker = ScriptedInvoker(lambda _: Hang(), slots=2)
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(invoker.invoke(task(p))) for p in range(2)]
        await asyncio.sleep(1)
        assert invoker.running == {task(0).id, task(1).id}
        for call in calls:
            call.cancel()
    assert (invoker.peak, invoker.running) == (2, set())
    assert invoker.stopped == [task(0).id, task(1).id]


async def test_an_invoker_knows_its_life_cycle() -> None:
    invoker = ScriptedInvoker(slots=3)
    invoker.slots = 7
    await invoker.start()
    await invoker.aclose()
    assert (invoker.slots, invoker.started, invoker.closed) == (7, True, True)


async def test_shuffles_are_recorded() -> None:
    shuffles = RecordingShuffles(open_s=1, close_s=1)
    handle = await shuffles.open("j", 3, 8)
    assert (handle.partitions, shuffles.open_now) == (8, {("j", 3)})
    await shuffles.close(handle)
    assert (shuffles.opened, shuffles.closed, shuffles.open_now) == ([("j", 3)], [("j", 3)], set())
    with pytest.raises(OSError, match="no room"):
        await RecordingShuffles(open_error=OSError("no room")).open("j", 3, 8)
    with pytest.raises(OSError, match="stuck"):
        await RecordingShuffles(close_error=OSError("stuck")).close(handle)
