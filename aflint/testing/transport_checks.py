"""The promises of a transport, as checks that any transport can be put through.

A new transport is done when `check_transport` passes:

    async def test_it_is_a_transport():
        await check_transport(MyTransport(...))

or, one test for each promise, with `@pytest.mark.parametrize("check", TRANSPORT_CHECKS)`. The
checks look at `traits`, and never at what kind of transport they are given.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import cast

from aflint.errors import FetchFailedError, RecordTooLargeError
from aflint.task import Manifest, MapOutput, ShuffleHandle
from aflint.transport.base import ShuffleReader, Transport, Written

Check = Callable[[Transport], Awaitable[None]]

LARGEST_FRAME_TRIED = 64 * 1024 * 1024
"""A transport that can carry more is not asked to: the check would need the memory."""

PATIENCE_S = 60.0
"""How long a partition may take to arrive; reached only by a transport that loses frames."""

_HEAD = struct.Struct("<IIIII")
_shuffles = count(1)


def make_frame(map: int, attempt: int, link: int, partition: int, number: int, size: int) -> bytes:
    """Return an opaque frame of exactly `size` bytes (20 or more) that says which one it is."""
    head = _HEAD.pack(map, attempt, link, partition, number)
    return head + random.Random(head).randbytes(size - len(head))


@dataclass
class Attempt:
    """One attempt of one map task: its writer, and what it has written."""

    transport: Transport
    handle: ShuffleHandle
    map: int
    attempt: int = 0
    link: int = 0
    frames: dict[int, list[bytes]] = field(default_factory=dict)
    written: Written = field(default_factory=Written)

    def __post_init__(self) -> None:
        self.writer = self.transport.writer(self.handle, self.map, self.attempt, self.link)

    async def write(self, partition: int, size: int = 64) -> bytes:
        """Write one frame of `size` bytes."""
        number = len(self.frames.get(partition, ()))
        frame = make_frame(self.map, self.attempt, self.link, partition, number, size)
        await self.writer.write(partition, frame)
        self.frames.setdefault(partition, []).append(frame)
        return frame

    async def finish(self) -> Attempt:
        """Finish the writer."""
        self.written = await self.writer.finish()
        return self

    def output(self, partition: int) -> MapOutput:
        """Return this attempt's line of a partition's manifest."""
        frames = self.frames.get(partition, [])
        return MapOutput(
            self.map,
            self.attempt,
            self.link,
            len(frames),
            sum(map(len, frames)),
            self.written.object,
            (self.written.extents or {}).get(partition, ()),
        )


def manifest_of(partition: int, attempts: Iterable[Attempt]) -> Manifest:
    """Return the manifest of a partition that accepts these attempts."""
    accepted = list(attempts)
    outputs = tuple(attempt.output(partition) for attempt in accepted)
    return Manifest(accepted[0].handle, partition, tuple(o for o in outputs if o.frames))


async def fetch(transport: Transport, manifest: Manifest, expected: Iterable[bytes]) -> None:
    """Read a partition to its end, and check that every expected frame arrives, unaltered."""
    reader = transport.reader(manifest)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await _collect(reader, Counter(expected))
    except TimeoutError as error:
        raise AssertionError(f"partition {manifest.partition} did not arrive") from error
    finally:
        await reader.close()


async def _collect(reader: ShuffleReader, missing: Counter[bytes]) -> None:
    """Read until nothing is missing; duplicates and strays are allowed, altered frames are not."""
    async with frames_of(reader) as frames:
        while missing:
            frame = await anext(frames, None)
            assert frame is not None, (
                f"{missing.total()} frames never came, and no error was raised"
            )
            map, attempt, link, partition, number = _HEAD.unpack_from(frame)
            made = make_frame(map, attempt, link, partition, number, len(frame))
            assert frame == made, "a frame was altered"
            missing.pop(frame, None)


@asynccontextmanager
async def frames_of(reader: ShuffleReader) -> AsyncGenerator[AsyncIterator[bytes], None]:
    """Iterate over a reader's frames, and close the iterator after the block."""
    frames = reader.frames()
    try:
        yield frames
    finally:
        await cast("AsyncGenerator[bytes, None]", frames).aclose()


@asynccontextmanager
async def opened(transport: Transport, partitions: int) -> AsyncGenerator[ShuffleHandle, None]:
    """Open a shuffle that nothing else uses, and close it after the block."""
    handle = await transport.open("conformance", next(_shuffles), partitions)
    try:
        yield handle
    finally:
        await transport.close(handle)


