"""Random jobs under every fault: the right answer, or an error that had to be; nothing is left."""

from __future__ import annotations

import os

import pytest

from aflint.testing.simulation import Fault, run_seed, workload_of

FIRST = int(os.environ.get("AFLINT_SIMULATION_START", "0"))
SEEDS = int(os.environ.get("AFLINT_SIMULATION_SEEDS", "40"))
"""Set both to run other seeds, or more of them."""


def test_no_seed_fails() -> None:
    failed = [
        (outcome.seed, outcome.failure)
        for outcome in map(run_seed, range(FIRST, FIRST + SEEDS))
        if outcome.failure
    ]
    assert not failed


def test_without_faults_no_job_ends_with_an_error() -> None:
    for seed in range(10):
        outcome = run_seed(seed, {})
        assert (outcome.failure, outcome.error, outcome.counts) == ("", "", {})


@pytest.mark.parametrize("kind", Fault)
def test_every_kind_of_fault_strikes(kind: Fault) -> None:
    rates = {kind: 1.0 if kind in ONCE else 0.3}
    if kind is Fault.ZOMBIE:
        rates[Fault.CANCEL] = 1.0  # only what is stopped can run on
    if kind in (Fault.LOST_SHUFFLE, Fault.TAKEN_FOR_DEAD):
        rates[Fault.DRIVER_KILL] = 1.0  # only between two drivers
    struck = 0
    for seed in range(100, 140):
        outcome = run_seed(seed, rates)
        assert not outcome.failure, seed
        assert set(outcome.counts) <= set(rates)
        struck += outcome.counts.get(kind.value, 0)
        if struck >= 3:
            return
    pytest.fail(f"{kind} did not strike in 40 seeds")


ONCE = (
    Fault.CANCEL,
    Fault.CLOCK_STEP,
    Fault.TIME_LIMIT,
    Fault.SPILL,
    Fault.ZOMBIE,
    Fault.DEADLINE,
    Fault.BUDGET,
)


@pytest.mark.parametrize("seed", [7, 2214])
def test_a_seed_runs_again_exactly(seed: int) -> None:
    first, second = run_seed(seed, traced=True), run_seed(seed, traced=True)
    assert first.struck == second.struck
    assert first.trace == second.trace
    assert first.virtual_s == second.virtual_s


def test_a_seed_runs_again_with_some_of_its_faults() -> None:
    seed = next(seed for seed in range(100) if len(run_seed(seed).struck) > 3)
    outcome = run_seed(seed)
    allowed = outcome.struck[:2]
    fewer = run_seed(seed, allowed=allowed)
    assert set(fewer.struck) <= set(allowed)


def test_tasks_are_continued_when_time_is_short() -> None:
    outcomes = [run_seed(seed, {Fault.TIME_LIMIT: 1.0}) for seed in range(30)]
    assert not [outcome.failure for outcome in outcomes if outcome.failure]
    assert sum(outcome.links for outcome in outcomes) > 15


def test_programs_differ() -> None:
    programs = {str(workload_of(seed)) for seed in range(50)}
    assert len(programs) == 50
