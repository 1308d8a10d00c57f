"""Actions."""

from __future__ import annotations

import math
import operator
import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aflint import InvalidArgumentError, Session, TaskError, UnportableKeyError

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_take_reads_no_more_partitions_than_it_needs(session: Session) -> None:
    seen = session.accumulator(0)

    def look(index: int, records: Iterator[int]) -> Iterator[int]:
        seen.add(1)
        return records

    numbers = session.range(100, num_slices=20).map_partitions_with_index(look)
    assert await numbers.take(3) == [0, 1, 2]
    assert seen.value == 1
    assert await numbers.take(12) == list(range(12))
    assert seen.value == 1 + 5
    assert await numbers.take(1000) == list(range(100))
    assert await numbers.take(0) == []
    few = session.range(100, num_slices=20).filter(lambda x: x in (50, 99))
    assert await few.take(1) == [50]
    assert await few.take(5) == [50, 99]
    for wrong in (-1, 1.5, "3", True):
        with pytest.raises(InvalidArgumentError, match="take needs a whole number"):
            await numbers.take(wrong)  # type: ignore[arg-type]


async def test_first_and_is_empty(session: Session) -> None:
    assert await session.parallelize([None, 1], 2).first() is None
    with pytest.raises(ValueError, match="empty"):
        await session.parallelize([], 3).first()
    assert await session.parallelize([], 3).is_empty()
    assert not await session.parallelize([None], 3).is_empty()


async def test_extremes(session: Session) -> None:
    numbers = session.parallelize([3, 1, 4, 1, 5, 9, 2, 6], 3)
    assert await numbers.top(3) == [9, 6, 5]
    assert await numbers.take_ordered(3) == [1, 1, 2]
    assert await numbers.top(100) == [9, 6, 5, 4, 3, 2, 1, 1]
    assert await numbers.top(0) == []
    assert await numbers.top(2, key=lambda x: -x) == [1, 1]
    assert await numbers.take_ordered(2, key=lambda x: -x) == [9, 6]
    assert await numbers.max() == 9
    assert await numbers.min() == 1
    assert await numbers.max(key=lambda x: -x) == 1
    assert await numbers.min(key=lambda x: (x % 2, -x)) == 6
    assert await session.parallelize(["b", "a"], 2).max(key=ord) == "b"
    for action in (session.empty_rdd().max(), session.parallelize([], 2).min()):
        with pytest.raises(ValueError, match="empty"):
            await action
    with pytest.raises(TaskError, match="cannot be compared"):
        await session.parallelize([1, None], 1).max()


async def test_folding(session: Session) -> None:
    numbers = session.range(1, 11, num_slices=3)
    assert await numbers.reduce(operator.add) == 55
    assert await numbers.fold(0, operator.add) == 55
    assert await numbers.fold(1, operator.add) == 55 + 3 + 1, "once for each partition, and once"
    total = await numbers.aggregate(
        (0, 0), lambda a, x: (a[0] + x, a[1] + 1), lambda a, b: (a[0] + b[0], a[1] + b[1])
    )
    assert total == (55, 10)
    zero: list[int] = []
    gathered = await numbers.aggregate(zero, lambda a, x: [*a, x], operator.iadd)
    assert gathered == list(range(1, 11))
    assert zero == []
    assert await session.empty_rdd().fold(7, operator.add) == 7
    assert await session.parallelize([5], 4).reduce(operator.add) == 5
    with pytest.raises(ValueError, match="empty"):
        await session.parallelize([], 3).reduce(operator.add)


@pytest.mark.parametrize("depth", [1, 2, 3, 8])
@pytest.mark.parametrize("slices", [1, 7, 30])
async def test_folding_in_a_tree(session: Session, depth: int, slices: int) -> None:
    numbers = session.range(100, num_slices=slices)
    assert await numbers.tree_reduce(operator.add, depth) == 4950
    assert await numbers.tree_aggregate(0, operator.add, operator.add, depth) == 4950


async def test_trees_of_nothing(session: Session) -> None:
    assert await session.empty_rdd().tree_aggregate(3, operator.add, operator.add) == 3
    assert await session.parallelize([4], 20).tree_reduce(operator.add) == 4
    with pytest.raises(ValueError, match="empty"):
        await session.parallelize([], 9).tree_reduce(operator.add)
    with pytest.raises(InvalidArgumentError, match="depth"):
        await session.range(3).tree_reduce(operator.add, 0)


