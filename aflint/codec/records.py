"""Blocks of records as bytes, and back with exactly the types that went in.

The first byte says how a block was written: as columns of plain data (see `columns`), or as a
pickle. The bytes are not compressed. `decode` runs what a pickle says: give it only bytes whose
frame was authenticated.

Two references to one plain container in a record come back as two equal containers, as from any
format but pickle; objects of classes that aflint does not know keep their identity within a block.
"""

from __future__ import annotations

from typing import Any

from aflint.codec import columns, pickling, uncolumns
from aflint.codec.kinds import worth_columns
from aflint.errors import AflintError, SerializationError

_PICKLE = 0x50
_COLUMNS = 0x43


def encode(records: list[Any]) -> bytes:
    """Return the block as bytes.

    Raises SerializationError, naming the record and the path into it, if one cannot be pickled.
    """
    if worth_columns(records):
        try:
            return b"C" + columns.pack(records)
        except columns.NotPlainError:
            pass
    return b"P" + pickling.dumps_records(records)


def decode(data: bytes | memoryview) -> list[Any]:
    """Return the records that `encode` was given: equal, in order, each of exactly its type.

    Raises SerializationError if a record's class cannot be found or rebuilt here, or if `data` was
    not written by `encode`.
    """
    view = memoryview(data)
    kind = view[0] if len(view) else None
    if kind == _PICKLE:
        return pickling.loads_records(view[1:])
    if kind != _COLUMNS:
        raise SerializationError(f"{len(view)} bytes are not a block of records that aflint wrote")
    try:
        return uncolumns.unpack(view[1:])
    except AflintError:
        raise
    except Exception as error:
        raise SerializationError(
            f"a block of {len(view)} bytes is damaged: {type(error).__name__}: {error}"
        ) from error
