"""Unsigned integers, one for each partition, in as few bytes as hold them. All are exact.

    width (1 byte), how many there are, how many zeros they begin with, how many follow those (4
    bytes each), base (8 bytes); of these, by how much each is more than the base, in `width` bytes
    each, little-endian; then zeros again

A width of 0 says that all of these are the base. A map task counts its frames and their bytes for
each reduce partition: for 100,000 map tasks and 1,000 partitions, Python's own integers would take
gigabytes. The base is 0 where another one saves nothing; it does where partitions are about alike.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Sequence
from typing import Final

from aflint.errors import FrameError

_HEAD: Final = struct.Struct("<BIIIQ")
_TYPES: Final = {array(code).itemsize: code for code in "BHIQ"}


def pack_counts(values: Sequence[int]) -> bytes:
    """Pack integers of up to 64 bits."""
    begin, end = 0, len(values)
    while end and not values[end - 1]:
        end -= 1
    while begin < end and not values[begin]:
        begin += 1
    some = values[begin:end]
    least, largest = min(some, default=0), max(some, default=0)
    if least == largest:
        return _HEAD.pack(0, len(values), begin, end - begin, least)
    width = _width_of(largest - least)
    if width == _width_of(largest):
        least = 0
    else:
        some = [value - least for value in some]
    items = array(_TYPES[width], some)
    if sys.byteorder == "big":
        items.byteswap()
    return _HEAD.pack(width, len(values), begin, end - begin, least) + items.tobytes()


def _width_of(largest: int) -> int:
    return next(width for width in sorted(_TYPES) if largest < 1 << 8 * width)


class Counts(Sequence[int]):
    """Packed integers, read where they lie. Raises FrameError for bytes that are none."""

    __slots__ = ("_base", "_begin", "_count", "_length", "_packed", "_width")

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        try:
            head = _HEAD.unpack_from(packed)
        except struct.error as error:
            raise FrameError(f"not packed counts: {len(packed)} bytes") from error
        self._width, self._length, self._begin, self._count, self._base = head
        body = self._width * self._count
        fits = self._begin + self._count <= self._length
        if self._width not in (0, *_TYPES) or len(packed) != _HEAD.size + body or not fits:
            raise FrameError(f"not packed counts: {len(packed)} bytes of width {self._width}")

    def __len__(self) -> int:
        return int(self._length)

    def __getitem__(self, index: int) -> int:  # type: ignore[override]
        if not 0 <= index < self._length:
            raise IndexError(f"no count {index}: there are {self._length}")
        place, width = index - self._begin, self._width
        if not 0 <= place < self._count:
            return 0
        at = _HEAD.size + place * width
        return int(self._base) + int.from_bytes(self._packed[at : at + width], "little")

    def unpacked(self, start: int = 0, end: int | None = None) -> Sequence[int]:
        """Return those from `start` up to `end`, unpacked."""
        end = self._length if end is None else end
        low = min(max(start, self._begin), end)
        high = max(low, min(end, self._begin + self._count))
        if self._width:
            items = array(_TYPES[self._width])
            head = _HEAD.size - self._begin * self._width
            items.frombytes(self._packed[head + low * self._width : head + high * self._width])
            if sys.byteorder == "big":
                items.byteswap()
            if self._base:
                items = array("Q", map(self._base.__add__, items))
            if (low, high) == (start, end):
                return items
            some = items.tolist()
        else:
            some = [self._base] * (high - low)
        return [0] * (low - start) + some + [0] * (end - high)

    def total(self, start: int = 0, end: int | None = None) -> int:
        """Return the sum of those from `start` up to `end`."""
        return sum(self.unpacked(start, end))
