"""Unsigned integers, one for each partition, in as few bytes as hold them. All are exact.

    width (1 byte), the integers in so many bytes each, little-endian
    0, how many there are (4 bytes), the one value that they all have (8 bytes)

A map task counts its frames and their bytes for each reduce partition: for 100,000 map tasks and
1,000 partitions, Python's own integers would take gigabytes.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Sequence
from typing import Final

from aflint.errors import FrameError

_ALIKE: Final = struct.Struct("<BIQ")
_TYPES: Final = {array(code).itemsize: code for code in "BHIQ"}


def pack_counts(values: Sequence[int]) -> bytes:
    """Pack integers of up to 64 bits."""
    largest = max(values, default=0)
    if largest == min(values, default=0):
        return _ALIKE.pack(0, len(values), largest)
    width = next(width for width in sorted(_TYPES) if largest < 1 << 8 * width)
    items = array(_TYPES[width], values)
    if sys.byteorder == "big":
        items.byteswap()
    return bytes((width,)) + items.tobytes()


class Counts(Sequence[int]):
    """Packed integers, read where they lie. Raises FrameError for bytes that are none."""

    __slots__ = ("_length", "_packed", "_value", "_width")

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._width = packed[0] if packed else -1
        self._length: int
        self._value: int
        if self._width == 0 and len(packed) == _ALIKE.size:
            _, self._length, self._value = _ALIKE.unpack(packed)
        elif self._width in _TYPES and len(packed) % self._width == (1 % self._width):
            self._length = len(packed) // self._width - (self._width == 1)
        else:
            raise FrameError(f"not packed counts: {len(packed)} bytes of width {self._width}")

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> int:  # type: ignore[override]
        width = self._width
        if not 0 <= index < self._length:
            raise IndexError(f"no count {index}: there are {self._length}")
        if not width:
            return self._value
        at = 1 + index * width
        value: int = int.from_bytes(self._packed[at : at + width], "little")
        return value

    def unpacked(self, start: int = 0, end: int | None = None) -> Sequence[int]:
        """Return those from `start` up to `end`, unpacked."""
        end = self._length if end is None else end
        if not self._width:
            return [self._value] * (end - start)
        items = array(_TYPES[self._width])
        items.frombytes(self._packed[1 + start * self._width : 1 + end * self._width])
        if sys.byteorder == "big":
            items.byteswap()
        return items

    def total(self, start: int = 0, end: int | None = None) -> int:
        """Return the sum of those from `start` up to `end`."""
        if not self._width:
            return self._value * ((self._length if end is None else end) - start)
        return sum(self.unpacked(start, end))
