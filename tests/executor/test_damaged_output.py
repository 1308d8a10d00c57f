"""A bit flipped anywhere, or a cut, in the file or object of a map: lost output of that map."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aflint.codec import frame, records
from aflint.codec.frame import FrameHeader
from aflint.errors import FetchFailedError
from aflint.executor.shuffle import Completeness, ReadCounts, _payloads
from aflint.task import Manifest, MapOutput, ShuffleHandle
from aflint.testing.simulation.callers import Caller
from aflint.testing.simulation.dice import Dice
from aflint.testing.simulation.objects import SimulatedObjects, SimulatedS3
from aflint.transport.base import Transport
from aflint.transport.file import FileTransport
from aflint.transport.s3 import S3Transport

KEY = b"k" * 32
MAPS, PARTITIONS, FRAMES = 3, 2, 3
T = TypeVar("T")


class Prompt(Caller):
    """Whose requests take no time."""

    async def request(self, action: str, apply: Callable[[], T]) -> T:
        return apply()

    def is_unavailable(self, where: str) -> bool:
        return False


class Files:
    """Output in files of this machine."""

    def __init__(self, folder: str) -> None:
        self.transport: Transport = FileTransport(folder)

    def harm(self, handle: ShuffleHandle, name: str, harm: Callable[[bytes], bytes]) -> None:
        path = Path(handle.address) / name
        path.write_bytes(harm(path.read_bytes()))


class Objects:
    """Output in objects of S3."""

    def __init__(self, folder: str) -> None:
        dice = Dice(0, {})
        self._objects = SimulatedObjects(dice)
        transport = S3Transport(_Aws(), "bucket", "test")  # type: ignore[arg-type]
        transport._s3 = SimulatedS3(self._objects, Prompt(dice, "test"))
        self.transport: Transport = transport

    def harm(self, handle: ShuffleHandle, name: str, harm: Callable[[bytes], bytes]) -> None:
        key = name.removeprefix("s3://bucket/")
        self._objects.held[key] = harm(self._objects.held[key])


class _Aws:
    def s3(self, counts: object = None) -> None:
        return None


def rows(map: int, partition: int) -> list[Any]:
    """Return the records of one map for one partition."""
    return [(map, partition, sequence, "x" * sequence) for sequence in range(FRAMES)]


async def write(transport: Transport, handle: ShuffleHandle, map: int) -> list[MapOutput]:
    writer = transport.writer(handle, map, 0, 0)
    for partition in range(PARTITIONS):
        for sequence, row in enumerate(rows(map, partition)):
            header = FrameHeader("job", 1, map, 0, 0, sequence, partition, 1)
            await writer.write(partition, frame.encode_frame(header, records.encode([row]), KEY))
    written = await writer.finish()
    return [
        MapOutput(map, 0, 0, FRAMES, 1, written.object, (written.extents or {})[partition])
        for partition in range(PARTITIONS)
    ]


async def read(transport: Transport, manifest: Manifest) -> list[Any]:
    reader = transport.reader(manifest)
    payloads = _payloads(Completeness(manifest), KEY, reader, 5.0, ReadCounts())
    try:
        return sorted([row async for _, data in payloads for row in records.decode(data)])
    finally:
        await payloads.aclose()
        await reader.close()


async def read_after(place: Files | Objects, harm: Callable[[bytes], bytes]) -> list[bool]:
    """Harm what map 1 wrote, and say of each partition whether it is still all there.

    What is not there must be named as lost output of map 1, and nothing else may be read.
    """
    transport = place.transport
    handle = await transport.open("job", 1, PARTITIONS)
    outputs = [await write(transport, handle, map) for map in range(MAPS)]
    place.harm(handle, outputs[1][0].object, harm)
    whole, lost = list[bool](), list[tuple[int, ...]]()
    for partition in range(PARTITIONS):
        manifest = Manifest(handle, partition, tuple(each[partition] for each in outputs))
        try:
            found = await read(transport, manifest)
        except FetchFailedError as error:
            lost.append((error.shuffle, *error.maps))
            whole.append(False)
        else:
            assert found == [row for map in range(MAPS) for row in rows(map, partition)]
            whole.append(True)
    assert set(lost) == {(1, 1)}
    return whole


@pytest.mark.parametrize("kind", [Files, Objects])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_a_flipped_bit_is_lost_output(kind: type[Files | Objects], place: float, bit: int) -> None:
    def flip(data: bytes) -> bytes:
        at = int(place * len(data))
        return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]

    with tempfile.TemporaryDirectory() as folder:
        # Each byte belongs to the frames of one partition.
        assert sorted(asyncio.run(read_after(kind(folder), flip))) == [False, True]


@pytest.mark.parametrize("kind", [Files, Objects])
@given(left=st.floats(0, 1, exclude_max=True))
@settings(max_examples=25, deadline=None)
def test_a_cut_is_lost_output(kind: type[Files | Objects], left: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = asyncio.run(read_after(kind(folder), lambda data: data[: int(left * len(data))]))
        assert whole in ([False, False], [True, False])
