"""Where records lie: partition counts, repartitioning and sorting."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from aflint import InvalidArgumentError, Session, TaskError

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_coalesce_joins_neighbours(session: Session) -> None:
    numbers = session.range(10, num_slices=5)
    assert await numbers.coalesce(2).glom().collect() == [[0, 1, 2, 3], [4, 5, 6, 7, 8, 9]]
    assert await numbers.coalesce(1).collect() == list(range(10))
    assert await numbers.coalesce(9).num_partitions() == 5
    assert await numbers.coalesce(9, shuffle=True).num_partitions() == 9
    shuffled = numbers.map(lambda x: (x % 3, x)).group_by_key(6).coalesce(2)
    assert await shuffled.num_partitions() == 2
    assert await shuffled.count() == 3


async def test_repartition_deals_evenly(session: Session) -> None:
    skewed = session.range(1000, num_slices=1)
    sizes = await skewed.repartition(7).glom().map(len).collect()
    assert sum(sizes) == 1000
    assert max(sizes) - min(sizes) <= 1
    assert sorted(await skewed.repartition(7).collect()) == list(range(1000))
    sizes = await session.range(100, num_slices=7).repartition(4).glom().map(len).collect()
    assert max(sizes) - min(sizes) <= 7, "no map task deals unevenly by more than one"
    assert await session.parallelize([[1], {2: 3}], 2).repartition(3).count() == 2


async def test_partition_counts(session: Session) -> None:
    numbers = session.range(20, num_slices=5).map(lambda x: (x, x))
    assert await numbers.num_partitions() == 5
    assert await numbers.get_num_partitions() == 5
    assert await numbers.reduce_by_key(max).num_partitions() == 5
    assert await numbers.reduce_by_key(max, 3).num_partitions() == 3
    assert (
        await numbers.join(session.range(2, num_slices=8).map(lambda x: (x, x))).num_partitions()
        == 8
    )
    assert await numbers.sort_by_key(num_partitions=2).num_partitions() == 2
    assert await numbers.reduce_by_key(max, 3).map_values(str).group_by_key().num_partitions() == 3
    assert await session.range(3).num_partitions() == session.default_parallelism == 2


async def test_numbers_of_numpy(session: Session) -> None:
    two: Any = np.int64(2)
    pairs = session.range(4).map(lambda x: (x, x))
    assert await pairs.repartition(two).glom().count() == 2
    assert await pairs.reduce_by_key(max, two).glom().count() == 2
    assert await session.parallelize([1, 2, 3], two).glom().count() == 2
    assert await session.range(9).take(two) == [0, 1]


@pytest.mark.parametrize("count", [0, -1, 1.5, "2", True])
async def test_numbers_of_partitions_that_cannot_be(session: Session, count: Any) -> None:
    pairs = session.range(4).map(lambda x: (x, x))
    for make in (
        lambda: session.range(3, num_slices=count),
        lambda: session.parallelize([1], count),
        lambda: session.text_file("x", count),
        lambda: pairs.repartition(count),
        lambda: pairs.coalesce(count),
        lambda: pairs.reduce_by_key(max, count),
        lambda: pairs.partition_by(count),
        lambda: pairs.sort_by_key(num_partitions=count),
        lambda: pairs.join(pairs, count),
    ):
        with pytest.raises(InvalidArgumentError, match="at least 1"):
            make()


NUMBERS = [random.Random(1).randrange(-50, 50) for _ in range(300)]


@pytest.mark.parametrize("slices", [1, 4])
@pytest.mark.parametrize("partitions", [None, 1, 3, 50])
@pytest.mark.parametrize("ascending", [True, False])
async def test_sorting(
    session: Session, slices: int, partitions: int | None, ascending: bool
) -> None:
    ordered = session.parallelize(NUMBERS, slices).sort_by(lambda x: x, ascending, partitions)
    assert await ordered.collect() == sorted(NUMBERS, reverse=not ascending)
    assert await ordered.num_partitions() == (partitions or slices)


async def test_sorting_is_stable(session: Session) -> None:
    records = [(n % 5, place) for place, n in enumerate(NUMBERS)]
    pairs = session.parallelize(records, 4)
    assert await pairs.sort_by_key().collect() == sorted(records, key=lambda pair: pair[0])
    down = await pairs.sort_by_key(ascending=False).collect()
    assert down == sorted(records, key=lambda pair: pair[0], reverse=True)


async def test_sorting_by_key_functions(session: Session) -> None:
    words = ["b", "A", "c", "D", "aa"]
    pairs = session.parallelize([(word, 1) for word in words], 3)
    by_case = await pairs.sort_by_key(key_func=str.lower).keys().collect()
    assert by_case == sorted(words, key=str.lower)
    mixed = session.parallelize([None, 3, None, 1], 2)
    ordered = await mixed.sort_by(lambda x: (x is not None, x or 0)).collect()
    assert ordered == [None, None, 1, 3]


async def test_sorting_what_is_skewed_or_tiny(session: Session) -> None:
    assert (
        await session.parallelize([5] * 100, 4).sort_by(lambda x: x, num_partitions=4).count()
        == 100
    )
    skewed = [1] * 500 + [0, 2]
    ordered = session.parallelize(skewed, 3).sort_by(lambda x: x, num_partitions=8)
    assert await ordered.collect() == sorted(skewed)
    assert await session.parallelize([1], 3).sort_by(lambda x: x).collect() == [1]
    assert await session.parallelize([], 3).sort_by(lambda x: x).collect() == []
    spread = session.range(1000, num_slices=4).sort_by(lambda x: -x, num_partitions=4)
    assert max(await spread.glom().map(len).collect()) < 500


async def test_what_cannot_be_sorted(session: Session) -> None:
    for records in ([1, "a", None, 2], [None, None, None]):
        with pytest.raises(InvalidArgumentError, match=r"cannot be put in order.*lambda k"):
            await session.parallelize(records, 2).sort_by(lambda x: x).collect()
    with pytest.raises(TaskError, match="cannot be compared"):
        await session.parallelize([1, "a"], 2).sort_by(lambda x: x, num_partitions=1).collect()


async def test_repartition_and_sort_within_partitions(session: Session) -> None:
    pairs = session.parallelize([(n, None) for n in NUMBERS], 3)
    parts = await (
        pairs.repartition_and_sort_within_partitions(4, lambda key: key % 4, ascending=False)
        .keys()
        .glom()
        .collect()
    )
    assert parts == [sorted((n for n in NUMBERS if n % 4 == p), reverse=True) for p in range(4)]
    by_tail = pairs.repartition_and_sort_within_partitions(1, key_func=lambda key: abs(key))
    assert await by_tail.keys().map(abs).collect() == sorted(map(abs, NUMBERS))


async def test_what_is_shown(session: Session) -> None:
    rdd = session.range(4).map(lambda x: (x, 1)).reduce_by_key(max, 3).set_name("mine")
    assert repr(rdd) == f"<RDD {rdd.id}: mine>"
    assert rdd.name == "mine"
    drawn = rdd.cache().to_debug_string().splitlines()
    assert drawn[0] == f"({rdd.id}) mine [cached]"
    assert "+-" in drawn[1]
    assert "map at test_placing.py" in drawn[1]
    stages = (await rdd.explain()).splitlines()
    assert len(stages) == 2
    assert "2 tasks into 3 partitions" in stages[0]
    assert "3 tasks, after stage 0" in stages[1]
    rdd.unpersist()


async def test_a_sort_reads_its_input_once_to_find_its_ranges_and_makes_few_keys(
    session: Session,
) -> None:
    records, keys = session.accumulator(0), session.accumulator(0)

    def read(x: int) -> int:
        records.add(1)
        return x

    def key(x: int) -> int:
        keys.add(1)
        return -x

    # A partition that is much larger than the others: each of its samples stands for more.
    numbers = session.range(4_000, num_slices=1).union(session.range(100, num_slices=3)).map(read)
    ordered = numbers.sort_by(key, num_partitions=4)
    sizes = await ordered.glom().map(len).collect()
    assert sum(sizes) == 4_100
    assert max(sizes) < 2 * 4_100 / 4
    assert records.value == 2 * 4_100  # once to sample, once to sort
    assert 4_100 < keys.value < 2 * 4_100
