"""Two drivers of one run, both alive: the later one has it, and the earlier one removes nothing."""

from __future__ import annotations

import asyncio

import pytest

from aflint.config import Config
from aflint.errors import RunInUseError
from aflint.testing.clock import run_virtual
from aflint.testing.simulation.cloud import SimulatedCloud, SimulatedSession
from aflint.testing.simulation.dice import Dice

IDLE_S = 5.0
"""After this, the first driver has removed the shuffles that nothing reads any more, and written so
down: it has not been heard of for a while."""


def new_cloud(seed: int) -> SimulatedCloud:
    return SimulatedCloud(Dice(seed, {}), Config(progress=False, history_mb=0))


async def sums(session: SimulatedSession) -> dict[int, int]:
    pairs = session.range(60, num_slices=4).key_by(lambda n: n % 3)
    return dict(await pairs.reduce_by_key(lambda a, b: a + b, 2).collect())


async def sums_again_and_again(session: SimulatedSession) -> None:
    """Go on for as long as answers come: a driver that was taken over may still have one."""
    while True:
        assert await sums(session) == {n: sum(range(n, 60, 3)) for n in range(3)}


async def run(cloud: SimulatedCloud) -> dict[int, int]:
    async with SimulatedSession(cloud) as session:
        return await sums(session)


async def begin_at_once(seed: int) -> bool:
    """Have two drivers begin the run; say whether one was stopped."""
    cloud = new_cloud(seed)
    ends = await asyncio.gather(run(cloud), run(cloud), return_exceptions=True)
    answers = [end for end in ends if isinstance(end, dict)]
    stopped = [type(end) for end in ends if not isinstance(end, dict)]
    assert answers
    assert all(answer == {n: sum(range(n, 60, 3)) for n in range(3)} for answer in answers)
    assert stopped in ([], [RunInUseError])
    assert not cloud.leaks()
    return bool(stopped)


async def take_over_in_the_middle(seed: int) -> None:
    cloud = new_cloud(seed)
    async with SimulatedSession(cloud) as first:
        await sums(first)
        await asyncio.sleep(IDLE_S)
        async with SimulatedSession(cloud) as later:
            asked = asyncio.create_task(sums(later))
            with pytest.raises(RunInUseError, match="resumed by another driver"):
                await sums_again_and_again(first)
            assert await asked == {n: sum(range(n, 60, 3)) for n in range(3)}
    assert not cloud.leaks()


async def outlive_a_successor(seed: int) -> None:
    """End as the earlier driver while the later one is in the middle of its jobs."""
    cloud = new_cloud(seed)
    first = SimulatedSession(cloud)
    await first.__aenter__()
    await sums(first)
    await asyncio.sleep(IDLE_S)
    async with SimulatedSession(cloud) as later:
        asked = asyncio.create_task(sums(later))
        await asyncio.sleep(0.1)
        await first.__aexit__(None, None, None)
        assert await asked == {n: sum(range(n, 60, 3)) for n in range(3)}
    assert not cloud.leaks()


def test_of_two_that_begin_at_once_one_goes_on() -> None:
    stopped = [run_virtual(asyncio.wait_for(begin_at_once(seed), 3600)) for seed in range(12)]
    assert sum(stopped) >= 6


@pytest.mark.parametrize("seed", range(8))
def test_one_that_was_taken_over_stops(seed: int) -> None:
    run_virtual(asyncio.wait_for(take_over_in_the_middle(seed), 3600))


@pytest.mark.parametrize("seed", range(8))
def test_one_that_ends_late_removes_nothing_of_its_successors(seed: int) -> None:
    run_virtual(asyncio.wait_for(outlive_a_successor(seed), 3600))
