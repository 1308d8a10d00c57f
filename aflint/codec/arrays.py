"""Blocks of small numpy arrays of one type and shape, as their numbers one after the other.

A pickle says of each array how to make it, which takes longer than to copy its few numbers: of
eight floats in a block of 4,000, writing takes a sixth as long without, and reading a fifth. Arrays
that are anything but C-ordered numbers of the machine's own byte order go as pickles do.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

from aflint.errors import SerializationError

_FEWEST = 32
_MOST_BYTES = 1024
"""Of one array: of larger ones a pickle's own work is nothing."""

_KINDS = "biufc"


def is_array(record: Any) -> bool:
    """Tell whether a record is an array, without importing numpy."""
    kind = type(record)
    return kind.__module__ == "numpy" and kind.__qualname__ == "ndarray"


def dumps(records: list[Any], prefix: bytes) -> bytes | None:
    """Return `prefix` and a block that begins with an array, or None if it is one for pickle."""
    first = records[0]
    dtype, shape = first.dtype, first.shape
    plain = dtype.kind in _KINDS and dtype.isnative and dtype.metadata is None
    if len(records) < _FEWEST or not plain or not shape or not 0 < first.nbytes <= _MOST_BYTES:
        return None
    if set(map(type, records)) != {type(first)}:
        return None
    # Two references to one array must come back as two references to one.
    if len(set(map(id, records))) < len(records):
        return None
    for array in records:
        flags = array.flags
        if (array.dtype is not dtype and array.dtype != dtype) or array.shape != shape:
            return None
        if not flags.c_contiguous or not flags.writeable:
            return None
    head = pickle.dumps((dtype.str, shape), 5)
    return b"".join((prefix, head, *(array.data for array in records)))


def loads(data: bytes | memoryview, start: int) -> list[Any]:
    """Return the arrays that `dumps` was given, each with memory of its own.

    Raises SerializationError for bytes that are not such a block.
    """
    import numpy as np

    buffer = io.BytesIO(data)
    buffer.seek(start)
    try:
        dtype, shape = pickle.Unpickler(buffer).load()
        rows = np.frombuffer(data, dtype, offset=buffer.tell()).reshape(-1, *shape)
    except Exception as error:
        raise SerializationError(
            f"a block of {len(data)} bytes is damaged: {type(error).__name__}: {error}"
        ) from error
    return [row.copy() for row in rows]
