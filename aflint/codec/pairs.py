"""Blocks of pairs, as a shuffle carries them: all keys, then all values.

What writes a shuffle by key takes pairs apart to place them, and what reads it to group or merge
them: between the two no tuple is needed for a record, which would take as long to write as a key,
and three times as long to read. Other records go in rows, as `records` writes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self, overload

from aflint.codec import arrays, records
from aflint.errors import SerializationError

Pair = tuple[Any, Any]

_APART = b"P"
_TOGETHER = b"Q"
_LENGTH_BYTES = 4


@dataclass(slots=True, eq=False)
class Pairs(Sequence[Pair]):
    """Tuples of two, in order, which are made as they are looked at."""

    keys: list[Any]
    values: list[Any]

    @classmethod
    def of(cls, block: list[Any]) -> Self | None:
        """Return records as pairs, or None if one of them is anything but a tuple of two."""
        # By the first record alone, most blocks that are none are known.
        if not block or type(block[0]) is not tuple or set(map(type, block)) != {tuple}:
            return None
        try:
            return cls([key for key, _ in block], [value for _, value in block])
        except ValueError:  # one of the tuples is longer, or shorter
            return None

    def extend(self, other: Pairs) -> None:
        """Append pairs."""
        self.keys += other.keys
        self.values += other.values

    def clear(self) -> None:
        """Drop all pairs."""
        self.keys.clear()
        self.values.clear()

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Pair]:
        return zip(self.keys, self.values, strict=True)

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> Pairs: ...
    def __getitem__(self, index: int | slice) -> Pair | Pairs:
        if isinstance(index, slice):
            return Pairs(self.keys[index], self.values[index])
        return self.keys[index], self.values[index]


Block = list[Any] | Pairs


def joined(first: Block, second: Block) -> Block:
    """Return the records of two blocks, of which the first is used up."""
    if isinstance(second, Pairs) and not first:
        first = Pairs([], [])
    if isinstance(first, Pairs):
        if isinstance(second, Pairs):
            first.extend(second)
            return first
        first = list(first)
    first += second
    return first


def encode(block: Block) -> bytes:
    """Return a block as bytes.

    Raises SerializationError, naming the record and the path into it, if one cannot be pickled.
    """
    if not isinstance(block, Pairs):
        return records.encode(block)
    # Values first: they are of more kinds than keys, and one column that is not plain decides.
    values = _column(block.values)
    keys = None if values is None else _column(block.keys)
    if values is not None and keys is not None:
        return b"".join((_APART, len(keys).to_bytes(_LENGTH_BYTES), keys, values))
    try:
        # In one pickle, so that what a key shares with a value is shared again.
        return _TOGETHER + records.dumps((block.keys, block.values))
    except Exception:
        # In rows, where the record that cannot be pickled is known by its place.
        return records.encode(list(block))


def decode(data: bytes | memoryview) -> Block:
    """Return the records that `encode` was given: equal, in order, each of exactly its type.

    Raises SerializationError as `records.decode` does.
    """
    view, kind = memoryview(data), data[:1]
    if kind == _TOGETHER:
        keys, values = records.unpickled(view[1:])
    elif kind == _APART:
        start = 1 + _LENGTH_BYTES
        end = start + int.from_bytes(view[1:start])
        keys, values = records.decode(view[start:end]), records.decode(view[end:])
    else:
        return records.decode(data)
    if len(keys) != len(values):
        raise SerializationError(
            f"a block of {len(data)} bytes is damaged: {len(keys)} keys, {len(values)} values"
        )
    return Pairs(keys, values)


def _column(values: list[Any]) -> bytes | None:
    """Return keys or values in one of the plain forms, or None if they may share objects."""
    if values and arrays.is_array(values[0]):
        return None  # the same array may be in the other column
    return records.encode_plain(values)
