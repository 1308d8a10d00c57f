"""Blocks of records as bytes, and back with exactly the types that went in.

The first byte says how a block was written: as plain data (see `plain`), or, if it is the one that
every pickle begins with, as an ordinary pickle. The bytes are not compressed. `decode` runs what a
pickle says: give it only bytes whose frame was authenticated.

Objects of any class keep their identity within a block. Two references to one plain list or dict
may come back as two equal ones, as from any format but pickle.
"""

from __future__ import annotations

import pickle
from typing import Any

from aflint.codec import pickling, plain
from aflint.errors import SerializationError

_PICKLE = pickle.PROTO
_PLAIN = b"F"


def encode(records: list[Any]) -> bytes:
    """Return the block as bytes.

    Raises SerializationError, naming the record and the path into it, if one cannot be pickled.
    """
    strings = plain.survey(records)
    if strings is not None:
        try:
            return plain.dumps(records, strings, _PLAIN)
        except plain.NotPlainError:
            pass
    return pickling.dumps_records(records)


def decode(data: bytes | memoryview) -> list[Any]:
    """Return the records that `encode` was given: equal, in order, each of exactly its type.

    Raises SerializationError if a record's class cannot be found or rebuilt here, or if `data` was
    not written by `encode`.
    """
    kind = data[:1]
    if kind == _PICKLE:
        return pickling.loads_records(data)
    if kind == _PLAIN:
        return plain.loads(data, 1)
    raise SerializationError(f"{len(data)} bytes are not a block of records that aflint wrote")
