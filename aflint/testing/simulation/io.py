"""The bridge of `aflint.executor.io_loop` without a thread of its own: I/O runs on the one loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, Generic, TypeVar

from aflint.aio import pump
from aflint.executor.io_loop import IOLoop
from aflint.testing.simulation.puppet import KilledError, Puppet

T = TypeVar("T")


class SimulatedIO(IOLoop):
    """What the compute code of one environment does its I/O with, on the loop of the simulation.

    Once `dead`, everything raises KilledError.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.puppet: Puppet | None = None
        self.dead = False
        self._tasks: set[asyncio.Task[Any]] = set()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Any:
        if self.dead:
            coroutine.close()
            raise KilledError
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return _Waitable(self, task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # a future that nobody asks is no fault

    def on_its_thread(self) -> bool:
        return False  # one thread at a time runs, and the compute code waits by handing over

    def iterate(self, source: AsyncIterator[T], depth: int = 8) -> Iterator[T]:
        items: asyncio.Queue[tuple[bool, Any]] = asyncio.Queue()
        room = asyncio.Semaphore(depth)

        pumping = self.submit(pump(source, room, items.put_nowait))
        try:
            while True:
                more, item = self.run(items.get())
                if not more:
                    if item is not None:
                        raise item
                    return
                room.release()
                yield item
        finally:
            pumping.cancel()

    def wait(self, task: asyncio.Task[Any]) -> None:
        """Stop the compute code until a task is done."""
        if self.dead:
            raise KilledError
        if not task.done():
            assert self.puppet is not None
            self.puppet.wait(task)
        if self.dead:
            raise KilledError

    async def end(self) -> None:
        """Cancel all I/O that is under way, and wait for it."""
        self.dead = True
        while self._tasks:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.wait(list(self._tasks))
            for task in list(self._tasks):
                if task.done():
                    self._tasks.discard(task)


class _Waitable(Generic[T]):
    """What stands in for a concurrent.futures.Future: its `result` lets the loop go on."""

    def __init__(self, io: SimulatedIO, task: asyncio.Task[T]) -> None:
        self._io = io
        self._task = task

    def result(self, timeout: float | None = None) -> T:
        self._io.wait(self._task)
        return self._task.result()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._io.wait(self._task)
        return self._task.exception()

    def done(self) -> bool:
        return self._task.done()

    def cancelled(self) -> bool:
        return self._task.cancelled()

    def cancel(self) -> bool:
        return self._task.cancel()
