"""Frames: one encoded block of records each, compressed and authenticated, ready for any transport.

Layout, little-endian:

    magic 2 | version 1 | flags 1 | job length 1 | shuffle, map, sequence, partition, records 4 each
    | attempt 2 | link 2 | raw size 4 | stored size 4 | job | tag 16 | stored bytes

The tag is BLAKE2b, keyed with the job's own key, over everything but itself. It is checked before a
byte of the payload is decompressed or decoded. A frame is 53 bytes longer than its job's name and
its payload.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b

import lz4.block
import lz4.frame

from aflint.errors import FrameError, RecordTooLargeError

Buffer = bytes | bytearray | memoryview

MAGIC = b"\xafF"
VERSION = 1
TAG_BYTES = 16
MAX_PAYLOAD = 0x7E000000
"""What one LZ4 block may hold, in bytes before compression (LZ4_MAX_INPUT_SIZE)."""

_FIXED = struct.Struct("<2sBBBIIIIIHHII")
_COMPRESSED = 1
_WORTH_COMPRESSING = 64


class Reason(StrEnum):
    """Why a frame was rejected."""

    TRUNCATED = "truncated"
    NOT_A_FRAME = "not a frame"
    VERSION = "unknown version"
    FOREIGN = "of another job"
    ALTERED = "altered"
    TRAILING = "followed by other bytes"


class RejectedFrameError(FrameError):
    """A frame that was rejected before anything in it was decoded; `reason` says why."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What a frame is part of: all that a reader needs to place it or to drop it."""

    job: str
    shuffle: int
    map: int
    attempt: int
    link: int
    sequence: int
    partition: int
    records: int


@dataclass(frozen=True, slots=True)
class _Envelope:
    header: FrameHeader
    compressed: bool
    raw_size: int
    start: int
    end: int


def encode_frame(header: FrameHeader, payload: Buffer, key: bytes) -> bytes:
    """Return the frame that carries `payload`, authenticated with `key` (1 to 64 bytes).

    Raises RecordTooLargeError for a payload of more than `MAX_PAYLOAD` bytes, and FrameError for a
    header that the format cannot hold.
    """
    raw_size = len(payload)
    if raw_size > MAX_PAYLOAD:
        raise RecordTooLargeError(
            f"a block of {header.records} record(s) for partition {header.partition} of shuffle "
            f"{header.shuffle} takes {raw_size:,} bytes, and a frame holds {MAX_PAYLOAD:,}: "
            "make the records smaller, or split each into several"
        )
    stored, flags = _shrink(payload)
    front = _pack_header(header, flags, raw_size, len(stored))
    return b"".join((front, _tag(key, front, stored), stored))


def decode_frame(data: Buffer, key: bytes, job: str) -> tuple[FrameHeader, bytes]:
    """Return header and payload of the one frame that `data` is.

    Raises RejectedFrameError (a FrameError) for bytes that are not a whole, unaltered frame of this
    job; nothing of the payload has been decompressed then.
    """
    view = memoryview(data)
    envelope = _parse(view)
    header = envelope.header
    if header.job != job:
        raise RejectedFrameError(
            Reason.FOREIGN, f"a frame of job {header.job!r} was read in job {job!r}: it was dropped"
        )
    if len(view) != envelope.end:
        raise RejectedFrameError(
            Reason.TRAILING,
            f"{_describe(header)} is {envelope.end} bytes long, but {len(view)} were read: "
            "cut frames apart with peek",
        )
    stored = view[envelope.start :]
    front_end = envelope.start - TAG_BYTES
    expected = _tag(key, view[:front_end], stored)
    if not hmac.compare_digest(view[front_end : envelope.start], expected):
        raise RejectedFrameError(
            Reason.ALTERED,
            f"{_describe(header)} does not carry this job's tag: it was altered on its way",
        )
    return header, _restore(stored, envelope)


def peek(data: Buffer, offset: int = 0) -> tuple[FrameHeader, int]:
    """Return the header of the frame at `offset`, and the frame's length in bytes, unchecked.

    Cuts concatenated frames apart. What it returns is only as good as the bytes are: decode the
    frame before trusting its header. Raises RejectedFrameError if no whole frame begins there.
    """
    envelope = _parse(memoryview(data)[offset:])
    return envelope.header, envelope.end


