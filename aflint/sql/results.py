"""What the driver makes of a query's batches: a table of Arrow's, or rows."""

from __future__ import annotations

import json as jsons
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import nanoarrow

from aflint.sql.batches import Batches, empty, encoded
from aflint.sql.errors import DateOutOfRangeError
from aflint.sql.tasks import connection
from aflint.sql.types import Type, quoted


@dataclass(frozen=True, slots=True)
class Named:
    """A column of a result: its name, its type, and the column of the batches that holds it."""

    name: str
    type: Type
    column: str


def row_count(batch: bytes) -> int:
    """Return how many rows a batch has."""
    return sum(array.length for array in nanoarrow.c_array_stream(Batches([batch])))


def named(
    batches: list[bytes], output: tuple[Named, ...], limit: int = -1, offset: int = 0
) -> Batches:
    """Return batches as a table whose columns have the names of an output; `limit` and `offset` as
    those of a query. One without rows has its schema still.
    """
    cursor = connection()
    try:
        found = list(encoded(cursor, _selection(cursor, batches, output, limit, offset)))
        return Batches(found or [empty(cursor.sql(_selection(cursor, [], output, -1, 0)))])
    finally:
        cursor.close()


def rows(
    batches: list[bytes], output: tuple[Named, ...], limit: int = -1, offset: int = 0
) -> list[tuple[Any, ...]]:
    """Return the rows of batches, as DuckDB's Python values."""
    if not batches:
        return []
    cursor = connection()
    try:
        cursor.execute("SET TimeZone = 'UTC'")
        query = _selection(cursor, batches, output, limit, offset)
        found: list[tuple[Any, ...]] = cursor.execute(query).fetchall()
    finally:
        cursor.close()
    return found if output else [()] * len(found)


def row_blocks(batches: list[bytes], columns: tuple[Named, ...]) -> Iterator[list[Any]]:
    """Yield the values of columns, row by row, as PySpark's functions are given them, in blocks."""
    kinds = [each.type for each in columns]
    changed = any(map(_is_converted, kinds))
    cursor = connection()
    try:
        cursor.execute("SET TimeZone = 'UTC'")
        found = cursor.execute(_selection(cursor, batches, columns, -1, 0))
        while block := found.fetchmany(_ROWS):
            yield [tuple(map(converted, row, kinds)) for row in block] if changed else block
    finally:
        cursor.close()


def _selection(
    cursor: Any, batches: list[bytes], output: tuple[Named, ...], limit: int, offset: int
) -> str:
    if batches:
        items = ", ".join(f"{each.column} AS {quoted(each.name)}" for each in output) or "*"
        cursor.register("result", Batches(batches))
        sql = f"SELECT {items} FROM result"
    else:
        nulls = (f"CAST(NULL AS {each.type.duckdb}) AS {quoted(each.name)}" for each in output)
        sql = f"SELECT {', '.join(nulls) or 'NULL'} WHERE false"
    if limit >= 0:
        sql += f" LIMIT {max(0, limit - offset)}"
    if offset > 0:
        sql += f" OFFSET {offset}"
    return sql


def converted(values: Any, kind: Type) -> Any:
    """Return a value of DuckDB's as PySpark gives it: a timestamp in the local time zone and
    without one, a struct as a Row, a user-defined type's as what its class makes of it.
    """
    if values is None:
        return None
    if kind.udt:
        return _user_defined(kind.udt).deserialize(converted(values, replace(kind, udt="")))
    match kind.name:
        case "date" | "timestamp" | "timestamp_ntz":
            if isinstance(values, str):  # so DuckDB gives what is none of Python's
                raise DateOutOfRangeError(values)
            return values.astimezone().replace(tzinfo=None) if kind.name == "timestamp" else values
        case "array":
            element = kind.part("element")
            return [converted(each, element) for each in values]
        case "map":
            key, item = kind.part("key"), kind.part("value")
            return {converted(k, key): converted(v, item) for k, v in values.items()}
        case "struct":
            return row([name for name, _ in kind.parts])(
                *(converted(values[name], part) for name, part in kind.parts)
            )
    return values


@cache
def _user_defined(json: str) -> Any:
    from pyspark.sql.types import UserDefinedType

    return UserDefinedType.fromJson(jsons.loads(json))


def _is_converted(kind: Type) -> bool:
    return kind.name in _CONVERTED or bool(kind.udt)


def row(names: list[str]) -> Any:
    """Return what makes a Row of PySpark's with these names."""
    from pyspark.sql.types import _create_row

    return lambda *values: _create_row(names, values)


def as_rows(
    batches: list[bytes], output: tuple[Named, ...], limit: int = -1, offset: int = 0
) -> list[Any]:
    """Return batches as PySpark's `collect` gives rows."""
    make = row([each.name for each in output])
    kinds = [each.type for each in output]
    found = rows(batches, output, limit, offset)
    for place in (i for i, kind in enumerate(kinds) if kind.name in ("date", "timestamp_ntz")):
        for values in found:
            if isinstance(values[place], str):
                raise DateOutOfRangeError(values[place])
    if not any(map(_is_converted, kinds)):
        return [make(*values) for values in found]
    return [make(*map(converted, values, kinds)) for values in found]


_ROWS = 2048
_CONVERTED = ("timestamp", "array", "map", "struct")