async def fetch_all(transport: Transport, partitions: int, attempts: list[Attempt]) -> None:
    """Read and check every partition that has frames."""
    for partition in range(partitions):
        expected = [f for attempt in attempts for f in attempt.frames.get(partition, ())]
        await fetch(transport, manifest_of(partition, attempts), expected)


async def every_frame_arrives(transport: Transport) -> None:
    """Frames of all sizes, of several maps and partitions, arrive at least once each, unaltered."""
    sizes = [20, 21, 100, 4096, 65_537, transport.traits.target_frame_bytes]
    sizes = [size for size in sizes if size <= transport.traits.max_frame_bytes]
    async with opened(transport, 3) as handle:
        attempts = [Attempt(transport, handle, map) for map in range(3)]
        for attempt in attempts:
            for index, size in enumerate(sizes):
                await attempt.write(index % 3, size)
            await attempt.finish()
        await fetch_all(transport, 3, attempts)


async def empty_partitions_are_ordinary(transport: Transport) -> None:
    """A map that writes nothing, or nothing for a partition, takes nothing from the others."""
    async with opened(transport, 3) as handle:
        silent = await Attempt(transport, handle, 0).finish()
        attempt = Attempt(transport, handle, 1)
        await attempt.write(1)
        await attempt.finish()
        await fetch_all(transport, 3, [silent, attempt])


async def an_empty_manifest_ends_or_waits(transport: Transport) -> None:
    """Reading a partition that has no frames raises nothing, and can be stopped."""
    async with opened(transport, 1) as handle:
        reader = transport.reader(Manifest(handle, 0, ()))
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05), frames_of(reader) as frames:
                assert await anext(frames, None) is None
        await reader.close()


async def many_partitions(transport: Transport) -> None:
    """A hundred partitions keep their frames apart."""
    async with opened(transport, 100) as handle:
        attempt = Attempt(transport, handle, 0)
        for partition in range(100):
            await attempt.write(partition)
        await attempt.finish()
        await fetch_all(transport, 100, [attempt])


async def many_frames(transport: Transport) -> None:
    """A thousand small frames of one partition all arrive."""
    async with opened(transport, 1) as handle:
        attempt = Attempt(transport, handle, 0)
        for _ in range(1000):
            await attempt.write(0, 200)
        await attempt.finish()
        await fetch_all(transport, 1, [attempt])


async def attempts_write_at_the_same_time(transport: Transport) -> None:
    """Attempts of one map, links of one attempt and other maps do not disturb each other."""
    async with opened(transport, 2) as handle:
        places = [(0, 0, 0), (0, 1, 0), (0, 1, 1), (1, 0, 0)]
        attempts = [Attempt(transport, handle, *place) for place in places]

        async def run(attempt: Attempt) -> None:
            for number in range(20):
                await attempt.write(number % 2, 1000)
                await asyncio.sleep(0)
            await attempt.finish()

        async with asyncio.TaskGroup() as group:
            for attempt in attempts:
                group.create_task(run(attempt))
        await fetch_all(transport, 2, attempts[1:])


async def partitions_are_read_at_the_same_time(transport: Transport) -> None:
    """Each partition of a shuffle may have its reader while others are read."""
    async with opened(transport, 4) as handle:
        attempts = [Attempt(transport, handle, map) for map in range(3)]
        for attempt in attempts:
            for number in range(40):
                await attempt.write(number % 4, 500)
            await attempt.finish()
        async with asyncio.TaskGroup() as group:
            for partition in range(4):
                expected = [f for a in attempts for f in a.frames[partition]]
                manifest = manifest_of(partition, attempts)
                group.create_task(fetch(transport, manifest, expected))


async def strays_do_no_harm(transport: Transport) -> None:
    """What an attempt wrote that was not accepted, finished or not, hides nothing."""
    async with opened(transport, 1) as handle:
        strays = [Attempt(transport, handle, 0, attempt) for attempt in (0, 1)]
        accepted = Attempt(transport, handle, 0, 2)
        for number in range(10):
            for attempt in (*strays, accepted):
                await attempt.write(0, 300 + number)
        await strays[0].finish()
        await accepted.finish()
        await fetch_all(transport, 1, [accepted])
        await strays[1].writer.abort()


async def the_largest_frame_arrives(transport: Transport) -> None:
    """A frame of `max_frame_bytes` passes."""
    largest = transport.traits.max_frame_bytes
    if largest > LARGEST_FRAME_TRIED:
        return
    async with opened(transport, 1) as handle:
        attempt = Attempt(transport, handle, 0)
        await attempt.write(0, largest)
        await attempt.finish()
        await fetch_all(transport, 1, [attempt])


