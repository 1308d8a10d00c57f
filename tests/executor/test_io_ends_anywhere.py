"""An iterator over the loop's results may be ended by the garbage collector, on any thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from typing import Any, cast

from aflint.executor.io_loop import IOLoop


async def endless(ended: asyncio.Event) -> AsyncIterator[int]:
    try:
        while True:
            yield 1
    finally:
        ended.set()


def test_an_iterator_that_ends_on_the_loops_own_thread_holds_up_nobody() -> None:
    ended = asyncio.Event()
    with IOLoop() as io:
        items = cast("Generator[int, Any, None]", io.iterate(endless(ended)))
        assert next(items) == 1

        async def close_there() -> None:
            items.close()
            async with asyncio.timeout(30):
                await ended.wait()

        io.run(close_there())
