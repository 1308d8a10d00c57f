"""Broadcasts, accumulators, and what is kept between jobs."""

from __future__ import annotations

import asyncio
import operator
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import aflint
from aflint import ConfigError, Session, SessionError

pytestmark = pytest.mark.asyncio(loop_scope="module")


def counted(seen: aflint.Accumulator[int]) -> Callable[[int], int]:
    """Return a function that counts its calls."""

    def look(x: int) -> int:
        seen.add(1)
        return x

    return look


async def test_broadcasts_reach_tasks(session: Session) -> None:
    table = session.broadcast({n: str(n) for n in range(100_000)})
    assert table.value[7] == "7"
    numbers = session.range(6, num_slices=3)
    assert await numbers.map(lambda x: table.value[x]).collect() == list("012345")
    assert (
        await numbers.map(lambda x: (x, 1)).join(numbers.map(lambda x: (x, table.value[x]))).count()
        == 6
    )
    again = numbers.map_partitions(lambda records: [table.value is table.value])
    assert await again.distinct().collect() == [True]
    table.unpersist()
    assert await numbers.map(lambda x: table.value[x]).first() == "0"


async def test_large_broadcasts(session: Session) -> None:
    data = session.broadcast(os.urandom(20 << 20))
    sizes = await session.range(4, num_slices=4).map(lambda _: len(data.value)).collect()
    assert sizes == [20 << 20] * 4


async def test_destroyed_broadcasts(session: Session) -> None:
    gone = session.broadcast([1])
    gone.destroy()
    with pytest.raises(SessionError, match="destroyed"):
        assert gone.value
    with pytest.raises(SessionError, match=r"closure variable 'gone'.*destroyed"):
        await session.range(3).map(lambda x: gone.value).collect()


async def test_accumulators_add_up(session: Session) -> None:
    count = session.accumulator(0)
    words: aflint.Accumulator[list[int]] = session.accumulator([], operator.add)
    longest = session.accumulator("", lambda a, b: max(a, b, key=len))

    def look(x: int) -> int:
        count.add(1)
        words.add([x])
        longest.add("x" * x)
        return x

    assert await session.range(10, num_slices=3).map(look).count() == 10
    assert count.value == 10
    assert sorted(words.value) == list(range(10))
    assert longest.value == "x" * 9
    count += 5
    count.value = count.value * 2
    assert count.value == 30


async def test_accumulators_are_for_the_driver_to_read(session: Session) -> None:
    count = session.accumulator(1)
    with pytest.raises(SessionError, match="driver only"):
        await session.range(3).map(lambda _: count.value).collect()


async def test_accumulators_count_shuffled_stages_once(session: Session) -> None:
    seen = session.accumulator(0)

    def pair(x: int) -> tuple[int, int]:
        seen.add(1)
        return (x % 3, x)

    pairs = session.range(12, num_slices=4).map(pair)
    await pairs.reduce_by_key(operator.add).join(pairs.group_by_key()).count()
    assert seen.value == 24, "two stages read it"


async def test_accumulators_do_not_count_failed_attempts(session: Session, tmp_path: Path) -> None:
    seen, marker = session.accumulator(0), tmp_path / "killed"

    def look(x: int) -> tuple[int, int]:
        seen.add(1)
        if x == 7 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return (x % 2, 1)

    numbers = session.range(10, num_slices=2).map(look)
    assert sorted(await numbers.reduce_by_key(operator.add).collect()) == [(0, 5), (1, 5)]
    assert seen.value == 10
    assert session.last_job is not None
    assert session.last_job.failed_attempts == 1


async def test_what_is_cached_is_computed_once(session: Session) -> None:
    seen = session.accumulator(0)

    numbers = session.range(10, num_slices=3).map(counted(seen)).cache()
    assert numbers.is_cached
    assert await numbers.count() == 10
    assert seen.value == 10
    assert await numbers.map(lambda x: x + 1).sum() == 55
    assert await numbers.union(numbers).count() == 20
    pairs = numbers.map(lambda x: (x % 2, x)).group_by_key()
    assert await pairs.map_values(len).collect_as_map() == {0: 5, 1: 5}
    assert seen.value == 10
    numbers.unpersist()
    assert not numbers.is_cached
    assert await numbers.count() == 10
    assert seen.value == 20


