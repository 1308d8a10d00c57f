from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.errors import UnportableKeyError
from aflint.executor.aggregate import combine_into, identity, keep
from aflint.executor.fusion import Ending, Flow, fuse, fuse_into
from aflint.executor.group import Group
from aflint.executor.pacing import MANY
from aflint.executor.pipeline import transform
from aflint.plan.lineage import PerPartition, PerRecord, RecordStep


def step(kind: RecordStep, function: Any = None) -> PerRecord:
    return PerRecord(kind, function)


Done = Callable[[list[PerRecord], Any], list[Any]]


def one_by_one(steps: list[PerRecord], records: Any) -> list[Any]:
    return list(fuse(steps)(iter(records)))


def into_a_list(steps: list[PerRecord], records: Any) -> list[Any]:
    found: list[Any] = []
    flow = Flow.of(iter(records)).then(steps)
    for block in flow.blocks:
        fuse_into(flow.steps, Ending.ADDED)(block, found, lambda: None)
    return found


@pytest.fixture(params=[one_by_one, into_a_list])
def done(request: pytest.FixtureRequest) -> Done:
    run: Done = request.param
    return run


def test_each_step_means_what_it_says(done: Done) -> None:
    pairs = [("a", 1), ("b", 2)]
    for kind, function, expected in [
        (RecordStep.MAP, len, [2, 2]),
        (RecordStep.FILTER, lambda pair: pair[1] > 1, [("b", 2)]),
        (RecordStep.FLAT_MAP, lambda pair: pair, ["a", 1, "b", 2]),
        (RecordStep.MAP_VALUES, str, [("a", "1"), ("b", "2")]),
        (RecordStep.FLAT_MAP_VALUES, range, [("a", 0), ("b", 0), ("b", 1)]),
        (RecordStep.KEY_BY, lambda pair: pair[1], [(1, ("a", 1)), (2, ("b", 2))]),
        (RecordStep.KEYS, None, ["a", "b"]),
        (RecordStep.VALUES, None, [1, 2]),
        (RecordStep.WITH_NONE, None, [(("a", 1), None), (("b", 2), None)]),
    ]:
        assert done([step(kind, function)], pairs) == expected, kind


def test_joins_pair_the_values_of_a_key(done: Done) -> None:
    cases: list[tuple[RecordStep, Any, list[Any], list[Any]]] = [
        (RecordStep.JOIN, [(1, "x"), (1, "y"), (2, "x"), (2, "y")], [], []),
        (RecordStep.LEFT_OUTER_JOIN, ..., [(1, None), (2, None)], []),
        (RecordStep.RIGHT_OUTER_JOIN, ..., [], [(None, "x"), (None, "y")]),
        (RecordStep.FULL_OUTER_JOIN, ..., [(1, None), (2, None)], [(None, "x"), (None, "y")]),
        (RecordStep.SUBTRACT_BY_KEY, [], [1, 2], []),
    ]
    for kind, both, left, right in cases:
        all_pairs = [(a, b) for a in (1, 2) for b in "xy"]
        for groups, expected in [
            (([1, 2], ["x", "y"]), all_pairs if both is ... else both),
            ((Group([1, 2]), []), left),
            (([], Group(["x", "y"])), right),
            (([], []), [(None, None)] if kind is RecordStep.FULL_OUTER_JOIN else []),
        ]:
            found = done([step(kind)], [("k", groups)])
            assert found == [("k", value) for value in expected], kind


def test_a_join_goes_on_with_its_own_key_whatever_later_steps_make_of_it() -> None:
    steps = [
        step(RecordStep.JOIN),
        step(RecordStep.FLAT_MAP_VALUES, lambda pair: pair),
        step(RecordStep.MAP, lambda pair: (pair[1], (([pair[0]], [pair[1]])))),
        step(RecordStep.FILTER, lambda pair: pair[0] != "y"),
        step(RecordStep.JOIN),
        step(RecordStep.MAP_VALUES, str),
        step(RecordStep.FLAT_MAP, lambda pair: map(str, pair)),
    ]
    records: list[tuple[str, tuple[list[Any], list[Any]]]] = [
        ("k", ([1, 2], ["x", "y"])),
        ("l", ([3], [4])),
    ]
    expected = []
    for key, (left, right) in records:
        for value in [part for a in left for b in right for part in (a, b)]:
            if value != "y":
                expected += [str(value), str((key, value))]
    assert list(fuse(steps)(iter(records))) == expected
    assert list(fuse(steps)(iter(records * 20))) == expected * 20


