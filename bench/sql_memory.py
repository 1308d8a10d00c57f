"""A join and a sort of DataFrames that are larger than their tasks' memory."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aflint
from aflint.session import Session
from bench.report import Goal, Report, Sample
from bench.workload import Options, Say, Workload

LIMIT_MB = 512
ROW_BYTES = 212
BYTES = 2 << 30
QUICK_SHARE = 0.02
FILES = 8
MAPPED_MB = 64
"""What files of libraries that are mapped add to a process's peak, and not to what is limited."""


async def run(options: Options, say: Say) -> Report:
    """Join two tables of 1 GB each and sort both together, on two workers of half a gigabyte, which
    are killed where they hold more.
    """
    rows = int(BYTES / 2 / ROW_BYTES * (QUICK_SHARE if options.quick else options.scale))
    samples, goals = [], []
    with TemporaryDirectory(prefix="aflint-bench-") as scratch:
        folder = Path(scratch, "tables")
        say("making the tables")
        make(folder, rows)
        for case, ask in (("join", joined), ("sort", sorted_)):
            say(case)
            async with limited(LIMIT_MB, workers=2) as session:
                started = time.perf_counter()
                await ask(session, folder, rows)
                seconds = time.perf_counter() - started
                job = session.last_job
            assert job is not None
            samples.append(Sample(case, "aflint", (seconds,), (job.metrics.cpu_seconds,)))
            peak = round(job.metrics.peak_memory_bytes / (1 << 20), 1)
            goals.append(Goal(f"{case}: peak memory of a worker, MB", LIMIT_MB, peak))
    return Report(
        "sql-memory",
        f"A join and a sort of {2 * rows * ROW_BYTES / (1 << 30):.2f} GiB with {LIMIT_MB} MB",
        "python -m bench sql-memory",
        tuple(samples),
        tuple(goals),
        ("Two workers. The peak is VmHWM of a worker, over all of its tasks.",),
    )


def limited(memory_mb: int, workers: int, **settings: Any) -> Any:
    """Return a session whose workers are killed where they hold more than they may."""
    return aflint.connect(
        workers=workers,
        progress=False,
        worker_memory_mb=memory_mb,
        worker_memory_limit_mb=memory_mb,
        sql_one_task_mb=0,  # or one task would do it all
        **settings,
    )


def make(folder: Path, rows: int) -> None:
    """Write the tables `left` and `right` of so many rows each: a key of its own `k`, a number `v`,
    and a text `p`.
    """
    import duckdb

    with duckdb.connect(config={"threads": "1"}) as connection:
        for salt, name in enumerate(("left", "right")):
            (folder / name).mkdir(parents=True)
            filler = f"array_to_string([md5((i * 31 + j + {salt})::VARCHAR) for j in range(6)], '')"
            for part in range(FILES):
                connection.execute(
                    f"COPY (SELECT i * 7919 % {rows} AS k, i AS v, {filler} AS p "
                    f"FROM range({rows}) r(i) WHERE i % {FILES} = {part}) "
                    f"TO '{folder}/{name}/{part}.parquet' (ROW_GROUP_SIZE 20480)"
                )


async def joined(session: Session, folder: Path, rows: int) -> None:
    """Join the tables by their keys. Raises AssertionError for a wrong answer."""
    import duckdb

    found = await session.sql(
        f"SELECT count(*), sum(l.v - r.v), max(length(l.p || r.p)) FROM parquet.`{folder}/left` l "
        f"JOIN parquet.`{folder}/right` r ON l.k = r.k"
    )
    with duckdb.connect() as connection:
        connection.register("found", found)
        answer = connection.execute("FROM found").fetchall()
    if answer != [(rows, 0, 384)]:
        raise AssertionError(f"the join gave {answer}")


async def sorted_(session: Session, folder: Path, rows: int) -> None:
    """Write all rows of both tables in order. Raises AssertionError where they are not."""
    import duckdb

    out = folder.with_name("sorted")
    both = f"SELECT * FROM parquet.`{folder}/left` UNION ALL SELECT * FROM parquet.`{folder}/right`"
    await session.sql(
        f"INSERT OVERWRITE DIRECTORY '{out}' USING parquet SELECT p, v FROM ({both}) ORDER BY p"
    )
    files = sorted(str(file) for file in out.glob("*.parquet"))
    with duckdb.connect(config={"threads": "1", "memory_limit": "1GB"}) as connection:
        answer = connection.execute(
            "SELECT count(*), count(*) FILTER (p < before), sum(v) FROM "
            "(SELECT p, v, lag(p) OVER () AS before FROM read_parquet($1))",
            [files],
        ).fetchall()
    shutil.rmtree(out)
    if answer != [(2 * rows, 0, rows * (rows - 1))]:
        raise AssertionError(f"the sort gave {answer}")


WORKLOAD = Workload("sql-memory", "DataFrames larger than their tasks' memory", run)
