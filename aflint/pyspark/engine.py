"""An aflint session for a program that does not await: on an event loop of its own, in a thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from aflint.config import Config
from aflint.errors import JobCancelledError, SessionError
from aflint.lineage import Node
from aflint.pyspark.tracking import Action, TrackedRunner, Tracker
from aflint.session import Session
from aflint.task import Blob
from aflint.variables import Broadcast

T = TypeVar("T")


class Engine:
    """A running session. Its methods block, and may be called from any thread.

    `close` ends it, however often it is called, and leaves nothing behind.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.tracker = Tracker()
        self.session = Session(config)
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(_ThreadEach())
        self._stopping = asyncio.Event()
        self._ready: Future[None] = Future()
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._main, name="aflint", daemon=True)
        self._thread.start()
        try:
            self._ready.result()
        except BaseException:
            self.close()
            raise
        self.jobs = self.session._running()
        self.runner = TrackedRunner(self.jobs, self.tracker)
        self.session.add_listener(self.tracker)

    def _main(self) -> None:
        try:
            self._loop.run_until_complete(self._live())
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(error)
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _live(self) -> None:
        async with self.session:
            self._ready.set_result(None)
            await self._stopping.wait()
            await self._cancel_all()

    async def _cancel_all(self) -> None:
        """End what still runs, before the session that it runs in."""
        running = [task for task in self._actions if not task.done()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    @property
    def _actions(self) -> set[asyncio.Task[Any]]:
        return {task for task in asyncio.all_tasks() if task.get_name().startswith(_NAME)}

    def run(self, coroutine: Coroutine[Any, Any, T], action: Action | None = None) -> T:
        """Run a coroutine on the session's loop and return its result.

        When the wait is interrupted, as by Ctrl-C, the coroutine is cancelled. Raises
        JobCancelledError when it was cancelled from elsewhere.
        """
        if self._loop.is_closed() or not self._thread.is_alive():
            coroutine.close()
            raise SessionError("the SparkContext is stopped")
        future = asyncio.run_coroutine_threadsafe(_named(coroutine), self._loop)
        if action is not None:
            action.future = future
        return self._outcome(future, action)

    def _outcome(self, future: Future[T], action: Action | None) -> T:
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            reason = action.reason if action is not None else ""
            raise JobCancelledError(f"the job was cancelled{reason}") from None
        except BaseException:
            future.cancel()
            raise

    def act(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run an action: as `run`, known to the tracker by its group and its tags meanwhile."""
        with self.tracker.action() as action:
            return self.run(function(), action)

    def iterate(self, function: Callable[[], AsyncIterator[T]], ahead: int) -> Iterator[T]:
        """Give what an asynchronous iterator gives, with up to `ahead` items made before they are
        asked for. It is closed with this iterator.
        """
        asked = asyncio.Semaphore(ahead)
        made: queue.SimpleQueue[Any] = queue.SimpleQueue()
        with self.tracker.action() as action:
            making = _make(function(), asked, made.put)
            future = asyncio.run_coroutine_threadsafe(_named(making), self._loop)
            future.add_done_callback(lambda _: made.put(_END))
            action.future = future
            try:
                while True:
                    self._loop.call_soon_threadsafe(asked.release)
                    item = made.get()
                    if item is _END:
                        break
                    yield item
                self._outcome(future, action)
            finally:
                future.cancel()  # without waiting: this may be the collector, in any thread

    # ---- on the loop, where the session's own code runs

    def broadcast(self, value: Any) -> Broadcast[Any]:
        """Return a broadcast of the session's."""

        async def make() -> Broadcast[Any]:
            return self.session.broadcast(value)

        return self.run(make())

    def blobs(self, packed: list[list[bytes]]) -> list[list[Blob]]:
        """Return packed blocks as blobs."""

        async def make() -> list[list[Blob]]:
            return [[self.jobs.blob(block) for block in blocks] for blocks in packed]

        return self.run(make())

    def listed(self, pattern: str) -> list[tuple[str, int]]:
        """Return the files that a pattern matches, with their sizes."""

        async def find() -> list[tuple[str, int]]:
            files = await self.session._storage.list(pattern)
            return [(file.path, file.size) for file in files]

        return self.run(find())

    def kept_id(self, node: Node) -> int:
        """Return the number under which the partitions of a node are kept."""
        answer = self.jobs._answers.get(node.id)
        return node.id if answer is None else answer.id

    def close(self) -> None:
        """Stop what runs, and end the session."""
        with self._closing:
            if self._thread.is_alive() and not self._loop.is_closed():
                with suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._stopping.set)
            if self._thread is not threading.current_thread():
                self._thread.join()


_NAME = "aflint-action"
_END = object()


async def _named(coroutine: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    assert task is not None
    task.set_name(_NAME)
    return await coroutine


async def _make(items: Any, asked: asyncio.Semaphore, put: Callable[[Any], None]) -> None:
    """Hand over items as they are asked for."""
    try:
        while True:
            await asked.acquire()
            item = await anext(items, _END)
            if item is _END:
                return
            put(item)
    finally:
        await items.aclose()


class _ThreadEach(concurrent.futures.ThreadPoolExecutor):
    """A thread for each call: unlike a pool, it can be used until the interpreter ends, which is
    when a context is stopped that the program has not stopped.
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function in a thread of its own."""
        future: Future[Any] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=call, name="aflint-io", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Do nothing: there is nothing kept."""
