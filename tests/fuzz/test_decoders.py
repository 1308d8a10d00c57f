"""Bytes that were damaged, or made up: only the typed error, no crash, no hang, little memory."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.aws import envelope
from aflint.codec import frame, records
from aflint.codec.sealed import Opener, open_task, seal_task
from aflint.codec.secret import Secret
from aflint.errors import AflintError, CorruptInputError, FrameError, PayloadRefusedError
from aflint.executor import blockfile
from aflint.wire import unpack
from tests.fuzz.damage import damaged
from tests.fuzz.samples import ENVELOPES, FRAMES, KEY, PACKED, TASK

BLOCKS = blockfile.MAGIC + b"".join(
    blockfile.frame_encoded(records.encode(block), len(block)) for block in ([1, 2], ["a"] * 99)
)

SECRET = Secret(b"s" * 32)

Refused = type[AflintError] | tuple[type[AflintError], ...]
DECODERS: dict[str, tuple[Callable[[bytes], Any], bytes, Refused]] = {
    "frame": (lambda data: frame.decode_frame(data, KEY, "job"), FRAMES[0], FrameError),
    "task": (unpack, PACKED[0], FrameError),
    "envelope": (
        lambda data: envelope.value_of(data.decode("latin-1")),
        ENVELOPES[0],
        FrameError,
    ),
    "sealed task": (
        lambda data: open_task(Opener(SECRET), data),
        seal_task(SECRET, TASK),
        PayloadRefusedError,
    ),
    "tagged block file": (
        lambda data: list(blockfile.parse([data], "path", key=KEY)),
        blockfile.TAGGED_MAGIC
        + blockfile.frame_tagged(records.encode([1, 2]), 2, KEY, 0)
        + blockfile.tagged_end(KEY, 1),
        (CorruptInputError, PayloadRefusedError),
    ),
    "blob": (frame.decompress, frame.compress(b"hello " * 200), FrameError),
    "block file": (
        lambda data: list(blockfile.parse([data], "path")),
        BLOCKS + blockfile.END,
        CorruptInputError,
    ),
}


@pytest.mark.parametrize("name", DECODERS)
def test_damaged_bytes(name: str) -> None:
    decode, data, expected = DECODERS[name]
    random = Random(name)
    refused = 0
    for _ in range(4000):
        try:
            decode(damaged(data, random))
        except expected:
            refused += 1
    assert refused > 3000


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.binary(max_size=200))
def test_any_bytes(name: str, data: bytes) -> None:
    decode, _, expected = DECODERS[name]
    try:
        decode(data)
    except expected:
        return
    assert name in ("task", "envelope")  # which any few bytes may be by chance


@pytest.mark.parametrize("name", DECODERS)
def test_little_memory_for_what_claims_to_be_large(name: str) -> None:
    decode, data, expected = DECODERS[name]
    random = Random(name)
    tracemalloc.start()
    try:
        for _ in range(400):
            made = damaged(data, random)
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            with contextlib.suppress(*(expected if isinstance(expected, tuple) else (expected,))):
                decode(made)
            assert tracemalloc.get_traced_memory()[1] - before < 2_000_000
    finally:
        tracemalloc.stop()


def nested(depth: int) -> Iterator[bytes]:
    """Yield wire values that lie within each other very deep."""
    yield b"\x81\xc0\x92\xa4Blob" * depth + b"\x01"
    yield b"\x91" * depth + b"\x01"
    yield b"\x81\x01" * depth + b"\x01"


@pytest.mark.parametrize("depth", [17, 200, 3000, 20_000])
def test_values_within_values(depth: int) -> None:
    for data in nested(min(depth, 3000)):
        try:
            unpack(data)
        except FrameError:
            continue
        assert depth < 1000


def test_a_size_that_cannot_be_is_given_no_memory() -> None:
    good = frame.compress(b"x" * 1000)
    size_at = good.index((1000).to_bytes(8, "little"))
    size = (2**50).to_bytes(8, "little")
    said = set()
    for checksum in range(256):
        boasting = good[:size_at] + size + bytes([checksum]) + good[size_at + 9 :]
        with pytest.raises(FrameError) as caught:
            frame.decompress(boasting)
        said.add("more than can be" in str(caught.value))
    assert said == {True, False}
    assert frame.decompress(frame.compress(bytes(50_000_000))) == bytes(50_000_000)
