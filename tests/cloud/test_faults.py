"""Q0 to Q6 on real processes while everything that an emulator can do wrong goes wrong."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from operator import add
from pathlib import Path
from typing import Any

import pytest

import aflint
from aflint.localcloud import Faults
from examples.taxi.queries import QUERIES
from tests.cloud.clouds import Deployed, Ended, ask_all
from tests.hostages import Hostages

EVERYTHING = Faults(
    duplicate=0.05,
    reorder=0.05,
    delay=0.05,
    delay_seconds=0.5,
    poison=0.05,
    hidden=0.05,
    batch_entry=0.05,
    drop_response=0.05,
    throttle=0.05,
    s3_503=0.05,
    truncated_read=0.05,
    lost_object=0.05,
    kill=0.05,
    out_of_memory=0.05,
    straggler=0.05,
    straggler_seconds=1.0,
    cold_start=0.05,
    cold_start_seconds=1.0,
)
QUEUES = {"duplicate", "reorder", "delay", "poison", "hidden", "batch_entry"}
OBJECTS = {"s3_503", "truncated_read", "lost_object"}
STRIKING = {"sqs": QUEUES, "s3": OBJECTS, "hybrid": QUEUES}
"""Of the others, what each transport meets: these messages are too small to go into objects."""
ALWAYS = {"drop_response", "throttle", "kill", "out_of_memory", "straggler"}

SEEDS = range(1, 1 + int(os.environ.get("AFLINT_FAULT_SEEDS", "1")))
"""Set it to 3 to run all that docs/simulation.md speaks of."""

CONCURRENCY = 6
THIRD = CONCURRENCY // 3
PATIENT: dict[str, Any] = {
    "concurrency": CONCURRENCY,
    "max_attempts": 10,
    "fetch_timeout_s": 4.0,
    "speculation": True,
}
"""A message whose receiver died is there again after three quarters of the fetch timeout."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("transport", ["sqs", "s3", "hybrid"])
async def test_the_answers_under_five_percent_of_each_fault(
    transport: str, seed: int, deployed: Deployed, taxi: Path, answers: Mapping[str, object]
) -> None:
    async with deployed.connect(transport=transport, **PATIENT) as session:
        deployed.cloud.set_faults(replace(EVERYTHING, seed=seed))
        assert await ask_all(session, taxi) == answers
        struck = deployed.cloud.snapshot().faults
        assert struck.keys() >= ALWAYS | STRIKING[transport]
        deployed.cloud.set_faults(Faults())
    deployed.assert_empty()


@asynccontextmanager
async def killing(
    deployed: Deployed, transport: str, tmp_path: Path
) -> AsyncIterator[tuple[aflint.Session, Hostages]]:
    """Give a session that loses a third of its environments in each stage that is held."""
    hostages = Hostages(tmp_path, THIRD)
    settings = {"concurrency": CONCURRENCY, "transport": transport, "fetch_timeout_s": 4.0}
    async with deployed.connect(**settings) as session, hostages.taken():
        ended = Ended(session)
        yield session, hostages
        lost = [event.error for event in ended.events if "signal: killed" in event.error]
        assert len(lost) == len(hostages.killed) > 0
    left = deployed.cloud.snapshot()
    assert not set(hostages.killed) & {each.pid for each in left.environments}
    deployed.assert_empty()


@pytest.mark.parametrize("transport", ["sqs", "s3", "hybrid"])
async def test_a_third_of_the_environments_is_killed_in_map_and_in_reduce_tasks(
    transport: str, deployed: Deployed, tmp_path: Path
) -> None:
    async with killing(deployed, transport, tmp_path) as (session, hostages):
        pairs = session.range(6_000, num_slices=8).map_partitions(hostages.hold)
        reduced = pairs.map(lambda n: (n % 1_000, n)).reduce_by_key(add, 8)
        sums = await reduced.map_partitions(hostages.hold).collect_as_map()
        assert sums == {n: 15_000 + 6 * n for n in range(1_000)}
        assert len(hostages.killed) == 2 * THIRD


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["sqs", "s3", "hybrid"])
async def test_the_answers_when_each_query_loses_a_third_of_the_environments(
    transport: str, deployed: Deployed, taxi: Path, answers: Mapping[str, object], tmp_path: Path
) -> None:
    async with killing(deployed, transport, tmp_path) as (session, hostages):
        lines = session.text_file(str(taxi / "*_tripdata_*.csv"))
        weather = session.text_file(str(taxi / "central_park_weather.csv"), 1)
        trips = lines.map_partitions(hostages.hold)
        assert {q.name: await q.answer(trips, weather) for q in QUERIES} == answers
        assert len(hostages.killed) == THIRD * len(QUERIES)
