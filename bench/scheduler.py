"""What a task costs the scheduler, all told, in jobs of up to a million tasks."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass

from bench.report import Goal, Report, Sample
from bench.workload import Options, Say, Workload

MOST_CPU_US = 100.0
MOST_MB = 500.0
MOST_GROWTH = 1.2
ROUNDS = 3


@dataclass(frozen=True)
class Size:
    """A job's map tasks, and the reduce tasks that read them."""

    maps: int
    reduces: int = 0

    @property
    def tasks(self) -> int:
        """How many tasks there are."""
        return self.maps + self.reduces

    def __str__(self) -> str:
        read = f" x {self.reduces:,} reducers" if self.reduces else ""
        return f"{self.maps:,} tasks{read}"


SIZES = (Size(10_000), Size(100_000), Size(1_000_000), Size(10_000, 100), Size(100_000, 1_000))
QUICK = (Size(500), Size(1_000), Size(2_000), Size(500, 20))


async def run(options: Options, say: Say) -> Report:
    """Measure each size in processes of their own, as peak memory is that of a process."""
    sizes = QUICK if options.quick else SIZES
    rounds = options.number_of_rounds(ROUNDS)
    found: dict[Size, list[dict[str, float]]] = {size: [] for size in sizes}
    for number in range(rounds):
        for size in sizes:
            say(f"round {number + 1} of {rounds}: {size}")
            found[size].append(await _measure(size))
    samples = tuple(
        Sample(
            str(size),
            "aflint",
            tuple(each["seconds"] for each in measured),
            tuple(each["cpu"] for each in measured),
        )
        for size, measured in found.items()
    )
    each = {size: _cpu_us(size, measured) for size, measured in found.items()}
    peaks = {size: max(m["peak_bytes"] for m in measured) for size, measured in found.items()}
    middle, large = sizes[1:3]
    goals = (
        Goal(f"CPU a task, {middle}, µs", MOST_CPU_US, each[middle]),
        Goal(f"peak memory, {middle}, MB", MOST_MB, peaks[middle] / 1e6),
        Goal(
            f"CPU a task, {large}, over that of {middle}", MOST_GROWTH, each[large] / each[middle]
        ),
    )
    notes = tuple(
        f"{size}: {each[size]:.0f} µs of CPU a task, peak memory {peaks[size] / 1e6:,.0f} MB"
        for size in sizes
    )
    about = (
        "State machine, loop, sealing, unpacking of results, journal, reporter and event log; not "
        "the HTTP request, which `dispatch` measures. The best round counts: CPU seconds of a busy "
        "machine are longer."
    )
    return Report(
        "scheduler",
        "The scheduler over executors that answer at once",
        "python -m bench scheduler",
        samples,
        goals,
        (about, *notes),
    )


def _cpu_us(size: Size, measured: list[dict[str, float]]) -> float:
    return min(each["cpu"] for each in measured) / size.tasks * 1e6


async def _measure(size: Size) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.peers.drive_scheduler", str(size.maps), str(size.reduces)),
        stdin=DEVNULL,
        stdout=PIPE,
    )
    try:
        output, _ = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise RuntimeError(f"the scheduler's driver ended with exit status {process.returncode}")
    measured: dict[str, float] = json.loads(output)
    if measured["accepted"] != size.tasks:
        raise RuntimeError(f"{measured['accepted']:,} of {size.tasks:,} tasks were accepted")
    return measured


WORKLOAD = Workload("scheduler", "A million tasks: the scheduler's CPU and memory for each", run)
