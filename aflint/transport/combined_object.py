"""One object in S3 that takes all the frames of a map attempt, and reading ranges of such."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from functools import partial
from typing import Any
from uuid import uuid4

from aflint.aio import InFlight, as_they_come
from aflint.aws.s3 import S3
from aflint.errors import AccessDeniedError, FetchFailedError, ObjectNotFoundError
from aflint.task import Manifest
from aflint.transport.base import TransferCounts, Written
from aflint.transport.frame_run import Layout, LostOutputError, Run, cut, plan_runs

PART_BYTES = 16 * 1024 * 1024
"""Frames collected before they are written together: one PUT, or one part of an upload."""

RANGE_BYTES = 16 * 1024 * 1024
"""The length of a run, and the most that one GET reads (a single frame may be more)."""

_MARK = "open"
"""The object whose absence says that a shuffle was closed."""

_READS = 6
_UPLOADS = 2


class CombinedObject:
    """Takes frames by the batch. It is there, whole, once finished; before, nothing is."""

    def __init__(self, s3: S3, bucket: str, key: str, counts: TransferCounts) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._key = f"{key}-{uuid4().hex[:12]}"
        self._counts = counts
        self._layout = Layout(RANGE_BYTES)
        # The ETags of the parts of a multipart upload, in their order, and its id.
        self._parts: list[str] = []
        self._upload = ""
        # The latest batch. It is sent when the next one comes: a batch that stays alone is one PUT
        # of an object, a third of the requests of a multipart upload.
        self._waiting: bytes | None = None
        self._uploading = InFlight(_UPLOADS * 2 * PART_BYTES, _UPLOADS)

    @property
    def started(self) -> bool:
        """Whether anything was taken."""
        return self._layout.size > 0

    async def append(self, frames: Mapping[int, Sequence[bytes]]) -> None:
        """Take frames: at least `PART_BYTES`, except for the last time."""
        data = b"".join(self._layout.add(frames))
        if self._waiting is not None:
            # A second batch: the object takes an upload in parts, of which this is one.
            await self._put_part(self._waiting)
        self._waiting = data

    async def finish(self) -> Written:
        """Make the object readable and say where it is, and the frames in it."""
        if self._waiting is None:
            return Written()
        data, self._waiting = self._waiting, None
        if self._upload:
            await self._put_part(data)
            await self._uploading.drain()
            self._counts.s3_puts += 1
            await self._s3.finish_upload(self._bucket, self._key, self._upload, self._parts)
            self._upload = ""
        else:
            self._counts.s3_puts += 1
            await self._s3.put(self._bucket, self._key, data)
        # After the object is there: a close that comes between is seen by one side or the other.
        await self._check_open()
        return Written(f"s3://{self._bucket}/{self._key}", self._layout.extents())

    async def _check_open(self) -> None:
        """Take the object back if its shuffle was closed meanwhile: nothing else would remove it.

        A function cannot be stopped: it may write long after its job was over.
        """
        self._counts.s3_gets += 1
        mark = f"{self._key.rpartition('/')[0]}/{_MARK}"
        try:
            if await self._s3.head(self._bucket, mark) is not None:
                return
        except AccessDeniedError:  # also S3's answer for a missing object if listing is not allowed
            await self._s3.delete(self._bucket, self._key)
            raise
        await self._s3.delete(self._bucket, self._key)
        raise ObjectNotFoundError(
            f"s3://{self._bucket}/{mark} is gone: the shuffle was closed, its job is over."
        )

    async def abort(self) -> None:
        """Give up what was not finished."""
        self._waiting = None
        await self._uploading.cancel()  # first: S3 keeps parts that arrive after the abort
        upload, self._upload = self._upload, ""
        if upload:
            await self._s3.abort_upload(self._bucket, self._key, upload)

    async def _put_part(self, data: bytes) -> None:
        if not self._upload:
            self._counts.s3_puts += 1
            self._upload = await self._s3.begin_upload(self._bucket, self._key)
        self._parts.append("")  # its place; parts may finish in any order
        self._counts.s3_puts += 1
        await self._uploading.start(len(data), self._upload_part(len(self._parts), data))

    async def _upload_part(self, number: int, data: bytes) -> None:
        self._parts[number - 1] = await self._s3.put_part(
            self._bucket, self._key, self._upload, number, data
        )


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of an s3:// URI."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


async def read_frames(
    s3: S3, manifest: Manifest, counts: TransferCounts
) -> AsyncGenerator[bytes, None]:
    """Yield the frames that a manifest names in objects, several GETs at once.

    Raises FetchFailedError naming the maps whose objects are gone or damaged, all of them at once:
    it comes after every frame that could be read.
    """
    lost: set[int] = set()

    async def read(run: Run) -> list[bytes]:
        counts.s3_gets += 1
        bucket, key = split_uri(run.object)
        at, length = run.extent.offset, run.extent.length
        try:
            return cut(run, await s3.get(bucket, key, at, at + length))
        except (ObjectNotFoundError, LostOutputError):
            # Not raised here: the other maps of this partition may be lost as well.
            lost.add(run.map)
            return []

    reads: Iterator[Callable[[], Coroutine[Any, Any, list[bytes]]]] = (
        partial(read, run) for run in plan_runs(manifest.outputs, RANGE_BYTES)
    )
    async with aclosing(as_they_come(reads, lambda: _READS)) as results:
        async for frames in results:
            for frame in frames:
                yield frame
    if lost:
        shuffle, maps = manifest.handle.shuffle, tuple(sorted(lost))
        raise FetchFailedError(
            f"shuffle {shuffle}, partition {manifest.partition}: the objects of map partitions "
            f"{', '.join(map(str, maps))} are gone or damaged",
            shuffle=shuffle,
            maps=maps,
        )


async def open_place(s3: S3, uri: str) -> None:
    """Mark a place as one that may be written to."""
    bucket, key = split_uri(uri)
    await s3.put(bucket, f"{key}/{_MARK}", b"")


async def is_open(s3: S3, uri: str) -> bool:
    """Say whether a place may be written to and read."""
    bucket, key = split_uri(uri)
    return await s3.head(bucket, f"{key}/{_MARK}") is not None


async def close_all(s3: S3, bucket: str, prefix: str, session: str) -> None:
    """Remove the places of all jobs of a session."""
    await _remove_prefix(s3, bucket, f"{prefix}/shuffles/{session}-")


async def close_place(s3: S3, uri: str) -> None:
    """Remove a place with all that is in it; a writer that ends later removes its own object."""
    bucket, key = split_uri(uri)
    # The mark goes first: a writer that looks for it from now on takes its object back.
    await s3.delete(bucket, f"{key}/{_MARK}")
    await _remove_prefix(s3, bucket, f"{key}/")


async def _remove_prefix(s3: S3, bucket: str, prefix: str) -> None:
    """Remove every object and every unfinished upload below a prefix."""
    for key, upload in await s3.uploads(bucket, prefix):
        await s3.abort_upload(bucket, key, upload)
    found = await s3.list_all(bucket, prefix)
    await s3.delete_many(bucket, [each.key for each in found.objects])
