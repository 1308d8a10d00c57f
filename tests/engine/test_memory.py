"""Partitions larger than the memory a worker is allowed."""

from __future__ import annotations

import operator
import random
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio

import aflint
from aflint import RDD, Session

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT_MB = 128


@pytest_asyncio.fixture(loop_scope="module")
async def session() -> AsyncIterator[Session]:
    """A session of its own for each test: the peak of a process only grows."""
    async with aflint.connect(
        workers=1, progress=False, worker_memory_mb=LIMIT_MB, max_attempts=1
    ) as session:
        yield session


def noise(keys: int, size: int) -> Callable[[int, Iterator[int]], Iterator[tuple[int, bytes]]]:
    def pairs(partition: int, records: Iterator[int]) -> Iterator[tuple[int, bytes]]:
        chance = random.Random(partition)
        for _ in records:
            yield chance.randrange(keys), chance.randbytes(size)

    return pairs


def noisy(session: Session, count: int, keys: int, size: int) -> RDD[tuple[int, bytes]]:
    return session.range(count, num_slices=4).map_partitions_with_index(noise(keys, size))


def check_spilled(session: Session) -> None:
    report = session.last_job
    assert report is not None
    assert report.metrics.spilled_bytes > 0
    assert report.metrics.peak_memory_bytes < LIMIT_MB << 20


async def test_groups(session: Session) -> None:
    sizes = await noisy(session, 100_000, 100, 1200).group_by_key(1).map_values(len).collect()
    assert len(sizes) == 100
    assert sum(size for _, size in sizes) == 100_000
    check_spilled(session)


async def test_one_giant_group(session: Session) -> None:
    groups = noisy(session, 60_000, 1, 2000).group_by_key(1)
    found = await groups.map_values(lambda group: (len(group), sum(map(len, group)))).collect()
    assert found == [(0, (60_000, 120_000_000))]
    check_spilled(session)


@pytest.mark.slow
async def test_giant_groups_are_sequences(session: Session) -> None:
    def look(group: aflint.Group) -> bool:
        values = list(group)
        return (
            len(values) == len(group)
            and group[0] == values[0]
            and group[-1] == values[-1]
            and group[5:8] == values[5:8]
            and group == group
            and list(zip(group, group, strict=True))[40_000][1] == values[40_000]
        )

    groups = session.range(400_000, num_slices=4).map(lambda x: (x % 2, f"value {x:60}"))
    assert await groups.group_by_key(1).map_values(look).values().collect() == [True, True]


@pytest.mark.slow
async def test_combiners(session: Session) -> None:
    pairs = session.range(250_000, num_slices=2).map(lambda x: (f"key {x % 125_000:08}", [x]))
    merged = pairs.reduce_by_key(operator.add, 1).map_values(len)
    assert await merged.values().count_by_value() == {2: 125_000}


async def test_sorting(session: Session) -> None:
    data = noisy(session, 50_000, 10**9, 2000)
    keys = await data.sort_by_key(num_partitions=1).keys().collect()
    assert keys == sorted(keys)
    assert len(keys) == 50_000
    check_spilled(session)
    down = await data.sort_by_key(False, 1).keys().collect()
    assert down == keys[::-1]


@pytest.mark.slow
async def test_joins(session: Session) -> None:
    left, right = noisy(session, 40_000, 2000, 1500), noisy(session, 40_000, 2000, 1500)
    joined = left.cogroup(right, num_partitions=1).map_values(
        lambda groups: tuple(map(len, groups))
    )
    sizes = await joined.values().collect()
    assert [sum(column) for column in zip(*sizes, strict=True)] == [40_000, 40_000]
    check_spilled(session)


@pytest.mark.slow
async def test_keys_of_equal_hash(session: Session) -> None:
    class Key:
        def __init__(self, name: int) -> None:
            self.name = name

        def __hash__(self) -> int:
            return 7

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Key) and self.name == other.name

    pairs = noisy(session, 60_000, 20, 2000).map(lambda pair: (Key(pair[0]), pair[1]))
    found = await pairs.group_by_key(1).map(lambda pair: (pair[0].name, len(pair[1]))).collect()
    assert sorted(name for name, _ in found) == list(range(20))
    assert sum(size for _, size in found) == 60_000


async def test_what_user_code_leaves_in_cycles_is_collected(session: Session) -> None:
    alive: list[int] = [0]

    class InCycle:
        def __init__(self) -> None:
            self.itself = self
            alive[0] += 1

        def __del__(self) -> None:
            alive[0] -= 1

    def leave(number: int) -> tuple[int, int]:
        InCycle()
        return number % 1000, alive[0]

    mapped = session.range(100_000, num_slices=1).map(leave)
    assert await mapped.values().max() < 10_000
    held = await mapped.group_by_key(1).map_values(max).values().max()
    assert held < 10_000, "beside tables that grow"


async def test_what_is_cached_does_not_fill_memory(session: Session) -> None:
    data = session.range(60_000, num_slices=1).map(lambda x: (x, bytes(2500))).cache()
    assert await data.count() == await data.count() == 60_000
    assert session.last_job is not None
    assert session.last_job.metrics.peak_memory_bytes < LIMIT_MB << 20


@pytest.mark.slow
async def test_a_gigabyte_in_a_quarter_of_it() -> None:
    async with aflint.connect(workers=1, progress=False, worker_memory_mb=256) as session:
        groups = noisy(session, 400_000, 1000, 2500).group_by_key(1)
        sizes = await groups.values().map(len).collect()
        assert sum(sizes) == 400_000
        assert session.last_job is not None
        assert session.last_job.metrics.peak_memory_bytes < 256 << 20
