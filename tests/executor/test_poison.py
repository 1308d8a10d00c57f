"""Frames that are not a job's own: dropped before a byte of them is decoded, and counted by why."""

from __future__ import annotations

from collections.abc import Iterator

import lz4.block
import pytest

from aflint.codec import frame, records
from aflint.codec.frame import FrameHeader
from aflint.codec.secret import Secret
from aflint.errors import FetchFailedError
from aflint.executor.io_loop import IOLoop
from aflint.executor.shuffle import Completeness, ReadCounts, read_blocks
from aflint.task import Manifest, MapOutput
from aflint.testing.memory_transport import MemoryTransport

SECRET = Secret(b"s" * 32)
KEY = SECRET.key("job", "job")
PAYLOAD = records.encode(list(range(500)))


def framed(key: bytes = KEY, job: str = "job", sequence: int = 0) -> bytes:
    return frame.encode_frame(FrameHeader(job, 1, 0, 0, 0, sequence, 0, 500), PAYLOAD, key)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


POISON = {
    "altered": [framed(b"guess"), flipped(framed(), len(framed()) - 1), framed(b"g", sequence=7)],
    "of another job": [framed(job="other"), framed(SECRET.key("job", "other"), "other")],
    "of another version": [framed()[:1] + b"\x01" + framed()[2:]],
    "truncated": [framed()[:-1], b"", b"\x9d"],
    "followed by other bytes": [framed() + b"x"],
    "not a frame": [b"not base64!", b"\x80\x04\x95 a pickle"],
}


@pytest.fixture
def io() -> Iterator[IOLoop]:
    with IOLoop() as loop:
        yield loop


def read(io: IOLoop, good: list[bytes], frames: int, counts: ReadCounts) -> list[object]:
    transport = MemoryTransport()
    handle = io.run(transport.open("job", 1, 1))
    writer = transport.writer(handle, 0, 0, 0)
    for data in [*(each for several in POISON.values() for each in several), *good]:
        io.run(writer.write(0, data))
    io.run(writer.finish())
    manifest = Manifest(handle, 0, (MapOutput(0, 0, 0, frames, 1),))
    found = read_blocks(Completeness(manifest), KEY, transport, io, 0.2, counts)
    return [record for _, block in found for record in block]


def test_poison_is_counted_by_reason_and_the_rest_is_read(io: IOLoop) -> None:
    counts = ReadCounts()
    assert read(io, [framed()], 1, counts) == list(range(500))
    expected = {reason: len(several) for reason, several in POISON.items()}
    assert dict(counts.rejected) == expected
    assert counts.frames == 1


def test_nothing_of_poison_is_decoded(io: IOLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    def noticed(*_: object, **__: object) -> None:
        raise AssertionError("poison was decoded")

    monkeypatch.setattr(lz4.block, "decompress", noticed)
    monkeypatch.setattr(records, "decode", noticed)
    counts = ReadCounts()
    with pytest.raises(FetchFailedError):
        read(io, [], 1, counts)
    assert sum(counts.rejected.values()) == sum(map(len, POISON.values()))


def test_a_manifest_names_no_frame_of_another_shuffle_or_attempt(io: IOLoop) -> None:
    strays = [
        frame.encode_frame(FrameHeader("job", shuffle, 0, attempt, 0, 0, part, 1), PAYLOAD, KEY)
        for shuffle, attempt, part in ((2, 0, 0), (1, 1, 0), (1, 0, 1))
    ]
    counts = ReadCounts()
    assert read(io, [*strays, framed()], 1, counts) == list(range(500))
    assert counts.frames == 1
    assert sum(counts.rejected.values()) == sum(map(len, POISON.values()))