def test_steps_run_record_by_record() -> None:
    seen: list[str] = []

    def note(name: str) -> Any:
        def function(x: int) -> int:
            seen.append(f"{name}{x}")
            return x

        return function

    fused = fuse([step(RecordStep.MAP, note("a")), step(RecordStep.MAP, note("b"))])
    records = fused(iter([1, 2]))
    assert next(records) == 1
    assert seen == ["a1", "b1"]


@pytest.mark.parametrize("count", [12, 13, 25, 60, 250])
def test_any_number_of_steps(count: int) -> None:
    steps = [step(RecordStep.FLAT_MAP, lambda x: [x + 1]) for _ in range(count)]
    assert list(fuse(steps)(iter([0, 1]))) == [count, count + 1]
    mixed = [step(RecordStep.MAP, lambda x: x + 1) for _ in range(count)]
    assert list(fuse(steps + mixed)(iter([0]))) == [2 * count]
    assert into_a_list(steps + mixed, [0]) == [2 * count]


def test_stop_iteration_is_not_the_end(done: Done) -> None:
    def stop(x: int) -> int:
        raise StopIteration

    for kind in (RecordStep.MAP, RecordStep.FILTER, RecordStep.FLAT_MAP, RecordStep.KEY_BY):
        with pytest.raises(RuntimeError, match="StopIteration"):
            done([step(kind, stop)], [1])


def stop_at(last: int) -> Callable[[int], int]:
    def stop(x: int) -> int:
        if x == last:
            raise StopIteration("mine")
        return x

    return stop


class Lazy:
    """A collection of the user's own, whose iterator calls a function."""

    def __init__(self, function: Callable[[int], int]) -> None:
        self.function = function

    def __iter__(self) -> Iterator[int]:
        return map(self.function, range(4))


LAZY: list[Callable[[Callable[[int], int]], Any]] = [
    lambda f: map(f, range(4)),
    lambda f: filter(lambda x: f(x) >= 0, range(4)),
    lambda f: itertools.starmap(f, zip(range(4), strict=True)),
    lambda f: enumerate(map(f, range(4))),
    lambda f: (f(x) for x in range(4)),
    Lazy,
]


@pytest.mark.parametrize("kind", [RecordStep.FLAT_MAP, RecordStep.FLAT_MAP_VALUES])
@pytest.mark.parametrize("make", LAZY)
@pytest.mark.parametrize(
    ("last", "before"),
    [
        (1, 0),
        (3, 0),
        (1, 1),
        (3, 1),
        (1, 100),
        (2, 100),
    ],  # the very last one only where each is looked at
)
def test_what_is_given_lazily_does_not_end_where_a_function_raises_stop_iteration(
    kind: RecordStep, make: Any, last: int, before: int, done: Done
) -> None:
    """Also where the first records, which are looked at, go well."""
    given = iter([*[stop_at(-1)] * before, stop_at(last)])
    steps = [step(kind, lambda x: make(next(given)))]
    with pytest.raises(RuntimeError, match="StopIteration"):
        done(steps, [("k", "v")] * (before + 1))


@pytest.mark.parametrize("make", LAZY)
def test_what_is_given_lazily_is_taken_to_its_end(make: Any, done: Done) -> None:
    expected = [tuple(make(stop_at(-1)))] * 100
    found = [step(RecordStep.FLAT_MAP, lambda x: [(tuple(make(stop_at(-1))))])]
    assert done(found, range(100)) == expected
    flat = [step(RecordStep.FLAT_MAP, lambda x: make(stop_at(-1)))]
    assert done(flat, range(100)) == list(itertools.chain(*expected))


