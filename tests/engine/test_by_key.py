"""Aggregating, grouping and joining by key."""

from __future__ import annotations

import datetime
import decimal
import operator
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import pytest

from aflint import RDD, Session

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAIRS = [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("b", 5), ("a", 6)]


@pytest.mark.parametrize("partitions", [1, 2, 7, None])
async def test_sums_by_key(session: Session, partitions: int | None) -> None:
    pairs = session.parallelize(PAIRS, 3)
    expected = {"a": 10, "b": 7, "c": 4}
    for function in (operator.add, lambda a, b: a + b):
        reduced = pairs.reduce_by_key(function, partitions)
        assert await reduced.collect_as_map() == expected
        assert await reduced.num_partitions() == (partitions or 3)
    assert await pairs.fold_by_key(0, operator.add, partitions).collect_as_map() == expected
    combined = pairs.combine_by_key(str, lambda s, v: f"{s}{v}", operator.add, partitions)
    assert {k: sorted(v) for k, v in await combined.collect()} == {
        "a": ["1", "3", "6"],
        "b": ["2", "5"],
        "c": ["4"],
    }


async def test_a_mutable_zero_is_copied_for_each_key(session: Session) -> None:
    def add(values: list[int], value: int) -> list[int]:
        values.append(value)
        return values

    zero: list[int] = []
    pairs = session.parallelize(PAIRS, 3)
    found = await pairs.aggregate_by_key(zero, add, operator.add).map_values(sorted).collect()
    assert dict(found) == {"a": [1, 3, 6], "b": [2, 5], "c": [4]}
    assert zero == []
    nested: dict[str, list[int]] = {"x": []}
    deep = pairs.aggregate_by_key(
        nested, lambda z, v: {"x": add(z["x"], v)}, lambda a, b: {"x": a["x"] + b["x"]}
    )
    assert {k: sorted(v["x"]) for k, v in await deep.collect()} == dict(found)
    folded = pairs.map_values(lambda v: [v]).fold_by_key([], operator.iadd)
    assert {k: sorted(v) for k, v in await folded.collect()} == dict(found)


async def test_groups(session: Session) -> None:
    groups = dict(await session.parallelize(PAIRS, 3).group_by_key().collect())
    assert groups == {"a": [1, 3, 6], "b": [2, 5], "c": [4]}
    assert list(groups["a"]) == [1, 3, 6]
    assert len(groups["b"]) == 2
    assert groups["a"][0] == 1
    assert groups["a"][-1] == 6
    assert groups["a"][1:] == [3, 6]
    assert 3 in groups["a"]
    by_parity = dict(await session.range(10, num_slices=3).group_by(lambda x: x % 2).collect())
    assert by_parity == {0: [0, 2, 4, 6, 8], 1: [1, 3, 5, 7, 9]}
    twice = session.parallelize(PAIRS).group_by_key().map_values(lambda g: (sum(g), sum(g)))
    assert (await twice.collect_as_map())["a"] == (10, 10)


@dataclass(frozen=True)
class Place:
    street: str
    number: int | None


@pytest.mark.parametrize("partitions", [1, 4])
async def test_keys_of_many_types(session: Session, partitions: int) -> None:
    keys: list[Any] = [
        *(None, 0, 1, -1, 2**80, -(2**80), 1.5, float("inf"), "", "é", b"", b"x", (), (None,)),
        *((1, ("a", None)), frozenset({1, None}), Place("x", None), datetime.date(2020, 1, 1)),
        *(decimal.Decimal("1.25"), complex(1, 2), range(3)),
    ]
    pairs = session.parallelize([(key, n) for n in range(3) for key in keys], 4)
    summed = await pairs.reduce_by_key(operator.add, partitions).collect()
    assert len(summed) == len(keys)
    assert all(count == 3 for _, count in summed)
    assert sorted(map(repr, keys)) == sorted(repr(key) for key, _ in summed)
    assert all(type(key) in set(map(type, keys)) for key, _ in summed)
    grouped = await pairs.group_by_key(partitions).collect()
    assert all(sorted(group) == [0, 1, 2] for _, group in grouped)


async def test_equal_keys_of_other_types_are_one(session: Session) -> None:
    pairs = session.parallelize([(1, "a"), (True, "b"), (1.0, "c"), (0, "d"), (False, "e")], 3)
    found = {k: sorted(v) for k, v in await pairs.group_by_key(3).collect()}
    assert found == {1: ["a", "b", "c"], 0: ["d", "e"]}


async def test_nan_keys_go_to_one_partition(session: Session) -> None:
    pairs = session.parallelize([(float("nan"), n) for n in range(6)], 3)
    sizes = await pairs.partition_by(4).glom().map(len).collect()
    assert sorted(sizes) == [0, 0, 0, 6]


LEFT = [("a", 1), ("a", 2), ("b", 3), (None, 4), ("l", 5)]
RIGHT = [("a", "x"), ("a", "y"), ("b", "z"), (None, "n"), ("r", "w")]


def joined(keep_left: bool, keep_right: bool) -> list[Any]:
    left, right = defaultdict(list), defaultdict(list)
    for key, value in LEFT:
        left[key].append(value)
    for key, other in RIGHT:
        right[key].append(other)
    found = []
    for key in {**left, **right}:
        a: list[Any] = left[key] or ([None] if keep_right else [])
        b: list[Any] = right[key] or ([None] if keep_left else [])
        found += [(key, (x, y)) for x in a for y in b]
    return sorted(found, key=repr)


