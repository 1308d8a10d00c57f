"""Worker processes on this machine, started when first needed and kept for the session."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import struct
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aflint.aio import to_the_end, together
from aflint.codec.sealed import TaskSealer, seal_drop
from aflint.codec.secret import Secret
from aflint.crash import last_words
from aflint.errors import (
    AttemptError,
    PayloadRefusedError,
    VersionMismatchError,
    WorkerLostError,
)
from aflint.invoker.base import Invoker
from aflint.invoker.watchdog import Watchdog
from aflint.task import TaskDescription, TaskResult
from aflint.wire import unpack

_log = logging.getLogger("aflint.invoker")

_LENGTH = struct.Struct("<Q")
_START_TIMEOUT_S = 60.0
_EXIT_TIMEOUT_S = 5.0
_LOG_BYTES = 64 * 1024


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker process, its channel, and the pipe that it dies with."""

    process: Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    lifeline: int
    log: Path
    name: str
    ended: asyncio.Task[None] = field(init=False)
    why: AttemptError | None = None
    """Why it was killed in the middle of a task."""

    def __post_init__(self) -> None:
        self.ended = asyncio.create_task(self.wake_at_exit())

    def send(self, message: bytes) -> None:
        """Queue a message; it is sent by the time that the next `read` waits."""
        self.writer.write(_LENGTH.pack(len(message)) + message)

    async def ask(self, message: bytes) -> Any:
        """Send a message and return the answer. Raises EOFError when the process ends instead."""
        try:
            self.send(message)
            await self.writer.drain()
            return await self.read()
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise EOFError from error

    async def read(self) -> Any:
        """Return the next message."""
        head = await self.reader.readexactly(_LENGTH.size)
        return unpack(await self.reader.readexactly(_LENGTH.unpack(head)[0]))

    async def wake_at_exit(self) -> None:
        """Wait for the process to end, and end its reads.

        A child of the process may hold the other end of the channel: reads would never end then.
        """
        await self.process.wait()
        with suppress(OSError):
            self.writer.get_extra_info("socket").shutdown(socket.SHUT_RD)

    def kill(self, why: AttemptError | None = None) -> None:
        """End the process and all that it started, even if they are stopped.

        Not by Process.kill: that would reap a process that has just ended, and its exit status
        would be lost.
        """
        self.why = why
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """End the process and all that it started, and close its channel and its lifeline."""
        self.kill(self.why)
        await self.ended
        os.close(self.lifeline)
        self.writer.transport.abort()
        with suppress(OSError):
            await self.writer.wait_closed()

    def last_words(self) -> str:
        """Return the end of what the process wrote to its standard streams."""
        try:
            with self.log.open("rb") as log:
                log.seek(-min(_LOG_BYTES, log.seek(0, os.SEEK_END)), os.SEEK_END)
                words = last_words(log.read().decode(errors="replace"))
        except OSError:
            words = ""
        return f"; its last words:\n{words}\n" if words else ""


