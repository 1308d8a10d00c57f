"""The kinds of column, and which types and blocks columns are for."""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from typing import Any

_SMALL = 16
_LIGHT = 128
_DEPTH = 6


class Kind(IntEnum):
    """How a column was packed. These numbers are on the wire."""

    SCALARS = 0
    TEXT = 1
    INTS = 2
    FLOATS = 3
    TUPLES = 4
    LISTS = 5
    RAGGED_TUPLES = 6
    RAGGED_LISTS = 7
    RECORDS = 8
    MAPS = 9
    UNION = 10
    PICKLED = 11


_VALUES = frozenset(
    {
        ("builtins", "complex"),
        ("datetime", "date"),
        ("datetime", "datetime"),
        ("datetime", "time"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
        ("decimal", "Decimal"),
        ("fractions", "Fraction"),
        ("uuid", "UUID"),
    }
)


@cache
def is_value(kind: type) -> bool:
    """Whether it cannot matter which instance of `kind` it is, so that each column may be pickled
    on its own. Told by name, so that nothing need be imported for it.
    """
    if (kind.__module__, kind.__qualname__) in _VALUES:
        return True
    return kind.__module__ == "numpy" and any(base.__name__ == "number" for base in kind.__mro__)


_LEAVES = frozenset({type(None), bool, int, float, str, bytes})


def worth_columns(records: list[Any]) -> bool:
    """Whether, by a look at the first record, columns are possible and faster than pickle.

    For a handful of small records pickle is done before the columns are set up.
    """
    if not records:
        return False
    weight = _weigh(records[0], _DEPTH)
    return weight > 0 and (len(records) >= _SMALL or weight * len(records) > _LIGHT)


def _weigh(value: Any, depth: int) -> int:
    """About how many values `value` holds; 0 if it holds, near its front, one that is not plain."""
    kind: type = type(value)
    if kind in _LEAVES:
        return 1
    if depth and (kind is tuple or kind is list):
        parts = value[:_SMALL]
    elif depth and kind is dict:
        parts = list(value.values())[:_SMALL]
    else:
        return int(is_value(kind))
    weights = [_weigh(part, depth - 1) for part in parts]
    return max(len(value), sum(weights), 1) if all(weights) else 0