async def a_larger_frame_is_refused(transport: Transport) -> None:
    """A frame of more than `max_frame_bytes` raises RecordTooLargeError, and harms no other."""
    larger = transport.traits.max_frame_bytes + 1
    if larger > LARGEST_FRAME_TRIED:
        return
    async with opened(transport, 1) as handle:
        attempt = Attempt(transport, handle, 0)
        await attempt.write(0)
        try:
            await attempt.write(0, larger)
        except RecordTooLargeError:
            pass
        else:
            raise AssertionError("a frame above max_frame_bytes was accepted")
        await attempt.write(0)
        await attempt.finish()
        await fetch_all(transport, 1, [attempt])


async def traits_are_consistent(transport: Transport) -> None:
    """The target is a size that can be carried, and traits do not change."""
    traits = transport.traits
    assert 20 <= traits.target_frame_bytes <= traits.max_frame_bytes
    assert transport.traits == traits


async def a_partition_is_read_again(transport: Transport) -> None:
    """After it was read by another; and, where there may be several readers, while it is."""
    async with opened(transport, 1) as handle:
        attempt = Attempt(transport, handle, 0)
        for _ in range(20):
            await attempt.write(0, 1000)
        await attempt.finish()
        for _ in range(3):
            await fetch_all(transport, 1, [attempt])
        if transport.traits.rereadable:
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(fetch_all(transport, 1, [attempt]))


async def reading_stops_early(transport: Transport) -> None:
    """A reader may be closed after its first frame: all is still there for the next one."""
    async with opened(transport, 1) as handle:
        attempt = Attempt(transport, handle, 0)
        for _ in range(50):
            await attempt.write(0, 1000)
        await attempt.finish()
        reader = transport.reader(manifest_of(0, [attempt]))
        async with asyncio.timeout(PATIENCE_S), frames_of(reader) as frames:
            assert await anext(frames) in attempt.frames[0]
        await reader.close()
        await fetch_all(transport, 1, [attempt])


async def a_lost_shuffle_is_no_empty_one(transport: Transport) -> None:
    """Where the transport can tell: a closed shuffle raises FetchFailedError naming the maps."""
    async with opened(transport, 1) as handle:
        attempts = [Attempt(transport, handle, map) for map in (3, 5)]
        for attempt in attempts:
            await attempt.write(0)
            await attempt.finish()
        await transport.close(handle)
        if not transport.traits.rereadable:
            return
        failure: FetchFailedError | None = None
        try:
            await fetch_all(transport, 1, attempts)
        except FetchFailedError as error:
            failure = error
        assert failure is not None, "frames were read from a closed shuffle"
        assert (failure.shuffle, failure.maps) == (handle.shuffle, (3, 5))


async def closing_twice_is_no_error(transport: Transport) -> None:
    """Nor is closing with writers unfinished, or with nothing written."""
    async with opened(transport, 2) as handle:
        attempt = Attempt(transport, handle, 0)
        await attempt.write(0)
        await transport.close(handle)
        await attempt.writer.abort()
        await transport.close(handle)


async def aborting_leaves_others_alone(transport: Transport) -> None:
    """An aborted attempt frees what it can, twice if asked, and the accepted one stays whole."""
    async with opened(transport, 1) as handle:
        failed, accepted = Attempt(transport, handle, 0, 0), Attempt(transport, handle, 0, 1)
        for attempt in (failed, accepted):
            for _ in range(10):
                await attempt.write(0, 1000)
        await failed.writer.abort()
        await failed.writer.abort()
        await Attempt(transport, handle, 1).writer.abort()
        await accepted.finish()
        await fetch_all(transport, 1, [accepted])


async def a_cancelled_writer_can_be_aborted(transport: Transport) -> None:
    """Cancelling in the middle of writing raises CancelledError, and abort still works."""
    async with opened(transport, 1) as handle:
        cancelled, accepted = Attempt(transport, handle, 0, 0), Attempt(transport, handle, 0, 1)
        size = min(100_000, transport.traits.max_frame_bytes)

        async def write() -> None:
            try:
                while True:
                    await cancelled.write(0, size)
                    await asyncio.sleep(0)
            finally:
                await cancelled.writer.abort()

        writing = asyncio.ensure_future(write())
        for _ in range(30):
            await asyncio.sleep(0)
        await _cancel(writing)
        await accepted.write(0)
        await accepted.finish()
        await fetch_all(transport, 1, [accepted])


