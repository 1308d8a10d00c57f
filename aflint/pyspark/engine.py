"""An aflint session for a program that does not await: on an event loop of its own, in a thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

from aflint.config import Config
from aflint.driver.calls import Call, Calls
from aflint.driver.signals import held_back
from aflint.errors import JobCancelledError
from aflint.plan.lineage import Node
from aflint.pyspark.tracking import Action, Tracker
from aflint.session import Session
from aflint.storage.base import FileInfo, Subfolders
from aflint.task import Blob
from aflint.variables import Broadcast

T = TypeVar("T")


class Engine:
    """A running session. Its methods block, and may be called from any thread.

    Raises what starting the session raises. `close` ends it, however often it is called, and leaves
    nothing behind.
    """

    def __init__(self, config: Config, name: str = "", id: str | None = None) -> None:
        self.config = config
        self.tracker = Tracker()
        self.session = Session(config, id)
        if name:
            self.session.name = name
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(_ThreadEach())
        self._calls = Calls(self._loop, "the SparkContext is stopped")
        self._stopping = asyncio.Event()
        self._started: SimpleQueue[None] = SimpleQueue()
        self._error: BaseException | None = None
        self._running = threading.Lock()  # held until the thread is about to end
        self._running.acquire()
        self._thread = threading.Thread(target=self._main, name="aflint", daemon=True)
        self._thread.start()
        try:
            self._started.get()
            if self._error is not None:
                self.close()  # which raises it
            self.jobs = self.session._opened().jobs
            self.jobs.run_job = self.tracker.tracked(self.jobs.run_job)
            self.session.add_listener(self.tracker)
        except BaseException:
            self.close()
            raise

    def _main(self) -> None:
        try:
            self._loop.run_until_complete(self._live())
        except BaseException as error:
            self._error = error  # for `close`
        finally:
            try:
                self._loop.run_until_complete(self._loop.shutdown_asyncgens())
                self._loop.close()
                self._calls.end()
            finally:
                self._running.release()
                self._started.put(None)

    async def _live(self) -> None:
        async with self.session:
            self._started.put(None)
            await self._stopping.wait()
            await self._calls.cancel_all()  # before the session that they run in

    def run(
        self, function: Callable[[], Coroutine[Any, Any, T]], action: Action | None = None
    ) -> T:
        """Run a coroutine on the session's loop, where it is made, and return its result.

        When the wait is interrupted, as by Ctrl-C, the coroutine is cancelled. Raises
        JobCancelledError when it was cancelled from elsewhere, SessionError after `close`.
        """
        call = self._calls.call(function)
        if action is not None:
            action.call = call
        try:
            call.start()
            return self._result(call, action)
        except BaseException:
            call.cancel()
            raise

    def _result(self, call: Call[T], action: Action | None) -> T:
        try:
            return call.result()
        except asyncio.CancelledError:
            reason = action.reason if action is not None else ""
            raise JobCancelledError(f"the job was cancelled{reason}") from None

    def act(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run an action: as `run`, known to the tracker by its group and its tags meanwhile."""
        with self.tracker.action() as action:
            return self.run(function, action)

    def iterate(self, function: Callable[[], AsyncIterator[T]], ahead: int) -> Iterator[T]:
        """Give what an asynchronous iterator gives, with up to `ahead` items made before they are
        asked for. It is closed with this iterator.
        """
        # Released for each item that is asked for: `ahead` more may be made than that.
        asked = asyncio.Semaphore(ahead)
        made: SimpleQueue[Any] = SimpleQueue()
        with self.tracker.action() as action:
            call = action.call = self._calls.call(
                lambda: _make(function(), asked, made.put), over=lambda: made.put(_END)
            )
            try:
                call.start()
                while True:
                    with suppress(RuntimeError):  # closed meanwhile
                        self._loop.call_soon_threadsafe(asked.release)
                    item = made.get()
                    if item is _END:
                        break
                    yield item
                self._result(call, action)
            finally:
                call.cancel()  # without waiting: this may be the collector, in any thread

    # ---- on the loop, where the session's own code runs

    def broadcast(self, value: Any) -> Broadcast[Any]:
        """Return a broadcast of the session's."""

        async def make() -> Broadcast[Any]:
            return self.session.broadcast(value)

        return self.run(make)

    def blobs(self, packed: list[list[bytes]]) -> list[list[Blob]]:
        """Return packed blocks as blobs."""

        async def make() -> list[list[Blob]]:
            return [[self.jobs.programs.blob(block) for block in blocks] for blocks in packed]

        return self.run(make)

    def listed(self, pattern: str, subfolders: Subfolders = "skip") -> list[FileInfo]:
        """Return the files that a pattern matches."""

        async def find() -> list[FileInfo]:
            return await self.session._opened().backend.storage.list(pattern, subfolders)

        return self.run(find)

    def kept_id(self, node: Node) -> int:
        """Return the number under which the partitions of a node are kept."""
        answer = self.jobs.resolver._answers.get(node.lifetime)
        return node.id if answer is None else answer.id

    def is_kept(self, node: Node) -> bool:
        """Say whether all partitions of a node are kept."""
        return self.kept_id(node) in self.jobs.resolver.stored

    def forget(self, node: Node) -> None:
        """Drop the cached partitions of a node."""

        async def forget() -> None:
            self.jobs.forget(node)

        self.run(forget)

    def close(self) -> None:
        """Stop what runs, and end the session. Raises what its end raised, the first time."""
        with suppress(RuntimeError):  # closed before
            self._loop.call_soon_threadsafe(self._stopping.set)
        if self._thread is not threading.current_thread():
            # Waited for by a lock: that may be interrupted by a signal, and Thread.join may not.
            with held_back(), self._running:
                self._thread.join()
                error, self._error = self._error, None
            if error is not None:
                raise error


_END = object()


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
