"""The interpreter is small enough to be checked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from aflint.testing.simulation.interpreter import answer, digest, evaluate
from aflint.testing.simulation.workloads import NUMBERS, PAIRS, Step, generate, smaller


def numbers(*values: int) -> Step:
    return Step("parallelize", NUMBERS, (values, 2))


def pairs(*values: int) -> Step:
    return Step("key_by", PAIRS, (1,), (numbers(*values),))


CASES: Sequence[tuple[str, tuple[Step, ...], list[object]]] = [
    ("add", (numbers(1, 2),), [4, 5]),
    ("distinct", (numbers(2, 2, 1),), [1, 2]),
    ("keep_odd", (numbers(1, 2, 3),), [1, 3]),
    ("repeat", (numbers(2, 1),), [0, 1, 0]),
    ("sort_numbers", (numbers(3, 1, 2),), [1, 2, 3]),
    ("zip_with_index", (numbers(9, 9),), [0, 1]),
    ("zip_numbered", (numbers(9, 8),), [9, 8]),
    ("coalesce_first", (numbers(9, 8),), [9, 8]),
    ("union", (numbers(1), numbers(2)), [1, 2]),
    ("intersection", (numbers(1, 1, 2), numbers(1, 3)), [1]),
    ("subtract", (numbers(1, 1, 2), numbers(2)), [1, 1]),
    ("cartesian", (numbers(6), numbers(7, 8)), [(1, 7)]),
    ("values", (pairs(4),), [4]),
    ("reduce_by_key", (pairs(1, 4, 5),), [(1, 5), (2, 5)]),
    ("aggregate_by_key", (pairs(1, 4),), [(1, 5002)]),
    ("group_by_key", (pairs(4, 1),), [(1, digest([1, 4]))]),
    ("join", (pairs(1, 2), pairs(4)), [(1, 7)]),
    ("left_outer_join", (pairs(1, 2), pairs(4)), [(1, 7), (2, 6)]),
    ("right_outer_join", (pairs(1), pairs(4, 2)), [(1, 7), (2, 2)]),
    ("full_outer_join", (pairs(1), pairs(2)), [(1, 3), (2, 2)]),
    ("subtract_by_key", (pairs(1, 2), pairs(4)), [(2, 2)]),
    ("flat_map_values", (pairs(5),), [(2, 5), (2, -5)]),
]


@pytest.mark.parametrize(("name", "parents", "expected"), CASES)
def test_steps(name: str, parents: tuple[Step, ...], expected: list[object]) -> None:
    found = evaluate(Step(name, NUMBERS, (3,), parents)).records
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


def test_sorted_records_know_their_order() -> None:
    found = evaluate(Step("sort_numbers", NUMBERS, (1,), (numbers(2, 1),)))
    assert found.order is not None
    assert answer("top", 1, found) == [2]
    assert answer("sum", 0, found) == 3


def test_what_is_smaller_is_smaller() -> None:
    for seed in range(30):
        workload = generate(Random(seed))
        sizes = [each.size for each in smaller(workload)]
        assert min(sizes, default=0) <= workload.size
