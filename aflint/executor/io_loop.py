"""The bridge between the one compute thread and the asyncio loop that does all I/O."""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from collections import deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
)
from concurrent.futures import Future
from contextlib import contextmanager
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar

from aflint.aio import pump
from aflint.executor.descriptors import end_process

T = TypeVar("T")


_LOOK_S = 1.0
"""How often a loop that waits looks whether it can go on."""


class Stopwatch:
    """The seconds that the compute thread waited for one kind of thing."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of a block."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - began

    def each(self, items: Iterator[T]) -> Iterator[T]:
        """Give the items of an iterator of the loop's, and count the time that each takes to come.

        Closing the iterator closes the other one.
        """
        try:
            while True:
                began = time.perf_counter()
                try:
                    item = next(items)
                except StopIteration:
                    return
                finally:
                    self.seconds += time.perf_counter() - began
                yield item
        finally:
            items.close()  # type: ignore[attr-defined]


class IOLoop:
    """An asyncio loop in a thread of its own, for as long as the `with` block lasts.

    Everything here is called from the compute thread. Where user code closes the loop's own
    descriptors, the process ends: what waits for the loop would wait for ever.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.loop: asyncio.AbstractEventLoop = asyncio.SelectorEventLoop(self._selector)
        self._thread = threading.Thread(target=self._serve, name="aflint-io", daemon=True)

    @property
    def descriptors(self) -> frozenset[int]:
        """The connections that the loop has open now."""
        return frozenset(key.fd for key in self._selector.get_map().values())

    def _serve(self) -> None:
        self.loop.call_soon(self._look)
        try:
            self.loop.run_forever()
        except OSError as error:  # out of the selector: all else is caught by the loop's handles
            end_process(f"a task closed what this process does its I/O with ({error}), so it ends")

    def _look(self) -> None:
        """Come back from the selector, which learns only when asked that it was closed."""
        self.loop.call_later(_LOOK_S, self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.run(self._finish_tasks())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _finish_tasks(self) -> None:
        # What a task left under way: reads ahead, for instance, of an iterator that was not used
        # up.
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.loop.shutdown_asyncgens()
        await self.loop.shutdown_default_executor()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop; the future can be waited for here."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for its result."""
        future = self.submit(coroutine)
        try:
            return future.result()
        except BaseException:  # KeyboardInterrupt, too: nothing may go on that no one waits for
            future.cancel()
            raise

    def on_its_thread(self) -> bool:
        """Say whether this code runs on the loop's own thread, where nothing may be waited for."""
        return threading.current_thread() is self._thread

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine that cleans up, and wait for it.

        On the loop's own thread it is only started: the garbage collector may end an iterator
        there, and the loop cannot wait for itself.
        """
        if self.on_its_thread():
            self.submit(coroutine)
        else:
            self.run(coroutine)

    def ahead(self, thunks: Iterable[Callable[[], Awaitable[T]]], depth: int = 2) -> Iterator[T]:
        """Yield the results in order, while up to `depth` of them are on their way.

        Closing the iterator cancels what is in flight.
        """

        async def call(thunk: Callable[[], Awaitable[T]]) -> T:
            return await thunk()

        # In the order asked for. With `depth` of them on their way, one more is being worked on.
        waiting: deque[Future[T]] = deque()
        try:
            for thunk in thunks:
                waiting.append(self.submit(call(thunk)))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def iterate(self, source: AsyncIterator[T], depth: int = 8) -> Iterator[T]:
        """Yield what an asynchronous iterator yields, read up to `depth` items ahead.

        Closing the iterator closes the source, and waits until that is done.
        """
        # The loop puts (True, item), and at the end (False, None) or (False, error). It never
        # blocks: what bounds the queue is `room`, which is released here for each item taken.
        items: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
        room = asyncio.Semaphore(depth)

        async def begin() -> asyncio.Task[None]:
            return asyncio.create_task(pump(source, room, items.put))

        async def end(task: asyncio.Task[None]) -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        pumping = self.run(begin())
        try:
            while True:
                more, item = items.get()
                if not more:
                    if item is not None:
                        raise item
                    return
                self.loop.call_soon_threadsafe(room.release)
                yield item
        finally:
            self.finish(end(pumping))
