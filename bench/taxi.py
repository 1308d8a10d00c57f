"""The seven taxi queries: aflint, the hand-written limit, and PySpark."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path

from bench.measure import compare
from bench.peers.aflint_taxi import AflintTaxi
from bench.peers.handwritten_taxi import HandwrittenTaxi
from bench.peers.pyspark_client import Pyspark
from bench.peers.pyspark_on_aflint import PysparkOnAflint
from bench.report import Goal, Report
from bench.workload import Options, Peer, Say, Workload
from examples.taxi.generate import WEATHER, existing, generate
from examples.taxi.queries import QUERIES

ROUNDS = 5
QUICK_TRIPS = 20_000
OVER_LIMIT = 1.15  # times the hand-written program, Q1 to Q6
OVER_PYSPARK = 3.0  # times as fast as PySpark, Q1 to Q6
OVER_NATIVE = 1.2  # times aflint's own API, for the PySpark program on aflint
OVER_PYSPARK_ITSELF = 2.5  # times as fast as PySpark, for the same program on aflint


async def run(options: Options, say: Say) -> Report:
    """Measure the peers that there are; makes the data first if it is not there."""
    trips = QUICK_TRIPS if options.quick else options.trips
    paths, weather = data(options.data / f"taxi-{trips}-1", trips, say)
    files = {"trips": paths, "weather": weather}
    notes = [f"{trips:,} trips, {sum(map(os.path.getsize, paths)) / 1e6:,.0f} MB"]
    async with AsyncExitStack() as stack:
        peers: list[Peer] = []
        if options.wants("aflint"):
            peers.append(await stack.enter_async_context(AflintTaxi(paths, weather)))
        if options.wants(PysparkOnAflint.name):
            if PysparkOnAflint.available():
                program = PysparkOnAflint("pyspark_taxi", files)
                peers.append(await stack.enter_async_context(program))
            else:
                notes.append(f"{PysparkOnAflint.name}: left out, as PySpark is not installed.")
        if options.wants("hand-written"):
            peers.append(await stack.enter_async_context(HandwrittenTaxi(paths, weather)))
        if options.wants("PySpark"):
            if Pyspark.available():
                say("starting PySpark")
                pyspark = await stack.enter_async_context(Pyspark("pyspark_taxi", files))
                notes.append(f"PySpark {pyspark.version}, local[2]")
                peers.append(pyspark)
            else:
                notes.append("PySpark is not installed and was left out; `make bench` installs it.")
        cases, rounds = [query.name for query in QUERIES], options.number_of_rounds(ROUNDS)
        samples = await compare(cases, peers, rounds, say)
    notes += [f"{query.name}: {query.title}" for query in QUERIES]
    command = f"python -m bench taxi --trips {trips} --rounds {rounds}"
    report = Report(
        "taxi", "Flint's seven taxi queries", command, tuple(samples), notes=tuple(notes)
    )
    return Report(**{**vars(report), "goals": tuple(goals(report))})


def data(folder: Path, trips: int, say: Say) -> tuple[list[str], str]:
    """Return the files of trips and the one of weather."""
    if existing(folder, trips, seed=1) is None:
        say(f"making {trips:,} trips")
        generate(folder, trips, seed=1)
    return [str(path) for path in sorted(folder.glob("*_tripdata_*.csv"))], str(folder / WEATHER)


def goals(report: Report) -> list[Goal]:
    """Return what the figures were meant to be."""
    found = []
    for case in report.cases:
        limit = report.ratio(case, "aflint", over="hand-written")
        pyspark = report.ratio(case, "PySpark", over="aflint")
        program = report.ratio(case, PysparkOnAflint.name, over="aflint")
        moved = report.ratio(case, "PySpark", over=PysparkOnAflint.name)
        if program is not None:
            found.append(Goal(f"{case}, PySpark program, times aflint's API", OVER_NATIVE, program))
        if moved is not None and case != "Q0":
            said = f"{case}, PySpark program, times as fast as PySpark"
            found.append(Goal(said, OVER_PYSPARK_ITSELF, moved, at_most=False))
        if limit is not None:
            allowed = 1.0 if case == "Q0" else OVER_LIMIT
            found.append(Goal(f"{case}, times the hand-written program", allowed, limit))
        if pyspark is not None and case != "Q0":
            found.append(
                Goal(f"{case}, times as fast as PySpark", OVER_PYSPARK, pyspark, at_most=False)
            )
    return found


WORKLOAD = Workload("taxi", "Flint's seven taxi queries beside multiprocessing and PySpark", run)
