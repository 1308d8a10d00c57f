"""What is shuffled goes by two levels: fewer requests, and the same answer."""

from __future__ import annotations

import asyncio
import threading

import pytest

from aflint.config import Config
from aflint.testing.clock import VirtualLoop
from aflint.testing.simulation.cloud import SimulatedCloud, SimulatedSession
from aflint.testing.simulation.dice import Dice
from aflint.testing.simulation.faults import Fault
from aflint.testing.simulation.run import run_seed

TRANSPORTS = pytest.mark.parametrize("transport", ["s3", "sqs", "hybrid"])


async def shuffled(transport: str, levels: str, side: int) -> tuple[list[tuple[int, int]], int]:
    """Return what a job over `side` map tasks and as many reduce tasks gives, and how many requests
    its tasks made to S3 and SQS.
    """
    config = Config(progress=False, history_mb=0, shuffle_levels=levels)  # type: ignore[arg-type]
    cloud = SimulatedCloud(Dice(1, {}), config)
    cloud.shuffle = transport
    async with SimulatedSession(cloud) as session:
        # Each map task has something for each reduce task.
        numbers = session.parallelize(range(side), side).flat_map(
            lambda number: [(key, number) for key in range(side)]
        )
        answer = await numbers.reduce_by_key(lambda a, b: a + b, side).collect()
        assert session.last_job is not None
        asked = session.last_job.metrics
    return sorted(answer), asked.s3_gets + asked.s3_puts + asked.sqs_requests


def run(transport: str, levels: str, side: int) -> tuple[list[tuple[int, int]], int]:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(shuffled(transport, levels, side))


@TRANSPORTS
def test_at_30_by_30_two_levels_give_the_same_by_fewer_requests(transport: str) -> None:
    answer, at_once = run(transport, "one", 30)
    same, by_two = run(transport, "two", 30)
    assert answer == same == [(key, 30 * 29 // 2) for key in range(30)]
    assert at_once >= 30 * 30
    assert by_two < at_once * 0.6


@pytest.mark.slow
@TRANSPORTS
def test_at_200_by_200_two_levels_take_a_third_of_the_requests_at_most(transport: str) -> None:
    before = threading.active_count()  # other tests of this process may have left some
    answer, by_two = run(transport, "two", 200)
    assert answer == [(key, 200 * 199 // 2) for key in range(200)]
    assert by_two < 200 * 200 / 3
    assert threading.active_count() < before + 10  # not one for each task


@pytest.mark.parametrize("seed", [3, 7, 8, 12])
def test_two_levels_come_to_the_right_answer_whatever_is_lost(seed: int) -> None:
    rates = {Fault.LOST_OBJECT: 0.05, Fault.TRUNCATED_READ: 0.05, Fault.KILL: 0.05}
    assert not run_seed(seed, rates).failure