async def test_what_several_stages_of_one_job_read_is_cached_before_it(session: Session) -> None:
    seen = session.accumulator(0)
    pairs = session.range(60, num_slices=3).map(counted(seen)).map(lambda x: (x % 6, x))
    links = pairs.group_by_key(2).cache()
    totals = links.map_values(len)
    for _ in range(3):
        given = links.join(totals, 2).flat_map(lambda pair: [(pair[0], sum(pair[1][0]))])
        totals = given.reduce_by_key(operator.add, 2).map_values(lambda total: total + 1)
    before = len(session.jobs)
    assert dict(await totals.collect()) == {k: sum(range(k, 60, 6)) + 1 for k in range(6)}
    assert seen.value == 60
    assert len(session.jobs) == before + 2, "one of them caches"
    assert await links.count() == 6
    assert seen.value == 60


async def test_what_is_cached_part_by_part(session: Session) -> None:
    seen = session.accumulator(0)
    numbers = session.range(9, num_slices=3).map(counted(seen)).persist()
    assert await numbers.take(1) == [0]
    assert await numbers.take(9) == list(range(9))
    before = seen.value
    assert await numbers.collect() == list(range(9))
    assert seen.value in (before, before + 9)
    await numbers.count()
    after = seen.value
    assert await numbers.collect() == list(range(9))
    assert seen.value == after


async def test_caching_keeps_types_and_placing(session: Session) -> None:
    groups = session.parallelize([(1, "a"), (2, "b"), (1, "c")], 3).group_by_key(2).cache()
    assert dict(await groups.collect()) == {1: ["a", "c"], 2: ["b"]}
    plan = await groups.join(groups.map_values(len)).explain()
    assert "shuffle" not in plan
    assert dict(await groups.map_values(list).collect()) == {1: ["a", "c"], 2: ["b"]}
    ordered = session.range(20, num_slices=3).sort_by(lambda x: -x).cache()
    assert await ordered.collect() == await ordered.collect() == list(range(19, -1, -1))
    numbered = session.parallelize("ab", 2).zip_with_index().cache()
    assert await numbered.count() == 2
    assert await numbered.collect() == [("a", 0), ("b", 1)]


async def test_checkpoints_stay(session: Session, scratch: Path) -> None:
    seen = session.accumulator(0)
    numbers = session.range(6, num_slices=2).map(counted(seen)).map(lambda x: x * 2)
    numbers.checkpoint()
    assert not numbers.is_checkpointed
    assert await numbers.collect() == [0, 2, 4, 6, 8, 10]
    assert numbers.is_checkpointed
    numbers.unpersist()
    assert await numbers.sum() == 30
    assert seen.value == 6
    assert len(list((scratch / "checkpoints" / session.id).iterdir())) == 2


async def test_checkpoints_need_a_place(tmp_path: Path) -> None:
    async with aflint.connect(workers=1, progress=False, scratch_dir=str(tmp_path)) as plain:
        with pytest.raises(ConfigError, match="checkpoint_dir"):
            plain.range(3).checkpoint()


async def test_a_checkpoint_outlives_its_session(tmp_path: Path) -> None:
    folder: Any = str(tmp_path / "kept")
    async with aflint.connect(
        workers=1, progress=False, scratch_dir=str(tmp_path), checkpoint_dir=folder
    ) as first:
        numbers = first.range(4)
        numbers.checkpoint()
        await numbers.count()
        name = first.id
    async with aflint.connect(workers=1, progress=False, scratch_dir=str(tmp_path)) as second:
        assert sorted(await second.pickle_file(f"{folder}/{name}").collect()) == [0, 1, 2, 3]


async def test_two_jobs_side_by_side_share_a_cache(session: Session) -> None:
    numbers = session.range(100, num_slices=4).map(lambda x: x + 1).cache()
    async with asyncio.TaskGroup() as group:
        sums = [group.create_task(numbers.sum()) for _ in range(4)]
    assert [task.result() for task in sums] == [5050] * 4
    assert await numbers.count() == 100
