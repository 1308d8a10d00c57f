"""The 22 queries of TPC-H: aflint, Spark, Sail, and DuckDB alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from bench.measure import compare
from bench.peers.pyspark_client import Pyspark
from bench.peers.tpch_peers import AflintTpch, DuckdbTpch
from bench.peers.tpch_sail import Sail
from bench.report import Gap, Goal, Report
from bench.workload import Options, Peer, Say, Workload
from tests.sql.tpch import QUERIES, generate

ROUNDS = 1
QUICK_SCALE = 0.01
OVER_SPARK = 5.0  # times as fast in total
OVER_DUCKDB = 4.0  # times its total, at most
OVER_SAIL = 1.0


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
        if options.wants("Sail") and Sail.available():
            say("starting Sail")
            sail = await stack.enter_async_context(Sail({"folder": str(folder)}))
            peers.append(sail)
            notes.append(f"Sail {sail.version}, 2 threads")
        elif options.wants("Sail"):
            notes.append("Sail is not installed: make bench-peers")
        rounds = options.number_of_rounds(ROUNDS)
        gaps: dict[tuple[str, str], str] = {}
        samples = await compare([f"Q{number}" for number in QUERIES], peers, rounds, say, gaps)
    command = f"python -m bench tpch --size {scale:g} --rounds {rounds}"
    missing = tuple(Gap(*key, why) for key, why in gaps.items())
    report = Report("tpch", "The 22 queries of TPC-H", command, tuple(samples), gaps=missing)
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


def _total(report: Report, peer: str, cases: Iterable[str], of: str = "seconds") -> float:
    """Return the sum of the medians of cases."""
    cells = (report.sample(case, peer) for case in cases)
    return sum(median(s.cpu if of == "cpu" else s.seconds) for s in cells if s)


def totals(report: Report) -> list[str]:
    """Return what each peer took for all queries that it could do."""
    lines = []
    for peer in report.peers:
        done = [case for case in report.cases if report.sample(case, peer)]
        seconds, cpu = _total(report, peer, done), _total(report, peer, done, "cpu")
        lines.append(f"{peer}: {len(done)} queries in {seconds:.1f} s, {cpu:.1f} s of CPU")
    return lines


def goals(report: Report) -> list[Goal]:
    """Return what the totals were meant to be, over the queries that both peers could do."""
    found = []
    for peer, what, limit in (
        ("PySpark", "times as fast as Spark in total", OVER_SPARK),
        ("DuckDB", "times DuckDB's total", OVER_DUCKDB),
        ("Sail", "times Sail's total", OVER_SAIL),
    ):
        both = [c for c in report.cases if report.sample(c, "aflint") and report.sample(c, peer)]
        if both:
            own, other = _total(report, "aflint", both), _total(report, peer, both)
            faster = peer == "PySpark"
            ratio = other / own if faster else own / other
            found.append(Goal(what, limit, ratio, at_most=not faster))
    return found


WORKLOAD = Workload("tpch", "The queries of TPC-H beside Spark, Sail and DuckDB", run)
