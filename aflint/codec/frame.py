"""Frames: one encoded block of records each, compressed and authenticated, ready for any transport.

A frame is one msgpack array of thirteen:

    [version, job, shuffle, map, attempt, link, sequence, partition, records, raw size, compressed,
     tag, payload]

`job` is a str, `tag` and `payload` are bin, `compressed` is a bool, and the rest are ints from 0 to
2**32 - 1. The payload is an LZ4 block of `raw size` bytes; where LZ4 would hardly make it smaller,
`compressed` is false and it is the bytes themselves. The tag is BLAKE2b, keyed with the job's own
key, over every byte of the frame but its own sixteen. It is checked before a byte of the payload is
decompressed or decoded, and only the front, at most `_LONGEST_FRONT` bytes, is parsed before that:
no size that a frame declares is believed. A frame is about 40 bytes longer than its job's name and
its payload, and 68 at most.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import lz4.block
import lz4.frame
import msgpack

from aflint.codec.secret import tag
from aflint.errors import FrameError, RecordTooLargeError

Buffer = bytes | bytearray | memoryview

VERSION = 2
TAG_BYTES = 16
MAX_PAYLOAD = 0x7E000000
"""What one LZ4 block may hold, in bytes before compression (LZ4_MAX_INPUT_SIZE)."""

_FIXARRAY = 0x90
_ARRAY = b"\x9d"
_ARRAY_BUT_PAYLOAD = b"\x9c"
_TAG_HEAD = b"\xc4\x10"
_BIN_HEADS = {0xC4: 1, 0xC5: 2, 0xC6: 4}
"""For each first byte of a bin, how many bytes of size follow."""

_NUMBER_BITS = 32
_LONGEST_JOB = 255
_LONGEST_FRONT = len(_ARRAY) + 1 + (2 + _LONGEST_JOB) + 8 * 5 + 1 + len(_TAG_HEAD) + TAG_BYTES
_WORTH_COMPRESSING = 64
_SAMPLE = 16 * 1024
_SHRINKS = 0.95
"""LZ4 takes longest for what it hardly shrinks, such as random digits: if a sample from the middle
does not shrink to this, the rest is not tried.
"""
_MOST_SHRUNK = 256
"""LZ4 writes at least one byte for 255; what claims to hold more is given no memory."""

_pack = msgpack.Packer(buf_size=1024).pack


class Reason(StrEnum):
    """Why a frame was rejected."""

    TRUNCATED = "truncated"
    NOT_A_FRAME = "not a frame"
    VERSION = "of another version"
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


class _Envelope(NamedTuple):
    header: FrameHeader
    raw_size: int
    compressed: bool
    tag: bytes
    tag_end: int
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
    stored, compressed = _shrink(payload)
    # The tag covers what stands before and behind it, its own head included.
    front = _pack_front(header, raw_size, compressed) + _TAG_HEAD
    stored_head = _bin_head(len(stored))
    signed = tag(key, front, stored_head, stored, size=TAG_BYTES)
    return b"".join((front, signed, stored_head, stored))


def decode_frame(data: Buffer, key: bytes, job: str) -> tuple[FrameHeader, bytes]:
    """Return header and payload of the one frame that `data` is.

    Raises RejectedFrameError (a FrameError) for bytes that are not a whole, unaltered frame of this
    job; nothing of the payload has been decompressed then.
    """
    view = memoryview(data)
    envelope = _parse(view)
    header = envelope.header
    # The key is that of `job`: under it, the tag of another job's frame would look altered.
    if header.job != job:
        raise RejectedFrameError(
            Reason.FOREIGN, f"a frame of job {header.job!r} was read in job {job!r}: it was dropped"
        )
    if len(view) != envelope.end:
        raise RejectedFrameError(
            Reason.TRAILING,
            f"{_describe(header)} is {envelope.end} bytes long, but {len(view)} were read",
        )
    tag_end = envelope.tag_end
    expected = tag(key, view[: tag_end - TAG_BYTES], view[tag_end:], size=TAG_BYTES)
    if not hmac.compare_digest(envelope.tag, expected):
        raise RejectedFrameError(
            Reason.ALTERED,
            f"{_describe(header)} does not carry this job's tag: it was altered on its way",
        )
    return header, _restore(view[envelope.start :], envelope)


def compress(data: Buffer) -> bytes:
    """Return `data` as an LZ4 frame that knows its own size; for blobs of any length."""
    compressed: bytes = lz4.frame.compress(data, store_size=True)
    return compressed


def decompress(data: Buffer) -> bytes:
    """Return what `compress` was given.

    Raises FrameError for anything else.
    """
    try:
        claimed = lz4.frame.get_frame_info(data)["content_size"]
        # Before memory is taken for it: the size is what the sender says.
        if claimed > len(data) * _MOST_SHRUNK:
            raise RuntimeError(f"it claims to hold {claimed:,} bytes, more than can be")
        raw: bytes = lz4.frame.decompress(data)
    except RuntimeError as error:
        raise FrameError(f"{len(data)} bytes are not a whole LZ4 frame: {error}") from error
    return raw


def _shrink(payload: Buffer) -> tuple[Buffer, bool]:
    if len(payload) < _WORTH_COMPRESSING:
        return payload, False
    if len(payload) > 4 * _SAMPLE:
        middle = memoryview(payload)[len(payload) // 2 :][:_SAMPLE]
        if len(lz4.block.compress(middle, store_size=False)) > _SHRINKS * _SAMPLE:
            return payload, False
    packed: bytes = lz4.block.compress(payload, store_size=False)
    return (packed, True) if len(packed) < len(payload) else (payload, False)


def _pack_front(header: FrameHeader, raw_size: int, compressed: bool) -> bytes:
    """Return the array up to the tag; its head counts the tag and the payload, too."""
    shuffle, map_, attempt, link = header.shuffle, header.map, header.attempt, header.link
    sequence, partition, records = header.sequence, header.partition, header.records
    job = header.job
    try:
        # One test for all: a number that is negative or too large leaves bits above the 32.
        if (shuffle | map_ | attempt | link | sequence | partition | records) >> _NUMBER_BITS:
            raise ValueError("each of its numbers is to be from 0 to 2**32 - 1")
        if len(job.encode()) > _LONGEST_JOB:
            raise ValueError(f"its job's name takes more than {_LONGEST_JOB} bytes")
        fields = (VERSION, job, shuffle, map_, attempt, link, sequence, partition, records)
        packed: bytes = _pack((*fields, raw_size, compressed))
    except (ValueError, TypeError) as error:
        raise FrameError(f"a frame cannot hold the header {header}: {error}") from error
    return _ARRAY + packed[1:]  # the head of an array of eleven, replaced


def _bin_head(size: int) -> bytes:
    if size < 1 << 8:
        return b"\xc4" + size.to_bytes(1)
    if size < 1 << 16:
        return b"\xc5" + size.to_bytes(2)
    return b"\xc6" + size.to_bytes(4)


def _parse(view: memoryview) -> _Envelope:
    _check_version(view)
    unpacker = msgpack.Unpacker(max_buffer_size=_LONGEST_FRONT)
    # Told that the array ends before the payload, the unpacker stops there: the payload, of which
    # not all may be in this front, is neither copied nor believed.
    unpacker.feed(_ARRAY_BUT_PAYLOAD + view[1:_LONGEST_FRONT])
    try:
        front = unpacker.unpack()
    except msgpack.OutOfData:
        if len(view) < _LONGEST_FRONT:
            raise _truncated(len(view), len(view) + 1) from None
        raise _malformed(len(view)) from None
    except ValueError as error:
        raise _malformed(len(view)) from error
    raw_size, compressed, found = front[9:]
    # Only the tag's own type is looked at: the others are right if the tag is.
    if type(found) is not bytes:
        raise _malformed(len(view))
    tag_end = unpacker.tell()
    start, end = _find_payload(view, tag_end)
    return _Envelope(FrameHeader(*front[1:9]), raw_size, compressed, found, tag_end, start, end)


def _check_version(view: memoryview) -> None:
    if (view and view[0] & 0xF0 != _FIXARRAY) or (len(view) > 1 and view[1] > 0x7F):
        raise RejectedFrameError(
            Reason.NOT_A_FRAME, f"{len(view)} bytes were read that are not an aflint frame"
        )
    if len(view) < 2:
        raise _truncated(len(view), 2)
    if view[1] != VERSION:
        raise RejectedFrameError(
            Reason.VERSION,
            f"a frame of version {view[1]} was read, and this aflint reads version {VERSION}: "
            "run the same aflint in driver and executors",
        )
    if view[0] != _ARRAY[0]:
        raise _malformed(len(view))


def _find_payload(view: memoryview, at: int) -> tuple[int, int]:
    """Return where the bytes of the payload begin and end."""
    if len(view) <= at:
        raise _truncated(len(view), at + 1)
    width = _BIN_HEADS.get(view[at])
    if width is None:
        raise _malformed(len(view))
    start = at + 1 + width
    end = start + int.from_bytes(view[at + 1 : start])
    if len(view) < start or len(view) < end:
        raise _truncated(len(view), max(start, end))
    return start, end


def _restore(stored: memoryview, envelope: _Envelope) -> bytes:
    # The raw size may be believed by now: it is under the tag.
    if not envelope.compressed:
        return bytes(stored)
    try:
        raw: bytes = lz4.block.decompress(stored, uncompressed_size=envelope.raw_size)
    except (lz4.block.LZ4BlockError, ValueError) as error:
        raise RejectedFrameError(
            Reason.ALTERED, f"{_describe(envelope.header)} cannot be decompressed: {error}"
        ) from error
    return raw


def _describe(header: FrameHeader) -> str:
    return (
        f"frame {header.sequence} of shuffle {header.shuffle} (map {header.map}, attempt "
        f"{header.attempt}, link {header.link}, partition {header.partition})"
    )


def _truncated(size: int, expected: int) -> RejectedFrameError:
    return RejectedFrameError(
        Reason.TRUNCATED, f"a frame was cut short: {size} bytes of at least {expected} were read"
    )


def _malformed(size: int) -> RejectedFrameError:
    return RejectedFrameError(
        Reason.ALTERED, f"{size} bytes begin as a frame and do not go on as one: they were altered"
    )
