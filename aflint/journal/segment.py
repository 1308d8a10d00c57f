"""Entries as bytes: a segment for each time that some were written. Pure.

    "AFLINTJ", version (1 byte), size of the body (4 bytes), tag (16 bytes), body

The body is a wire value: (session, run, number of the segment, entries). Runs of one session, one
after the other, are told apart by a random word for each, "" where there can be but one. The tag is
BLAKE2b under the journal's key over all but itself, so that what was cut short, altered or written
by somebody else is told before anything of it is decoded.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence
from typing import Final

from aflint.codec.secret import tag
from aflint.errors import FrameError
from aflint.journal.entries import Entry
from aflint.journal.refusals import damaged, of_another_version
from aflint.wire import pack, unpack

VERSION: Final = 2
MAGIC: Final = b"AFLINTJ"
_HEAD = struct.Struct("<7sBI16s")
_TAG_BYTES = 16
HEAD_BYTES: Final = _HEAD.size
"""What a segment begins with tells it from all others, by the tag in it."""


def encode(session: str, number: int, entries: Sequence[Entry], key: bytes, run: str = "") -> bytes:
    """Return a segment."""
    body = pack((session, run, number, tuple(entries)))
    return _HEAD.pack(MAGIC, VERSION, len(body), _tag(body, key)) + body


def size_of(data: bytes, what: str) -> int:
    """Return the size of the segment that `data` begins with, whether it is all there or not.

    Raises JournalDamagedError or JournalVersionError for what is no segment of this version.
    """
    if len(data) < _HEAD.size:
        raise damaged(what, f"it ends within the head of a segment, after {len(data)} bytes")
    magic, version, size, _ = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise damaged(what, "it does not begin as a segment does")
    if version != VERSION:
        raise of_another_version(what, version, VERSION)
    found: int = _HEAD.size + size
    return found


def decode(
    data: bytes, session: str, number: int, key: bytes, what: str
) -> tuple[str, tuple[Entry, ...]]:
    """Return run and entries of the one segment that `data` is; `what` names it in errors.

    Raises JournalDamagedError for bytes that are not that segment, whole and unaltered, and
    JournalVersionError for one of another version.
    """
    size = size_of(data, what)
    if size != len(data):
        raise damaged(what, f"{len(data):,} bytes are there, and it is {size:,} bytes long")
    body = memoryview(data)[_HEAD.size :]
    if not hmac.compare_digest(_HEAD.unpack_from(data)[3], _tag(body, key)):
        raise damaged(
            what,
            "it was altered, or was written under another secret, as before the function was "
            "deployed anew",
        )
    try:
        owner, run, found, entries = unpack(bytes(body))
    except (FrameError, ValueError) as error:
        raise damaged(what, str(error)) from error
    if (owner, found) != (session, number):
        raise damaged(what, f"it is segment {found} of run {owner}, in the wrong place")
    return run, tuple(entries)


def _tag(body: bytes | memoryview, key: bytes) -> bytes:
    return tag(key, body, size=_TAG_BYTES, use=MAGIC + bytes([VERSION]))
