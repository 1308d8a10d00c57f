"""An event log in parts, laid out as Spark's rolling event logs are, in a folder or in a bucket.

eventlog_v2_NAME/appstatus_NAME.inprogress   without the suffix once the log is complete
eventlog_v2_NAME/events_1_NAME               the parts, which do not change once they are there
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aflint.errors import AflintError
from aflint.observe.logfile import IN_PROGRESS
from aflint.storage.base import Storage

_log = logging.getLogger("aflint.observe")

ROLLING: Final = "eventlog_v2_"
"""What the names of folders begin with that hold the parts of one log."""

PART_BYTES: Final = 8 << 20
_FIRST_S: Final = 2.0
_MOST_S: Final = 60.0
"""What was not written is at most so old: a run is seen soon, and a long one has few parts."""


class RollingLog:
    """Writes a part once so many bytes are there, or what is there has become so old.

    What is below `folder` is called `log`, without what Spark puts before it, and `name` is its
    application's. A folder that cannot be written to is warned of once, with what `what` is, and
    nothing more is written. `finished` is awaited once the log is complete.
    """

    def __init__(
        self,
        storage: Storage,
        folder: str,
        name: str,
        what: str,
        *,
        log: str | None = None,
        part_bytes: int = PART_BYTES,
        finished: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.folder = f"{folder.rstrip('/')}/{ROLLING}{log or name}"
        self._storage = storage
        self._name = name
        self._what = what
        self._part_bytes = part_bytes
        self._finished = finished
        self._held: list[bytes] = []
        self._size = 0
        self._parts = 0
        self._age = _FIRST_S
        self._timer: asyncio.TimerHandle | None = None
        # The write under way; what comes meanwhile is held, and written after it.
        self._writing: asyncio.Task[None] | None = None
        self.broken = False

    async def append(self, text: str) -> None:
        """Take in lines; they are in a part later."""
        if self.broken or not text:
            return
        # Lone surrogates, of file names that are not text, come as JSON's own escapes.
        data = text.encode()
        self._held.append(data)
        self._size += len(data)
        if self._size >= self._part_bytes:
            self._roll()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._age, self._roll)

    async def finish(self) -> None:
        """Write the rest, and say that the log is complete."""
        self._stop_timer()
        if self._writing is not None:
            await self._writing
        await self._write()
        if self._parts and not self.broken:
            try:
                await self._storage.write(self._status(), b"")
                await self._storage.delete(self._status() + IN_PROGRESS)
                if self._finished is not None:
                    await self._finished()
            except (AflintError, OSError) as error:
                self._give_up(error)

    def _roll(self) -> None:
        self._stop_timer()
        if self._writing is None or self._writing.done():
            self._age = min(2 * self._age, _MOST_S)
            self._writing = asyncio.get_running_loop().create_task(self._write())

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _write(self) -> None:
        while self._held and not self.broken:
            data, self._held, self._size = b"".join(self._held), [], 0
            try:
                if not self._parts:
                    # First, as in Spark: without it the folder is no log.
                    await self._storage.write(self._status() + IN_PROGRESS, b"")
                self._parts += 1
                await self._storage.write(f"{self.folder}/events_{self._parts}_{self._name}", data)
            except (AflintError, OSError) as error:
                self._give_up(error)
            if self._size < self._part_bytes:
                return

    def _status(self) -> str:
        return f"{self.folder}/appstatus_{self._name}"

    def _give_up(self, error: Exception) -> None:
        if not self.broken:
            self.broken = True
            self._held.clear()
            _log.warning("%s is not written any further: %s", self._what, error)


def part_number(name: str) -> int:
    """Return which part of its log a file is, from 1; 0 for one that is none."""
    kind, _, rest = name.partition("_")
    number = rest.partition("_")[0]
    return int(number) if kind == "events" and number.isdecimal() else 0
