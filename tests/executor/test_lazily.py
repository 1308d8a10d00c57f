"""StopIteration out of functions that are called lazily is an error, and an end is an end."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aflint.executor.failure import describe
from aflint.executor.lazily import checked
from aflint.executor.operators import map_partition
from aflint.task import TaskId


def stop_at(last: int) -> Callable[[int], int]:
    def stop(x: int) -> int:
        if x == last:
            raise StopIteration("mine")
        return x

    return stop


LEAKS: list[Callable[[Iterator[int], Any], Iterator[Any]]] = [
    lambda records, f: map(f, records),
    lambda records, f: filter(f, records),
    lambda records, f: itertools.takewhile(lambda x: f(x) >= 0, records),
    lambda records, f: itertools.filterfalse(f, records),
    lambda records, f: itertools.starmap(f, zip(records, strict=True)),
    lambda records, f: itertools.accumulate(records, lambda a, b: f(b)),
    lambda records, f: map(str, map(f, records)),
    lambda records, f: zip(map(f, records), itertools.repeat(0), strict=False),
    lambda records, f: enumerate(map(f, records)),
    lambda records, f: itertools.islice(map(f, records), 10),
]


@pytest.mark.parametrize("make", LEAKS)
@pytest.mark.parametrize("last", [1, 3])  # in the middle, and at the last record
def test_a_function_does_not_end_a_partition(make: Any, last: int) -> None:
    records = map_partition(lambda it: make(it, stop_at(last)), 0, iter(range(4)))
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(records)


class Countdown:
    """An iterator of the user's own, whose end comes from a function that it calls."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __iter__(self) -> Countdown:
        return self

    def __next__(self) -> int:
        return self.step()

    def step(self) -> int:
        if not self.left:
            raise StopIteration
        self.left -= 1
        return self.left


ENDS: list[Callable[[Iterator[int]], Any]] = [
    lambda records: map(str, records),
    lambda records: map(str, Countdown(4)),
    lambda records: Countdown(4),
    lambda records: itertools.islice(records, 4),
    lambda records: zip(records, range(4), strict=False),
    lambda records: iter([next(records) for _ in range(4)].pop, None),
    lambda records: itertools.chain(records, ()),
    lambda records: (x for x in records),
    lambda records: map(str, (x for x in records)),
    lambda records: map(str, iter(lambda: next(records), 4)),
    lambda records: {x: x for x in records},
]


@pytest.mark.parametrize("make", ENDS)
def test_an_end_is_an_end(make: Any) -> None:
    source = iter(range(4)) if make is not ENDS[5] else iter([None, 1, 2, 3])
    assert len(list(map_partition(make, 0, source))) in (3, 4)


def test_what_cannot_leak_is_left_as_it_is() -> None:
    for records in (iter([1]), (x for x in [1]), iter(range(1)), Countdown(1)):
        assert checked(records) is records


def test_records_are_still_made_one_by_one() -> None:
    seen: list[int] = []
    records = map_partition(lambda it: map(seen.append, it), 0, iter(range(4)))
    next(records)
    assert seen == [0]


def test_the_error_shows_the_users_lines_alone() -> None:
    records = map_partition(lambda it: map(stop_at(2), it), 0, iter(range(4)))
    with pytest.raises(RuntimeError) as raised:
        list(records)
    failure = describe(raised.value, TaskId("job", 0, 1, 0))
    assert "a function raised StopIteration('mine')" in failure.message
    assert 'raise StopIteration("mine")' in failure.message
    assert "aflint/executor" not in failure.message
