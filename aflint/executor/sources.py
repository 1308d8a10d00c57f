"""What a task reads, apart from shuffles: one split, as blocks of records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from aflint.codec.digest import checked_blob
from aflint.errors import InternalError
from aflint.executor.blockfile import unpack_block
from aflint.executor.files import BlockFileSource, FilesSource
from aflint.executor.io_loop import IOLoop
from aflint.executor.ranges import Reading, SourceCounts
from aflint.executor.text import TextSource, WideTextSource
from aflint.storage.base import FileInfo, Storage
from aflint.storage.formats import is_splittable
from aflint.task import Blob, BlocksSplit, DataSplit, FilesSplit, RangeSplit, TextSplit

__all__ = ["Source", "SourceCounts", "blocks", "count", "open_source"]

RANGE_BLOCK = 10_000
"""Integers made at once."""


class Source(Protocol):
    """One split being read. Closing the iterator of `blocks` leaves nothing in flight."""

    position: Any
    """Where reading stands after the last block given: `open_source` can go on from there."""

    def blocks(self) -> Iterator[Sequence[Any]]:
        """Yield the records, in blocks."""

    def count(self) -> int:
        """Count the records, in place of `blocks`, with as little work as that takes."""


def open_source(
    split: Any,
    storage: Storage,
    io: IOLoop,
    counts: SourceCounts | None = None,
    position: Any = None,
    key: bytes | None = None,
) -> Source:
    """Return the source of any kind of split, from the start or from an earlier `position`.

    The bytes read are added to `counts`; `key` is that of a tagged file.
    """
    reading = Reading(storage, io, counts if counts is not None else SourceCounts())
    match split:
        case TextSplit() if is_splittable(split.encoding):
            return TextSource(split, reading, position)
        case TextSplit():
            return WideTextSource(split, reading, position)
        case FilesSplit():
            return FilesSource(split, reading, position)
        case BlocksSplit():
            file = FileInfo(split.path, split.size)
            return BlockFileSource(file, reading, position, key if split.tagged else None)
        case DataSplit():
            return DataSource(split, reading, position)
        case RangeSplit():
            return RangeSource(split, position)
    raise InternalError(f"{type(split).__name__} is no kind of split")


def blocks(
    split: Any, storage: Storage, io: IOLoop, counts: SourceCounts | None = None
) -> Iterator[Sequence[Any]]:
    """Yield the records of a split, in blocks."""
    return open_source(split, storage, io, counts).blocks()


def count(split: Any, storage: Storage, io: IOLoop, counts: SourceCounts | None = None) -> int:
    """Count the records of a split."""
    return open_source(split, storage, io, counts).count()


class RangeSource:
    """Integers; `position` counts those given."""

    def __init__(self, split: RangeSplit, position: int | None = None) -> None:
        self.position = position or 0
        self._range = range(split.start, split.stop, split.step)

    def blocks(self) -> Iterator[list[int]]:
        """Yield lists of integers."""
        while self.position < len(self._range):
            block = list(self._range[self.position : self.position + RANGE_BLOCK])
            self.position += len(block)
            yield block

    def count(self) -> int:
        """Count the integers."""
        return len(self._range) - self.position


class DataSource:
    """Blocks that came with the task, or lie in storage; `position` counts those given."""

    def __init__(self, split: DataSplit, reading: Reading, position: int | None = None) -> None:
        self.position = position or 0
        self._split = split
        self._reading = reading

    def blocks(self) -> Iterator[list[Any]]:
        """Yield the blocks."""
        blobs = self._split.blocks[self.position :]
        thunks = (partial(self._fetch, blob) for blob in blobs)
        with self._reading.ahead(thunks) as fetched:
            for blob, data in zip(blobs, fetched, strict=True):
                self._reading.counts.input_bytes += len(data)
                # Inline data came in the sealed task; what lay in storage may have been altered.
                if blob.data is None:
                    checked_blob(data, blob)
                block = unpack_block(data)
                self.position += 1
                yield block

    def count(self) -> int:
        """Count the records."""
        return sum(map(len, self.blocks()))

    async def _fetch(self, blob: Blob) -> bytes:
        if blob.data is not None:
            return blob.data
        if blob.location is None:
            raise InternalError(f"blob {blob.digest} has neither data nor a location")
        return await self._reading.storage.read(blob.location)
