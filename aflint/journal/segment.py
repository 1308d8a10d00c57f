"""The bytes of a journal: a segment for each time that entries were written. Pure.

    "AFLINTJ", version (1 byte), size of the body (4 bytes), tag (16 bytes), body

The body is a wire value: (session, run, number of the segment, entries). Runs of one session, one
after the other, are told apart by a random word for each. The tag is BLAKE2b under the journal's
key over the body, and is checked before anything is decoded: bytes that were cut short, altered or
written by someone else are refused.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence
from typing import Final

from aflint.codec.secret import tag
from aflint.errors import FrameError, JournalDamagedError, JournalVersionError
from aflint.journal.entries import Entry
from aflint.wire import pack, unpack

VERSION: Final = 6
MAGIC: Final = b"AFLINTJ"
_HEAD = struct.Struct("<7sBI16s")
_TAG_BYTES = 16
HEAD_BYTES: Final = _HEAD.size
"""A segment's head is unlike that of any other segment, because of the tag in it."""


def encode(session: str, run: str, number: int, entries: Sequence[Entry], key: bytes) -> bytes:
    """Return a segment."""
    body = pack((session, run, number, tuple(entries)))
    return _HEAD.pack(MAGIC, VERSION, len(body), _tag(body, key)) + body


def decode(
    data: bytes, session: str, number: int, key: bytes, path: str
) -> tuple[str, tuple[Entry, ...]]:
    """Return the run and the entries of the segment that `data`, read from `path`, should be.

    Raises JournalDamagedError for bytes that are not that segment, whole and unaltered, and
    JournalVersionError for one of another version.
    """
    what = f"segment {path} of a journal"
    if len(data) < _HEAD.size:
        raise damaged(what, f"it ends within its head, after {len(data)} bytes")
    magic, version, size, found = _HEAD.unpack_from(data)
    body = memoryview(data)[_HEAD.size :]
    # Of the head each part by itself, so that the error says what is wrong. None of it is
    # believed before the tag was checked, but for the version, which says how to check it.
    if magic != MAGIC:
        raise damaged(what, "it does not begin as a segment does")
    if version != VERSION:
        raise JournalVersionError(
            f"{what} has format version {version}, and this aflint reads version {VERSION}. Resume "
            "the run with the aflint that started it. Nothing was changed."
        )
    if len(body) != size:
        raise damaged(what, f"its body should have {size:,} bytes, and has {len(body):,}")
    if not hmac.compare_digest(found, _tag(body, key)):
        raise damaged(
            what,
            "it was altered, or was written under another secret, as before the function was "
            "deployed anew",
        )
    try:
        owner, run, place, entries = unpack(bytes(body))
    except (FrameError, ValueError) as error:
        raise damaged(what, str(error)) from error
    # The tag does not see a whole segment that was put in the place of another.
    if (owner, place) != (session, number):
        raise damaged(what, f"it is segment {place} of run {owner}, in the wrong place")
    return run, tuple(entries)


def damaged(what: str, why: str) -> JournalDamagedError:
    """Return the error for a part of a journal that is not as it was written."""
    return JournalDamagedError(
        f"{what} is damaged: {why}. The run cannot be resumed from it; nothing was changed. Start "
        "over under another run id, and remove what is left of this run with `aflint clean`"
    )


def _tag(body: bytes | memoryview, key: bytes) -> bytes:
    return tag(key, body, size=_TAG_BYTES, use=MAGIC + bytes([VERSION]))
