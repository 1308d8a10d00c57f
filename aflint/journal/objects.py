"""A journal in S3: a segment is an object, numbered, and written only where none is there yet.

So the segments are one sequence whoever writes them: a driver that was taken for dead, and finds
the number of its next segment taken, knows that another one has resumed its run, and stops.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final

from aflint.errors import (
    AflintError,
    JobRunningError,
    OutputExistsError,
    PathNotFoundError,
)
from aflint.groups import first_error
from aflint.journal.base import Journal
from aflint.journal.entries import Entry
from aflint.journal.refusals import damaged
from aflint.journal.segment import decode, encode
from aflint.storage.base import Storage

_log = logging.getLogger(__name__)

PAUSE_S: Final = 0.25
"""Between two segments: bounds what the journal costs (a PUT each), and what a kill can lose."""

_READS: Final = 32
_DIGITS: Final = 8


class ObjectJournal(Journal):
    """Writes what was recorded in the background, a segment at a time."""

    def __init__(
        self, folder: str, storage: Storage, key: bytes, session: str, number: int
    ) -> None:
        super().__init__()
        self._folder = folder
        self._storage = storage
        self._key = key
        self._session = session
        self._number = number
        self._waiting: list[Entry] = []
        self._recorded = self._durable = 0
        self._broken = False
        self._taken: AflintError | None = None
        self._progress = asyncio.Condition()
        self._hurry = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def record(self, entry: Entry) -> None:
        if self._broken:
            return
        self._waiting.append(entry)
        self._recorded += 1
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write_on())

    async def flush(self) -> None:
        """Return once all is written. Raises JobRunningError where another driver took over."""
        wanted = self._recorded
        self._hurry.set()
        async with self._progress:
            await self._progress.wait_for(lambda: self._broken or self._durable >= wanted)
        if self._taken is not None:
            raise self._taken

    async def aclose(self) -> None:
        self._broken = True
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait({self._writer})
        async with self._progress:
            self._progress.notify_all()

    async def _write_on(self) -> None:
        """Write until there is nothing left to write: in a task of its own, as a write that is
        cancelled would leave it open whether the segment is there.
        """
        while self._waiting and not self._broken:
            self._hurry.clear()
            entries, self._waiting = self._waiting, []
            await self._write(entries)
            async with self._progress:
                self._progress.notify_all()
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_S):
                    await self._hurry.wait()
        self._writer = None

    async def _write(self, entries: list[Entry]) -> None:
        segment = encode(self._session, self._number, entries, self._key)
        try:
            await self._storage.write_new(_path(self._folder, self._number), segment)
        except OutputExistsError:
            self._broken = True
            self._taken = JobRunningError(
                f"job {self._session} was resumed by another driver while this one ran: this one "
                "stops, and touches nothing of it any more"
            )
            self.on_lost(self._taken)
        except AflintError as error:
            self._broken = True
            _log.warning(
                "the journal of job %s cannot be written (%s): if this driver is killed, the run "
                "resumes from here at the latest", self._session, error,
            )  # fmt: skip
        else:
            self._number += 1
            self._durable += len(entries)


async def open_objects(
    folder: str, storage: Storage, key: bytes, session: str
) -> tuple[ObjectJournal, list[Entry]]:
    """Return the journal in a folder, with what stands in it; nothing is written yet.

    Raises JournalDamagedError or JournalVersionError, and the errors of storage.
    """
    try:
        paths = [file.path for file in await storage.list(folder)]
    except PathNotFoundError:
        paths = []
    for number, path in enumerate(sorted(paths)):
        if path != _path(folder, number):
            raise damaged(f"the journal {folder}", f"segment {number} is missing: there is {path}")
    room = asyncio.Semaphore(_READS)

    async def read(number: int) -> tuple[Entry, ...]:
        path = _path(folder, number)
        async with room:
            data = await storage.read(path)
        return decode(data, session, number, key, f"segment {path} of a journal")

    with first_error():
        async with asyncio.TaskGroup() as group:
            reads = [group.create_task(read(number)) for number in range(len(paths))]
    entries = [entry for task in reads for entry in task.result()]
    return ObjectJournal(folder, storage, key, session, len(paths)), entries


def _path(folder: str, number: int) -> str:
    return f"{folder}/{number:0{_DIGITS}d}"
