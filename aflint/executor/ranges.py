"""Bytes of stored files, read in large ranges ahead of need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TypeVar

from aflint.executor.io_loop import IOLoop, Stopwatch
from aflint.storage.base import FileInfo, Storage, input_changed

T = TypeVar("T")

READ_BYTES = 4 * 1024 * 1024
"""One range: large enough that the request costs nothing beside it."""

DEPTH = 2
"""Ranges on their way while one is worked on."""

FILES_DEPTH = 8
"""Small files on their way: more, since each is one request that brings little."""


@dataclass(slots=True)
class SourceCounts:
    """What has been read so far, in bytes as stored, and how long it was waited for."""

    input_bytes: int = 0
    input_records: int = 0
    waited: Stopwatch = field(default_factory=Stopwatch)


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading takes."""

    storage: Storage
    io: IOLoop
    counts: SourceCounts

    @contextmanager
    def ahead(
        self, thunks: Iterable[Callable[[], Awaitable[T]]], depth: int = DEPTH
    ) -> Iterator[Iterator[T]]:
        """Give the results in order, `depth` on their way; leaving cancels what is in flight."""
        results = self.counts.waited.each(self.io.ahead(thunks, depth))
        try:
            yield results
        finally:
            results.close()  # type: ignore[attr-defined]

    def ranges(
        self, path: str, start: int, end: int, version: str = "", step: int = READ_BYTES
    ) -> Iterator[bytes]:
        """Yield bytes [start, end) of a file in steps, the next ones being on their way.

        Raises InputChangedError if the file is not of that version, or ends before that.
        """
        borders = [(at, min(at + step, end)) for at in range(start, end, step)]
        thunks = (partial(self.storage.read, path, *border, version) for border in borders)
        with self.ahead(thunks) as blocks:
            for (at, stop), block in zip(borders, blocks, strict=True):
                yield self._counted(block, path, at, stop)

    def whole(self, files: Iterable[FileInfo]) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield each file's path and pieces; the beginnings of the next files are on their way.

        The pieces are to be taken before the next file is. Raises as `ranges` does.
        """
        known = [(file, min(file.size, READ_BYTES)) for file in files]
        thunks = (
            partial(self.storage.read, file.path, 0, stop, file.version) for file, stop in known
        )
        with self.ahead(thunks, FILES_DEPTH) as blocks:
            for (file, stop), block in zip(known, blocks, strict=True):
                first = self._counted(block, file.path, 0, stop)
                rest = self.ranges(file.path, stop, file.size, file.version)
                yield file.path, chain((first,), rest)

    def _counted(self, block: bytes, path: str, start: int, end: int) -> bytes:
        self.counts.input_bytes += len(block)
        if len(block) == end - start:
            return block
        # Fewer bytes than were listed: the file was cut while it was read.
        raise input_changed(path)
