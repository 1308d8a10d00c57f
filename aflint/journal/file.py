"""A journal in one file of this machine, for the local backend.

    "AFLINTF", version (1 byte), number of committed bytes (8 bytes), its tag (8 bytes), segments

A segment counts once the committed number, which is written after it, says so. A driver that is
killed in the middle of a write thus leaves a journal that is whole; one that is shorter than its
own number was cut by somebody else. The tag is BLAKE2b of the number under the journal's key.
It survives the driver, not the machine: nothing is synced.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from aflint.codec.secret import tag
from aflint.journal.base import Journal
from aflint.journal.entries import Entry
from aflint.journal.refusals import damaged, of_another_version
from aflint.journal.segment import decode, encode, size_of

_log = logging.getLogger(__name__)

VERSION: Final = 1
_MAGIC: Final = b"AFLINTF"
_HEAD = struct.Struct("<7sBQ8s")
_COMMITTED_AT = 8
_TAG_BYTES = 8


class FileJournal(Journal):
    """Appends to an open file, at once."""

    def __init__(
        self, path: str, handle: int, end: int, number: int, key: bytes, session: str
    ) -> None:
        super().__init__()
        self._path = path
        self._handle = handle
        self._end = end
        self._number = number
        self._key = key
        self._session = session
        self._broken = False

    def record(self, entry: Entry) -> None:
        """Write an entry; where the disk refuses, say so once, and write no more."""
        if self._broken:
            return
        segment = encode(self._session, self._number, (entry,), self._key)
        try:
            _write(self._handle, segment, self._end)
            head = _head(self._end + len(segment), self._key)
            _write(self._handle, head[_COMMITTED_AT:], _COMMITTED_AT)
        except OSError as error:
            self._broken = True
            _log.warning(
                "the journal of run %s cannot be written (%s): if this driver is killed, the run "
                "resumes from here at the latest", self._session, error.strerror,
            )  # fmt: skip
            return
        self._end += len(segment)
        self._number += 1

    async def end(self) -> None:
        self._broken = True
        with suppress(FileNotFoundError):  # somebody has tidied up
            os.unlink(self._path)

    async def aclose(self) -> None:
        self._broken = True
        os.close(self._handle)


async def open_file(path: str, key: bytes, session: str) -> tuple[FileJournal, list[Entry]]:
    """Open, or make, the journal at a path; return it with what stands in it.

    Raises JournalDamagedError, JournalVersionError or OSError.
    """
    return await asyncio.to_thread(_open, path, key, session)


def read_file(path: str, key: bytes, session: str) -> list[Entry]:
    """Return what stands in a journal that nobody need be writing any more, blocking.

    Raises JournalDamagedError, JournalVersionError or OSError.
    """
    with open(path, "rb") as file:
        data = file.read()
    return [entry for _, entries in _segments(data, path, key, session) for entry in entries]


def _open(path: str, key: bytes, session: str) -> tuple[FileJournal, list[Entry]]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with open(path, "rb") as file:
            data = file.read()
        if not data:
            _write(handle, _head(_HEAD.size, key), 0)
            return FileJournal(path, handle, _HEAD.size, 0, key, session), []
        segments = list(_segments(data, path, key, session))
        end = segments[-1][0] if segments else _HEAD.size
        entries = [entry for _, some in segments for entry in some]
        return FileJournal(path, handle, end, len(segments), key, session), entries
    except BaseException:
        os.close(handle)
        raise


def _segments(
    data: bytes, path: str, key: bytes, session: str
) -> Iterator[tuple[int, tuple[Entry, ...]]]:
    """Yield where each segment ends, and its entries."""
    committed = _committed(data, path, key)
    end = number = 0
    start = _HEAD.size
    while start < committed:
        what = f"segment {number} of the journal {path}"
        end = start + size_of(data[start : start + 64], what)
        if end > committed:
            raise damaged(f"the journal {path}", f"segment {number} goes past its committed end")
        _, entries = decode(data[start:end], session, number, key, what)
        yield end, entries
        start, number = end, number + 1


def _head(committed: int, key: bytes) -> bytes:
    number = committed.to_bytes(8, "little")
    signed = tag(key, number, size=_TAG_BYTES, use=_MAGIC)
    return _HEAD.pack(_MAGIC, VERSION, committed, signed)


def _committed(data: bytes, path: str, key: bytes) -> int:
    if len(data) < _HEAD.size:
        raise damaged(f"the journal {path}", f"it is cut short: {len(data)} bytes are left")
    magic, version, committed, _ = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        raise damaged(f"the journal {path}", "it does not begin as a journal does")
    if version != VERSION:
        raise of_another_version(f"the journal {path}", version, VERSION)
    if not hmac.compare_digest(data[: _HEAD.size], _head(committed, key)):
        raise damaged(
            f"the journal {path}",
            "its head was altered, or was written under another secret",
        )
    if committed > len(data):
        raise damaged(
            f"the journal {path}",
            f"it is cut short: of {committed:,} bytes, {len(data):,} are left",
        )
    return int(committed)


def _write(handle: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, at)
        view, at = view[written:], at + written
