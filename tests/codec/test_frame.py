from __future__ import annotations

import dataclasses
import os

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
    assert reason_of(data[:2] + b"\x63" + data[3:]) is Reason.VERSION


def test_nothing_is_decompressed_before_the_tag_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(frame.encode_frame(HEADER, b"a" * 10_000, KEY))
    data[-1] ^= 1
    monkeypatch.setattr(frame, "_restore", lambda *_: pytest.fail("decompressed"))
    assert reason_of(bytes(data)) is Reason.ALTERED


def test_peek_cuts_concatenated_frames() -> None:
    payloads = [b"one", b"two" * 1000, b""]
    headers = [dataclasses.replace(HEADER, sequence=n) for n in range(3)]
    data = b"".join(frame.encode_frame(h, p, KEY) for h, p in zip(headers, payloads, strict=True))
    offset, found = 0, []
    while offset < len(data):
        header, length = frame.peek(data, offset)
        found.append(frame.decode_frame(data[offset : offset + length], KEY, "job-7"))
        assert found[-1][0] == header
        offset += length
    assert found == list(zip(headers, payloads, strict=True))


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
