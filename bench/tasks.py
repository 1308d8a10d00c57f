"""What a task costs the driver: a job of a thousand tasks that do nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median

import aflint
from aflint.rdd import RDD
from bench.report import Goal, Report, Sample
from bench.workload import Options, Say, Workload

TASKS = 1_000
QUICK_TASKS = 50
ROUNDS = 5
WORKERS = 2
MOST_DRIVER_CPU_MS = 1.0  # a task


async def run(options: Options, say: Say) -> Report:
    """Measure wall-clock time and the driver's own CPU time, beside a bare process pool."""
    tasks = QUICK_TASKS if options.quick else TASKS
    rounds = options.number_of_rounds(ROUNDS)
    case = f"{tasks:,} tasks"
    walls: dict[str, list[float]] = {"aflint": [], "process pool": []}
    drivers: dict[str, list[float]] = {"aflint": [], "process pool": []}
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        async with aflint.connect(workers=WORKERS, progress=False) as session:
            empty: RDD[int] = session.parallelize([], tasks)
            for number in range(rounds + 1):
                for peer in walls:
                    say(f"{'warm-up' if not number else f'round {number} of {rounds}'}: {peer}")
                    wall, driver = time.perf_counter(), time.process_time()
                    if peer == "aflint":
                        await empty.foreach_partition(nothing)
                    else:
                        await asyncio.to_thread(_submit_all, pool, tasks)
                    if number:
                        walls[peer].append(time.perf_counter() - wall)
                        drivers[peer].append(time.process_time() - driver)
    samples = [Sample(case, peer, tuple(walls[peer]), tuple(drivers[peer])) for peer in walls]
    each = 1000 * median(drivers["aflint"]) / tasks
    goal = Goal("driver CPU for a task, ms", MOST_DRIVER_CPU_MS, each)
    note = "CPU is the driver's alone. The process pool only sends a function: no stages, no retry."
    return Report(
        "tasks",
        "A job of empty tasks",
        "python -m bench tasks",
        tuple(samples),
        (goal,),
        (note,),
    )


def nothing(records: Iterable[object]) -> None:
    """Do nothing with a partition."""


def _submit_all(pool: ProcessPoolExecutor, tasks: int) -> None:
    for future in [pool.submit(nothing, ()) for _ in range(tasks)]:
        future.result()


WORKLOAD = Workload("tasks", "A thousand empty tasks: driver CPU for each", run)
