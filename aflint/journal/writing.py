"""Writes a journal: a segment is a file or an object, numbered, and written only where none is yet.

So the segments are one sequence whoever writes them: a driver that was taken for dead, and finds
the number of its next segment taken, knows that another one has resumed its run, and stops. The
last segment of a run says that it is over, and is removed last: a driver that reads it does not
resume what is being removed. A driver that outlives even that finds its segments gone, or those of
another run.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from aflint.errors import (
    AflintError,
    OutputExistsError,
    PathNotFoundError,
    RunInUseError,
    ServiceUnavailableError,
)
from aflint.journal.base import Journal
from aflint.journal.entries import Entry, RunEnded
from aflint.journal.reading import LOOK_S, path_of, read_journal
from aflint.journal.segment import HEAD_BYTES, decode, encode
from aflint.storage.base import Storage

_log = logging.getLogger(__name__)

PAUSE_S: Final = 0.25
"""Between two segments: bounds what the journal costs (in S3 a PUT each), and what a kill loses."""

QUIET_S: Final = 10.0
"""A run of this machine that lasts less, and has no name, is as soon run again as resumed."""

RETRY_S: Final = (1.0, 3.0, 9.0)
"""Pauses before a segment is tried again, each after all that the client itself tries."""

REMOVAL_S: Final = 10.0
"""How long a driver elsewhere may take to remove a run that is over; after that it was killed while
it did."""


class StoredJournal(Journal):
    """Writes what was recorded in the background, a segment at a time.

    It goes on with a `run`, of which the segments with the numbers `before` are there, or begins
    one. With `anew`, that run is over, and what is written from now on is of another. `alone`: a
    lock keeps other drivers away, which need not be looked for. Nothing is written in the first
    `quiet_s`: a run that ends before leaves nothing to be removed.
    """

    def __init__(
        self,
        folder: str,
        storage: Storage,
        key: bytes,
        session: str,
        run: str = "",
        before: Sequence[int] = (),
        *,
        anew: bool = False,
        alone: bool = False,
        quiet_s: float = 0.0,
    ) -> None:
        super().__init__()
        self.anew = anew
        self._folder = folder
        self._storage = storage
        self._key = key
        self._session = session
        self._run = run or secrets.token_hex(8)
        self._alone = alone
        self._quiet_s = quiet_s
        self._written = list(before)
        self._head = b""  # of the latest segment, where this driver wrote it
        self._before = tuple(before) if anew else ()
        # The first segment of a run that follows one that is over says so.
        self._waiting: list[Entry] = [RunEnded()] if anew else []
        self._recorded = len(self._waiting)
        self._durable = 0  # how many of the recorded entries are written
        self._began = False
        self._broken = False  # nothing is written any more, for whatever reason
        self._taken: AflintError | None = None
        self._progress = asyncio.Condition()
        self._writing = asyncio.Lock()
        self._hurry = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    @property
    def _number(self) -> int:
        return self._written[-1] + 1 if self._written else 0

    def record(self, entry: Entry) -> None:
        if self._taken is not None:
            self._waiting.append(entry)  # for `unwritten`
        if self._broken:
            return
        self._waiting.append(entry)
        self._recorded += 1
        # A writer ends when nothing is left to write, and the next entry starts another.
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write_on())

    @property
    def unwritten(self) -> Sequence[Entry]:
        return self._waiting if self._taken is not None else ()

    async def flush(self) -> None:
        if self._quiet_s:
            return  # no driver resumes a run of which nothing is written
        # What is recorded while this waits is not waited for.
        wanted = self._recorded
        self._hurry.set()
        async with self._progress:
            await self._progress.wait_for(lambda: self._broken or self._durable >= wanted)
        if self._taken is not None:
            raise self._taken

    async def check(self) -> None:
        await self.flush()
        async with self._writing:
            if self._taken is None and await self._is_taken():
                self._take_over()
        if self._taken is not None:
            raise self._taken

    async def end(self) -> None:
        self.record(RunEnded())
        await self.flush()
        if self._broken:  # nothing could be written: whose the run is can only be looked at
            await self.check()

    async def remove(self) -> None:
        # The segment that says that the run is over goes last.
        paths = [path_of(self._folder, number) for number in self._written]
        # Two calls, in order: a driver that reads meanwhile must still find that the run is over.
        await self._storage.delete_files(paths[:-1])
        await self._storage.delete_files(paths[-1:])

    async def clear(self) -> None:
        before, self._before = self._before, ()
        await self._storage.delete_files([path_of(self._folder, number) for number in before])
        self._written = self._written[len(before) :]

    async def _is_taken(self) -> bool:
        """Say whether another driver has written since, or has ended the run and removed it all."""
        if self._alone:
            return False
        return await self._is_of_run(self._number) or await self._is_stray()

    async def _is_stray(self) -> bool:
        """Say whether the segment before the next one is not there, or of another run."""
        if self._alone or not self._written:
            return False
        if not self._head:  # another driver wrote it
            return not await self._is_of_run(self._written[-1])
        try:
            last = path_of(self._folder, self._written[-1])
            return await self._storage.read(last, 0, HEAD_BYTES) != self._head
        except PathNotFoundError:
            return True

    async def _is_of_run(self, number: int) -> bool:
        path = path_of(self._folder, number)
        try:
            data = await self._storage.read(path)
        except PathNotFoundError:
            return False
        # A segment of this number may also be what is left of a run before, or of one after.
        run, _ = decode(data, self._session, number, self._key, path)
        return run == self._run

    async def aclose(self) -> None:
        self._broken = True
        async with self._writing:  # what is under way comes to its end, and so can be removed
            writer = self._writer
            if writer is not None:
                writer.cancel()
        if writer is not None:
            await asyncio.wait({writer})  # not awaited: its cancellation is not this caller's
        async with self._progress:
            self._progress.notify_all()

    async def _write_on(self) -> None:
        """Write until there is nothing left to write: in a task of its own, as a write that is
        cancelled would leave it open whether the segment is there.
        """
        # Entries are held in memory meanwhile.
        await asyncio.sleep(self._quiet_s)
        self._quiet_s = 0.0
        while self._waiting and not self._broken:
            # Before the entries are taken: a flush that comes later asks for a segment of its own.
            self._hurry.clear()
            entries, self._waiting = self._waiting, []
            async with self._writing:
                await self._write(entries)
            async with self._progress:
                self._progress.notify_all()
            # What comes within the pause goes into one segment, unless a flush waits for it.
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_S):
                    await self._hurry.wait()
        self._writer = None

    async def _write(self, entries: list[Entry]) -> None:
        try:
            segment = encode(self._session, self._run, self._number, entries, self._key)
            await self._put(segment)
        except (OutputExistsError, _StrayError):
            # Not written by anyone: they are for `unwritten`, in their order.
            self._waiting = [*entries, *self._waiting]
            self._take_over()
        except Exception as error:  # whatever it is: the job goes on, and no flush waits for ever
            self._broken = True
            _log.warning(
                "the journal of run %s cannot be written (%s): if this driver is killed, the run "
                "resumes from here at the latest", self._session, error,
                exc_info=not isinstance(error, AflintError),
            )  # fmt: skip
        else:
            self._began = True
            self._written.append(self._number)
            self._head = segment[:HEAD_BYTES]
            self._durable += len(entries)

    def _take_over(self) -> None:
        """Note that the run is another driver's."""
        self._broken = True
        if self._began:
            message = (
                f"run {self._session} was resumed by another driver while this one ran: this one "
                "stops, and leaves everything of the run to the other"
            )
        else:
            message = (
                f"run {self._session} is in use: its driver wrote to its journal just now. Wait "
                "until that driver has ended, or end it; or choose another run id"
            )
        self._taken = RunInUseError(message)
        self.on_lost(self._taken)

    async def _put(self, segment: bytes) -> None:
        """Write a segment; where the service is away for a while, the very same one again."""
        for pause in RETRY_S:
            try:
                return await self._put_once(segment)
            except (ServiceUnavailableError, _StrayError) as error:
                _log.info("the journal of run %s waits %g s: %s", self._session, pause, error)
            await asyncio.sleep(pause)
        await self._put_once(segment)

    async def _put_once(self, segment: bytes) -> None:
        """Write a segment after those of its run; what follows none is removed again."""
        path = path_of(self._folder, self._number)
        try:
            await self._storage.write_new(path, segment)
        except OutputExistsError as error:
            if self._written and not await self._is_of_run(self._number):
                raise _StrayError(f"{path} was written for a run that is over") from error
            raise
        # Looked at after the write, as the run may have been ended and removed just before it.
        if await self._is_stray():
            await self._storage.delete(path)
            raise OutputExistsError(f"the run that {path} is of is over")


class _StrayError(Exception):
    """A driver that does not know yet that its run is over has written a segment."""


async def open_journal(
    folder: str,
    storage: Storage,
    key: bytes,
    session: str,
    *,
    alone: bool = False,
    quiet_s: float = 0.0,
) -> tuple[Journal, list[Entry]]:
    """Return the journal in a folder, with what stands in it; nothing is written yet.

    A run that is over is waited for while its driver removes it, REMOVAL_S at most, if it can be
    alive: with `alone`, a lock says that it is not. Nothing of it is returned. `quiet_s` holds for
    new journals. Raises JournalDamagedError or JournalVersionError, and the errors of storage; all
    is left as it is.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (0.0 if alone else REMOVAL_S)
    while True:
        found = await read_journal(folder, storage, key, session)
        if not found.over or loop.time() >= deadline:
            break
        await asyncio.sleep(LOOK_S)
    journal = StoredJournal(
        folder,
        storage,
        key,
        session,
        found.run,
        found.numbers,
        anew=found.over,
        alone=alone,
        quiet_s=0.0 if found.numbers else quiet_s,
    )
    return journal, found.entries
