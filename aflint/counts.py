"""Unsigned integers, one for each partition, in as few bytes as hold them. All are exact.

    width (1 byte), how many there are, how many zeros they begin with, how many follow those (4
    bytes each), base (8 bytes); of these, by how much each is more than the base, in `width` bytes
    each, little-endian; then zeros again

A width of 0 says that all of these are the base. A map task counts its frames and their bytes for
each reduce partition: for 100,000 map tasks and 1,000 partitions, Python's own integers would take
gigabytes. The base is 0 where another one saves nothing; it does where partitions are about alike.

A reduce task is told of one partition of every map task: a column of a table whose rows are packed.
Columns are cut out and added up by single operations of C, each for all rows at once.
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
_LARGEST: Final = (1 << 64) - 1

_AT_ONCE: Final = 64
"""So many columns are cut out of each row at once: mostly the next one is asked for next."""


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
    width = width_of(largest - least)
    if width == width_of(largest):
        least = 0
    else:
        some = [value - least for value in some]
    items = array(_TYPES[width], some)
    if sys.byteorder == "big":
        items.byteswap()
    return _HEAD.pack(width, len(values), begin, end - begin, least) + items.tobytes()


def pack_column(column: bytes, width: int) -> bytes:
    """Pack integers that are `width` bytes each already, as `CountsTable.column` returns them."""
    count, first = len(column) // width, column[:width]
    if column == first * count:
        return _HEAD.pack(0, count, 0, count, int.from_bytes(first, "little"))
    return _HEAD.pack(width, count, 0, count, 0) + column


def unpack_column(column: bytes, width: int) -> Sequence[int]:
    """Return the integers of a column."""
    items = array(_TYPES[width], column)
    if sys.byteorder == "big":
        items.byteswap()
    return items


def width_of(largest: int) -> int:
    """Return how many bytes integers up to the largest take each: 1, 2, 4 or 8."""
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

    def in_width(self, start: int, end: int, width: int) -> bytes:
        """Return those from `start` up to `end`, in `width` bytes each, little-endian."""
        body = self._begin <= start and end <= self._begin + self._count
        if body and not self._base and self._width == width:  # as they lie
            head = _HEAD.size - self._begin * width
            return self._packed[head + start * width : head + end * width]
        items = array(_TYPES[width], self.unpacked(start, end))
        if sys.byteorder == "big":
            items.byteswap()
        return items.tobytes()

    @property
    def bound(self) -> int:
        """What none of them is more than, by what the head says."""
        return min(int(self._base) + (1 << 8 * int(self._width)) - 1, _LARGEST)

    def total(self, start: int = 0, end: int | None = None) -> int:
        """Return the sum of those from `start` up to `end`."""
        return sum(self.unpacked(start, end))


class CountsTable:
    """Rows of packed counts, all of them as long, read by column: what each has in one place."""

    def __init__(self, rows: Sequence[bytes]) -> None:
        self._rows = rows
        self.columns = len(Counts(rows[0])) if rows else 0
        self.bound = max((Counts(row).bound for row in rows), default=0)
        self.width = width_of(self.bound)
        # Where all rows are the same, as where each map task wrote a frame for each partition.
        self._alike = rows[0] if rows and rows.count(rows[0]) == len(rows) else b""
        # The latest columns that were cut out, row by row, and the first of them.
        self._start, self._some = -1, b""

    def column(self, place: int, width: int = 0) -> bytes:
        """Return what each row has in one place, little-endian, in `width` bytes each: the table's
        own width, or a larger one.
        """
        width = width or self.width
        if not self._rows:
            return b""
        if self._alike:
            return Counts(self._alike)[place].to_bytes(width, "little") * len(self._rows)
        start = place - place % _AT_ONCE
        end = min(start + _AT_ONCE, self.columns)
        if start != self._start:
            some = bytearray()
            for row in self._rows:
                some += Counts(row).in_width(start, end, self.width)
            self._start, self._some = start, bytes(some)
        at, step = (place - start) * self.width, (end - start) * self.width
        if width == 1:
            return self._some[at::step]
        column = bytearray(width * len(self._rows))
        for byte in range(self.width):
            column[byte::width] = self._some[at + byte :: step]
        return bytes(column)


class Offsets:
    """Where each column begins in rows of lengths that lie side by side, each row from a place of
    its own on.

    A column is one large integer here, with so many bits for each row that none runs over: adding
    up two columns is one addition.
    """

    def __init__(self, rows: Sequence[bytes], begins: Sequence[int]) -> None:
        self._lengths = CountsTable(rows)
        self._count = len(rows)
        ends = max(begins, default=0) + self._lengths.columns * self._lengths.bound
        # No object has as many bytes as 64 bits can count, whatever the bounds come to.
        self.width = width_of(min(ends, _LARGEST))
        lanes = b"".join(begin.to_bytes(self.width, "little") for begin in begins)
        first = int.from_bytes(lanes, "little")
        # By their places: every so many columns, from which to go on to any other; and the latest.
        self._known = {0: first}
        self._latest = 0, first

    def column(self, place: int) -> bytes:
        """Return where a column begins in each row, in `width` bytes each; for the place behind the
        last column, where the rows end.
        """
        known = max(each for each in self._known if each <= place)
        at, sums = self._latest if known < self._latest[0] <= place else (known, self._known[known])
        while at < place:
            sums += int.from_bytes(self._lengths.column(at, self.width), "little")
            at += 1
            if at % _AT_ONCE == 0:
                self._known[at] = sums
        self._latest = at, sums
        return sums.to_bytes(self.width * self._count, "little")