def compress(data: Buffer) -> bytes:
    """Return `data` as an LZ4 frame that knows its own size; for blobs of any length."""
    compressed: bytes = lz4.frame.compress(data, store_size=True)
    return compressed


def decompress(data: Buffer) -> bytes:
    """Return what `compress` was given.

    Raises FrameError for anything else.
    """
    try:
        raw: bytes = lz4.frame.decompress(data)
    except RuntimeError as error:
        raise FrameError(f"{len(data)} bytes are not a whole LZ4 frame: {error}") from error
    return raw


def _shrink(payload: Buffer) -> tuple[Buffer, int]:
    if len(payload) < _WORTH_COMPRESSING:
        return payload, 0
    packed: bytes = lz4.block.compress(payload, store_size=False)
    return (packed, _COMPRESSED) if len(packed) < len(payload) else (payload, 0)


def _pack_header(header: FrameHeader, flags: int, raw_size: int, stored_size: int) -> bytes:
    job = header.job.encode()
    try:
        fixed = _FIXED.pack(
            MAGIC,
            VERSION,
            flags,
            len(job),
            header.shuffle,
            header.map,
            header.sequence,
            header.partition,
            header.records,
            header.attempt,
            header.link,
            raw_size,
            stored_size,
        )
    except struct.error as error:
        raise FrameError(f"a frame cannot hold the header {header}: {error}") from error
    return fixed + job


def _parse(view: memoryview) -> _Envelope:
    if bytes(view[:2]) != MAGIC[: len(view)]:
        raise RejectedFrameError(
            Reason.NOT_A_FRAME, f"{len(view)} bytes were read that are not an aflint frame"
        )
    if len(view) > 2 and view[2] != VERSION:
        raise RejectedFrameError(
            Reason.VERSION,
            f"a frame of version {view[2]} was read, and this aflint reads version {VERSION}: "
            "run the same aflint in driver and executors",
        )
    if len(view) < _FIXED.size:
        raise _truncated(len(view), _FIXED.size)
    _, _, flags, job_size, *numbers, raw_size, stored_size = _FIXED.unpack_from(view)
    shuffle, map_, sequence, partition, records, attempt, link = numbers
    job_end = _FIXED.size + job_size
    start = job_end + TAG_BYTES
    if len(view) < start + stored_size:
        raise _truncated(len(view), start + stored_size)
    try:
        job = str(view[_FIXED.size : job_end], "utf-8")
    except UnicodeDecodeError as error:
        raise RejectedFrameError(Reason.ALTERED, "a frame's job is not text") from error
    header = FrameHeader(job, shuffle, map_, attempt, link, sequence, partition, records)
    return _Envelope(header, bool(flags & _COMPRESSED), raw_size, start, start + stored_size)


def _restore(stored: memoryview, envelope: _Envelope) -> bytes:
    if not envelope.compressed:
        return bytes(stored)
    try:
        raw: bytes = lz4.block.decompress(stored, uncompressed_size=envelope.raw_size)
    except (lz4.block.LZ4BlockError, ValueError) as error:
        raise RejectedFrameError(
            Reason.ALTERED, f"{_describe(envelope.header)} cannot be decompressed: {error}"
        ) from error
    return raw


def _tag(key: bytes, front: Buffer, stored: Buffer) -> bytes:
    if not key:
        raise ValueError("a frame's key is empty: anyone could write frames of this job")
    tag = blake2b(front, key=key, digest_size=TAG_BYTES)
    tag.update(stored)
    return tag.digest()


def _describe(header: FrameHeader) -> str:
    return (
        f"frame {header.sequence} of shuffle {header.shuffle} (map {header.map}, attempt "
        f"{header.attempt}, link {header.link}, partition {header.partition})"
    )


def _truncated(size: int, expected: int) -> RejectedFrameError:
    return RejectedFrameError(
        Reason.TRUNCATED, f"a frame was cut short: {size} bytes of at least {expected} were read"
    )
