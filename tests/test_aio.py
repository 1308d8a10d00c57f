from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from aflint.aio import InFlight, as_they_come, first_error, pump, to_the_end, together


class Work:
    """Work that ends when it is told to."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.gate = asyncio.Event()

    async def run(self) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gate.wait()
        finally:
            self.running -= 1


async def _start(flight: InFlight, work: Work, size: int, count: int) -> None:
    for _ in range(count):
        await flight.start(size, work.run())


@pytest.mark.parametrize(("size", "most"), [(10, 3), (40, 2), (60, 1), (500, 1)])
async def test_bytes_and_number_are_bounded(size: int, most: int) -> None:
    flight, work = InFlight(most_bytes=100, most=3), Work()
    starting = asyncio.create_task(_start(flight, work, size, 6))
    for _ in range(20):
        await asyncio.sleep(0)
    assert work.running == most
    work.gate.set()
    await starting
    await flight.drain()
    assert (work.running, work.most) == (0, most)


async def fail(error: Exception) -> None:
    raise error


async def test_the_first_failure_is_raised_and_stops_the_rest() -> None:
    flight, work = InFlight(100), Work()
    await flight.start(1, work.run())
    await flight.start(1, fail(ValueError("first")))
    await flight.start(1, fail(ValueError("second")))
    with pytest.raises(ValueError, match="first"):
        await flight.drain()
    assert work.running == 0
    with pytest.raises(ValueError, match="first"):
        await flight.start(1, work.run())


async def test_cancelling_waits_for_the_end() -> None:
    flight, work = InFlight(100), Work()
    await flight.start(1, work.run())
    await asyncio.sleep(0)
    await flight.cancel()
    assert work.running == 0


def thunks(work: Work, count: int, *, failing: int = -1) -> Iterator[Callable[[], Awaitable[int]]]:
    async def call(number: int) -> int:
        await work.run()
        if number == failing:
            raise ValueError(str(number))
        return number

    for number in range(count):
        yield lambda number=number: call(number)  # type: ignore[misc]


async def test_results_come_and_depth_is_kept() -> None:
    work = Work()

    async def collect() -> list[int]:
        return [each async for each in as_they_come(thunks(work, 10), lambda: 3)]

    collecting = asyncio.create_task(collect())
    for _ in range(20):
        await asyncio.sleep(0)
    work.gate.set()
    assert sorted(await collecting) == list(range(10))
    assert work.most == 3


async def test_closing_leaves_nothing_running() -> None:
    work = Work()
    work.gate.set()
    async with aclosing(as_they_come(thunks(work, 10), lambda: 4)) as results:
        await anext(results)
        work.gate.clear()
    assert work.running == 0


async def test_failing_leaves_nothing_running() -> None:
    work = Work()
    work.gate.set()
    with pytest.raises(ValueError, match="2"):
        [each async for each in as_they_come(thunks(work, 10, failing=2), lambda: 4)]
    assert work.running == 0


def numbered(work: Work, count: int, *, failing: int = -1) -> Iterator[Coroutine[Any, Any, int]]:
    async def call(number: int) -> int:
        if number == failing:
            raise ValueError(str(number)) from KeyError("cause")
        await work.run()
        return number

    return (call(number) for number in range(count))


async def test_calls_together_keep_their_order_and_their_width() -> None:
    work = Work()
    running = asyncio.create_task(together(numbered(work, 10), 3))
    for _ in range(20):
        await asyncio.sleep(0)
    assert work.running == 3
    work.gate.set()
    assert await running == list(range(10))
    assert work.most == 3


async def test_calls_together_raise_the_first_error_and_leave_nothing_behind() -> None:
    work = Work()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match="1") as caught:
            await together(list(numbered(work, 40, failing=1)), 4)
        gc.collect()
    assert warned == []  # "coroutine ... was never awaited"
    assert type(caught.value.__cause__) is KeyError
    assert work.running == 0


@pytest.mark.parametrize("turns", range(3))
async def test_calls_together_that_are_cancelled_before_they_begin_are_closed(turns: int) -> None:
    work = Work()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        running = asyncio.create_task(together(numbered(work, 10), 3))
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        gc.collect()
    assert warned == []
    assert work.running == 0


async def test_calls_that_cannot_all_be_made_are_closed() -> None:
    work = Work()

    def calls() -> Iterator[Coroutine[Any, Any, int]]:
        yield from numbered(work, 2)
        raise LookupError("there are no more")

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(LookupError, match="no more"):
            await together(calls(), 3)
        gc.collect()
    assert warned == []


async def test_there_are_no_more_workers_than_calls() -> None:
    work, before = Work(), len(asyncio.all_tasks())
    running = asyncio.create_task(together(numbered(work, 2), 16))
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) - before == 1 + 2
    work.gate.set()
    assert await running == [0, 1]


async def test_calls_together_are_taken_when_there_is_room() -> None:
    work, taken = Work(), 0

    def calls() -> Iterator[Coroutine[Any, Any, None]]:
        nonlocal taken
        for _ in range(10):
            taken += 1
            yield work.run()

    running = asyncio.create_task(together(calls(), 3))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert taken == 3
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert work.running == 0


async def test_the_first_error_of_nested_groups_keeps_its_cause() -> None:
    error = ValueError("first")
    error.__cause__ = KeyError("cause")
    with pytest.raises(ValueError, match="first") as caught, first_error():
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [error]), OSError("second")])
    assert caught.value is error
    assert type(error.__cause__) is KeyError


async def test_work_is_seen_to_its_end_however_often_its_caller_is_cancelled() -> None:
    work = Work()
    waiting = asyncio.create_task(to_the_end(work.run()))
    for _ in range(5):
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.sleep(0)
    assert work.running == 1
    work.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (work.running, work.most) == (0, 1)


async def test_work_is_done_even_if_the_cancellation_comes_before_it_starts() -> None:
    work = Work()
    work.gate.set()

    async def cancelled() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await to_the_end(work.run())

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(cancelled())
    assert (work.running, work.most) == (0, 1)


async def test_what_work_met_is_raised_or_the_cause_of_the_cancellation() -> None:
    with pytest.raises(ValueError, match="met"):
        await to_the_end(fail(ValueError("met")))
    gate = asyncio.Event()

    async def failing() -> None:
        await gate.wait()
        raise ValueError("met")

    waiting = asyncio.create_task(to_the_end(failing()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(asyncio.CancelledError) as caught:
        await waiting
    assert str(caught.value.__cause__) == "met"


async def test_the_result_of_finished_work_is_returned() -> None:
    done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    done.set_result(3)
    assert await to_the_end(done) == 3


async def counted(closed: list[bool], *, failing: bool = False) -> AsyncIterator[int]:
    try:
        for number in range(5):
            yield number
        if failing:
            raise ValueError("failed")
    finally:
        closed.append(True)


@pytest.mark.parametrize("failing", [False, True])
async def test_a_pump_goes_no_further_ahead_than_there_is_room(failing: bool) -> None:
    items: list[tuple[bool, object]] = []
    closed: list[bool] = []
    room = asyncio.Semaphore(2)
    pumping = asyncio.create_task(pump(counted(closed, failing=failing), room, items.append))
    for given_back in range(3):
        for _ in range(5):
            await asyncio.sleep(0)
        assert [item for _, item in items] == list(range(2 + given_back))
        room.release()
    await pumping
    more, last = items[-1]
    assert not more
    assert (str(last) == "failed") if failing else (last is None)
    assert closed == [True]


async def test_a_cancelled_pump_closes_its_source_and_puts_nothing_more() -> None:
    items: list[tuple[bool, object]] = []
    closed: list[bool] = []
    pumping = asyncio.create_task(pump(counted(closed), asyncio.Semaphore(2), items.append))
    for _ in range(5):
        await asyncio.sleep(0)
    pumping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pumping
    assert items == [(True, 0), (True, 1)]
    assert closed == [True]