@pytest.mark.parametrize("partitions", [None, 1, 5])
async def test_joins(session: Session, partitions: int | None) -> None:
    left, right = session.parallelize(LEFT, 2), session.parallelize(RIGHT, 3)
    for method, keep_left, keep_right in [
        (left.join, False, False),
        (left.left_outer_join, True, False),
        (left.right_outer_join, False, True),
        (left.full_outer_join, True, True),
    ]:
        rdd: Any = method(right, partitions)
        assert sorted(await rdd.collect(), key=repr) == joined(keep_left, keep_right), method
        assert await rdd.num_partitions() == (partitions or 3)


async def test_joins_with_oneself_and_with_nothing(session: Session) -> None:
    left = session.parallelize([("a", 1), ("a", 2)], 2)
    assert sorted(await left.join(left).values().collect()) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    nothing: RDD[Any] = session.parallelize([], 2)
    assert await left.join(nothing).collect() == []
    assert await nothing.full_outer_join(left).values().collect() == [(None, 1), (None, 2)]
    assert await left.left_outer_join(session.empty_rdd()).count() == 2


async def test_cogroup_of_three(session: Session) -> None:
    a = session.parallelize([(1, "a"), (2, "b"), (1, "c")], 2)
    b = session.parallelize([(2, 20), (3, 30)], 3)
    c = session.parallelize([(3, None), (3, ())], 1)
    found = {k: tuple(map(list, v)) for k, v in await a.cogroup(b, c, num_partitions=2).collect()}
    assert found == {1: (["a", "c"], [], []), 2: (["b"], [20], []), 3: ([], [30], [None, ()])}
    assert await a.group_with(b).count() == 3


async def test_subtract_by_key(session: Session) -> None:
    a: RDD[Any] = session.parallelize([(1, "a"), (2, "b"), (1, "c"), (None, 0)], 2)
    b: RDD[Any] = session.parallelize([(2, None), (9, None)], 2)
    assert sorted(await a.subtract_by_key(b).values().collect(), key=str) == [0, "a", "c"]


async def test_co_partitioned_members_are_not_shuffled_again(session: Session) -> None:
    a = session.parallelize(PAIRS, 3).reduce_by_key(operator.add, 4)
    b = session.parallelize(PAIRS, 2).group_by_key(4)
    plan = await a.join(b).explain()
    assert plan.count("shuffle") == 2
    assert len(plan.splitlines()) == 3
    found = {k: (x, list(y)) for k, (x, y) in await a.join(b).collect()}
    assert found["a"] == (10, [1, 3, 6])
    again = a.map_values(lambda v: v * 2).reduce_by_key(operator.add)
    assert (await again.explain()).count("shuffle") == 1
    assert await again.collect_as_map() == {"a": 20, "b": 14, "c": 8}
    moved = a.map(lambda pair: pair).reduce_by_key(operator.add)
    assert (await moved.explain()).count("shuffle") == 2


async def test_custom_partition_functions(session: Session) -> None:
    numbers = session.range(12, num_slices=3).map(lambda x: (x, x))
    parts = await numbers.partition_by(3, lambda key: key // 4).keys().glom().collect()
    assert [sorted(part) for part in parts] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    negative = await numbers.partition_by(3, lambda key: -key).keys().glom().collect()
    assert [sorted(part) for part in negative] == [[0, 3, 6, 9], [2, 5, 8, 11], [1, 4, 7, 10]]
    grouped = numbers.group_by_key(2, lambda key: 1)
    assert await grouped.glom().map(len).collect() == [0, 12]
    reduced = numbers.reduce_by_key(operator.add, 2, lambda key: 0).glom().map(len)
    assert await reduced.collect() == [12, 0]


async def test_lookups(session: Session) -> None:
    pairs = session.parallelize(PAIRS, 3)
    assert await pairs.lookup("a") == [1, 3, 6]
    assert await pairs.lookup("nobody") == []
    placed = pairs.partition_by(5)
    assert sorted(await placed.lookup("b")) == [2, 5]
    assert session.last_job is not None
    assert session.last_job.tasks == 3 + 1, "three map tasks, and the one partition it can be in"
    assert await pairs.reduce_by_key(operator.add, 5).lookup("a") == [10]
    custom = pairs.partition_by(4, lambda key: ord(key))
    assert sorted(await custom.lookup("a")) == [1, 3, 6]
    assert await session.parallelize([([1], "x")], 1).lookup([1]) == ["x"]


async def test_counts_by_key_and_value(session: Session) -> None:
    pairs = session.parallelize(PAIRS, 3)
    assert await pairs.count_by_key() == {"a": 3, "b": 2, "c": 1}
    assert await pairs.keys().count_by_value() == {"a": 3, "b": 2, "c": 1}
    assert await session.parallelize([1, True, 1.0, None, None], 2).count_by_value() == {
        1: 3,
        None: 2,
    }


async def test_shuffles_of_shuffles(session: Session) -> None:
    counts = session.range(1000, num_slices=4).map(lambda x: (x % 10, 1))
    for _ in range(5):
        counts = counts.reduce_by_key(operator.add).map(lambda pair: (pair[0] // 2, pair[1]))
    assert dict(await counts.reduce_by_key(operator.add).collect()) == {0: 1000}
