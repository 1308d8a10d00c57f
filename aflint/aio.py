"""What asyncio leaves to its users: bounded work, one error out of many, work seen to its end."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
)
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, TypeVar

T = TypeVar("T")


@contextmanager
def first_error() -> Iterator[None]:
    """Raise the first exception of an exception group in place of the group."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from error.__cause__  # `from None` would drop the cause it was raised with


async def together(calls: Iterable[Coroutine[Any, Any, T]], width: int = 16) -> list[T]:
    """Return the results of all calls in their order, while at most `width` of them run at once.

    `calls` may be lazy: each is taken when there is room for it. Raises the first error, after the
    calls that were running have been cancelled.
    """
    results: dict[int, T] = {}
    waiting = enumerate(calls)  # shared by the workers, each of which takes the next call
    firsts: list[tuple[int, Coroutine[Any, Any, T]]] = []  # with which they begin

    async def work(place: int, call: Coroutine[Any, Any, T]) -> None:
        results[place] = await call
        for place, call in waiting:
            results[place] = await call

    try:
        with first_error():
            firsts.extend(islice(waiting, width))
            async with asyncio.TaskGroup() as group:
                for place, call in firsts:
                    group.create_task(work(place, call))
    except BaseException:
        for _, call in chain(firsts, waiting):
            call.close()  # else Python warns that it was never awaited; it may have been
        raise
    return [results[place] for place in range(len(results))]


async def to_the_end(work: Awaitable[T]) -> T:
    """Await work to its end, whatever cancels this call meanwhile; the cancellation comes after it.

    For what has to be removed, closed or written down even so. An error of the work is then the
    cause of the cancellation.
    """
    running = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return running.result()
    raise cancelled from (None if running.cancelled() else running.exception())


def in_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Start a blocking call in a thread; it runs to its end even if its future is cancelled."""
    return asyncio.get_running_loop().run_in_executor(None, function)


class InFlight:
    """Runs coroutines in the background: at most `most` at once, and at most `most_bytes` together.

    One that is larger than `most_bytes` runs alone. The first failure is kept, and raised by the
    next call of `start` or `drain`. The owner calls `drain` or `cancel` in the end.
    """

    def __init__(self, most_bytes: int, most: int = 64) -> None:
        self._most_bytes = most_bytes
        self._most = most
        self._bytes = 0
        self._running: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    async def start(self, size: int, work: Coroutine[Any, Any, None]) -> None:
        """Start work that holds `size` bytes, as soon as there is room.

        Raises the failure of earlier work; `work` is not run then.
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
        """Wait until all is done; at the first failure, cancel the rest and raise it."""
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
    """Yield the results of calls as they are ready, while `depth()` of the calls run at once.

    Results that are ready at the same time come in the order of their calls: a simulation must go
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
        # `done` as well: the errors of calls that failed at the same time have to be retrieved.
        await cancel_all({*running, *done})


async def pump(
    source: AsyncIterator[T],
    room: asyncio.Semaphore,
    put: Callable[[tuple[bool, T | BaseException | None]], None],
) -> None:
    """Put (True, item) for each item of `source`, then (False, None), or (False, its error).

    Each item takes one unit of `room`, which the consumer gives back. The source is closed in the
    end, after a cancellation, too: nothing more is put then.
    """
    try:
        async for item in source:
            await room.acquire()
            put((True, item))
        put((False, None))
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        put((False, error))
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()