async def a_cancelled_reader_can_be_closed(transport: Transport) -> None:
    """Cancelling while waiting for frames raises CancelledError, and others can go on reading."""
    async with opened(transport, 2) as handle:
        attempt = Attempt(transport, handle, 0)
        for number in range(40):
            await attempt.write(number % 2, 1000)
        await attempt.finish()
        reader = transport.reader(manifest_of(0, [attempt]))

        async def read() -> None:
            try:
                async with frames_of(reader) as frames:
                    async for _ in frames:
                        await asyncio.sleep(0)
                    await asyncio.Event().wait()
            finally:
                await reader.close()

        reading = asyncio.ensure_future(read())
        for _ in range(10):
            await asyncio.sleep(0)
        await _cancel(reading)
        await fetch(transport, manifest_of(1, [attempt]), attempt.frames[1])


async def _cancel(future: asyncio.Future[None]) -> None:
    future.cancel()
    try:
        await future
    except asyncio.CancelledError:
        return
    raise AssertionError("a cancelled call came to its end")


async def shuffles_are_apart(transport: Transport) -> None:
    """Closing a shuffle leaves another of the same job as it is."""
    async with opened(transport, 1) as first, opened(transport, 1) as second:
        attempts = [Attempt(transport, handle, 0) for handle in (first, second)]
        for attempt in attempts:
            await attempt.write(0, 100 + attempt.handle.shuffle % 7)
            await attempt.finish()
        await transport.close(first)
        await fetch_all(transport, 1, attempts[1:])


async def a_shuffle_survives_until_it_is_closed(transport: Transport) -> None:
    """Where the transport says that a shuffle survives its driver: its frames are there to read,
    and once it is closed it says so no more.
    """
    async with opened(transport, 2) as handle:
        if not await transport.survives(handle):
            return
        attempt = Attempt(transport, handle, 0)
        for number in range(10):
            await attempt.write(number % 2, 1000)
        await attempt.finish()
        assert await transport.survives(handle)
        again = ShuffleHandle(handle.job, handle.shuffle, handle.partitions, handle.address)
        late = Attempt(transport, again, 1)
        await late.write(0)
        await late.finish()
        await fetch_all(transport, 2, [attempt, late])
        await transport.close(again)
        assert not await transport.survives(handle), "a closed shuffle survives"


async def sweeping_removes_what_is_of_one_session(transport: Transport) -> None:
    """Where shuffles survive their driver: all of one session's are removed, finished or not, and
    none of a session whose name begins alike. Sweeping twice is no error.
    """
    session = f"c{next(_shuffles)}x"
    names = (f"{session}-1", f"{session}-12", f"{session}d-1", f"a{session}-1", f"{session[:-1]}-1")
    handles = [await transport.open(name, next(_shuffles), 2) for name in names]
    try:
        if not await transport.survives(handles[0]):
            return
        attempts = [Attempt(transport, handle, 0) for handle in handles]
        for attempt in attempts:
            await attempt.write(0)
        for attempt in attempts[1:]:
            await attempt.finish()
        for _ in range(2):
            await transport.sweep(session)
        left = [await transport.survives(handle) for handle in handles]
        assert left == [False, False, True, True, True], dict(zip(names, left, strict=True))
        for attempt in attempts[2:]:
            await fetch_all(transport, 1, [attempt])
        await attempts[0].writer.abort()
    finally:
        for handle in handles:
            await transport.close(handle)


TRANSPORT_CHECKS: tuple[Check, ...] = (
    traits_are_consistent,
    every_frame_arrives,
    empty_partitions_are_ordinary,
    an_empty_manifest_ends_or_waits,
    many_partitions,
    many_frames,
    attempts_write_at_the_same_time,
    partitions_are_read_at_the_same_time,
    strays_do_no_harm,
    the_largest_frame_arrives,
    a_larger_frame_is_refused,
    a_partition_is_read_again,
    reading_stops_early,
    a_lost_shuffle_is_no_empty_one,
    closing_twice_is_no_error,
    aborting_leaves_others_alone,
    a_cancelled_writer_can_be_aborted,
    a_cancelled_reader_can_be_closed,
    shuffles_are_apart,
    a_shuffle_survives_until_it_is_closed,
    sweeping_removes_what_is_of_one_session,
)
"""Every check; each opens and closes shuffles of its own."""


async def check_transport(transport: Transport) -> None:
    """Put a transport through every check.

    Raises AssertionError for the first promise that it does not keep.
    """
    for check in TRANSPORT_CHECKS:
        await check(transport)
