"""Blocks of records as bytes, and back with exactly the types that went in.

The first byte says how a block was written: as one msgpack array (`scalars`), as plain data in
pickle's opcodes (`plain`), as the numbers of arrays (`arrays`), or, if it is the one that every
pickle begins with, as an ordinary pickle. The bytes are not compressed. `decode` runs what a pickle
says: give it only bytes whose frame was authenticated.

Objects of any class keep their identity within a block. Two references to one plain list or dict
may come back as two equal ones, as from any format but pickle.

Which form a block takes was measured: CPU time to look at the types, write, compress, decompress
and read, as a ratio to ordinary pickle 5 with lz4 in the same run (Python 3.11, medians of nine;
above 1 is faster). msgpack cannot tell a tuple from a list, so tuples go as columns there.

    block of              2,000 records        100,000 records
                        opcodes   msgpack     opcodes   msgpack    what is written
    str                    1.10      1.44        1.82      1.81    msgpack up to 2,048 records
    bytes                  1.03      1.29        1.87      1.75    msgpack up to 2,048 records
    several scalar types   0.90      1.05        1.22      1.00    msgpack up to 2,048 records
    int                    1.04      0.90        0.98      0.65    ordinary pickle
    float                  0.96      0.93        0.92      0.70    ordinary pickle
    bool                   0.95      0.85        0.97      0.57    ordinary pickle
    (str, int)             1.25      1.08        2.04      1.23    opcodes
    (int, int)             1.11      0.98        1.74      1.22    opcodes

Fewer than 32 scalars go as msgpack, too: the bytes are fewer, and reading them is faster. Strings
that a sample shows to come again and again go as an ordinary pickle, which writes each once.
"""

from __future__ import annotations

import pickle
from typing import Any

import cloudpickle

from aflint.codec import arrays, culprit, plain, scalars
from aflint.codec.closure import advice_on_missing
from aflint.errors import AflintError, SerializationError

PROTOCOL = 5
_PICKLE = pickle.PROTO
_PLAIN = b"F"
_ARRAYS = b"A"
_SCALARS = scalars.PREFIX[:1]


def encode(records: list[Any]) -> bytes:
    """Return the block as bytes.

    Raises SerializationError, naming the record and the path into it, if one cannot be pickled.
    """
    data = encode_plain(records)
    return _pickled(records) if data is None else data


def decode(data: bytes | memoryview) -> list[Any]:
    """Return the records that `encode` was given: equal, in order, each of exactly its type.

    Raises SerializationError if a record's class cannot be found or rebuilt here, or if `data` was
    not written by `encode`.
    """
    kind = data[:1]
    if kind == _PICKLE:
        block: list[Any] = unpickled(data)
        return block
    if kind == _PLAIN:
        return plain.loads(data, 1)
    if kind == _SCALARS:
        return scalars.loads(data)
    if kind == _ARRAYS:
        return arrays.loads(data, 1)
    raise SerializationError(f"{len(data)} bytes are not a block of records that aflint wrote")


def encode_plain(records: list[Any]) -> bytes | None:
    """Return the block in the fastest of the exact forms, or None if that is an ordinary pickle of
    what may hold objects.
    """
    try:
        return _plain(records)
    except plain.NotPlainError:
        return None


def _plain(records: list[Any]) -> bytes | None:
    # The first record tells which form is likely; the form itself looks at every one.
    if records and type(records[0]) in scalars.TYPES:
        if scalars.suits_pickle(records):
            return plain.dumps_at_once(records)
        data = scalars.dumps(records)
        if data is not None:
            return data
    if records and arrays.is_array(records[0]):
        return arrays.dumps(records, _ARRAYS)
    # Not scalars alone: tuples, lists and dicts of them go as opcodes, all else as a pickle.
    strings = plain.survey(records)
    return None if strings is None else plain.dumps(records, strings, _PLAIN)


# Pickle, for what only pickle can carry: by reference where possible, else by value.


def _pickled(records: list[Any]) -> bytes:
    """Return the pickle of a block; classes that only this process knows travel by value.

    Raises SerializationError, naming the record and the path into it, if it cannot be pickled.
    """
    try:
        return dumps(records)
    except AflintError:
        raise
    except Exception as error:
        raise _blame(records, error) from error


def unpickled(data: bytes | memoryview) -> Any:
    """Return what `dumps` was given.

    Raises SerializationError if a class in it cannot be imported or rebuilt here.
    """
    try:
        return pickle.loads(data)
    except Exception as error:
        raise SerializationError(
            f"records could not be unpickled: {type(error).__name__}: {error}. Is the module of "
            "their class installed where the task runs?"
            + (f" {advice_on_missing(error)}" if isinstance(error, ImportError) else "")
        ) from error


def dumps(value: Any) -> bytes:
    """Return the pickle of `value`, by cloudpickle if pickle alone could not be read elsewhere."""
    # pickle is several times as fast. What it writes names classes by their modules: no other
    # process has this one's `__main__`, nor the modules that are to go by value.
    if not cloudpickle.list_registry_pickle_by_value():
        try:
            data = pickle.dumps(value, PROTOCOL)
        except Exception:  # whatever it was, cloudpickle decides whether it can be pickled
            data = b"__main__"
        if b"__main__" not in data:
            return data
    by_value: bytes = cloudpickle.dumps(value, PROTOCOL)
    return by_value


def _blame(records: list[Any], error: Exception) -> SerializationError:
    place, record = next(
        ((place, record) for place, record in enumerate(records) if not _picklable(record)),
        (0, records),
    )
    found = culprit.find(record, error)
    return SerializationError(
        f"record {place} of a block, of type {culprit.type_name(record)}, cannot be pickled: "
        f"{found}: {found.error}. {found.advice}"
    )


def _picklable(record: Any) -> bool:
    try:
        dumps(record)
    except Exception:  # which error it is, culprit.find tells
        return False
    return True
