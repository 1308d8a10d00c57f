"""Blocks of str, bytes, numbers, bool and None: as msgpack, where it is exact and the fastest.

msgpack keeps these types apart, and nothing else that Python has: it writes a tuple as a list, a
bytearray as bytes, and a subclass as its base. So the exact type of every record is looked at
first, which takes as long as the pickling of a number, but less than that of a string.

A block is the array `["v", records]`.
"""

from __future__ import annotations

from typing import Any

import msgpack

from aflint.errors import SerializationError

PREFIX = b"\x92\xa1v"
NUMBERS = frozenset({type(None), bool, int, float})
TYPES = NUMBERS | {str, bytes}

_MARK = "v"
_FEW = 32
"""Fewer numbers than this take fewer bytes as msgpack, and are read faster."""

_MANY = 2048
"""More records than this are written as fast in pickle's opcodes, by a pass that looks at types."""

_SHORT = 1024
_SAMPLED = 8
_BUFFER_BYTES = 65_536


def suits_pickle(records: list[Any]) -> bool:
    """Say whether a block that begins with a scalar is one for pickle, with its memo.

    It is if it is one of many numbers, or if some records, taken evenly, show strings that come
    again and again: pickle writes each of those once, and reads it as one.
    """
    if len(records) < _FEW:
        return False
    return NUMBERS.issuperset(map(type, records[:_FEW])) or _repeats(records)


def dumps(records: list[Any]) -> bytes | None:
    """Return the block, or None if msgpack cannot carry it exactly, or only more slowly."""
    if len(records) > _MANY or not set(map(type, records)) <= TYPES:
        return None
    try:
        data = _writer.pack((_MARK, records))
    except (ValueError, OverflowError):  # a lone surrogate, an int of more than 64 bits
        return None
    return None if len(records) < _FEW and len(data) > _SHORT and _repeats(records) else data


def loads(data: bytes | memoryview) -> list[Any]:
    """Return the block that `dumps` was given.

    Raises SerializationError for bytes that are not one.
    """
    try:
        mark, records = msgpack.unpackb(data)
    except ValueError as error:
        raise SerializationError(
            f"a block of {len(data)} bytes is damaged: {type(error).__name__}: {error}"
        ) from error
    if mark != _MARK or type(records) is not list:
        raise SerializationError(f"a block of {len(data)} bytes is damaged: it holds no records")
    return records


def _repeats(records: list[Any]) -> bool:
    sample = records[:: len(records) // _SAMPLED or 1]
    # By identity: strings that are equal but not one object are written again by pickle, too.
    strings = [id(record) for record in sample if type(record) not in NUMBERS]
    return len(set(strings)) < len(strings)


class _Writer:
    """Packs into one buffer again and again, and lets go of it once it has grown large."""

    def __init__(self) -> None:
        self._packer = msgpack.Packer(buf_size=_BUFFER_BYTES)

    def pack(self, value: Any) -> bytes:
        data: bytes = self._packer.pack(value)
        # A packer keeps its largest buffer for ever.
        if len(data) > _BUFFER_BYTES:
            self._packer = msgpack.Packer(buf_size=_BUFFER_BYTES)
        return data


_writer = _Writer()
