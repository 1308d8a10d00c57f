"""Framing, deduplication and completeness: exactly once over transports that deliver at least once.

All transports share this. A reduce task knows from its manifest which frames there are, and is done
when it has seen each of them once: never because a queue looks empty.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from aflint.codec import frame, pairs
from aflint.codec.frame import FrameHeader, RejectedFrameError
from aflint.codec.pairs import Block
from aflint.errors import FetchFailedError, RecordTooLargeError
from aflint.executor.io_loop import IOLoop, Stopwatch
from aflint.map_outputs import map_status
from aflint.task import FrameId, Manifest, MapStatus, ShuffleHandle, TaskId
from aflint.transport.base import ShuffleReader, ShuffleWriter, Transport, TransportTraits, Written

_log = logging.getLogger("aflint.executor")

_SAMPLE = 128
_FILL = 0.97
"""Frames are cut at this share of the size that wastes least, as sizes are estimates."""

_HAND_OVER_BYTES = 1024 * 1024
"""Frames that go to the transport together: each call into the loop of another thread takes about
100 microseconds of CPU, as much as encoding a hundred records.
"""

_BUFFER_SHARE = 0.15
_OBJECT_OVERHEAD = 4
"""Bytes that records take as Python objects, for each byte encoded: a cautious estimate."""


class FrameSizer:
    """Learns how many records fill a frame."""

    def __init__(self, target_bytes: int) -> None:
        self._target = target_bytes * _FILL
        self._bytes_per_record = 0.0

    def learn(self, count: int, size: int) -> None:
        """Take in the bytes that a frame of `count` records came to."""
        measured = size / count
        known = self._bytes_per_record
        self._bytes_per_record = measured if not known else 0.5 * known + 0.5 * measured

    @property
    def records(self) -> int:
        """How many records to put into the next frame."""
        if not self._bytes_per_record:
            return _SAMPLE
        return max(1, int(self._target / self._bytes_per_record))


class ShuffleOutput:
    """The map side: records by reduce partition in, frames out."""

    def __init__(
        self,
        task: TaskId,
        handle: ShuffleHandle,
        key: bytes,
        transport: Transport,
        io: IOLoop,
        memory_bytes: int,
    ) -> None:
        self._task = task
        self._handle = handle
        self._key = key
        self._io = io
        self._traits: TransportTraits = transport.traits
        self._writer: ShuffleWriter = transport.writer(
            handle, task.partition, task.attempt, task.link
        )
        # By reduce partition: the records that are in no frame yet, the frames that were written,
        # and their bytes.
        self._buffers: list[Block] = [[] for _ in range(handle.partitions)]
        self._frames = [0] * handle.partitions
        self._sizes = [0] * handle.partitions
        self._sizer = FrameSizer(self._traits.target_frame_bytes)
        # Frames with their partitions, and their bytes, that the transport was not given yet.
        self._unsent: list[tuple[int, bytes]] = []
        self._unsent_bytes = 0
        # Records in all buffers, and about what each takes encoded: as the latest frame's did.
        self._buffered = 0
        self._encoded_per_record = 0.0
        self._records = 0
        self._waited = Stopwatch()
        self._most_buffered = (memory_bytes or (1 << 30)) * _BUFFER_SHARE / _OBJECT_OVERHEAD

    @property
    def counts(self) -> Any:
        """What the transport has asked of AWS."""
        return self._writer.counts

    @property
    def written(self) -> tuple[int, int, int]:
        """Records, frames and bytes written so far."""
        return self._records, sum(self._frames), sum(self._sizes)

    @property
    def waited(self) -> float:
        """The seconds for which the task had to wait for the transport."""
        return self._waited.seconds

    def add(self, partition: int, block: Block) -> None:
        """Take records for one reduce partition."""
        buffer = self._buffers[partition] = pairs.joined(self._buffers[partition], block)
        self._buffered += len(block)
        if not self._encoded_per_record:  # a guess could be off by megabytes: see what one takes
            self._encoded_per_record = float(len(pairs.encode(block[:1])))
        if len(buffer) >= self._sizer.records:
            self._cut(partition, self._traits.target_frame_bytes)
        # With many partitions memory runs short before any one of them has a full frame.
        if self._buffered * self._encoded_per_record > self._most_buffered:
            self.flush()

    def flush(self) -> None:
        """Write what is buffered, full frame or not."""
        for partition in range(len(self._buffers)):
            self._cut(partition, 0)

    def _cut(self, partition: int, keep_below: int) -> None:
        """Write whole frames of a buffer; the rest, too, unless there is a size to wait for."""
        buffer = self._buffers[partition]
        start = 0
        while start < len(buffer):
            count = self._sizer.records
            if keep_below and len(buffer) - start < count:
                break
            self._write(partition, buffer[start : start + count])
            start += count
        self._buffered -= min(start, len(buffer))
        if start:
            self._buffers[partition] = buffer[start:]

    def _write(self, partition: int, block: Block) -> None:
        payload = pairs.encode(block)
        self._encoded_per_record = len(payload) / len(block)
        data = frame.encode_frame(self._header(partition, len(block)), payload, self._key)
        self._sizer.learn(len(block), len(data))
        # Records differ in size, and the count was an estimate: what is too large goes as two.
        if len(data) > self._traits.max_frame_bytes:
            self._write_halves(partition, block, len(data))
            return
        self._frames[partition] += 1
        self._sizes[partition] += len(data)
        self._records += len(block)
        self._unsent.append((partition, data))
        self._unsent_bytes += len(data)
        if self._unsent_bytes >= _HAND_OVER_BYTES:
            with self._waited.running():
                self._io.run(self._hand_over())

    async def _hand_over(self) -> None:
        frames, self._unsent, self._unsent_bytes = self._unsent, [], 0
        for partition, data in frames:
            await self._writer.write(partition, data)

    def _write_halves(self, partition: int, block: Block, size: int) -> None:
        if len(block) == 1:
            raise RecordTooLargeError(
                f"One record takes {size:,} bytes encoded; the transport carries at most "
                f"{self._traits.max_frame_bytes:,}. Use transport='hybrid' (or 's3'), or make "
                "the records smaller."
            )
        middle = len(block) // 2
        self._write(partition, block[:middle])
        self._write(partition, block[middle:])

    def _header(self, partition: int, count: int) -> FrameHeader:
        return FrameHeader(
            job=self._handle.job,  # not always the task's: what an earlier job kept may be lost
            shuffle=self._handle.shuffle,
            map=self._task.partition,
            attempt=self._task.attempt,
            link=self._task.link,
            sequence=self._frames[partition],
            partition=partition,
            records=count,
        )

    def finish(self) -> MapStatus:
        """Write the rest and return what readers will find."""
        self.flush()
        with self._waited.running():
            written = self._io.run(self._finish())
        _log.debug(
            "%s wrote shuffle %d: %d frames, %d bytes",
            self._task, self._handle.shuffle, sum(self._frames), sum(self._sizes),
        )  # fmt: skip
        place = self._task.partition, self._task.attempt, self._task.link
        return map_status(place, self._frames, self._sizes, written.object, written.extents)

    async def _finish(self) -> Written:
        await self._hand_over()
        return await self._writer.finish()

    def abort(self) -> None:
        """Give up what was written."""
        self._io.run(self._writer.abort())


class Completeness:
    """Which frames of a manifest have been seen, some of them perhaps by an earlier link. Pure."""

    def __init__(self, manifest: Manifest, seen: Iterable[FrameId] = ()) -> None:
        self.manifest = manifest
        self._shuffle = manifest.handle.shuffle
        self._partition = manifest.partition
        self._wanted = {
            (output.map, output.attempt, output.link): output.frames for output in manifest.outputs
        }
        self._seen: set[FrameId] = set(seen)
        self._missing = sum(self._wanted.values()) - len(self._seen)

    @property
    def complete(self) -> bool:
        """True once every frame was seen."""
        return self._missing == 0

    def accept(self, header: FrameHeader) -> bool:
        """Say whether a frame is one to read: named by the manifest, and not seen before."""
        origin = (header.map, header.attempt, header.link)
        place = (*origin, header.sequence)
        # A frame is named by the place of its attempt's frames that it has: one past their count is
        # a stray, as is one of an attempt that was not accepted.
        foreign = header.shuffle != self._shuffle or header.partition != self._partition
        if foreign or header.sequence >= self._wanted.get(origin, 0) or place in self._seen:
            return False
        self._seen.add(place)
        self._missing -= 1
        return True

    def missing_maps(self) -> tuple[int, ...]:
        """Return the map partitions of which frames are missing."""
        left = dict(self._wanted)
        for map_partition, attempt, link, _ in self._seen:
            left[map_partition, attempt, link] -= 1
        return tuple(sorted({origin[0] for origin, count in left.items() if count > 0}))


@dataclass(slots=True)
class ReadCounts:
    """What has been read of a shuffle. `rejected` counts frames by why they were dropped."""

    records: int = 0
    frames: int = 0
    bytes: int = 0
    object_bytes: int = 0
    waited: Stopwatch = field(default_factory=Stopwatch)
    rejected: Counter[str] = field(default_factory=Counter)
    readers: list[ShuffleReader] = field(default_factory=list)


def read_blocks(
    progress: Completeness,
    key: bytes,
    transport: Transport,
    io: IOLoop,
    timeout_s: float,
    counts: ReadCounts,
) -> Generator[tuple[FrameId, Block], None, None]:
    """Yield every frame that is missing yet, exactly once, with its records.

    Raises FetchFailedError when no frame has come for `timeout_s` seconds and some are missing.
    """
    if progress.complete:
        return
    reader = transport.reader(progress.manifest)
    counts.readers.append(reader)
    counts.object_bytes += sum(
        extent.length for output in progress.manifest.outputs for extent in output.extents
    )
    try:
        payloads = io.iterate(_payloads(progress, key, reader, timeout_s, counts))
        for frame_id, payload in counts.waited.each(payloads):
            block = pairs.decode(payload)
            counts.records += len(block)
            yield frame_id, block
    except FetchFailedError as error:
        # Of a kept shuffle that is another job, whose numbers of shuffles are not this one's.
        error.job = progress.manifest.handle.job
        raise
    finally:
        io.finish(reader.close())


async def _payloads(
    progress: Completeness, key: bytes, reader: ShuffleReader, timeout_s: float, counts: ReadCounts
) -> AsyncGenerator[tuple[FrameId, bytes], None]:
    manifest = progress.manifest
    async with aclosing(_bounded(reader.frames(), timeout_s)) as frames:
        async for data in frames:
            try:
                header, payload = frame.decode_frame(data, key, manifest.handle.job)
            except RejectedFrameError as error:
                counts.rejected[error.reason.value] += 1
                continue
            if progress.accept(header):
                counts.frames += 1
                counts.bytes += len(data)
                yield (header.map, header.attempt, header.link, header.sequence), payload
            if progress.complete:
                return
    raise _fetch_failed(manifest, progress)


async def _bounded(frames: AsyncIterator[bytes], timeout_s: float) -> AsyncGenerator[bytes, None]:
    """Yield frames until there is none for `timeout_s` seconds."""
    try:
        while True:
            try:
                async with asyncio.timeout(timeout_s):
                    data = await anext(frames)
            except (StopAsyncIteration, TimeoutError):
                return
            yield data
    finally:
        # At once, and not when it is collected: it holds files open, or receives under way.
        if isinstance(frames, AsyncGenerator):
            await frames.aclose()


def _fetch_failed(manifest: Manifest, progress: Completeness) -> FetchFailedError:
    maps = progress.missing_maps()
    return FetchFailedError(
        f"Shuffle {manifest.handle.shuffle}, reduce partition {manifest.partition}: frames of map "
        f"partitions {list(maps[:10])}{'...' if len(maps) > 10 else ''} did not arrive.",
        shuffle=manifest.handle.shuffle,
        maps=maps,
        waited=True,
    )
