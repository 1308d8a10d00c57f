"""Blocks of plain data, in pickle's opcodes but without its memo.

Most of what pickle does for plain records is to remember each string and tuple in case it comes
again. Without that, writing is about five times as fast, and it is still exact: the pickler writes
None, bool, int, float, str, bytes, bytearray, tuple, list, dict, set and frozenset by their exact
type, and `reducer_override` is asked about everything else, which ends the attempt. So the block's
types are checked by the one pass that writes them.

Strings that a few records show to come again and again, such as the keys of dicts, are remembered
before the first record is written.
"""

from __future__ import annotations

import gc
import io
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, NoReturn

from aflint.errors import SerializationError

CHUNK = 2048
"""Records that are read between two collections of young garbage."""

_PROTOCOL = 5
_SMALL = 64
_SAMPLED = 8
_PARTS_SAMPLED = 32
_DEEPEST = 8
_MOST_STRINGS = 200
_SMALL_TUPLE = 8
_LEAVES = frozenset({type(None), bool, int, float, bytes})


class NotPlainError(Exception):
    """The block holds something that only an ordinary pickle can carry."""


def survey(records: list[Any]) -> list[str] | None:
    """Return the strings worth remembering, or None for a block that is better pickled as usual.

    It is if it is small, if it holds objects, or if its records share containers.
    """
    if not records or (len(records) < _SMALL and not _is_long(records[0])):
        return None
    look = _Survey()
    try:
        for record in records[:: max(1, len(records) // _SAMPLED)]:
            look.at(record, _DEEPEST)
    except NotPlainError:
        return None
    return list(look.again.values())[:_MOST_STRINGS]


def dumps(records: list[Any], strings: list[str], prefix: bytes) -> bytes:
    """Return `prefix` and the block.

    Raises NotPlainError if it holds anything that is not plain.
    """
    buffer = io.BytesIO()
    buffer.write(prefix)
    pickler = _PlainPickler(buffer, _PROTOCOL)
    try:
        pickler.dump(strings)
        # From here on nothing is added to the memo; what it holds, the strings, is still found.
        pickler.fast = True
        for start in range(0, len(records), CHUNK):
            pickler.dump(records[start : start + CHUNK])
    except (ValueError, RecursionError) as error:  # a container that holds itself, or is too deep
        raise NotPlainError from error
    except KeyError as error:
        # CPython's fast mode counts a frozenset as a level that it never leaves, so that many of
        # them look like deep nesting, and the container around them is missed when it is left.
        raise NotPlainError from error
    return buffer.getvalue()


def dumps_at_once(records: list[Any]) -> bytes:
    """Return an ordinary pickle of the block, with its memo.

    What this saves is to look through the pickle for classes, which for numbers takes a third as
    long as writing them. Raises NotPlainError if the block holds anything that is not plain.
    """
    buffer = io.BytesIO()
    try:
        _PlainPickler(buffer, _PROTOCOL).dump(records)
    except (ValueError, RecursionError) as error:
        raise NotPlainError from error
    return buffer.getvalue()


def loads(data: bytes | memoryview, start: int) -> list[Any]:
    """Return the block that `dumps` was given; `start` is the length of the prefix.

    Raises SerializationError for bytes that are not one.
    """
    buffer = io.BytesIO(data)  # of bytes, not a copy
    buffer.seek(start)
    unpickler = pickle.Unpickler(buffer)
    records: list[Any] = []
    try:
        unpickler.load()  # the strings, for its memo
        while buffer.tell() < len(data):
            with _collecting_after():
                records += unpickler.load()
    except Exception as error:
        raise SerializationError(
            f"a block of {len(data)} bytes is damaged: {type(error).__name__}: {error}"
        ) from error
    return records


class _PlainPickler(pickle.Pickler):
    """Stops at the first object that is not of a built-in type of data."""

    def reducer_override(self, obj: Any) -> NoReturn:
        raise NotPlainError


class _Survey:
    """What a look at some records found."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.again: dict[int, str] = {}

    def at(self, value: Any, depth: int) -> None:
        """Look at one value and, `depth` levels deep, at the first of its parts."""
        kind: type = type(value)
        if kind in _LEAVES:
            return
        shared = id(value) in self.seen
        self.seen.add(id(value))
        if kind is str:
            if shared:
                self.again[id(value)] = value
            return
        if shared and (kind is not tuple or len(value) > _SMALL_TUPLE):
            raise NotPlainError
        if not depth or kind is bytearray:
            return
        self._at_parts(value, kind, depth - 1)

    def _at_parts(self, value: Any, kind: type, depth: int) -> None:
        if kind is dict:
            for key in islice(value, _PARTS_SAMPLED):
                self.at(key, depth)
            value = value.values()
        elif kind not in _CONTAINERS:
            raise NotPlainError
        for part in islice(value, _PARTS_SAMPLED):
            self.at(part, depth)


# Not frozenset: see `dumps`.
_CONTAINERS = frozenset({tuple, list, set})
_SIZED = frozenset({tuple, list, dict})


def _is_long(record: Any) -> bool:
    """Whether one record holds many values, as that of a group does."""
    kind = type(record)
    if kind not in _SIZED:
        return False
    if len(record) > _SMALL:
        return True
    for part in record.values() if kind is dict else record:
        if type(part) in _SIZED and len(part) > _SMALL:
            return True
    return False


@contextmanager
def _collecting_after() -> Iterator[None]:
    """Let the cyclic collector look at new records once, not again and again as they appear."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect(0)