@given(
    st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=40),
    st.lists(st.sampled_from([list, iter, tuple, set, lambda x: map(int, x)]), min_size=40),
)
def test_the_first_records_are_flattened_as_all_others(rows: Any, kinds: Any) -> None:
    makes = iter(kinds)
    steps = [
        step(RecordStep.FILTER, lambda row: len(row) != 1),
        step(RecordStep.FLAT_MAP, lambda row: next(makes)(row)),
        step(RecordStep.FLAT_MAP, lambda x: [x] * x),
    ]
    whole = zip((row for row in rows if len(row) != 1), kinds, strict=False)
    expected = [x for row, make in whole for x in make(row) for _ in range(x)]
    assert list(fuse(steps)(iter(rows))) == expected


def test_steps_on_partitions_lie_between_loops() -> None:
    def total(partition: int, records: Iterator[int]) -> Iterator[int]:
        yield sum(records) * partition

    add = step(RecordStep.MAP, lambda x: x + 1)
    found = transform(iter([1, 2]), [add, PerPartition(total), add, add], 3)
    assert list(found) == [5 * 3 + 2]


def add(a: Any, b: Any) -> Any:
    return a + b


@pytest.mark.parametrize(
    ("create", "merge", "expected"),
    [
        (identity, operator.add, {1: 6, "a": 5}),
        (identity, add, {1: 6, "a": 5}),
        (identity, min, {1: 1, "a": 5}),
        (identity, max, {1: 3, "a": 5}),
        (identity, keep, {1: 1, "a": 5}),
        (lambda v: [v], lambda c, v: [*c, v], {1: [1, 2, 3], "a": [5]}),
    ],
)
def test_a_loop_ends_in_a_table(create: Any, merge: Any, expected: Any) -> None:
    table: dict[Any, Any] = {}
    combine_into(table, [(1, 1), ("a", 5), (True, 2), (1.0, 3)], create, merge)
    assert table == expected
    assert list(map(repr, table)) == ["1", "'a'"], "of equal keys the first stays"


@pytest.mark.parametrize("make", [list, iter, tuple, lambda numbers: map(abs, numbers)])
def test_a_record_that_becomes_very_many_leaves_time_to_look_at_memory(make: Any) -> None:
    steps = [step(RecordStep.FLAT_MAP, lambda n: make(range(n))), step(RecordStep.WITH_NONE)]
    held: list[int] = []
    table: dict[int, None] = {}

    def empty() -> None:
        held.append(len(table))
        table.clear()

    fuse_into(steps, Ending.FIRST)([3 * MANY + 5], table, empty)
    assert [*held, len(table)] == [MANY, MANY, MANY, 5]


@pytest.mark.parametrize(("left", "right"), [(1, 3 * MANY), (3 * MANY, 1), (300, 300)])
def test_a_key_of_a_join_that_has_very_many_does_so_too(left: int, right: int) -> None:
    rows: list[Any] = []
    sizes: list[int] = []
    join = fuse_into([step(RecordStep.JOIN)], Ending.ADDED)
    groups = ("k", (range(left), Group(list(range(right)))))
    join([groups], rows, lambda: sizes.append(len(rows)))
    assert rows == [("k", (a, b)) for a in range(left) for b in range(right)]
    gaps = [later - earlier for earlier, later in itertools.pairwise([0, *sizes, len(rows)])]
    assert max(gaps) <= MANY
    assert len(gaps) <= 2 + left * right // (MANY // 2), "no more looks than are needed"


def test_only_a_key_that_cannot_be_hashed_is_said_to_be_one() -> None:
    def into(function: Any, records: list[Any]) -> None:
        fuse_into([step(RecordStep.MAP, function)], Ending.SUMMED)(records, {}, lambda: None)

    with pytest.raises(UnportableKeyError, match=r"\[1\] \(type list\) cannot be used as a key"):
        into(lambda x: (x, 1), [[1]])
    for function in (hash, lambda x: {x: 1}):
        with pytest.raises(TypeError, match="unhashable") as caught:
            into(function, [[1]])
        assert not isinstance(caught.value, UnportableKeyError)
