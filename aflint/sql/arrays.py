"""Python's values as Arrow arrays, a column at a time.

Values are as Spark SQL keeps them: a date is its days since 1970, a timestamp its microseconds, a
struct a tuple, a map a dict; see `kept`.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any

import nanoarrow as na
import numpy as np
from nanoarrow.ipc import StreamWriter

from aflint.sql.types import Type

Columns = Sequence[tuple[str, Type]]
_ROWS = 8192
_NUMBERS = {
    "byte": (na.int8, np.int8),
    "short": (na.int16, np.int16),
    "integer": (na.int32, np.int32),
    "long": (na.int64, np.int64),
    "float": (na.float32, np.float32),
    "double": (na.float64, np.float64),
    "date": (na.date32, np.int32),
    "timestamp": (lambda: na.timestamp("us", "UTC"), np.int64),
    "timestamp_ntz": (lambda: na.timestamp("us"), np.int64),
    "void": (na.int32, np.int32),
}
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


def schema_of(kind: Type) -> Any:
    """Return the type of Arrow's that holds a type's values."""
    match kind.name:
        case "boolean":
            return na.bool_()
        case "string":
            return na.string()
        case "binary":
            return na.binary()
        case "decimal":
            return na.decimal128(kind.precision, kind.scale)
        case "array":
            return na.list_(schema_of(kind.part("element")))
        case "map":
            return na.map_(schema_of(kind.part("key")), schema_of(kind.part("value")))
        case "struct":
            return struct_of(kind.parts)
    return _NUMBERS[kind.name][0]()


def struct_of(columns: Columns) -> Any:
    """Return the type of rows of columns, whose names may repeat."""
    return na.struct([na.c_schema(schema_of(kind)).modify(name=name) for name, kind in columns])


def rows_to_batches(columns: Columns, partition: int, rows: Iterator[Any]) -> Iterator[bytes]:
    """Yield rows as batches."""
    columns = columns or [("nothing", Type("integer"))]
    while block := list(itertools.islice(rows, _ROWS)):
        members: list[Any] = list(zip(*block, strict=True)) or [[None] * len(block)]
        yield written(columns, len(block), members)


def written(columns: Columns, count: int, members: Iterable[Sequence[Any]]) -> bytes:
    """Return the values of columns as a batch of `count` rows."""
    arrays = [array(values, kind) for values, (_, kind) in zip(members, columns, strict=True)]
    rows = na.c_array_from_buffers(struct_of(columns), count, [None], children=arrays)
    out = io.BytesIO()
    with StreamWriter.from_writable(out) as writer:
        writer.write_array(rows)
    return out.getvalue()


def array(values: Sequence[Any], kind: Type) -> Any:
    """Return values of a type as an array."""
    present = [value is not None for value in values]
    valid = None if all(present) else _bits(present)
    buffers, children = _contents(values, kind)
    return na.c_array_from_buffers(
        schema_of(kind), len(values), [valid, *buffers], children=children
    )


def _contents(values: Sequence[Any], kind: Type) -> tuple[list[Any], list[Any]]:
    """Return the buffers of an array, without its first, which says what is NULL, and its
    children.
    """
    match kind.name:
        case "boolean":
            return [_bits([value is True for value in values])], []
        case "string":
            return _texts([b"" if value is None else value.encode() for value in values]), []
        case "binary":
            return _texts([b"" if value is None else bytes(value) for value in values]), []
        case "decimal":
            return [b"".join(_digits(value, kind.scale) for value in values)], []
        case "array":
            lists = [() if value is None else value for value in values]
            items = array(list(itertools.chain.from_iterable(lists)), kind.part("element"))
            return [_offsets(lists)], [items]
        case "map":
            maps = [{} if value is None else value for value in values]
            keys = array([key for each in maps for key in each], kind.part("key"))
            items = array([v for each in maps for v in each.values()], kind.part("value"))
            (entries,) = na.c_schema(schema_of(kind)).children
            pairs = na.c_array_from_buffers(
                entries, sum(map(len, maps)), [None], children=[keys, items]
            )
            return [_offsets(maps)], [pairs]
        case "struct":
            nothing = (None,) * len(kind.parts)
            rows = [nothing if value is None else value for value in values]
            members = zip(*rows, strict=True) if rows else [()] * len(kind.parts)
            parts = (part for _, part in kind.parts)
            return [], [array(member, part) for member, part in zip(members, parts, strict=True)]
    return [
        np.array([0 if value is None else value for value in values], _NUMBERS[kind.name][1])
    ], []


def _bits(flags: list[bool]) -> Any:
    return np.packbits(np.array(flags, np.bool_), bitorder="little")


def _offsets(lists: Sequence[Any]) -> Any:
    return np.cumsum([0, *map(len, lists)], dtype=np.int32)


def _texts(values: list[bytes]) -> list[Any]:
    return [_offsets(values), b"".join(values)]


def _digits(value: Decimal | None, scale: int) -> bytes:
    whole = 0 if value is None else int(value.scaleb(scale, _EXACT))
    return whole.to_bytes(16, "little", signed=True)
