"""Shuffles that several jobs read: PySpark programs without `cache()`, on aflint and on Spark."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any

from bench.measure import compare
from bench.peers.pyspark_client import Pyspark
from bench.peers.pyspark_on_aflint import PysparkOnAflint
from bench.report import Goal, Report
from bench.workload import Options, Say, Workload

PROGRAM = "pyspark_reuse"
CASES = {"explore": "six actions over one reduceByKey", "label": "label propagation, 8 rounds"}
BYTES, QUICK_BYTES = 179_000_000, 20_000
EDGES, QUICK_EDGES = 1_000_000, 500
ROUNDS = 1
OVER_PYSPARK = 3.0
FLAT = 1.5  # times the second round's seconds, for the last: the first also reads the file


class Stepwise:
    """A peer that says how long each step of a program took; the answers are what is compared."""

    def __init__(self, peer: Pyspark) -> None:
        self._peer = peer
        self.rounds: dict[str, list[list[float]]] = {}

    @property
    def name(self) -> str:
        """What its column is called."""
        return self._peer.name

    async def answer(self, case: str) -> Any:
        """Run one program."""
        told = await self._peer.answer(case)
        self.rounds.setdefault(case, []).append(told["seconds"])
        return told["answers"]

    def steps(self, case: str) -> list[float]:
        """Return the median seconds of each step, those of the warm-up left out."""
        return [median(step) for step in zip(*self.rounds[case][1:], strict=True)]


async def run(options: Options, say: Say) -> Report:
    """Measure the peers that there are; makes the data first if it is not there."""
    files = data(options, say)
    rounds = options.number_of_rounds(ROUNDS)
    async with AsyncExitStack() as stack:
        peers = [
            Stepwise(await stack.enter_async_context(kind(PROGRAM, files)))
            for kind in (PysparkOnAflint, Pyspark)
            if kind.available() and options.wants(kind.name)
        ]
        samples = await compare(list(CASES), peers, rounds, say)
    steps = {case: {peer.name: peer.steps(case) for peer in peers} for case in CASES}
    notes = [f"{case}: {title}" for case, title in CASES.items()]
    notes += [
        f"{case}, {peer}, seconds of each step: {', '.join(f'{s:.2f}' for s in seconds)}"
        for case, by_peer in steps.items()
        for peer, seconds in by_peer.items()
    ]
    report = Report(
        "reuse",
        "Shuffles that several jobs read",
        "python -m bench reuse",
        tuple(samples),
        notes=tuple(notes),
        subject=PysparkOnAflint.name,
    )
    return Report(**{**vars(report), "goals": tuple(goals(report, steps))})


def data(options: Options, say: Say) -> dict[str, str]:
    """Return the files of words and of edges."""
    size, edges = (QUICK_BYTES, QUICK_EDGES) if options.quick else (BYTES, EDGES)
    folder = options.data / f"reuse-{size}-{edges}"
    files = {"explore": folder / "words.txt", "label": folder / "edges.txt"}
    if not all(file.exists() for file in files.values()):
        say("making words and edges")
        folder.mkdir(parents=True, exist_ok=True)
        chance = random.Random(1)
        _write(files["explore"], _words(chance, size))
        vertices = edges // 5
        _write(
            files["label"],
            (f"{chance.randrange(vertices)} {chance.randrange(vertices)}\n" for _ in range(edges)),
        )
    return {name: str(file) for name, file in files.items()}


def _words(chance: random.Random, size: int) -> Iterator[str]:
    """Yield lines of words, few of them often and many of them seldom."""
    words = [f"w{int(chance.paretovariate(0.8)) % 1_800_000}" for _ in range(400_000)]
    written = 0
    while written < size:
        line = " ".join(chance.choices(words, k=10)) + "\n"
        written += len(line)
        yield line


def _write(file: Path, lines: Iterable[str]) -> None:
    unfinished = file.with_suffix(".part")
    with unfinished.open("w", encoding="ascii") as out:
        out.writelines(lines)
    unfinished.replace(file)


def goals(report: Report, steps: Mapping[str, Mapping[str, Sequence[float]]]) -> list[Goal]:
    """Return what the figures were meant to be; `steps` are seconds by case and peer."""
    found = []
    for case in report.cases:
        times = report.ratio(case, "PySpark", over=PysparkOnAflint.name)
        if times is not None:
            said = f"{case}, times as fast as PySpark"
            found.append(Goal(said, OVER_PYSPARK, times, at_most=False))
    rounds = steps["label"].get(PysparkOnAflint.name)
    if rounds:
        flat = rounds[-1] / rounds[1]
        found.append(Goal("label, the last round, times the second", FLAT, flat))
    return found


WORKLOAD = Workload("reuse", "Shuffles that several jobs read, beside PySpark", run)