async def test_statistics(session: Session) -> None:
    values = [1.5, -2, 3, 8, 8]
    numbers = session.parallelize(values, 3)
    stats = await numbers.stats()
    assert stats.count == 5
    assert math.isclose(stats.mean, statistics.fmean(values))
    assert math.isclose(stats.sum, sum(values))
    assert math.isclose(await numbers.variance(), statistics.pvariance(values))
    assert math.isclose(await numbers.stdev(), statistics.pstdev(values))
    assert math.isclose(await numbers.sample_variance(), statistics.variance(values))
    assert math.isclose(await numbers.sample_stdev(), statistics.stdev(values))
    assert (stats.min, stats.max) == (-2, 8)
    assert await numbers.sum() == sum(values)
    assert await session.empty_rdd().sum() == 0
    assert await session.range(2**62, 2**62 + 4).sum() == 4 * 2**62 + 6, "integers stay exact"
    with pytest.raises(TaskError, match="unsupported operand"):
        await session.parallelize(["a"]).sum()


async def test_counts(session: Session) -> None:
    assert await session.range(10**6, num_slices=3).count() == 10**6
    assert await session.range(10).filter(lambda x: x > 6).count() == 3
    assert await session.range(10).union(session.range(5)).coalesce(2).count() == 15
    with pytest.raises(UnportableKeyError, match=r"count_by_value .* \[1\] \(type list\)"):
        await session.parallelize([(0,), [1]]).count_by_value()
    with pytest.raises(UnportableKeyError, match="count_by_key"):
        await session.parallelize([([1], 2)]).count_by_key()
    with pytest.raises(UnportableKeyError, match="collect_as_map"):
        await session.parallelize([([1], 2)]).collect_as_map()
    last_counts = session.parallelize([("a", 1), ("a", 2)], 2)
    assert await last_counts.collect_as_map() == {"a": 2}


async def test_histograms_of_even_buckets(session: Session) -> None:
    numbers = session.parallelize([1, 2, 3, 4, 5, 9], 3)
    assert await numbers.histogram(4) == ([1, 3, 5, 7, 9], [2, 2, 1, 1])
    assert await numbers.histogram(2) == ([1, 5, 9], [4, 2])
    assert await numbers.histogram(1) == ([1, 9], [6])
    borders, counts = await numbers.histogram(3)
    assert borders == pytest.approx([1, 11 / 3, 19 / 3, 9])
    assert counts == [3, 2, 1]
    assert await session.parallelize([2, 2, 2]).histogram(5) == ([2, 2], [3])
    odd = session.parallelize([None, 1.0, float("nan"), 3.0], 2)
    assert await odd.histogram(1) == ([1.0, 3.0], [2])
    assert await odd.histogram(2) == ([1.0, 2.0, 3.0], [1, 1])
    assert await session.range(51).histogram(2) == ([0, 25, 50], [25, 26])
    assert await session.parallelize(["a", "z"]).histogram(1) == (["a", "z"], [2])


async def test_histograms_between_borders(session: Session) -> None:
    numbers = session.parallelize([1, 2, 3, 50, 99, 100, -5, None, float("nan")], 3)
    assert await numbers.histogram([1, 50, 100]) == ([1, 50, 100], [3, 3])
    assert await numbers.histogram((2, 3)) == ([2, 3], [2])
    words = session.parallelize(["ab", "ac", "b", "bd", "ef"], 2)
    assert await words.histogram(("a", "b", "c")) == (["a", "b", "c"], [2, 2])
    assert await session.empty_rdd().histogram([0, 1]) == ([0, 1], [0])


@pytest.mark.parametrize("buckets", [0, -1, [1], [], [2, 1], [1, 1], [1, None], [1, math.nan], 2.5])
async def test_histograms_of_no_sense(session: Session, buckets: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="histogram"):
        await session.range(5).histogram(buckets)
    with pytest.raises(ValueError, match="empty"):
        await session.parallelize([None], 2).histogram(2)


async def test_foreach_runs_in_tasks(session: Session, tmp_path: Path) -> None:
    def touch(x: int) -> None:
        (tmp_path / str(x)).touch()

    def write(records: Iterator[int]) -> None:
        (tmp_path / f"all-{sum(records)}").touch()

    assert await session.range(3).foreach(touch) is None  # type: ignore[func-returns-value]
    await session.range(4, num_slices=2).foreach_partition(write)
    names = sorted(os.listdir(tmp_path))
    assert names == ["0", "1", "2", "all-1", "all-5"]


async def test_records_stream_as_partitions_finish(session: Session) -> None:
    numbers = session.range(20, num_slices=4)
    assert sorted([x async for x in numbers]) == list(range(20))
    assert [x async for x in numbers.to_local_iterator()] == list(range(20))
    async for x in numbers.to_local_iterator():
        assert x == 0
        break
    async for _ in numbers:
        break
    assert await numbers.count() == 20
    with pytest.raises(TaskError, match="ZeroDivisionError"):
        async for _ in numbers.map(lambda x: 1 // (x - 7)):
            pass
