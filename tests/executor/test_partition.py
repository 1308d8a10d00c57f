from __future__ import annotations

import math
from collections import defaultdict
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aflint.codec.hashing import portable_hash
from aflint.errors import InvalidArgumentError, UnportableKeyError
from aflint.executor.fusion import Flow
from aflint.executor.partition import indices, place
from aflint.plan.lineage import (
    GroupPartitioner,
    HashPartitioner,
    Partitioner,
    RangePartitioner,
    RoundRobinPartitioner,
)


def placed(partitioner: Partitioner, records: list[Any], first: int = 0) -> dict[int, list[Any]]:
    found: defaultdict[int, list[Any]] = defaultdict(list)
    place(
        partitioner,
        Flow.of(iter(records)),
        lambda partition, block: found[partition].extend(block),
        first,
    )
    return dict(found)


def test_hashing() -> None:
    keys = ["a", None, 1, (1, None), 2.5]
    assert indices(HashPartitioner(7), keys) == [portable_hash(key) % 7 for key in keys]
    found = placed(HashPartitioner(3), [(key, 0) for key in keys * 100])
    assert sum(map(len, found.values())) == 500
    assert indices(HashPartitioner(3, lambda key: -1), keys) == [2] * 5
    assert placed(HashPartitioner(1), [1, 2]) == {0: [1, 2]}


class Point(NamedTuple):
    x: int
    y: int


keys = st.one_of(
    st.integers(-3, 3),
    st.text(max_size=2),
    st.floats(),
    st.none(),
    st.booleans(),
    st.tuples(st.integers(0, 2), st.none()),
)
rows = st.one_of(
    st.tuples(keys, st.integers()),
    st.tuples(keys, st.integers(), st.integers()),
    st.tuples(keys, st.integers()).map(list),
    st.builds(Point, st.integers(), st.integers()),
)


@given(st.lists(st.tuples(keys, st.integers()) | rows, max_size=60), st.integers(1, 7))
@example([("a", n) for n in range(9)] + [["a", 9], ("a", 10), ((1, 2), 11), ("a", 12, 0)], 3)
def test_records_of_any_shape_go_by_their_keys_in_order(records: list[Any], count: int) -> None:
    expected: defaultdict[int, list[Any]] = defaultdict(list)
    for record in records:
        expected[portable_hash(record[0]) % count].append(record)
    hashed = HashPartitioner(count)
    for partitioner in (
        hashed,
        HashPartitioner(count, portable_hash),
        GroupPartitioner(count, hashed, 1, count, 1),
    ):
        found = placed(partitioner, records)
        assert {place: list(map(typed, part)) for place, part in found.items() if part} == {
            place: list(map(typed, part)) for place, part in expected.items()
        }


def typed(record: Any) -> tuple[type, str]:
    return type(record), repr(record)


@pytest.mark.parametrize("place", [0, 50])
@pytest.mark.parametrize("pair", [([1], 2), [[1], 2], ({}, 1, 2), ((1, [2]), 3)])
def test_a_key_that_cannot_be_hashed_is_named(place: int, pair: Any) -> None:
    records: list[Any] = [(n, n) for n in range(100)]
    records[place] = pair
    with pytest.raises(UnportableKeyError, match="cannot be used as a key"):
        placed(HashPartitioner(3), records)


@pytest.mark.parametrize("ascending", [True, False])
def test_ranges(ascending: bool) -> None:
    partitioner = RangePartitioner(3, (10, 20), ascending)
    expected = [0, 0, 1, 1, 2]
    if not ascending:
        expected = [2 - place for place in expected]
    assert indices(partitioner, [5, 10, 11, 20, 21]) == expected
    by_size = RangePartitioner(2, (2,), True, len)
    assert indices(by_size, ["a", "aaa"]) == [0, 1]
    assert indices(RangePartitioner(4, ()), [3]) == [0]


def test_stop_iteration_in_a_key_function_is_not_lost() -> None:
    def stop(key: int) -> int:
        raise StopIteration

    with pytest.raises(StopIteration):
        indices(RangePartitioner(2, (1,), True, stop), [1, 2])


@pytest.mark.parametrize("count", [0, 1, 7, 10_000])
@pytest.mark.parametrize("first", [0, 2])
def test_dealing_in_turn(count: int, first: int) -> None:
    found = placed(RoundRobinPartitioner(3), list(range(count)), first)
    sizes = [len(found.get(partition, [])) for partition in range(3)]
    assert max(sizes) - min(sizes) <= 1
    assert sorted(record for part in found.values() for record in part) == list(range(count))
    if count:
        assert found[first][0] == 0


orderable = st.one_of(
    st.lists(st.integers(-3, 3) | st.booleans()),
    st.lists(st.text("ab", max_size=2)),
    st.lists(st.floats(allow_nan=True)),
    st.lists(st.floats(-2, 2) | st.integers(-2, 2)),
    st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1))),
    st.lists(st.dates()),
)
shapes = st.sampled_from([tuple, list, lambda pair: (*pair, "more")])


@given(orderable, st.integers(2, 5), st.booleans(), shapes, st.data())
@example([1.0, math.nan, 3.0, 2.0] * 3, 3, True, tuple, None)
def test_ranges_hold_the_records_of_their_keys_and_equal_keys_in_order(
    keys: list[Any], count: int, ascending: bool, shape: Any, data: Any
) -> None:
    some = st.lists(st.sampled_from(keys), max_size=count - 1) if keys else st.just([])
    bounds = tuple(sorted(data.draw(some) if data else [2.0, math.nan]))
    partitioner = RangePartitioner(count, bounds, ascending)
    records = [shape((key, number)) for number, key in enumerate(keys)]
    found = placed(partitioner, list(records))
    everything = [record for part in found.values() for record in part]
    assert sorted(record[1] for record in everything) == list(range(len(keys)))
    for number, part in found.items():
        assert all(typed(record) == typed(records[record[1]]) for record in part)
        if any(key != key for key in (*keys, *bounds)):
            continue
        assert {indices(partitioner, [record[0]])[0] for record in part} == {number}
        assert sorted(part, key=itemgetter(0)) == sorted(part, key=itemgetter(0, 1))


def test_keys_with_nan_are_placed_one_by_one() -> None:
    records = [(float(n), n) for n in range(100, 0, -1)]
    records[50] = (math.nan, 50)
    found = placed(RangePartitioner(2, (50.0,)), list(records))
    assert {key for key, _ in found[1]} == {float(n) for n in range(51, 101)}


def test_a_partitioner_returns_integers() -> None:
    places: dict[str, Any] = {"a": True, "b": -1, "c": 2**70, "d": np.int64(7), "e": np.uint8(3)}
    found = indices(HashPartitioner(4, places.__getitem__), list(places))
    assert found == [1, 3, 0, 3, 3]
    assert set(map(type, found)) == {int}
    wrong: list[Any] = [2.0, np.float64(1.5), "1", None, math.nan]
    for each in wrong:
        places["k"] = each
        with pytest.raises(InvalidArgumentError, match=r"partitioner returned .* for the key 'k'"):
            indices(HashPartitioner(4, places.__getitem__), ["k"])


def test_an_error_of_a_partitioner_is_its_own() -> None:
    with pytest.raises(TypeError, match="concatenate"):
        indices(HashPartitioner(4, lambda key: key + 1), ["k"])