class LocalInvoker(Invoker):
    """At most `workers` processes, each running one attempt at a time.

    Each worker spills to a folder of its own in `folder`, which the session removes. It is given
    `secret` over its channel, where no other process sees it. A worker that is stopped for
    `stopped_s`, or that holds more than `memory_limit_mb` of its own, is killed, and its attempt is
    lost.
    """

    def __init__(
        self,
        workers: int,
        folder: Path,
        secret: Secret,
        stopped_s: float = 30.0,
        memory_limit_mb: int | None = None,
    ) -> None:
        self._workers = workers
        self._folder = folder
        self._secret = secret
        self._sealer = TaskSealer(secret)
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._free = asyncio.Semaphore(workers)
        self._started = 0
        self._watchdog = Watchdog(stopped_s, memory_limit_mb)

    @property
    def slots(self) -> int:
        return self._workers

    @property
    def places(self) -> bool:
        return True

    async def start(self) -> None:
        """Start all workers at once, so that the first job finds them ready."""
        starting = (self._start_worker() for _ in range(self._workers))
        self._idle += await together(starting, self._workers)

    async def invoke(self, task: TaskDescription) -> TaskResult:
        async with self._free:
            worker = self._take_idle(task.executor) or await self._start_worker()
            what = (
                f"the worker process running partition {task.id.partition} of stage {task.id.stage}"
            )
            try:
                _log.debug("%s goes to worker %d", task.id, worker.process.pid)
                with self._watchdog.watching(worker.process.pid, what, worker.kill):
                    answer = await worker.ask(self._sealer.pack(task).seal())
            except EOFError:
                # It may still be on its way out; its exit status says more than the channel's end.
                await asyncio.wait({worker.ended}, timeout=_EXIT_TIMEOUT_S)
                await self._discard(worker)
                raise worker.why or _lost(worker, what) from None
            except BaseException:
                await to_the_end(self._discard(worker))
                raise
            self._idle.append(worker)
            if isinstance(answer, dict):
                raise PayloadRefusedError(answer["refused"])
            assert isinstance(answer, TaskResult)
            return answer

    def drop(self, files: Sequence[str]) -> None:
        message = seal_drop(self._secret, files)
        for worker in self._all:
            worker.send(message)  # one that runs a task reads it afterwards

    def _take_idle(self, name: str) -> _Worker | None:
        """Return the worker of that name if it is idle, else the one used last: its modules are
        loaded, and its memory is warm.
        """
        for place, worker in enumerate(self._idle):
            if worker.name == name:
                return self._idle.pop(place)
        return self._idle.pop() if self._idle else None

    async def aclose(self) -> None:
        self._watchdog.close()
        await together(map(self._discard, list(self._all)), self._workers)
        self._idle.clear()

    async def _discard(self, worker: _Worker) -> None:
        if worker in self._all:
            self._all.remove(worker)
            await worker.stop()
            _log.debug("worker %d is gone (%s)", worker.process.pid, worker.process.returncode)

    async def _start_worker(self) -> _Worker:
        self._started += 1
        folder = self._folder / f"worker-{self._started}"
        folder.mkdir(parents=True)
        log = folder / "stderr"
        # Two ends of a channel, and a pipe that nothing is written to: it closes with the driver,
        # however that ends, and the worker ends with it.
        ours, theirs = socket.socketpair()
        try:
            reader, writer = await asyncio.open_connection(sock=ours)
        except BaseException:  # mostly a cancellation; no _Worker owns the sockets yet
            ours.close()
            theirs.close()
            raise
        lifeline_read, lifeline = os.pipe()
        try:
            with log.open("wb") as stderr:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "aflint.executor.worker"),
                    *(str(theirs.fileno()), str(lifeline_read), str(folder)),
                    stdin=DEVNULL,
                    stdout=stderr,
                    stderr=stderr,
                    pass_fds=(theirs.fileno(), lifeline_read),
                    # A group of its own: what user code starts ends with it, and a terminal's
                    # Ctrl-C goes to the driver alone.
                    start_new_session=True,
                    env=_environment(),
                )
        except BaseException:
            writer.transport.abort()
            os.close(lifeline)
            raise
        finally:
            theirs.close()
            os.close(lifeline_read)
        # No await between the process and its place in _all: a cancellation would leave it running.
        worker = _Worker(process, reader, writer, lifeline, log, folder.name)
        self._all.add(worker)
        worker.send(self._secret.reveal())
        await self._greet(worker)
        _log.debug("worker %d is ready; its log is %s", process.pid, log)
        return worker

    async def _greet(self, worker: _Worker) -> None:
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                _, version, _ = await worker.read()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            await self._discard(worker)
            raise WorkerLostError(
                f"a worker process ({sys.executable}) ended, or said nothing for "
                f"{_START_TIMEOUT_S:g} s, before it was ready{worker.last_words()}"
            ) from None
        except BaseException:
            await to_the_end(self._discard(worker))
            raise
        if version != sys.version_info[:2]:
            await self._discard(worker)
            raise VersionMismatchError(
                f"{sys.executable} runs Python {version[0]}.{version[1]} in workers and "
                f"{sys.version_info[0]}.{sys.version_info[1]} in the driver: check what changes "
                "it (a wrapper, PYTHONHOME)."
            )


def _lost(worker: _Worker, what: str) -> WorkerLostError:
    status = worker.process.returncode or 0
    how = f"exit status {status}"
    if status < 0:
        how = f"signal {signal.Signals(-status).name}"
    hint = (
        " (killed from outside, most often because the machine ran out of memory)"
        if status == -signal.SIGKILL
        else ""
    )
    return WorkerLostError(f"{what} ended with {how}{hint}{worker.last_words()}")


def _environment() -> dict[str, str]:
    """Return the environment of a worker: modules are found where the driver finds them, and the
    hashes of strings are equal in all workers.
    """
    # An empty entry stands for the folder that the driver is in.
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
