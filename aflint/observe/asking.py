"""Queries that are typed into the page: run by its session, and shown up to so many rows."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aflint.sql.batches import Batches

MOST_ROWS: Final = 1000
_READS: Final = re.compile(r"\s*(select|with|from|values|table)\b", re.IGNORECASE)


async def answer(sql: Callable[[str], Awaitable[Batches]], query: str) -> dict[str, Any]:
    """Run a query, and return its first rows; of more, only that there are. Raises what `sql` does.

    A query that only reads is limited, so that a million rows never come to the driver.
    """
    query = query.strip().rstrip(";")
    if _READS.match(query):
        query = f"SELECT * FROM (\n{query}\n) LIMIT {MOST_ROWS + 1}"
    return table(await sql(query))


def table(batches: Batches) -> dict[str, Any]:
    """Return the first rows of a result, as JSON has them: what it has no word for as text."""
    import nanoarrow  # where there is SQL, this is, too

    stream = nanoarrow.ArrayStream(batches)
    schema = stream.schema
    columns = [{"name": each.name, "number": each.type.name in _NUMBERS} for each in schema.fields]
    rows = list(islice(stream.iter_tuples(), MOST_ROWS + 1)) if columns else []
    return {
        "columns": columns,
        "rows": [[_plain(value) for value in row] for row in rows[:MOST_ROWS]],
        "more": len(rows) > MOST_ROWS,
    }


_NUMBERS: Final = frozenset(
    f"{kind}{bits}".upper()
    for kind, sizes in (("int", (8, 16, 32, 64)), ("uint", (8, 16, 32, 64)))
    for bits in sizes
) | {"FLOAT", "HALF_FLOAT", "DOUBLE", "DECIMAL128", "DECIMAL256"}


def _plain(value: Any) -> Any:
    """Return a value that JSON has: of whole numbers and floats those that a browser keeps."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int) and abs(value) < 1 << 53:
        return value
    if isinstance(value, float) and abs(value) < float("inf"):
        return value
    return str(value)
