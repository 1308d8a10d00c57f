"""The queries of TPC-H by aflint's local backend, by DuckDB alone, and, as a program of its own
(`python -m bench.peers.tpch_peers`), by Spark.

An answer is the rows as text, numbers to four places: engines differ in the types of averages.
"""

from __future__ import annotations

import decimal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.peers.pyspark_program import Answer, serve
from tests.sql.tpch import QUERIES, TABLES, path_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyspark import SparkContext

WORKERS = 2


def told(rows: Iterable[Iterable[Any]]) -> list[str]:
    """Return rows in the form in which all peers answer."""
    return ["|".join(map(_text, row)) for row in rows]


def _text(value: Any) -> str:
    if isinstance(value, float | decimal.Decimal):
        return f"{round(float(value), 4):.6g}"
    return str(value).strip()


class AflintTpch:
    """A warm session with two workers, which plans and runs each query anew."""

    name = "aflint"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = AsyncExitStack()
        self._session: Any = None

    async def __aenter__(self) -> AflintTpch:
        import aflint

        connection = aflint.connect(workers=WORKERS, progress=False)
        self._session = await self._stack.enter_async_context(connection)
        for table in TABLES:
            path = path_of(self._folder, table)
            view = f"CREATE TEMPORARY VIEW {table} USING parquet OPTIONS (path '{path}')"
            await self._session.sql(view)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def answer(self, case: str) -> Any:
        """Answer one query."""
        import duckdb

        table = await self._session.sql(QUERIES[int(case[1:])])
        with duckdb.connect() as connection:
            connection.register("answer", table)
            return told(connection.execute("FROM answer").fetchall())


class DuckdbTpch:
    """DuckDB in this process, with two threads, over the same files."""

    name = "DuckDB"

    def __init__(self, folder: Path) -> None:
        import duckdb

        self._connection = duckdb.connect(config={"threads": str(WORKERS)})
        for table in TABLES:
            path = path_of(folder, table)
            files = f"{path}/*.parquet" if path.is_dir() else path
            self._connection.execute(f"CREATE VIEW {table} AS FROM read_parquet('{files}')")

    async def answer(self, case: str) -> Any:
        """Answer one query."""
        return told(self._connection.execute(QUERIES[int(case[1:])]).fetchall())


def spark(context: SparkContext, data: dict[str, Any]) -> Answer:
    """Return what answers queries by Spark itself."""
    from pyspark.sql import SparkSession

    session = SparkSession(context)
    for table in TABLES:
        path = path_of(Path(data["folder"]), table)
        session.read.parquet(str(path)).createOrReplaceTempView(table)
    return lambda case: told(session.sql(QUERIES[int(case[1:])]).collect())


if __name__ == "__main__":
    serve(spark)
