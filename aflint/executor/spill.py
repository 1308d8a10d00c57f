"""Sorted runs on disk, and their merge: what aggregation and sorting fall back on.

A run is a file of blocks of (order, key, value) triples in ascending or descending order of
`order`. Merging holds one block of each run in memory.
"""

from __future__ import annotations

import errno
import heapq
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

from aflint.codec import frame, records
from aflint.errors import DiskFullError

Triple = tuple[Any, Any, Any]

MAX_FAN_IN = 64
"""Runs merged at once; more are merged in rounds, to bound open files and memory."""

_BLOCK_BYTES = 128 * 1024


class SpillFolder:
    """Makes and removes the spill files of one task, and counts the bytes written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = 0

    def file(self) -> IO[bytes]:
        """Open a new file that vanishes when it is closed, or with its process."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            return tempfile.TemporaryFile(dir=self.path, buffering=0)
        except OSError as error:
            raise translate(error, self.path) from error


class BlockFile:
    """A temporary file of encoded blocks, written once and read any number of times."""

    def __init__(self, folder: SpillFolder) -> None:
        self._folder = folder
        self._file = folder.file()
        self._end = 0
        self.blocks: list[tuple[int, int]] = []

    def append(self, block: list[Any]) -> int:
        """Write a block and return its size before compression."""
        encoded = records.encode(block)
        data = frame.compress(encoded)
        try:
            self._file.seek(self._end)
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise translate(error, self._folder.path) from error
        self.blocks.append((self._end, len(data)))
        self._end += len(data)
        self._folder.bytes += len(data)
        return len(encoded)

    def read(self) -> Iterator[list[Any]]:
        """Yield the blocks in the order written."""
        for offset, length in self.blocks:
            self._file.seek(offset)
            yield records.decode(frame.decompress(self._file.read(length)))

    def close(self) -> None:
        """Free the disk space."""
        self._file.close()


class Runs:
    """Sorted runs of one task."""

    def __init__(self, folder: SpillFolder, *, descending: bool = False) -> None:
        self._folder = folder
        self._descending = descending
        self._files: list[BlockFile] = []

    def __bool__(self) -> bool:
        return bool(self._files)

    def add(self, triples: Iterable[Triple]) -> None:
        """Write triples, already in order, as one more run."""
        self._files.append(self._write(iter(triples)))
        if len(self._files) >= MAX_FAN_IN:
            merged = self._write(self._merge(self._files))
            self._close()
            self._files = [merged]

    def merged(self) -> Iterator[Triple]:
        """Yield the triples of all runs in order; equal ones in the order of their runs."""
        try:
            yield from self._merge(self._files)
        finally:
            self._close()

    def _close(self) -> None:
        for file in self._files:
            file.close()
        self._files = []

    def _merge(self, files: list[BlockFile]) -> Iterator[Triple]:
        runs = ((triple for block in file.read() for triple in block) for file in files)
        return heapq.merge(*runs, key=itemgetter(0), reverse=self._descending)

    def _write(self, triples: Iterator[Triple]) -> BlockFile:
        file = BlockFile(self._folder)
        per_block = 16
        while block := list(islice(triples, per_block)):
            size = file.append(block)
            per_block = max(1, min(4096, per_block * _BLOCK_BYTES // max(size, 1), per_block * 4))
        return file


def translate(error: OSError, folder: Path) -> Exception:
    """Return the error to raise for one met while spilling to `folder`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"No room left on the disk while spilling to {folder}. Free some space, set "
            "`scratch_dir` to a larger disk, or raise `worker_memory_mb` so that less is spilled."
        )
    return error
