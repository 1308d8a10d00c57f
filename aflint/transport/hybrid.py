"""Small blocks in SQS, large ones in S3: each where the price table says it is cheapest."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing, suppress
from typing import Any

from aflint import limits
from aflint.aio import to_the_end
from aflint.aws.clients import Aws
from aflint.aws.s3 import S3
from aflint.aws.sqs import Sqs
from aflint.cost import (
    US_EAST_1,
    PriceTable,
    s3_break_even_bytes,
    s3_shuffle_cost,
    sqs_shuffle_cost,
)
from aflint.errors import AflintError
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
from aflint.transport.s3 import MAX_FRAME_BYTES, new_place
from aflint.transport.sqs import VISIBILITY_S
from aflint.transport.sqs_queues import (
    create_queues,
    delete_queues,
    new_stem,
    queues_there,
    sweep_queues,
)
from aflint.transport.sqs_reader import SqsReader
from aflint.transport.sqs_writer import QueueBatches, frame_limit

BUFFER_BYTES = 32 * limits.MIB
"""Frames held until it is known where their blocks go; past it, half of them or more are placed."""


class HybridTransport(Transport):
    """Queues whose names begin with `prefix`, and objects below s3://`bucket`/`prefix`/shuffles/.

    Settings are those of `SqsTransport`.
    """

    def __init__(
        self,
        aws: Aws,
        bucket: str,
        prefix: str = "aflint",
        message_limit_bytes: int = limits.SQS_OLD_MESSAGE_BYTES,
        visibility_s: int = VISIBILITY_S,
    ) -> None:
        target = frame_limit(message_limit_bytes)
        super().__init__(TransportTraits(MAX_FRAME_BYTES, target, rereadable=False))
        self._aws = aws
        self._sqs = aws.sqs()
        self._s3 = aws.s3(self.counts)
        self._bucket = bucket
        self._prefix = prefix
        self._limit = message_limit_bytes
        self._visibility_s = visibility_s

    @property
    def config(self) -> tuple[Any, ...]:
        """What `create_transport` makes this transport of in another process."""
        return ("hybrid", self._bucket, self._prefix, self._limit, self._visibility_s)

    async def open(self, job: str, shuffle: int, partitions: int) -> ShuffleHandle:
        stem = new_stem(self._prefix, job, shuffle)
        place = new_place(self._bucket, self._prefix, job, shuffle)
        await open_place(self._s3, place)
        try:
            queues = await create_queues(self._sqs, stem, job, partitions, self._limit, self.counts)
        except BaseException:
            with suppress(AflintError):  # what is raised is why the queues were not made
                await to_the_end(close_place(self._s3, place))
            raise
        return ShuffleHandle(job, shuffle, partitions, (*queues, place))

    async def close(self, handle: ShuffleHandle) -> None:
        url_stem, _, place = handle.address
        try:
            await delete_queues(self._sqs, url_stem, handle.partitions, self.counts)
        finally:  # what cannot be removed in one place does not keep the other
            await close_place(self._s3, place)

    async def survives(self, handle: ShuffleHandle) -> bool:
        url_stem, _, place = handle.address
        return await is_open(self._s3, place) and await queues_there(
            self._sqs, url_stem, handle.partitions, self.counts
        )

    async def sweep(self, session: str) -> None:
        await sweep_queues(self._sqs, self._prefix, session, self.counts)
        await close_all(self._s3, self._bucket, self._prefix, session)

    def writer(self, handle: ShuffleHandle, map: int, attempt: int, link: int) -> HybridWriter:
        name = f"{map}-{attempt}-{link}"
        return HybridWriter(self._sqs, self._s3, handle, name, self.traits)

    def reader(self, manifest: Manifest) -> HybridReader:
        return HybridReader(self._sqs, self._s3, manifest, self._visibility_s)

    def exchange_groups(self, maps: int, partitions: int) -> int:
        # Here, as a function that starts cold has no use for it.
        from aflint.cost.exchange import cheaper_groups

        return cheaper_groups(maps, partitions, "hybrid", self._limit)

    async def aclose(self) -> None:
        await self._aws.aclose()


class HybridWriter(ShuffleWriter):
    """Holds blocks until their sizes are known, or until there are too many bytes of them."""

    def __init__(
        self, sqs: Sqs, s3: S3, handle: ShuffleHandle, name: str, traits: TransportTraits
    ) -> None:
        self.counts = TransferCounts()
        self._traits = traits
        url_stem, limit, place = handle.address
        bucket, key = split_uri(place)
        self._object = CombinedObject(s3, bucket, f"{key}/{name}", self.counts)
        self._batches = QueueBatches(sqs, url_stem, limit, self.counts)
        self._largest_in_queue = frame_limit(limit)
        # The frames that are not placed yet, by partition, and their bytes.
        self._blocks: dict[int, list[bytes]] = {}
        self._sizes: dict[int, int] = {}
        # Partitions with a frame that no queue can carry.
        self._oversized: set[int] = set()
        self._held = 0

    async def write(self, partition: int, frame: bytes) -> None:
        self._traits.check(frame)
        self._blocks.setdefault(partition, []).append(frame)
        self._sizes[partition] = self._sizes.get(partition, 0) + len(frame)
        self._held += len(frame)
        if len(frame) > self._largest_in_queue:
            self._oversized.add(partition)
        if self._held >= BUFFER_BYTES:
            await self._make_room()

    async def finish(self) -> Written:
        # Only now are the blocks' sizes known: a frame alone does not say how large its block gets.
        chosen = choose_for_object(self._sizes, self._oversized, object_exists=self._object.started)
        if chosen:
            await self._into_object(chosen)
        await self._into_queues(list(self._blocks))
        await self._batches.finish()
        return await self._object.finish()

    async def abort(self) -> None:
        self._blocks, self._sizes, self._held = {}, {}, 0
        try:
            await self._batches.abort()
        finally:  # an upload in parts is billed until it is aborted
            await self._object.abort()

    async def _make_room(self) -> None:
        """Place the large blocks if they make a part of an object, else the small ones."""
        break_even = range_break_even()
        # Blocks still grow: what is small now may be large by the end, but not the other way round.
        large = {p for p, size in self._sizes.items() if size >= break_even} | self._oversized
        if sum(self._sizes[partition] for partition in large) >= PART_BYTES:
            await self._into_object(large)
        else:
            await self._into_queues(self._blocks.keys() - large)

    async def _into_object(self, partitions: Collection[int]) -> None:
        await self._object.append({partition: self._take(partition) for partition in partitions})

    async def _into_queues(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            for frame in self._take(partition):
                await self._batches.add(partition, frame)

    def _take(self, partition: int) -> list[bytes]:
        self._held -= self._sizes.pop(partition)
        self._oversized.discard(partition)
        return self._blocks.pop(partition)


class HybridReader(ShuffleReader):
    """Reads what is in objects first, then the queue, unless the objects had it all."""

    def __init__(self, sqs: Sqs, s3: S3, manifest: Manifest, visibility_s: int) -> None:
        self.counts = TransferCounts()
        self._s3 = s3
        self._manifest = manifest
        self._missing = sum(output.frames for output in manifest.outputs)
        url = f"{manifest.handle.address[0]}{manifest.partition}"
        self._queue = SqsReader(sqs, url, self._missing, visibility_s, self.counts)

    async def frames(self) -> AsyncGenerator[bytes, None]:
        async with aclosing(read_frames(self._s3, self._manifest, self.counts)) as frames:
            async for frame in frames:
                self._missing -= 1
                yield frame
        # A partition's frames may be in both: early ones went to the queue when room was made.
        if self._missing > 0:
            self._queue.expected = self._missing
            async with aclosing(self._queue.frames()) as frames:
                async for frame in frames:
                    yield frame

    async def close(self) -> None:
        await self._queue.close()


# Where a block of a map attempt is cheapest: in a queue, or in the attempt's object.


def range_break_even(prices: PriceTable = US_EAST_1) -> int:
    """Return the compressed size from which a block is cheaper as a range of an object.

    The object is paid for already: only the GET counts. About 25 KB.
    """
    return s3_break_even_bytes(prices, puts=0, gets=1)


def choose_for_object(
    sizes: Mapping[int, int],
    forced: Collection[int],
    *,
    object_exists: bool,
    prices: PriceTable = US_EAST_1,
) -> set[int]:
    """Return the partitions whose blocks go into the object; all others go to queues.

    `sizes` are the compressed bytes of each block, `forced` those that no queue can carry. Where
    the object would be made for this alone, its PUT has to be saved by all of its blocks together.
    """
    break_even = range_break_even(prices)
    cheaper = {partition for partition, size in sizes.items() if size >= break_even}
    if object_exists or forced:
        return cheaper | set(forced)
    saved = sum(
        sqs_shuffle_cost(sizes[partition], prices) - s3_shuffle_cost(0, 1, prices)
        for partition in cheaper
    )
    return cheaper if saved > s3_shuffle_cost(1, 0, prices) else set()
