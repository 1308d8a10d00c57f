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
        for query in ("select nope", "select soundex(cast(id as string)) from range(3)",
                      "select id / (id - id) from range(3)"):
            try:
                await session.sql(query)
            except (InvalidArgumentError, QueryError, UnsupportedPlanError) as error:
                print(type(error).__name__, str(error).split(']')[0][:40])
    async with aflint.connect(workers=1, progress=False) as session:
        print(await one(session, 7))

async def one(session, i):
    found = await session.sql(f"select {i} + id as n from range(1)")
    return duckdb.sql("from found").fetchall()[0][0]

asyncio.run(main())
"""


def test_a_session_gives_tables_of_arrow(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.splitlines() == [
        "['k', 'n'] [(0, 4), (1, 3), (2, 3)]",
        "[BIGINT, VARCHAR] []",
        "[0, 1, 2]",
        "InvalidArgumentError [UNRESOLVED_COLUMN.WITHOUT_SUGGESTION",
        "UnsupportedPlanError aflint does not run the expression Sound",
        "QueryError [DIVIDE_BY_ZERO",
        "7",
    ], done.stderr[-3000:]
