"""Bytes of stored files, read in large ranges ahead of need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from aflint.errors import UnreadableInputError
from aflint.executor.io_loop import IOLoop
from aflint.storage.base import Storage

T = TypeVar("T")

READ_BYTES = 4 * 1024 * 1024
"""One range: large enough that the request costs nothing beside it."""

DEPTH = 2
"""Ranges on their way while one is worked on."""


@dataclass(slots=True)
class SourceCounts:
    """What has been read so far, in bytes as stored."""

    input_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading takes."""

    storage: Storage
    io: IOLoop
    counts: SourceCounts

    @contextmanager
    def ahead(self, thunks: Iterable[Callable[[], Awaitable[T]]]) -> Iterator[Iterator[T]]:
        """Give the results in order, `DEPTH` on their way; leaving cancels what is in flight."""
        results = self.io.ahead(thunks, DEPTH)
        try:
            yield results
        finally:
            results.close()  # type: ignore[attr-defined]

    def ranges(self, path: str, start: int, end: int, step: int = READ_BYTES) -> Iterator[bytes]:
        """Yield bytes [start, end) of a file in steps, the next ones being on their way.

        Raises UnreadableInputError if the file ends before that.
        """
        borders = [(at, min(at + step, end)) for at in range(start, end, step)]
        thunks = (partial(self.storage.read, path, *border) for border in borders)
        with self.ahead(thunks) as blocks:
            for (at, stop), block in zip(borders, blocks, strict=True):
                if len(block) != stop - at:
                    raise _shrunk(path, at + len(block), end)
                self.counts.input_bytes += len(block)
                yield block


def _shrunk(path: str, size: int, expected: int) -> UnreadableInputError:
    return UnreadableInputError(
        f"{path} ends at byte {size}, but had {expected} bytes when the job began: it was changed "
        "while it was read; run the job again"
    )
