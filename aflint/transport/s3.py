"""Frames in S3: one combined object for each map attempt, read by ranges."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

from aflint.aws.clients import Aws
from aflint.aws.s3 import S3
from aflint.errors import FetchFailedError
from aflint.task import Manifest, ShuffleHandle
from aflint.transport.base import (
    ShuffleReader,
    ShuffleWriter,
    TransferCounts,
    Transport,
    TransportTraits,
    Written,
)
from aflint.transport.combined_object import (
    PART_BYTES,
    CombinedObject,
    close_all,
    close_place,
    is_open,
    open_place,
    read_frames,
    split_uri,
)
from aflint.transport.sqs_queues import plain

MAX_FRAME_BYTES = 2**30
TARGET_FRAME_BYTES = 1024 * 1024


class S3Transport(Transport):
    """Shuffles below s3://`bucket`/`prefix`/shuffles/."""

    def __init__(self, aws: Aws, bucket: str, prefix: str = "aflint") -> None:
        super().__init__(TransportTraits(MAX_FRAME_BYTES, TARGET_FRAME_BYTES, rereadable=True))
        self._aws = aws
        self._s3 = aws.s3(self.counts)
        self._bucket = bucket
        self._prefix = prefix

    @property
    def config(self) -> tuple[Any, ...]:
        """What `create_transport` makes this transport of in another process."""
        return ("s3", self._bucket, self._prefix)

    async def open(self, job: str, shuffle: int, partitions: int) -> ShuffleHandle:
        place = new_place(self._bucket, self._prefix, job, shuffle)
        await open_place(self._s3, place)
        return ShuffleHandle(job, shuffle, partitions, place)

    async def close(self, handle: ShuffleHandle) -> None:
        await close_place(self._s3, handle.address)

    async def survives(self, handle: ShuffleHandle) -> bool:
        return await is_open(self._s3, handle.address)

    async def sweep(self, session: str) -> None:
        await close_all(self._s3, self._bucket, self._prefix, session)

    def writer(self, handle: ShuffleHandle, map: int, attempt: int, link: int) -> S3Writer:
        bucket, key = split_uri(handle.address)
        return S3Writer(self._s3, bucket, f"{key}/{map}-{attempt}-{link}", self.traits)

    def reader(self, manifest: Manifest) -> S3Reader:
        return S3Reader(self._s3, manifest)

    def exchange_groups(self, maps: int, partitions: int) -> int:
        # Here, as a function that starts cold has no use for it.
        from aflint.cost.exchange import cheaper_groups

        return cheaper_groups(maps, partitions, "s3")

    async def aclose(self) -> None:
        await self._aws.aclose()


def new_place(bucket: str, prefix: str, job: str, shuffle: int) -> str:
    """Return an s3:// URI under which nothing lies, for the objects of one shuffle."""
    return f"s3://{bucket}/{prefix}/shuffles/{plain(job)[:40]}/{shuffle}-{uuid4().hex[:8]}"


class S3Writer(ShuffleWriter):
    """Collects frames by partition and writes them in parts, in the background."""

    def __init__(self, s3: S3, bucket: str, key: str, traits: TransportTraits) -> None:
        self.counts = TransferCounts()
        self._traits = traits
        self._object = CombinedObject(s3, bucket, key, self.counts)
        self._frames: dict[int, list[bytes]] = {}
        self._buffered = 0

    async def write(self, partition: int, frame: bytes) -> None:
        self._traits.check(frame)
        self._frames.setdefault(partition, []).append(frame)
        self._buffered += len(frame)
        if self._buffered >= PART_BYTES:
            await self._flush()

    async def finish(self) -> Written:
        if self._frames:
            await self._flush()
        return await self._object.finish()

    async def abort(self) -> None:
        self._frames = {}
        await self._object.abort()

    async def _flush(self) -> None:
        frames, self._frames, self._buffered = self._frames, {}, 0
        await self._object.append(frames)


class S3Reader(ShuffleReader):
    """Reads ranges of several objects at once, and ends when all were read."""

    def __init__(self, s3: S3, manifest: Manifest) -> None:
        self.counts = TransferCounts()
        self._s3 = s3
        self._manifest = manifest

    async def frames(self) -> AsyncGenerator[bytes, None]:
        async with aclosing(read_frames(self._s3, self._manifest, self.counts)) as frames:
            async for frame in frames:
                yield frame
        # Last, so that all frames that can be read were: what is missing is then known at once.
        outputs = self._manifest.outputs
        unplaced = tuple(sorted({o.map for o in outputs if o.frames and not o.extents}))
        if unplaced:
            shuffle = self._manifest.handle.shuffle
            raise FetchFailedError(
                f"shuffle {shuffle}: the manifest does not say where the frames of map partitions "
                f"{', '.join(map(str, unplaced))} lie",
                shuffle=shuffle,
                maps=unplaced,
            )

    async def close(self) -> None:
        return None
