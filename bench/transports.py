"""A sort on localcloud by each transport: seconds, dollars, requests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.recorded_sort import Case, Measured, history_in, record
from bench.report import Goal, Report, Sample, paired_ratio
from bench.workload import Options, Say, Workload

TRANSPORTS = ("hybrid", "sqs", "s3")
SUBJECT, OTHER = TRANSPORTS[:2]
MB, TASKS = 1000.0, 16
QUICK_MB, QUICK_TASKS = 2.0, 2
ROUNDS = 1
MOST_DOLLARS = 0.4
MOST_SECONDS = 1.0


async def run(options: Options, say: Say) -> Report:
    """Sort the same records through each transport, in turn."""
    mb, tasks = (QUICK_MB, QUICK_TASKS) if options.quick else (MB * options.size, TASKS)
    rounds = options.number_of_rounds(ROUNDS)
    found: dict[str, list[Measured]] = {name: [] for name in TRANSPORTS}
    with tempfile.TemporaryDirectory() as folder, history_in(folder):
        for number in range(rounds):
            for name in TRANSPORTS[:: -1 if number % 2 else 1]:
                say(f"round {number + 1} of {rounds}: {name}")
                found[name].append(await record(Case(mb, tasks, tasks, name), Path(folder)))
    return Report(
        "transports",
        "A sort through queues, objects, or both",
        f"python -m bench transports --size {options.size:g}",
        tuple(Sample("sort", name, *_figures(each)) for name, each in found.items()),
        tuple(_goals(found)),
        (
            f"On localcloud: {tasks} map and {tasks} reduce tasks on two functions. CPU is that of "
            "the tasks.",
            *(
                f"{name}: ${median(m.job.dollars for m in each):.6f}, of which "
                f"{each[-1].requests:,} requests"
                for name, each in found.items()
            ),
        ),
        subject=SUBJECT,
        size=f"{mb:g} MB",
    )


def _figures(of: list[Measured]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(m.seconds for m in of), tuple(sum(t.cpu for t in m.tasks) for m in of)


def _goals(found: dict[str, list[Measured]]) -> Iterator[Goal]:
    ours, theirs = found[SUBJECT], found[OTHER]
    dollars = paired_ratio([m.job.dollars for m in ours], [m.job.dollars for m in theirs])
    seconds = paired_ratio([m.seconds for m in ours], [m.seconds for m in theirs])
    yield Goal(f"dollars of {SUBJECT}, times those of {OTHER}", MOST_DOLLARS, dollars)
    yield Goal(f"seconds of {SUBJECT}, times those of {OTHER}", MOST_SECONDS, seconds)


WORKLOAD = Workload("transports", "A sort on localcloud by each transport", run)
