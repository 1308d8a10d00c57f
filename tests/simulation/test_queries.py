"""Programs of DataFrames under every fault: the right answers, by whatever sizes decide."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("nanoarrow")

from aflint.config import Config
from aflint.driver import adapting
from aflint.plan.adaptive import Adaptive
from aflint.testing.simulation import queries_of, run_seed
from aflint.testing.simulation.cloud import SimulatedCloud
from aflint.testing.simulation.dice import Dice
from aflint.testing.simulation.interpreter import evaluate
from aflint.testing.simulation.queries import ADAPTIVE, QUERIES
from aflint.testing.simulation.workloads import PAIRS, Step, Workload


def test_no_seed_fails() -> None:
    outcomes = [run_seed(seed, workload=queries_of(seed)) for seed in range(12)]
    assert not [(outcome.seed, outcome.failure) for outcome in outcomes if outcome.failure]
    assert sum(sum(outcome.counts.values()) for outcome in outcomes) > 50


def test_a_seed_runs_again_exactly() -> None:
    first, second = (run_seed(3, workload=queries_of(3), traced=True) for _ in range(2))
    assert (first.struck, first.trace) == (second.struck, second.trace)


@pytest.mark.parametrize(
    ("transport", "ways"),
    [
        ("s3", {"broadcast", "coalesced", "skewed"}),
        # A queue has one reader at a time: of a partition in it no part can be read by itself
        ("sqs", {"broadcast", "coalesced"}),
    ],
)
def test_joins_are_adapted_in_the_ways_that_their_transport_has(
    transport: str, ways: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: Counter[str] = Counter()
    broadcasts, described = Adaptive.broadcasts, adapting.described

    def broadcasting(self: Adaptive, sizes: Sequence[int]) -> bool:
        found = broadcasts(self, sizes)
        taken["broadcast"] += found
        return found

    def describing(*args: Any) -> str:
        said = described(*args)
        taken.update(word for word in ("coalesced", "skewed") if word in said)
        return said

    monkeypatch.setattr(Adaptive, "broadcasts", broadcasting)
    monkeypatch.setattr(adapting, "described", describing)
    numbers = tuple(random.Random(1).randrange(1000) for _ in range(200))
    few = tuple(range(0, 200, 5))
    sides = tuple(
        Step("key_unevenly", PAIRS, (40,), (Step("parallelize", "numbers", (given, 4)),))
        for given in (numbers, few)
    )
    seed = next(seed for seed in range(50) if _cloud(seed).shuffle == transport)
    for name in ("left", "full", "grouped"):
        for adaptive in range(len(ADAPTIVE)):
            join = Step("query", PAIRS, (name, 4, adaptive), sides[: QUERIES[name].tables])
            outcome = run_seed(seed, {}, workload=Workload(join, (("collect", 0),)))
            assert not outcome.failure
    assert {way for way, times in taken.items() if times} == ways


def _cloud(seed: int) -> SimulatedCloud:
    """Return the cloud of a seed to which nothing happens."""
    return SimulatedCloud(Dice(seed, {}), Config(), batches=4096)


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_means_what_duckdb_gives(name: str) -> None:
    import duckdb

    tables = [
        [(i * i % 7, i - 3) for i in range(20)],
        [(i % 5 * 2, i * 3) for i in range(12)],
    ]
    with duckdb.connect() as connection:
        for table, pairs in zip("ab", tables, strict=True):
            values = ", ".join(map(str, pairs))
            connection.execute(f"CREATE TABLE {table} AS FROM (VALUES {values}) t(k, v)")
        sql = QUERIES[name].sql.replace("0L", "0").replace("LEFT ANTI", "ANTI")
        found = connection.execute(sql).fetchall()
    meant = QUERIES[name].meaning(*tables[: QUERIES[name].tables])
    assert sorted(meant) == sorted(found)
    if QUERIES[name].ordered:
        assert meant == found


@pytest.mark.slow  # it starts a JVM
def test_the_recorded_plans_are_those_that_spark_makes() -> None:
    pytest.importorskip("pyspark")
    from tests.simulation.record_plans import PLANS, plans

    recorded = json.loads(PLANS.read_text())
    made = plans()
    assert set(recorded) == set(made) == set(QUERIES)
    for name in QUERIES:
        assert _kinds(recorded[name]) == _kinds(made[name]), name


def _kinds(plan: Any) -> Any:
    """Return the steps of a plan, without what PySpark's releases number and print otherwise."""
    return [plan.get("class"), *map(_kinds, plan.get("children", ()))]


def test_every_program_reads_a_query() -> None:
    programs = [queries_of(seed) for seed in range(50)]
    assert all(program.root.is_query for program in programs)
    assert len({str(program) for program in programs}) == 50
    assert all(evaluate(program.root) for program in programs)
