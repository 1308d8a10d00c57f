"""`await session.sql(...)`, in a program of its own: a process has one planning session."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio, sys
import aflint, duckdb
from aflint.errors import InvalidArgumentError
from aflint.sql.errors import QueryError, UnsupportedPlanError

async def main():
    async with aflint.connect(workers=1, progress=False) as session:
        found = await session.sql(
            "select id % 3 as k, count(*) as n from range(10) group by k order by k")
        print(duckdb.sql("from found").columns, duckdb.sql("from found").fetchall())
        nothing = await session.sql("select id, 'x' as t from range(10) where id < 0")
        print(duckdb.sql("from nothing").dtypes, duckdb.sql("from nothing").fetchall())
        print(await asyncio.gather(*(one(session, i) for i in range(3))))
        for query in ("select nope", "select sentences(cast(id as string)) from range(3)",
                      "select id / (id - id) from range(3)"):
            try:
                await session.sql(query)
            except (InvalidArgumentError, QueryError, UnsupportedPlanError) as error:
                print(type(error).__name__, str(error).split(']')[0][:40])
    async with aflint.connect(workers=1, progress=False) as session:
        print(await one(session, 7))
        out = f"insert overwrite directory '{sys.argv[1]}/out' using json select id from range(3)"
        written = await session.sql(out)
        read = await session.sql(f"select sum(id) from json.`{sys.argv[1]}/out`")
        print(duckdb.sql("from read").fetchall(), len(duckdb.sql("from written")))
        try:
            await session.sql("analyze tables compute statistics")
        except UnsupportedPlanError as error:
            print(error.what)

async def one(session, i):
    found = await session.sql(f"select {i} + id as n from range(1)")
    return duckdb.sql("from found").fetchall()[0][0]

asyncio.run(main())
"""


def test_a_session_gives_tables_of_arrow(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py", tmp_path],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.splitlines() == [
        "['k', 'n'] [(0, 4), (1, 3), (2, 3)]",
        "[BIGINT, VARCHAR] []",
        "[0, 1, 2]",
        "InvalidArgumentError [UNRESOLVED_COLUMN.WITHOUT_SUGGESTION",
        "UnsupportedPlanError aflint does not run the expression Stati",
        "QueryError [DIVIDE_BY_ZERO",
        "7",
        "[(3,)] 0",
        "ANALYZE TABLE",
    ], done.stderr[-3000:]


FRAMES = """
import asyncio, duckdb
import aflint.pyspark, aflint
from pyspark.sql import SparkSession, functions as F

spark = SparkSession.builder.getOrCreate()
rows = spark.createDataFrame([(1, "a"), (2, "b"), (3, "a")], "n int, t string")
twice = F.udf(lambda n: 2 * n, "int")

async def main():
    async with aflint.connect(workers=1, progress=False) as session:
        for frame in (rows.groupBy("t").agg(F.sum(twice("n")).alias("s")).orderBy("t"),
                      spark.range(4).where("id > 1")):
            found = await session.dataframe(frame).collect()
            print(duckdb.sql("from found").columns, duckdb.sql("from found").fetchall())
        try:
            await session.dataframe([1]).collect()
        except aflint.InvalidArgumentError as error:
            print(error)

asyncio.run(main())
print(spark.range(2).count())
"""


def test_a_session_computes_dataframes_of_pysparks(tmp_path: Path) -> None:
    (tmp_path / "frames.py").write_text(FRAMES)
    done = subprocess.run(
        [sys.executable, tmp_path / "frames.py"], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.splitlines() == [
        "['t', 's'] [('a', 8), ('b', 4)]",
        "['id'] [(2,), (3,)]",
        "dataframe() takes a DataFrame of PySpark's, of a SparkSession with a JVM, and not "
        "builtins.list",
        "2",
    ], done.stderr[-3000:]
