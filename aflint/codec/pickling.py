"""Pickle for what only pickle can carry, by reference where possible, else by value."""

from __future__ import annotations

import pickle
from typing import Any

import cloudpickle

from aflint.codec import culprit
from aflint.codec.closure import advice_on_missing
from aflint.errors import AflintError, SerializationError

PROTOCOL = 5


def dumps_records(records: list[Any]) -> bytes:
    """Return the pickle of a block; classes that only this process knows travel by value.

    Raises SerializationError, naming the record and the path into it, if it cannot be pickled.
    """
    try:
        return dumps(records)
    except AflintError:
        raise
    except Exception as error:
        raise _blame(records, error) from error


def loads_records(data: bytes | memoryview) -> list[Any]:
    """Return the block that `dumps_records` was given.

    Raises SerializationError if a class in it cannot be imported or rebuilt here.
    """
    try:
        records: list[Any] = pickle.loads(data)
    except Exception as error:
        raise SerializationError(
            f"records could not be unpickled: {type(error).__name__}: {error}. Is the module of "
            "their class installed where the task runs?"
            + (f" {advice_on_missing(error)}" if isinstance(error, ImportError) else "")
        ) from error
    return records


def dumps(value: Any) -> bytes:
    """Return the pickle of `value`, by cloudpickle if pickle alone could not be read elsewhere."""
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
