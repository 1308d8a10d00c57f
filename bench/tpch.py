"""The 22 queries of TPC-H: aflint, Spark and DuckDB alone."""

from __future__ import annotations

import shutil
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from bench.measure import compare
from bench.peers.pyspark_client import Pyspark
from bench.peers.tpch_peers import AflintTpch, DuckdbTpch
from bench.report import Goal, Report
from bench.workload import Options, Peer, Say, Workload
from tests.sql.tpch import QUERIES, generate

ROUNDS = 1
QUICK_SCALE = 0.01
OVER_SPARK = 5.0  # times as fast in total
OVER_DUCKDB = 4.0  # times its total, at most


async def run(options: Options, say: Say) -> Report:
    """Measure the peers that there are; makes the data first if it is not there."""
    if find_spec("duckdb") is None:
        raise RuntimeError("the tpch benchmark needs aflint[sql]: pip install 'aflint[sql]'")
    scale = QUICK_SCALE if options.quick else options.scale
    folder = data(options.data / f"tpch-{scale:g}", scale, say)
    notes = [f"scale {scale:g}, aflint with 2 workers, DuckDB with 2 threads; all peers warm"]
    async with AsyncExitStack() as stack:
        peers: list[Peer] = []
        if options.wants("aflint"):
            peers.append(await stack.enter_async_context(AflintTpch(folder)))
        if options.wants("DuckDB"):
            peers.append(DuckdbTpch(folder))
        if options.wants("PySpark") and Pyspark.available():
            say("starting PySpark")
            program = Pyspark("tpch_peers", {"folder": str(folder)})
            peers.append(await stack.enter_async_context(program))
            notes.append(f"PySpark {program.version}, local[2]")
        rounds = options.number_of_rounds(ROUNDS)
        samples = await compare([f"Q{number}" for number in QUERIES], peers, rounds, say)
    command = f"python -m bench tpch --scale {scale:g} --rounds {rounds}"
    report = Report("tpch", "The 22 queries of TPC-H", command, tuple(samples))
    notes += totals(report)
    found = {"goals": tuple(goals(report)), "notes": tuple(notes)}
    return Report(**{**vars(report), **found})


def data(folder: Path, scale: float, say: Say) -> Path:
    """Return the folder of the tables, made by `tpchgen-cli` where they are not there."""
    if not folder.exists():
        say(f"making the tables at scale {scale:g}")
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        generate(part, scale, parts=4)
        part.rename(folder)
    return folder


def _total(report: Report, peer: str, of: str = "seconds") -> float:
    """Return the sum of the medians of all queries; 0 where the peer was left out."""
    cells = (s for s in report.samples if s.peer == peer)
    return sum(median(s.cpu if of == "cpu" else s.seconds) for s in cells)


def totals(report: Report) -> list[str]:
    """Return what each peer took for all queries."""
    return [
        f"{peer}: {_total(report, peer):.1f} s in all, {_total(report, peer, 'cpu'):.1f} s of CPU"
        for peer in report.peers
    ]


def goals(report: Report) -> list[Goal]:
    """Return what the totals were meant to be."""
    own, found = _total(report, "aflint"), []
    if own and (spark := _total(report, "PySpark")):
        found.append(Goal("times as fast as Spark in total", OVER_SPARK, spark / own, False))
    if own and (duckdb := _total(report, "DuckDB")):
        found.append(Goal("times DuckDB's total", OVER_DUCKDB, own / duckdb))
    return found


WORKLOAD = Workload("tpch", "The queries of TPC-H beside Spark and DuckDB", run)
