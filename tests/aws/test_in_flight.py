from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing

import pytest

from aflint.aws.in_flight import InFlight, as_they_come


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
