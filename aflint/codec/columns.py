"""Plain records as columns: a block's types are looked at once, and each column packed whole.

A column becomes a node, a list of its kind and its parts. Scalars are packed as msgpack lists;
where it is faster and as exact, numbers as arrays and strings joined. Containers become the columns
of their parts. A column of values that msgpack does not know (dates, Decimals, numpy scalars) is
pickled, the others not. A block with anything else in it, which might share objects between
records, is left to pickle as a whole.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import msgpack

from aflint.codec import pickling
from aflint.codec.kinds import Kind, is_value

Node = list[Any]
Column = Sequence[Any]

CHUNK = 4096
"""Records that are looked at together: few enough to stay in the processor's cache."""

_SCALARS = frozenset({type(None), bool, int, float, str, bytes})
_CONTAINERS = frozenset({tuple, list, dict})
_WIDEST = 64
_DEEPEST = 12
_MOST_PARTS = 8_000_000
_SEPARATOR = "\0"
_INT_CODES = "bhiq"


class NotPlainError(Exception):
    """The block holds something that only a pickle of the whole can carry."""


def pack(records: list[Any]) -> bytes:
    """Return the block as columns.

    Raises NotPlainError for one that is to be pickled.
    """
    chunks = (records[start : start + CHUNK] for start in range(0, len(records), CHUNK))
    packed: bytes = msgpack.packb([_column(chunk, 0) for chunk in chunks])
    return packed


def _column(column: Column, depth: int) -> Node:
    kinds = set(map(type, column))
    if len(kinds) == 1:
        (kind,) = kinds
        packer = _PACKERS.get(kind)
        if packer is not None:
            return packer(column, depth)
        if is_value(kind):
            return _pickled(column)
        raise NotPlainError
    if kinds <= _SCALARS:
        return _scalars(column, depth)
    if all(kind in _SCALARS or kind in _CONTAINERS or is_value(kind) for kind in kinds):
        return _union(column, depth)
    raise NotPlainError


def _scalars(column: Column, depth: int) -> Node:
    try:
        return [Kind.SCALARS, msgpack.packb(column)]
    except (OverflowError, UnicodeEncodeError, ValueError):  # a large int, a surrogate, 4 GiB
        return _pickled(column)


def _text(column: Column, depth: int) -> Node:
    joined = _SEPARATOR.join(column)
    if joined.count(_SEPARATOR) != len(column) - 1:
        return _scalars(column, depth)
    return [Kind.TEXT, joined.encode("utf-8", "surrogatepass")]


def _ints(column: Column, depth: int) -> Node:
    sample = column[:16]
    bits = max(max(sample), -min(sample)).bit_length()
    for place in range(bits > 7, 4) if bits < 16 else range(2 + (bits > 31), 4):
        code = _INT_CODES[place]
        try:
            return [Kind.INTS, code, struct.pack(f"<{len(column)}{code}", *column)]
        except struct.error:  # too large for it: try the next
            continue
    return _scalars(column, depth)


def _floats(column: Column, depth: int) -> Node:
    return [Kind.FLOATS, struct.pack(f"<{len(column)}d", *column)]


def _tuples(column: Column, depth: int) -> Node:
    return _fixed(Kind.TUPLES, column, depth) or _ragged(Kind.RAGGED_TUPLES, column, depth)


def _lists(column: Column, depth: int) -> Node:
    return _fixed(Kind.LISTS, column, depth) or _ragged(Kind.RAGGED_LISTS, column, depth)


def _fixed(kind: Kind, column: Column, depth: int) -> Node | None:
    """Containers that are all of one length, by position."""
    width = len(column[0])
    if not 0 < width <= _WIDEST or len(set(map(len, column))) != 1:
        return None
    parts = (list(map(itemgetter(place), column)) for place in range(width))
    return [kind, [_inner(part, depth) for part in parts]]


def _ragged(kind: Kind, column: Column, depth: int) -> Node:
    """Containers of any lengths, end to end."""
    lengths = list(map(len, column))
    if sum(lengths) > _MOST_PARTS:
        raise NotPlainError
    parts = list(chain.from_iterable(column))
    return [kind, _ints(lengths, depth), _inner(parts, depth)]


def _dicts(column: Column, depth: int) -> Node:
    return _records(column, depth) or _maps(column, depth)


def _records(column: Column, depth: int) -> Node | None:
    """Dicts with the same strings as keys, in the same order, by key."""
    names = list(column[0])
    width = len(names)
    if not 0 < width <= _WIDEST or len(set(map(len, column))) != 1:
        return None
    keys = list(chain.from_iterable(column))
    if keys != names * len(column) or set(map(type, keys)) != {str}:
        return None
    parts = (list(map(itemgetter(name), column)) for name in names)
    return [Kind.RECORDS, _text(names, depth), [_inner(part, depth) for part in parts]]


def _maps(column: Column, depth: int) -> Node:
    """Dicts with any keys: all keys end to end, all values end to end."""
    values = list(chain.from_iterable(map(dict.values, column)))
    return [*_ragged(Kind.MAPS, column, depth), _inner(values, depth)]


def _union(column: Column, depth: int) -> Node:
    """A mixture of types: which is where, and a column of each."""
    kinds = list(dict.fromkeys(map(type, column)))
    places = {kind: place for place, kind in enumerate(kinds)}
    which = bytes(map(places.__getitem__, map(type, column)))
    parts = ([value for value in column if type(value) is kind] for kind in kinds)
    return [Kind.UNION, which, [_inner(part, depth) for part in parts]]


def _inner(column: Column, depth: int) -> Node:
    if depth == _DEEPEST:
        raise NotPlainError
    return _column(column, depth + 1)


def _pickled(column: Column) -> Node:
    return [Kind.PICKLED, pickling.dumps(list(column))]


_PACKERS: dict[type, Callable[[Column, int], Node]] = {
    type(None): _scalars,
    bool: _scalars,
    bytes: _scalars,
    int: _ints,
    float: _floats,
    str: _text,
    tuple: _tuples,
    list: _lists,
    dict: _dicts,
}
