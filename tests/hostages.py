"""Workers that are killed while they are known to be in the middle of a task."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from aflint.executor.context import task_context

_PID_BYTES = 4
_RECORDS = 20


class Hostages:
    """Of each stage that passes through `hold`, the first attempts of the first `count` tasks stop
    after a few records and tell their process; when all have, these are killed, all at once.

    Nobody sleeps or polls: tasks write to a pipe with a name, and the driver's loop reads it.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.killed: list[int] = []
        self._count = count
        self._path = folder / "hostages"
        self._held: list[int] = []
        os.mkfifo(self._path)

    @property
    def hold(self) -> Callable[[Iterator[Any]], Iterator[Any]]:
        """A function for `map_partitions`."""
        return partial(_hold, str(self._path), self._count)

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Listen, and kill."""
        loop = asyncio.get_running_loop()
        pipe = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)
        loop.add_reader(pipe, self._read, pipe)
        try:
            yield
        finally:
            loop.remove_reader(pipe)
            os.close(pipe)

    def _read(self, pipe: int) -> None:
        self._held.append(int.from_bytes(os.read(pipe, _PID_BYTES), "big"))
        if len(self._held) == self._count:
            for pid in self._held:
                os.kill(pid, signal.SIGKILL)
            self.killed += self._held
            self._held.clear()


def _hold(path: str, count: int, records: Iterator[Any]) -> Iterator[Any]:
    context = task_context()
    if context.attempt == 0 and context.partition < count:
        yield from islice(records, _RECORDS)
        with open(path, "wb") as pipe:
            pipe.write(os.getpid().to_bytes(_PID_BYTES, "big"))
        time.sleep(600)  # it is killed
    yield from records
