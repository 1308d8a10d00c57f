"""What a task writes, apart from shuffles: its part of a saved RDD, and files of record blocks.

A task writes under `_temporary/<job>/` of the target; only `aflint.driver.commit` moves the part of
the accepted attempt into place.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Any

from aflint.codec import pairs, records
from aflint.codec.pairs import Block, Pairs
from aflint.errors import OutputError
from aflint.executor.blockfile import (
    END,
    MAGIC,
    TAGGED_MAGIC,
    frame_encoded,
    frame_tagged,
    tagged_end,
)
from aflint.executor.compression import SUFFIXES, compressor
from aflint.executor.io_loop import IOLoop
from aflint.storage.base import Storage
from aflint.task import StagedPart, TaskId

WRITE_BYTES = 4 * 1024 * 1024
"""Collected before they are written; as much again may be on its way."""

BATCH_BYTES = 256 * 1024
MOST_RECORDS = 16_384
"""The most records that are made into bytes at once; fewer where they reach BATCH_BYTES."""


class SizedLists:
    """Lists of records, each as many as should make about BATCH_BYTES by what the last one made."""

    def __init__(self, records: Iterable[Any], most: int) -> None:
        self._records = iter(records)
        self._most = most
        self._count = min(64, most)

    def made(self, size: int) -> None:
        """Take in how many bytes the last list became."""
        fitting = self._count * BATCH_BYTES // max(size, 1)
        self._count = max(1, min(self._most, fitting, self._count * 4))

    def __iter__(self) -> Iterator[list[Any]]:
        while batch := list(islice(self._records, self._count)):
            yield batch


class StreamWriter:
    """Bytes of one file, written in large pieces while the next are made; use it in `with`.

    The file is there only after the block has ended without an exception.
    """

    def __init__(self, path: str, storage: Storage, io: IOLoop) -> None:
        self.size = 0
        self._file = storage.create(path)
        self._io = io
        self._pieces: list[bytes] = []
        self._held = 0
        self._writing: Future[None] | None = None

    def write(self, data: bytes) -> None:
        """Append.

        Raises DiskFullError or OutputError, of this write or an earlier one.
        """
        self._pieces.append(data)
        self._held += len(data)
        self.size += len(data)
        if self._held >= WRITE_BYTES:
            self._flush()

    def __enter__(self) -> StreamWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.abort()
        else:
            self.finish()

    def finish(self) -> None:
        """Write what is left and make the file visible."""
        try:
            self._flush()
            self._settle()
            self._io.run(self._file.finish())
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Give up, leaving nothing behind."""
        # The garbage collector may end an iterator on the loop's thread, where nothing can be
        # waited for.
        waits = not self._io.on_its_thread()
        if waits and self._writing is not None and not self._writing.cancelled():
            self._writing.exception()  # waits; what failed is given up anyway
        self._io.finish(self._file.abort())

    def _flush(self) -> None:
        self._settle()
        if self._pieces:
            # The write before has ended: the pieces of a file are written in order, one at a time.
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._held = 0
            self._writing = self._io.submit(self._file.write(data))

    def _settle(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None


class BlockFileWriter:
    """A file of record blocks (see `aflint.executor.blockfile`); use it in `with`.

    With a `key` it is tagged.
    """

    def __init__(self, path: str, storage: Storage, io: IOLoop, key: bytes | None = None) -> None:
        self.records = 0
        self._key = key
        self._blocks = 0
        self._stream = StreamWriter(path, storage, io)
        self._stream.write(MAGIC if key is None else TAGGED_MAGIC)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._stream.size

    def write(self, block: Block) -> int:
        """Append records as one block and return its size before compression; [] writes nothing."""
        if not block:
            return 0
        self.records += len(block)
        if self._key is None:
            encoded = records.encode(list(block))
            self._stream.write(frame_encoded(encoded, len(block)))
        else:
            apart = block if isinstance(block, Pairs) else Pairs.of(block)
            encoded = pairs.encode(apart or block)
            self._stream.write(frame_tagged(encoded, len(block), self._key, self._blocks))
        self._blocks += 1
        return len(encoded)

    def finish(self) -> int:
        """Make the file visible and return its size in bytes."""
        self._stream.write(END if self._key is None else tagged_end(self._key, self._blocks))
        self._stream.finish()
        return self.size

    def abort(self) -> None:
        """Give up, leaving nothing behind."""
        self._stream.abort()

    def __enter__(self) -> BlockFileWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.abort()
        else:
            self.finish()


def save_text(
    records: Iterable[Any],
    target: str,
    compression: str | None,
    task: TaskId,
    storage: Storage,
    io: IOLoop,
) -> StagedPart:
    """Write a partition as lines of str(record) in UTF-8; bytes are written as they are.

    Raises OutputError for a str that UTF-8 cannot carry.
    """
    part = _part(target, task, SUFFIXES.get(compression or "", ""))
    engine = compressor(compression) if compression else None
    written = 0
    with StreamWriter(part.staged, storage, io) as stream:
        for batch in (lists := SizedLists(records, MOST_RECORDS)):
            written += len(batch)
            data = _text_of(batch, target)
            lists.made(len(data))
            stream.write(engine.compress(data) if engine else data)
        if engine:
            stream.write(engine.flush())
    return _done(part, stream.size, written)


def save_pickle(
    records: Iterable[Any],
    target: str,
    batch: int,
    task: TaskId,
    storage: Storage,
    io: IOLoop,
) -> StagedPart:
    """Write a partition as a file of record blocks, at most `batch` records to a block."""
    part = _part(target, task, "")
    with BlockFileWriter(part.staged, storage, io) as file:
        for block in (lists := SizedLists(records, batch)):
            lists.made(file.write(block))
    return _done(part, file.size, file.records)


def staging_folder(target: str, task: TaskId) -> str:
    """Return where an attempt stages its parts. No other attempt writes there, not even one of the
    same number that still runs for an earlier job of the same name.
    """
    attempt = f"{task.stage}-{task.partition}-{task.attempt}-{task.link}-{secrets.token_hex(8)}"
    return f"{target.rstrip('/')}/_temporary/{task.job}/{attempt}"


def _part(target: str, task: TaskId, suffix: str) -> StagedPart:
    name = f"part-{task.partition:05d}{suffix}"
    return StagedPart(f"{staging_folder(target, task)}/{name}", name)


def _done(part: StagedPart, size: int, records: int) -> StagedPart:
    return StagedPart(part.staged, part.name, size, records)


def _text_of(batch: list[Any], target: str) -> bytes:
    try:
        # Mostly every record is a str: one join and one encode for all of them.
        return ("\n".join(batch) + "\n").encode("utf-8")
    except (TypeError, UnicodeEncodeError):
        lines: Iterable[bytes] = map(_line_maker(target), batch)
        return b"\n".join(lines) + b"\n"


def _line_maker(target: str) -> Callable[[Any], bytes]:
    def line(record: Any) -> bytes:
        if isinstance(record, bytes | bytearray):
            return bytes(record)
        text = record if isinstance(record, str) else str(record)
        try:
            # Names of files may hold bytes that are no text: these are written as they were.
            return text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise OutputError(
                f"{text[:80]!r} cannot be written to {target} as UTF-8: {error.reason}; "
                "encode it to bytes first"
            ) from error

    return line
