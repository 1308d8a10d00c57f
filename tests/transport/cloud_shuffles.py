"""What the tests of transports over the local cloud share."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

from aflint.task import Manifest, MapOutput, ShuffleHandle
from aflint.transport.base import TransferCounts, Transport, Written

Frames = dict[int, list[bytes]]


async def write(
    transport: Transport, handle: ShuffleHandle, map: int, frames: Frames
) -> tuple[list[MapOutput], TransferCounts]:
    """Write the frames of one map; returns its line for each partition's manifest, and counts."""
    writer = transport.writer(handle, map, 0, 0)
    for partition, each in frames.items():
        for frame in each:
            await writer.write(partition, frame)
    return outputs(map, frames, handle.partitions, await writer.finish()), writer.counts


def outputs(map: int, frames: Frames, partitions: int, written: Written) -> list[MapOutput]:
    """Return a map's line for the manifest of each partition."""
    return [
        MapOutput(
            map,
            0,
            0,
            len(frames.get(partition, ())),
            sum(len(frame) for frame in frames.get(partition, ())),
            written.object,
            (written.extents or {}).get(partition, ()),
        )
        for partition in range(partitions)
    ]


async def read(
    transport: Transport, handle: ShuffleHandle, partition: int, lines: list[MapOutput]
) -> tuple[set[bytes], TransferCounts]:
    """Read until as many different frames came as the manifest names; they must be distinct."""
    manifest = Manifest(handle, partition, tuple(line for line in lines if line.frames))
    wanted = sum(line.frames for line in manifest.outputs)
    reader = transport.reader(manifest)
    found: set[bytes] = set()
    async with aclosing(cast("AsyncGenerator[bytes, None]", reader.frames())) as frames:
        while len(found) < wanted:
            found.add(await anext(frames))
    await reader.close()
    return found, reader.counts
