"""Where an event log goes: a file that is called `.inprogress` until it is complete, as Spark's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

_log = logging.getLogger("aflint.observe")

IN_PROGRESS: Final = ".inprogress"
_EVERY_S: Final = 0.25


class LogFile:
    """A file of lines, written in threads, one write after the other: no disk holds the loop up.

    What is written is in the file a quarter of a second later. A folder that cannot be written to
    is warned of once, with what `what` is, and nothing more is written: no job fails for its log.
    `opened` is called with the path once the file is there.
    """

    def __init__(self, path: Path, what: str, opened: Callable[[], object] = lambda: None) -> None:
        self.path = path
        self._what = what
        self._opened = opened
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        # The write under way, which waits for those before it. By the loop's own threads, as a pool
        # cannot be used once the interpreter ends: then sessions are closed that a program forgot.
        self._last: asyncio.Task[None] | None = None
        # Used by one thread at a time.
        self._file: IO[str] | None = None
        self.broken = False

    def write(self, line: str) -> None:
        """Add lines, each with its end."""
        self._lines.append(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_EVERY_S, self._hand_over)

    async def aclose(self) -> None:
        """Write the rest, and take `.inprogress` off the file's name."""
        if self._timer is not None:
            self._timer.cancel()
        self._hand_over()
        if self._last is not None:
            await self._last
        await asyncio.to_thread(self._finish)

    def _hand_over(self) -> None:
        self._timer = None
        text, self._lines = "".join(self._lines), []
        if text and not self.broken:
            self._last = asyncio.get_running_loop().create_task(
                self._append_after(self._last, text)
            )

    async def _append_after(self, before: asyncio.Task[None] | None, text: str) -> None:
        if before is not None:
            await before
        await asyncio.to_thread(self._append, text)

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
