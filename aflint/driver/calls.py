"""Calls from the threads of a program to the event loop of its engine.

A program's own thread may be interrupted between any two lines, by a signal whose handler raises:
Ctrl-C. In the standard library's futures, events and threads that can leave a lock taken for ever,
or a running thread marked as ended. What such a thread waits for here is a SimpleQueue, which is
made to be interrupted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from aflint.driver.callsite import keep_site
from aflint.errors import SessionError

T = TypeVar("T")


class Call(Generic[T]):
    """A coroutine on the loop, for a thread that waits for it."""

    def __init__(
        self,
        calls: Calls,
        function: Callable[[], Coroutine[Any, Any, T]],
        over: Callable[[], object],
    ) -> None:
        self._calls = calls
        self._function = function
        self._on_over = over
        self._over: SimpleQueue[asyncio.Task[T] | None] = SimpleQueue()
        self._cancelled = False
        self.task: asyncio.Task[T] | None = None

    def start(self) -> None:
        """Call the function on the loop, in a copy of this context, and run its coroutine.

        Jobs that it runs are named by the line of the program that led here.
        """
        context = copy_context()
        context.run(keep_site)
        # Before it is handed over: once the loop has ended, `Calls.end` wakes all that are open.
        self._calls.open.add(self)
        try:
            self._calls.loop.call_soon_threadsafe(self._begin, context=context)
        except RuntimeError:
            self.give_up()

    def result(self) -> T:
        """Wait, and return what the coroutine returned, or raise what it raised.

        Raises asyncio.CancelledError when it was cancelled, SessionError when the loop has ended.
        """
        task = self._over.get()
        if task is None:
            raise SessionError(self._calls.ended)
        # An error holds the frames that it passes, and with them this call and RDDs of the program:
        # none of them may hold the error in turn, or all of it stays until Python looks for cycles.
        self.task = None
        try:
            return task.result()
        finally:
            del task

    def cancel(self) -> None:
        """Cancel it, from any thread, started or not, without waiting for its end."""
        with suppress(RuntimeError):  # the loop has ended, and this with it
            self._calls.loop.call_soon_threadsafe(self._cancel)

    # ---- on the loop

    def _begin(self) -> None:
        if self._calls.ending:
            self.give_up()
            return
        self.task = asyncio.create_task(self._run())
        self.task.add_done_callback(self._end)
        if self._cancelled:  # before it began
            self.task.cancel()

    async def _run(self) -> T:
        return await self._function()

    def _end(self, task: asyncio.Task[T] | None) -> None:
        self._calls.open.discard(self)
        self._over.put(task)
        self._on_over()

    def _cancel(self) -> None:
        self._cancelled = True
        if self.task is not None:
            self.task.cancel()

    def give_up(self) -> None:
        """Wake the thread that waits for this call, which never began."""
        self._end(None)


class Calls:
    """All calls to one loop. `ended` is what is said to who waits for it once it has ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ended: str = "the session ended") -> None:
        self.loop = loop
        self.ended = ended
        self.open: set[Call[Any]] = set()
        self.ending = False

    def call(
        self,
        function: Callable[[], Coroutine[Any, Any, T]],
        over: Callable[[], object] = lambda: None,
    ) -> Call[T]:
        """Return a call that is to be started. In the end, however it comes, `over` is called."""
        return Call(self, function, over)

    async def cancel_all(self) -> None:
        """End, on the loop, what runs, and let nothing more begin."""
        self.ending = True
        running = [call.task for call in list(self.open) if call.task is not None]
        for task in running:
            task.cancel()
        # Their errors are for the threads that wait for them.
        await asyncio.gather(*running, return_exceptions=True)

    def end(self) -> None:
        """Wake the threads whose calls had not begun when the loop was closed."""
        for call in list(self.open):
            call.give_up()
