from __future__ import annotations

import dataclasses
import os
import random
import tracemalloc

import lz4.block
import msgpack
import pytest

from aflint.codec import frame
from aflint.codec.frame import FrameHeader, Reason, RejectedFrameError
from aflint.errors import FrameError

KEY = b"k" * 32
HEADER = FrameHeader("job-7", 1, 2, 3, 4, 5, 6, 7)


def reason_of(data: bytes, key: bytes = KEY, job: str = "job-7") -> Reason:
    with pytest.raises(RejectedFrameError) as caught:
        frame.decode_frame(data, key, job)
    return caught.value.reason


@pytest.mark.parametrize("payload", [b"", b"a", b"a" * 100_000, os.urandom(5000)])
def test_a_frame_gives_back_header_and_payload(payload: bytes) -> None:
    data = frame.encode_frame(HEADER, payload, KEY)
    assert frame.decode_frame(data, KEY, "job-7") == (HEADER, payload)
    assert frame.decode_frame(memoryview(data), KEY, "job-7") == (HEADER, payload)


def test_overhead_is_small_and_incompressible_payloads_do_not_grow() -> None:
    header = dataclasses.replace(HEADER, job="j" * 40)
    assert len(frame.encode_frame(header, os.urandom(5000), KEY)) < 5000 + 100


def test_every_altered_byte_is_noticed() -> None:
    data = frame.encode_frame(HEADER, b"payload " * 20, KEY)
    for place in range(len(data)):
        altered = bytearray(data)
        altered[place] ^= 0x10
        with pytest.raises(FrameError):
            frame.decode_frame(altered, KEY, "job-7")


def test_every_truncation_is_noticed() -> None:
    data = frame.encode_frame(HEADER, b"payload " * 20, KEY)
    assert {reason_of(data[:size]) for size in range(len(data))} == {Reason.TRUNCATED}


def test_reasons() -> None:
    data = frame.encode_frame(HEADER, b"payload", KEY)
    assert reason_of(data, job="job-8") is Reason.FOREIGN
    assert reason_of(data, key=b"x" * 32) is Reason.ALTERED
    assert reason_of(data + b"x") is Reason.TRAILING
    assert reason_of(b"hello" * 20) is Reason.NOT_A_FRAME
    assert reason_of(data[:1] + b"\x63" + data[2:]) is Reason.VERSION
    assert reason_of(b"\x94\x03abc") is Reason.VERSION
    assert reason_of(data[:2] + b"\xc1" + data[3:]) is Reason.ALTERED


def test_nothing_is_decompressed_before_the_tag_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(frame.encode_frame(HEADER, b"a" * 10_000, KEY))
    data[-1] ^= 1
    monkeypatch.setattr(frame, "_restore", lambda *_: pytest.fail("decompressed"))
    assert reason_of(bytes(data)) is Reason.ALTERED


def test_a_frame_is_one_msgpack_array() -> None:
    payload = b"payload " * 20
    data = frame.encode_frame(HEADER, payload, KEY)
    *front, tag, stored = msgpack.unpackb(data)
    assert front == [frame.VERSION, *dataclasses.astuple(HEADER), len(payload), True]
    assert len(tag) == 16
    assert lz4.block.decompress(stored, uncompressed_size=len(payload)) == payload


@pytest.mark.parametrize("size", [255, 256, 65_535, 65_536])
def test_payloads_about_the_sizes_at_which_their_heads_grow(size: int) -> None:
    payload = os.urandom(size)
    data = frame.encode_frame(HEADER, payload, KEY)
    assert msgpack.unpackb(data)[-1] == payload
    assert frame.decode_frame(data, KEY, "job-7") == (HEADER, payload)
    assert reason_of(data[:-1]) is Reason.TRUNCATED


def test_the_largest_header_is_read_and_costs_68_bytes() -> None:
    most = 2**32 - 1
    header = FrameHeader("j" * 255, *[most] * 7)
    data = frame.encode_frame(header, b"", KEY)
    assert len(data) <= 255 + 68
    assert frame.decode_frame(data, KEY, header.job) == (header, b"")


HOSTILE = [
    b"\x9d\x02\xdb\xff\xff\xff\xff",  # a job of 4 GiB
    b"\x9d\x02\xdd\xff\xff\xff\xff",  # an array of four thousand million
    b"\x9d\x02\xdf\xff\xff\xff\xff",
    b"\x9d\x02" + b"\x9d" * 600,
    b"\x9d\x02" + b"\xc1" * 600,
    b"\x9d\x02\xa1j" + b"\x00" * 9 + b"\xc4\x10" + b"t" * 16 + b"\xc6\xff\xff\xff\xff",
    b"\x9d\x02\xa1j" + b"\x00" * 9 + b"\xa1t" + b"\xc4\x00",
    b"\x9d\x02\xa1j" + b"\x00" * 9 + b"\xc4\x10" + b"t" * 16 + b"\xa1p",
    b"\x9d\x02\xa1\xff" + b"\x00" * 40,
    b"\x9c\x02\xa1j" + b"\x00" * 40,
]  # fmt: skip


@pytest.mark.parametrize("padding", [0, 100_000])
@pytest.mark.parametrize("data", HOSTILE)
def test_hostile_bytes_are_rejected_in_little_memory(data: bytes, padding: int) -> None:
    data += b"\xff" * padding
    tracemalloc.start()
    with pytest.raises(RejectedFrameError):
        frame.decode_frame(data, KEY, "j")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 300_000


@pytest.mark.parametrize("change", [{"map": -1}, {"sequence": 2**32}, {"job": "j" * 256}])
def test_a_header_that_does_not_fit_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(FrameError):
        frame.encode_frame(dataclasses.replace(HEADER, **change), b"", KEY)  # type: ignore[arg-type]


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ValueError, match="key is empty"):
        frame.encode_frame(HEADER, b"", b"")


def test_blobs() -> None:
    blob = b"abc" * 10_000
    packed = frame.compress(blob)
    assert len(packed) < 1000
    assert frame.decompress(packed) == blob
    for damaged in (b"", b"abc", packed[:-20], packed[:50]):
        with pytest.raises(FrameError):
            frame.decompress(damaged)


def test_what_hardly_shrinks_is_not_compressed_and_comes_back() -> None:
    chance = random.Random(1)
    digits = "".join(f"{chance.getrandbits(144):036x}" for _ in range(5_000)).encode()
    text = b"the same words again and again " * 5_000
    for payload, shrinks in ((digits, False), (text, True), (digits + text * 3, True)):
        data = frame.encode_frame(HEADER, payload, KEY)
        assert (len(data) < 0.9 * len(payload)) == shrinks
        assert frame.decode_frame(data, KEY, HEADER.job)[1] == payload
