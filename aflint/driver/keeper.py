"""Keeps a session open outside an `async with`: for notebooks, and for programs that serve."""

from __future__ import annotations

import asyncio
import atexit
import logging
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import Any

from aflint.aio import to_the_end
from aflint.errors import SessionError

_log = logging.getLogger(__name__)

_STOPPING_S = 30.0
# Those that are open, for the end of the interpreter; this also keeps them, and their tasks, alive.
_open: set[Keeper] = set()


class Keeper:
    """Holds an asynchronous context manager open in an asyncio task of its own, until `aclose`.

    A task group must be left by the task that entered it, but a notebook runs each cell, and a web
    application each request, in another task: so neither enters the context, but this task does.

    What was not closed is closed when its event loop ends or, where the loop was only stopped, when
    the interpreter exits, with a ResourceWarning in either case.
    """

    def __init__(self, name: str, context: AbstractAsyncContextManager[Any]) -> None:
        self._name = name
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._entered = self._loop.create_future()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Enter the context; raises what entering it raises."""
        self._task = self._loop.create_task(self._keep(), name=f"aflint {self._name}")
        try:
            await asyncio.wait({self._task, self._entered}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._closing.set()  # so that the task's end is not taken for that of the loop
            self._task.cancel()
            await asyncio.wait({self._task})
            raise
        # The context was not entered: the task raises why.
        if not self._entered.done():
            await self._task

    async def aclose(self) -> None:
        """Leave the context; raises what leaving it raises. Does nothing once it was left.

        A cancellation is raised after the context was left.
        """
        if self._task is None or self._task.done():
            return
        if asyncio.get_running_loop() is not self._loop:
            raise SessionError(
                f"{self._name} was opened on another event loop: close it on that one, for "
                "instance with asyncio.run_coroutine_threadsafe(session.aclose(), loop)"
            )
        self._closing.set()
        await to_the_end(self._task)

    async def _keep(self) -> None:
        async with self._context:
            _open.add(self)
            self._entered.set_result(None)
            try:
                await self._closing.wait()
            except asyncio.CancelledError:
                self._warn()  # only the end of the loop cancels this task now
            finally:
                _open.discard(self)

    def _warn(self) -> None:
        warnings.warn(
            f"{self._name} was not closed: end it with `await session.aclose()`",
            ResourceWarning,
            stacklevel=2,
            source=self._context,
        )

    def close_at_exit(self) -> None:
        """Leave the context as far as that can be done while the interpreter exits."""
        self._warn()
        if self._loop.is_closed():
            return  # its processes end with this one; `aflint clean` removes its folder
        # The interpreter has stopped its thread pools by now, so blocking calls run in place.
        self._loop.set_default_executor(_InPlace())
        if self._loop.is_running():  # in another thread
            asyncio.run_coroutine_threadsafe(self.aclose(), self._loop).result(_STOPPING_S)
        else:
            self._loop.run_until_complete(asyncio.wait_for(self.aclose(), _STOPPING_S))


class _InPlace(ThreadPoolExecutor):
    """Runs what is submitted at once, in the thread that submits it."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@atexit.register
def _close_all() -> None:
    for keeper in list(_open):
        try:
            keeper.close_at_exit()
        except Exception:
            _log.exception("%s could not be closed", keeper._name)
