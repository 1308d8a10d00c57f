"""Where an event log goes: a file that is called `.inprogress` until it is complete, as Spark's."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final, Protocol

from aflint.events import Event, JobEnded
from aflint.observe.eventlog import EventLog

_log = logging.getLogger("aflint.observe")

IN_PROGRESS: Final = ".inprogress"
_EVERY_S: Final = 0.25


class Lines(Protocol):
    """Takes the lines of a log. What keeps it from doing so it warns of, once, and no job fails."""

    async def append(self, text: str) -> None:
        """Take in lines, each with its end. Called with one text at a time."""

    async def finish(self) -> None:
        """Complete the log."""


class LogWriter:
    """A listener that has a log written to several places, each event being encoded once.

    What happens after a pause is handed on at once, so that a page shows it while it happens, and
    what follows a quarter of a second later, or once the batch before it is written. It is encoded
    in a thread: neither encoding nor a disk holds the loop up. `dollars_of` says what a job is
    billed that has just ended.
    """

    def __init__(
        self,
        log: EventLog,
        places: Sequence[Lines],
        dollars_of: Callable[[str], float | None] = lambda job: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._log = log
        self._places = places
        self._dollars_of = dollars_of
        self._clock = clock
        self._events: list[tuple[Event, int, float | None]] = []
        self._timer: asyncio.TimerHandle | None = None
        # The loop's time before which the next batch is not handed on.
        self._not_before = 0.0
        # The batch under way; there is one at a time, and what happens meanwhile is the next one,
        # however large: a driver that is busy would otherwise fall behind by more and more of them.
        # By the loop's own threads, as a pool cannot be used once the interpreter ends: then
        # sessions are closed that a program forgot.
        self._writing: asyncio.Task[None] | None = None

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        dollars = self._dollars_of(event.job) if isinstance(event, JobEnded) else None
        self._events.append((event, int(self._clock() * 1000), dollars))
        self._hand_over_in_time()

    async def aclose(self) -> None:
        """Write the rest, and complete the log everywhere."""
        while self._writing is not None or self._events:
            self.hand_over()
            if self._writing is not None:
                await self._writing
        if self._timer is not None:
            self._timer.cancel()
        for place in self._places:
            await place.finish()

    def hand_over(self) -> None:
        """Have what happened so far written, after the batch that is being written."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._events and self._writing is None:
            loop = asyncio.get_running_loop()
            self._not_before = loop.time() + _EVERY_S
            events, self._events = self._events, []
            self._writing = loop.create_task(self._write(events))

    def _hand_over_in_time(self) -> None:
        if self._timer is None and self._writing is None:
            # In the past, where there was a pause: with the loop's next turn.
            self._timer = asyncio.get_running_loop().call_at(self._not_before, self.hand_over)

    async def _write(self, events: list[tuple[Event, int, float | None]]) -> None:
        text = await asyncio.to_thread(self._encode, events)
        for place in self._places:
            await place.append(text)
        # Not after an error: nothing follows one, and closing the log raises it.
        self._writing = None
        if self._events:
            self._hand_over_in_time()

    def _encode(self, events: list[tuple[Event, int, float | None]]) -> str:
        take = self._log.take
        for event, now, dollars in events:
            take(event, now, dollars)
        return self._log.text()


class FromFirstJob:
    """Passes a log on once it has a job: one of a run without jobs is not kept."""

    def __init__(self, place: Lines) -> None:
        self._place = place
        self._held: list[str] | None = []

    async def append(self, text: str) -> None:
        """Take in lines."""
        if self._held is not None:
            self._held.append(text)
            # Within a text of JSON's, quotes are escaped: this is nothing but an event's name.
            if '"Event":"SparkListenerJobStart"' not in text:
                return
            text, self._held = "".join(self._held), None
        await self._place.append(text)

    async def finish(self) -> None:
        """Complete the log, if it has a job."""
        if self._held is None:
            await self._place.finish()


class LogFile:
    """A file of lines. `opened` is called with the path once the file is there.

    A folder that cannot be written to is warned of once, with what `what` is, and nothing more is
    written.
    """

    def __init__(self, path: Path, what: str, opened: Callable[[], object] = lambda: None) -> None:
        self.path = path
        self._what = what
        self._opened = opened
        # Used by one thread at a time.
        self._file: IO[str] | None = None
        self.broken = False

    async def append(self, text: str) -> None:
        """Add lines, in a thread."""
        if text and not self.broken:
            await asyncio.to_thread(self._append, text)

    async def finish(self) -> None:
        """Take `.inprogress` off the file's name."""
        await asyncio.to_thread(self._finish)

    def _append(self, text: str) -> None:
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                # Lone surrogates, of file names that are not text, come as JSON's own escapes.
                self._file = self.unfinished.open("w", encoding="utf-8")
                self._opened()
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            self._give_up(error)

    def _finish(self) -> None:
        if self._file is None:
            return
        try:
            self._file.close()
            self.unfinished.rename(self.path)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if not self.broken:
            self.broken = True
            _log.warning("%s is not written any further: %s", self._what, error)

    @property
    def unfinished(self) -> Path:
        """The file's path while it is written."""
        return self.path.with_name(self.path.name + IN_PROGRESS)
