"""Sorted runs out of memory, and their merge: what aggregation and sorting fall back on.

A run is a file of blocks of (order, key, value) triples in ascending or descending order of
`order`. Merging holds one block of each run in memory.
"""

from __future__ import annotations

import errno
import heapq
import logging
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

from aflint.codec import frame, records
from aflint.codec.digest import checked, digest_of
from aflint.errors import DiskFullError, InternalError
from aflint.executor.context import in_task, task_context
from aflint.executor.io_loop import IOLoop
from aflint.storage.base import Storage

_log = logging.getLogger("aflint.executor")

Triple = tuple[Any, Any, Any]

MAX_FAN_IN = 64
"""Runs merged at once; more are merged in rounds, to bound open files and memory."""

_BLOCK_BYTES = 128 * 1024
_OBJECT_BYTES = 8 * 1024 * 1024


class SpillFolder:
    """Where one task spills: a folder of this machine, then storage.

    `most_bytes` is what may lie in the folder at a time, None for as much as the disk holds; what
    is more goes to storage under `overflow`, in objects of about 8 MiB that are read by ranges.
    `bytes` counts all that was spilled.
    """

    def __init__(
        self,
        path: Path,
        most_bytes: int | None = None,
        storage: Storage | None = None,
        io: IOLoop | None = None,
        overflow: str = "",
    ) -> None:
        self.path = path
        self.bytes = 0
        self.stored_objects = 0
        self._most = most_bytes
        self._held = 0
        self._storage = storage
        self._io = io
        self._overflow = f"{overflow}/{secrets.token_hex(16)}"

    def file(self) -> IO[bytes]:
        """Open a new file that vanishes when it is closed, or with its process."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            return tempfile.TemporaryFile(dir=self.path, buffering=0)
        except OSError as error:
            raise translate(error, self.path) from error

    def take(self, size: int) -> bool:
        """Say whether bytes have room in the folder, and if so count them as held there."""
        if self._most is not None and self._storage is not None and self._held + size > self._most:
            return False
        self._held += size
        return True

    def release(self, size: int) -> None:
        """Count bytes of the folder that were freed."""
        self._held -= size

    def put(self, data: bytes) -> str:
        """Write an object to storage and return its path."""
        storage, io = self._remote()
        path = f"{self._overflow}-{self.stored_objects}"
        self.stored_objects += 1
        io.run(storage.write(path, data))
        return path

    def get(self, places: Iterable[tuple[str, int, int]]) -> Iterator[bytes]:
        """Yield ranges (path, offset, length) of objects, the next ones being on their way."""
        storage, io = self._remote()
        thunks = (partial(storage.read, path, at, at + size) for path, at, size in places)
        return io.ahead(thunks)

    def drop(self, path: str) -> None:
        """Remove an object."""
        storage, io = self._remote()
        io.finish(storage.delete_files((path,)))

    def _remote(self) -> tuple[Storage, IOLoop]:
        if self._storage is None or self._io is None:
            raise InternalError("this task was given no storage to spill to")
        return self._storage, self._io


class SpillFile:
    """Encoded blocks, written once and read any number of times: on disk, then in storage."""

    def __init__(self, folder: SpillFolder) -> None:
        self._folder = folder
        # On disk: (offset, length) of each block, and where the next one goes.
        self._file: IO[bytes] | None = None
        self._local: list[tuple[int, int]] = []
        self._end = 0
        # In storage: (object, offset, length) of each block, its digest, and the objects.
        self._remote: list[tuple[str, int, int]] = []
        self._digests: list[str] = []
        self._objects: list[str] = []
        # Blocks that wait until they make an object worth its request.
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def append(self, block: list[Any]) -> int:
        """Write a block and return its size before compression."""
        encoded = records.encode(block)
        data = frame.compress(encoded)
        self._folder.bytes += len(data)
        # What follows a block in storage goes there, too: blocks are read in the order written,
        # those on disk first.
        if not (self._objects or self._waiting) and self._folder.take(len(data)):
            self._write(data)
        else:
            self._wait(data)
        return len(encoded)

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._file = self._folder.file()
        try:
            self._file.seek(self._end)
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise translate(error, self._folder.path) from error
        self._local.append((self._end, len(data)))
        self._end += len(data)

    def _wait(self, data: bytes) -> None:
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= _OBJECT_BYTES:
            self._put()

    def _put(self) -> None:
        path = self._folder.put(b"".join(self._waiting))
        self._objects.append(path)
        offset = 0
        for data in self._waiting:
            self._remote.append((path, offset, len(data)))
            self._digests.append(digest_of(data))
            offset += len(data)
        self._waiting, self._waiting_bytes = [], 0

    def read(self) -> Iterator[list[Any]]:
        """Yield the blocks in the order written."""
        for offset, length in self._local:
            assert self._file is not None
            self._file.seek(offset)
            yield _decoded(self._file.read(length))
        if self._remote:
            fetched = self._folder.get(self._remote)
            for data, expected in zip(fetched, self._digests, strict=True):
                yield _decoded(checked(data, expected, "what was spilled"))
        yield from map(_decoded, self._waiting)

    def close(self) -> None:
        """Free the space."""
        if self._file is not None:
            self._file.close()
            self._folder.release(self._end)
        for path in self._objects:
            self._folder.drop(path)


def _decoded(data: bytes) -> list[Any]:
    return records.decode(frame.decompress(data))


class Runs:
    """Sorted runs of one task."""

    def __init__(self, folder: SpillFolder, *, descending: bool = False) -> None:
        self._folder = folder
        self._descending = descending
        self._files: list[SpillFile] = []

    def __bool__(self) -> bool:
        return bool(self._files)

    def add(self, triples: Iterable[Triple]) -> None:
        """Write triples, already in order, as one more run."""
        before = self._folder.bytes
        self._files.append(self._write(iter(triples)))
        if in_task():
            size = self._folder.bytes - before
            _log.debug("%s spilled run %d: %d bytes", task_context().id, len(self._files), size)
        if len(self._files) >= MAX_FAN_IN:
            # The merged run takes the place of all: it is the first of the next round, so that
            # equal keys stay in the order of their runs.
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

    def _merge(self, files: list[SpillFile]) -> Iterator[Triple]:
        runs = ((triple for block in file.read() for triple in block) for file in files)
        return heapq.merge(*runs, key=itemgetter(0), reverse=self._descending)

    def _write(self, triples: Iterator[Triple]) -> SpillFile:
        file = SpillFile(self._folder)
        per_block = 16
        while block := list(islice(triples, per_block)):
            size = file.append(block)
            # Blocks of about equal bytes: a merge holds one of each run. Grown by four at most, as
            # the records of one block say little of the next.
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
