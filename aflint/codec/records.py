"""Blocks of records as bytes, and back with exactly the types that went in.

The first byte says how a block was written: as columns of plain data (msgpack, see `columns`), or
as a pickle. The bytes are not compressed. `decode` runs what a pickle says: give it only bytes whose
frame was authenticated.
"""

from __future__ import annotations

from typing import Any

from aflint.codec import columns, pickling
from aflint.errors import SerializationError

_PICKLE = 0x50
_COLUMNS = 0x43


def encode(records: list[Any]) -> bytes:
    """Return the block as bytes.

    Raises SerializationError, naming the record and the path into it, if one cannot be pickled.
    """
    packed = columns.pack(records)
    if packed is not None:
        return b"C" + packed
    return b"P" + pickling.dumps_records(records)


def decode(data: bytes | memoryview) -> list[Any]:
    """Return the records that `encode` was given: equal, in order, each of exactly its type.

    Raises SerializationError if a record's class cannot be found or rebuilt here, or if `data` was
    not written by `encode`.
    """
    view = memoryview(data)
    kind = view[0] if len(view) else None
    if kind == _COLUMNS:
        return columns.unpack(view[1:])
    if kind == _PICKLE:
        return pickling.loads_records(view[1:])
    raise SerializationError(f"{len(view)} bytes are not a block of records that aflint wrote")
