"""Values as the page shows them: the first rows of a table, or a text."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any, Final

MOST_ROWS: Final = 1000
_MOST_TEXT: Final = 20_000
_MOST_CELL: Final = 1000
_OF_PYSPARK: Final = ("pyspark.", "aflint.pyspark.")


async def shown(value: Any) -> dict[str, Any]:
    """Return what to show of a value: RDDs and DataFrames are asked for their first rows."""
    import aflint

    # PySpark's own are not there to be imported where it is not installed. Theirs block.
    if isinstance(value, aflint.RDD):
        return _rows(await value.take(MOST_ROWS + 1))
    if type(value).__module__.startswith(_OF_PYSPARK) and hasattr(value, "take"):
        first = await asyncio.to_thread(value.take, MOST_ROWS + 1)
        return _rows(first, tuple(getattr(value, "columns", ())))
    if hasattr(value, "__arrow_c_stream__"):
        return await asyncio.to_thread(table, value)
    if isinstance(value, Mapping):
        first = list(islice(value.items(), MOST_ROWS + 1))
        return _rows(first, ("key", "value"), len(value))
    if isinstance(value, Collection) and not isinstance(value, str | bytes | bytearray):
        return _rows(list(islice(value, MOST_ROWS + 1)), total=len(value))
    return {} if value is None else {"text": cut(repr(value))}


def table(stream: Any) -> dict[str, Any]:
    """Return the first rows of what gives an Arrow stream."""
    import nanoarrow  # where there is SQL, this is, too

    found = nanoarrow.ArrayStream(stream)
    schema = found.schema
    columns = [{"name": each.name, "number": each.type.name in _NUMBERS} for each in schema.fields]
    rows = list(islice(found.iter_tuples(), MOST_ROWS + 1)) if columns else []
    return _told(columns, rows, None)


_NUMBERS: Final = frozenset(
    f"{kind}{bits}".upper()
    for kind, sizes in (("int", (8, 16, 32, 64)), ("uint", (8, 16, 32, 64)))
    for bits in sizes
) | {"FLOAT", "HALF_FLOAT", "DOUBLE", "DECIMAL128", "DECIMAL256"}


def _rows(
    records: list[Any], names: tuple[str, ...] = (), total: int | None = None
) -> dict[str, Any]:
    """Return records as a table: tuples of one length and dictionaries of the same keys have
    columns, others are a column themselves.
    """
    names = names or _names(records)
    if names and all(isinstance(each, dict) for each in records):
        records = [tuple(each.values()) for each in records]
    elif not names:
        names, records = ("value",), [(each,) for each in records]
    columns = [
        {"name": str(name), "number": _is_number([record[place] for record in records])}
        for place, name in enumerate(names)
    ]
    return _told(columns, records, total)


def _names(records: Sequence[Any]) -> tuple[str, ...]:
    """Return the names of the columns of records that have any; Spark's, where they are tuples."""
    first = records[0] if records else None
    if isinstance(first, dict):
        keys = tuple(first)
        return keys if all(isinstance(r, dict) and tuple(r) == keys for r in records) else ()
    if not isinstance(first, tuple) or not first:
        return ()
    if not all(isinstance(each, tuple) and len(each) == len(first) for each in records):
        return ()
    named = getattr(first, "_fields", None) or getattr(first, "__fields__", None)
    return tuple(named or (f"_{place + 1}" for place in range(len(first))))


def _is_number(values: Sequence[Any]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in known
    )


def _told(columns: list[dict[str, Any]], rows: Sequence[Any], total: int | None) -> dict[str, Any]:
    return {
        "columns": columns,
        "rows": [[_plain(value) for value in row] for row in rows[:MOST_ROWS]],
        "more": len(rows) > MOST_ROWS,
        "total": total,
    }


def _plain(value: Any) -> Any:
    """Return a value that JSON has: of whole numbers and floats those that a browser keeps."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 1 << 53:
        return int(value)
    if isinstance(value, float) and abs(value) < float("inf"):
        return float(value)
    return cut(str(value), _MOST_CELL)


def cut(text: str, most: int = _MOST_TEXT) -> str:
    """Return a text that is not too long to be shown, which says where it was cut."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text) - most:,} characters more)"
