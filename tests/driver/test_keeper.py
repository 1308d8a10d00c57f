from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from aflint.driver.keeper import Keeper
from aflint.errors import SessionError


@asynccontextmanager
async def grouped(seen: list[str], ends: asyncio.Event | None = None) -> AsyncIterator[None]:
    """A context that only the task that entered it can leave, with something running in it."""
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(asyncio.Event().wait())
        seen.append("entered")
        yield
        if ends is not None:
            await ends.wait()
        waiting.cancel()
        seen.append("left")


async def test_any_task_may_close_what_another_one_opened() -> None:
    seen: list[str] = []
    keeper = Keeper("it", grouped(seen))
    await asyncio.create_task(keeper.open())
    assert seen == ["entered"]
    await asyncio.create_task(keeper.aclose())
    assert seen == ["entered", "left"]
    await keeper.aclose()
    assert seen == ["entered", "left"]


async def test_a_cancelled_close_comes_to_its_end_first() -> None:
    seen: list[str] = []
    ends = asyncio.Event()
    keeper = Keeper("it", grouped(seen, ends))
    await keeper.open()
    closing = asyncio.create_task(keeper.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.sleep(0)
    assert not closing.done()
    ends.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert seen == ["entered", "left"]


async def test_a_cancelled_opening_leaves_nothing_open() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def slow() -> AsyncIterator[None]:
        try:
            await asyncio.Event().wait()
            yield
        finally:
            seen.append("ended")

    opening = asyncio.create_task(Keeper("it", slow()).open())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert seen == ["ended"]


def test_closing_on_another_loop_says_where_to_close() -> None:
    seen: list[str] = []
    keeper: Keeper

    async def open_one() -> None:
        nonlocal keeper
        keeper = Keeper("session x", grouped(seen))
        await keeper.open()

    with asyncio.Runner() as first:
        first.run(open_one())
        with pytest.raises(SessionError, match="session x was opened on another event loop"):
            asyncio.run(keeper.aclose())
        first.run(keeper.aclose())
    assert seen == ["entered", "left"]


def test_the_end_of_the_loop_closes_what_was_left_open_and_warns() -> None:
    seen: list[str] = []

    async def main() -> None:
        await Keeper("session x", grouped(seen)).open()

    with pytest.warns(ResourceWarning, match="session x was not closed: end it with `await"):
        asyncio.run(main())
    assert seen == ["entered", "left"]
