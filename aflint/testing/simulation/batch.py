"""Many seeds, on several processes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from multiprocessing import get_context

from aflint.testing.simulation.faults import Fault
from aflint.testing.simulation.run import Outcome, run_seed, workload_of
from aflint.testing.simulation.shrink import shrink
from aflint.testing.simulation.workloads import Workload

ProgramOf = Callable[[int], Workload]

_CHUNK = 10


@dataclass(slots=True)
class Tally:
    """What has come of the seeds so far. `errors` counts jobs that ended with an error that they
    were allowed to end with.
    """

    seeds: int = 0
    attempts: int = 0
    links: int = 0
    errors: int = 0
    virtual_s: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count an outcome in."""
        self.seeds += 1
        self.attempts += outcome.attempts
        self.links += outcome.links
        self.errors += bool(outcome.error and not outcome.failure)
        self.virtual_s += outcome.virtual_s
        self.counts.update(outcome.counts)
        if outcome.failure:
            self.failures.append(outcome)


def run_seeds(
    seeds: Iterable[int],
    rates: Mapping[Fault, float],
    processes: int,
    program_of: ProgramOf = workload_of,
) -> Iterator[Outcome]:
    """Yield the outcomes as they come.

    Each seed runs in a fresh interpreter whose hashes of strings are not random: the one thing of
    a process that a seed cannot decide.
    """
    waiting: set[Future[list[Outcome]]] = set()
    chunks = _chunks(seeds)
    with _pool(processes) as pool:
        for chunk in islice(chunks, processes * 2):
            waiting.add(pool.submit(_run_chunk, chunk, dict(rates), program_of))
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for chunk in islice(chunks, len(done)):
                waiting.add(pool.submit(_run_chunk, chunk, dict(rates), program_of))
            for future in done:
                yield from future.result()


def shrink_elsewhere(failing: Outcome, rates: Mapping[Fault, float]) -> Outcome:
    """Shrink a failure in the kind of process that it was found in."""
    with _pool(1) as pool:
        return pool.submit(shrink, failing, dict(rates)).result()


def _run_chunk(
    seeds: list[int], rates: Mapping[Fault, float], program_of: ProgramOf
) -> list[Outcome]:
    outcomes = [run_seed(seed, rates, workload=program_of(seed)) for seed in seeds]
    return [each if each.failure else replace(each, struck=()) for each in outcomes]


def _chunks(seeds: Iterable[int]) -> Iterator[list[int]]:
    rest = iter(seeds)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    before = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = "0"
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        if before is None:
            del os.environ["PYTHONHASHSEED"]
        else:
            os.environ["PYTHONHASHSEED"] = before
