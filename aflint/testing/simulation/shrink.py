"""From a failing seed to a small program and the few faults that are enough to break it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from aflint.testing.simulation.dice import Strike
from aflint.testing.simulation.faults import Fault
from aflint.testing.simulation.run import Outcome, run_seed
from aflint.testing.simulation.workloads import Workload, smaller

MOST_RUNS = 300

Run = Callable[[Workload, Sequence[Strike] | None], Outcome]


def shrink(
    failing: Outcome, rates: Mapping[Fault, float] | None = None, most_runs: int = MOST_RUNS
) -> Outcome:
    """Return a failure of the same seed that is as small as so many runs can find, with its trace.

    Its `workload` and `struck`, given to `run_seed` as `workload` and `allowed`, fail again.
    """
    runs = iter(range(most_runs))

    def run(workload: Workload, strikes: Sequence[Strike] | None) -> Outcome:
        return run_seed(failing.seed, rates, workload=workload, allowed=strikes)

    best = failing
    while (better := _better(best, run, runs)) is not None:
        best = better
    last = run_seed(
        best.seed, rates, workload=best.workload, allowed=frozenset(best.struck), traced=True
    )
    return last if last.failure else replace(best, trace=last.trace)


def _better(best: Outcome, run: Run, runs: Iterator[int]) -> Outcome | None:
    for strikes in _fewer(best.struck):
        if next(runs, None) is None:
            return None
        found = run(best.workload, strikes)
        if found.failure and len(found.struck) < len(best.struck):
            return found
    for workload in smaller(best.workload):
        if workload.size >= best.workload.size:
            continue
        for allowed in (best.struck, None):
            if next(runs, None) is None:
                return None
            found = run(workload, allowed)
            if found.failure:
                return found
    return None


def _fewer(strikes: tuple[Strike, ...]) -> Iterator[tuple[Strike, ...]]:
    """Yield a list with parts left out: large parts first, then smaller ones."""
    size = len(strikes)
    while size:
        for start in range(0, len(strikes), size):
            yield strikes[:start] + strikes[start + size :]
        size //= 2
