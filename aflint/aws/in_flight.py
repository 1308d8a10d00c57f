"""Work that is under way in the background, bounded in bytes and always waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


class InFlight:
    """Runs coroutines side by side: at most `most` of them, and at most `most_bytes` together.

    One that is larger than `most_bytes` runs alone. The first failure is kept and raised to
    whoever comes next. Whoever makes one calls `drain` or `cancel` in the end.
    """

    def __init__(self, most_bytes: int, most: int = 64) -> None:
        self._most_bytes = most_bytes
        self._most = most
        self._bytes = 0
        self._running: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    async def start(self, size: int, work: Coroutine[Any, Any, None]) -> None:
        """Start work that holds `size` bytes, as soon as there is room.

        Raises what earlier work met; `work` is not run then.
        """
        try:
            while self._failure is None and self._is_full(size):
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            if self._failure is not None:
                raise self._failure
        except BaseException:
            work.close()
            raise
        self._bytes += size
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(lambda done: self._ended(done, size))

    async def drain(self) -> None:
        """Wait until all is done; raises the first failure, when the rest was cancelled."""
        while self._running and self._failure is None:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        if self._failure is not None:
            await self.cancel()
            raise self._failure

    async def cancel(self) -> None:
        """Stop what runs, and wait for its end."""
        await cancel_all(self._running)

    def _is_full(self, size: int) -> bool:
        if not self._running:
            return False
        return len(self._running) >= self._most or self._bytes + size > self._most_bytes

    def _ended(self, task: asyncio.Task[None], size: int) -> None:
        self._running.discard(task)
        self._bytes -= size
        error = None if task.cancelled() else task.exception()
        self._failure = self._failure or error


async def cancel_all(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until each has ended, however it ends."""
    waiting = set(tasks)
    for task in waiting:
        task.cancel()
    if waiting:
        await asyncio.gather(*waiting, return_exceptions=True)


async def as_they_come(
    thunks: Iterator[Callable[[], Awaitable[T]]], depth: Callable[[], int]
) -> AsyncGenerator[T, None]:
    """Yield the results of calls in the order in which they come; `depth()` of them run at once.

    Those that have come at once are in the order in which they were called: a simulation is to go
    the same way each time. `depth` is asked anew after each result. Closing the iterator cancels
    what runs.
    """
    running: dict[asyncio.Task[T], None] = {}
    done: set[asyncio.Task[T]] = set()
    loop = asyncio.get_running_loop()

    async def call(thunk: Callable[[], Awaitable[T]]) -> T:
        return await thunk()

    try:
        more = True
        while more or running:
            while more and len(running) < depth():
                thunk = next(thunks, None)
                if thunk is None:
                    more = False
                else:
                    running[loop.create_task(call(thunk))] = None
            if not running:
                continue
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in [each for each in running if each in done]:
                del running[task]
                yield task.result()
    finally:
        await cancel_all({*running, *done})  # what several met at once is raised once, and no more
