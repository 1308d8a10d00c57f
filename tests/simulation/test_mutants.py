"""The simulation is worth something: it catches an engine that is broken on purpose."""

from __future__ import annotations

import pytest

from aflint.testing.simulation import queries_of, skewed_of
from aflint.testing.simulation.mutants import (
    MUTANTS,
    QUERY_MUTANTS,
    SKEW_MUTANTS,
    caught_after,
)
from aflint.testing.simulation.shrink import shrink

MOST = 500


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_it_is_caught(name: str) -> None:
    found = caught_after(MUTANTS[name], MOST)
    assert found is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", QUERY_MUTANTS)
def test_programs_of_dataframes_catch_it(name: str) -> None:
    pytest.importorskip("duckdb")
    assert caught_after(QUERY_MUTANTS[name], MOST, queries_of) is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", SKEW_MUTANTS)
def test_programs_of_skewed_keys_catch_it(name: str) -> None:
    assert caught_after(SKEW_MUTANTS[name], MOST, skewed_of) is not None


def test_a_failure_is_made_small() -> None:
    found = caught_after(MUTANTS["counts_of_another_attempt"], MOST)
    assert found is not None
    failing = found[1]
    with MUTANTS["counts_of_another_attempt"]():
        small = shrink(failing, most_runs=60)
    assert small.failure
    assert small.trace
    assert len(small.struck) < len(failing.struck)
    assert small.workload.size <= failing.workload.size
