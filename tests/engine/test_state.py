"""Functions that keep a state: each branch of a task, and each merged partition, has its own.

The answers are those of PySpark 4.3.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from aflint import ClosureError, Session

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Counting:
    """Gives how often it was called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *_: Any) -> int:
        self.calls += 1
        return self.calls


def first_only() -> Callable[[Any], bool]:
    """Return a filter that lets its first record through."""
    seen: list[Any] = []

    def is_first(record: Any) -> bool:
        seen.append(record)
        return len(seen) == 1

    return is_first


async def test_each_merged_partition_begins_anew(session: Session) -> None:
    numbers = session.range(8, num_slices=4)
    assert await numbers.map(Counting()).coalesce(1).collect() == [1, 2, 1, 2, 1, 2, 1, 2]
    assert await numbers.filter(first_only()).coalesce(1).collect() == [0, 2, 4, 6]
    assert await numbers.filter(first_only()).coalesce(3).count() == 4


async def test_a_function_over_merged_partitions_is_one(session: Session) -> None:
    numbers = session.range(8, num_slices=4)
    assert await numbers.coalesce(1).map(Counting()).collect() == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_a_function_used_twice_in_one_pipeline_is_one(session: Session) -> None:
    count = Counting()
    assert await session.range(3, num_slices=1).map(count).map(count).collect() == [2, 4, 6]


async def test_a_function_above_and_below_a_merge_is_two(session: Session) -> None:
    count = Counting()
    numbers = session.range(4, num_slices=2).map(count).coalesce(1).map(count)
    assert await numbers.collect() == [1, 2, 3, 4]


async def test_the_sides_of_zip_and_product_have_their_own(session: Session) -> None:
    counted = session.range(4, num_slices=2).map(Counting())
    assert await counted.zip(counted).collect() == [(1, 1), (2, 2)] * 2
    assert (
        await counted.cartesian(counted).collect() == [(a, b) for a in (1, 2) for b in (1, 2)] * 4
    )


async def test_what_a_union_puts_together_has_its_own(session: Session) -> None:
    counted = session.range(2, num_slices=1).map(Counting())
    assert await counted.union(counted).coalesce(1).collect() == [1, 2, 1, 2]


async def test_the_members_of_a_cogroup_have_their_own(session: Session) -> None:
    counted = session.range(3).key_by(lambda x: 0).partition_by(1).map_values(Counting())
    [(_, groups)] = await counted.cogroup(counted).collect()
    assert [sorted(group) for group in groups] == [[1, 2, 3], [1, 2, 3]]
    assert await counted.join(counted).count() == 9


async def test_an_aggregation_in_two_branches_has_its_own(session: Session) -> None:
    pairs = session.range(6, num_slices=3).key_by(lambda x: x % 2)
    summed = pairs.combine_by_key(lambda v: [v], Counting(), Counting(), 1).values()
    first, second = zip(*await summed.zip(summed).collect(), strict=True)
    assert first == second


async def test_what_is_below_a_cache_is_another_pipeline(session: Session) -> None:
    count = Counting()
    kept = session.range(3, num_slices=1).map(count).cache()
    assert await kept.map(count).collect() == [1, 2, 3]
    assert await kept.map(count).collect() == [1, 2, 3]


async def test_accumulators_of_all_branches_add_up(session: Session) -> None:
    seen = session.accumulator(0)

    def look(x: int) -> int:
        seen.add(1)
        return x

    looked = session.range(4, num_slices=2).map(look)
    assert await looked.zip(looked).coalesce(1).count() == 4
    assert seen.value == 8


async def test_a_function_that_cannot_travel_is_named_in_a_branch(session: Session) -> None:
    numbers, lock = session.range(3), threading.Lock()
    with pytest.raises(ClosureError, match=r"closure variable 'lock' of a lambda.*test_state"):
        await numbers.zip(numbers.map(lambda x: lock)).collect()
