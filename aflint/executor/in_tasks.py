"""What actions do in tasks: (partition, records) to the value that a task returns."""

from __future__ import annotations

import bisect
import copy
import heapq
import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial, reduce
from itertools import islice
from typing import Any, TypeVar

from aflint.errors import UnportableKeyError, shown
from aflint.executor.partition import indices
from aflint.plan.lineage import HashPartitioner
from aflint.statistics import Stats

T = TypeVar("T")
U = TypeVar("U")
Records = Iterator[Any]

_NEARLY_ONE = 1 - 1e-12
"""Of one itself there is no logarithm to draw by; a chance of 2 ** -53 makes one."""


def collect(partition: int, records: Records) -> list[Any]:
    """All records."""
    return list(records)


def take_part(num: int, partition: int, records: Records) -> list[Any]:
    """The first records."""
    return list(islice(records, num))


def call(function: Callable[[Any], U], partition: int, records: Records) -> U:
    """What a function returns for the only record."""
    return function(next(records))


def count_keys(partition: int, pairs: Records) -> dict[Any, int]:
    """How many pairs each key has."""
    return _counted(([pair[0] for pair in block] for block in _blocks(pairs)), "count_by_key")


def count_values(partition: int, records: Records) -> dict[Any, int]:
    """How often each record occurs."""
    return _counted(_blocks(records), "count_by_value")


def _blocks(records: Records) -> Iterator[list[Any]]:
    return iter(lambda: list(islice(records, 4096)), [])


def _counted(blocks: Iterator[list[Any]], method: str) -> dict[Any, int]:
    count: Counter[Any] = Counter()
    # By the block: Counter counts a list in C, and a value that cannot be hashed is found in it.
    for block in blocks:
        try:
            count.update(block)
        except TypeError as error:
            culprit = next((value for value in block if not _is_hashable(value)), None)
            raise UnportableKeyError(
                f"{method} counts in a dict, and cannot hash {shown(culprit)} (type "
                f"{type(culprit).__qualname__}): {error}. Turn it into something that can be "
                "hashed first, as a list into a tuple"
            ) from error
    return dict(count)


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def add_up(partition: int, numbers: Records) -> Any:
    """The sum."""
    return sum(numbers)


def statistics(partition: int, numbers: Records) -> Stats:
    """Count, mean, variance, extremes."""
    return Stats.of(numbers)


def reduce_part(function: Callable[[Any, Any], Any], partition: int, records: Records) -> list[Any]:
    """The records merged into one, in a list; an empty list where there are no records."""
    for first in records:  # at most once: the rest goes to `reduce`
        return [reduce(function, records, first)]
    return []


def fold_part(
    zero: Any, function: Callable[[Any, Any], Any], partition: int, records: Records
) -> Any:
    """The records folded into a copy of `zero`."""
    return reduce(function, records, copy.deepcopy(zero))


def extremes_part(
    num: int,
    key: Callable[[Any], Any] | None,
    smallest: bool,
    partition: int,
    records: Records,
) -> list[Any]:
    """The smallest or largest records, in order."""
    return (heapq.nsmallest if smallest else heapq.nlargest)(num, records, key)


def for_each(function: Callable[[Any], Any], partition: int, records: Records) -> None:
    """Call a function with each record."""
    for record in records:  # a built-in would take StopIteration in the function for the end
        function(record)


def for_partition(function: Callable[[Records], Any], partition: int, records: Records) -> None:
    """Call a function with all records."""
    function(records)


def sample_ranks(
    rank: Callable[[Any], Any], size: int, partition: int, records: Records
) -> tuple[int, list[Any]]:
    """How many records there are, and what `size` of them, taken at random, are sorted by.

    Most records are only counted: how many to leave out until the next one is taken is drawn at
    once, as in Li's algorithm L. `rank` is called for those taken alone.
    """
    count = itertools.count()
    numbered = zip(records, count, strict=False)  # asks `count` only after a record
    kept = [record for record, _ in islice(numbered, size)]
    chance = random.Random(partition)
    weight = 1.0
    while len(kept) == size:
        weight *= math.exp(math.log(1 - chance.random()) / size)
        left_out = int(math.log(1 - chance.random()) / math.log1p(-min(weight, _NEARLY_ONE)))
        taken = next(islice(numbered, left_out, None), None)
        if taken is None:
            break
        kept[chance.randrange(size)] = taken[0]
    return next(count), [rank(record) for record in kept]


def bucket_counts(borders: list[Any], even: bool, partition: int, numbers: Records) -> list[int]:
    """How many numbers fall between each two borders."""
    counts = [0] * (len(borders) - 1)
    low, high, last = borders[0], borders[-1], len(counts) - 1
    width = (high - low) / len(counts) if even and last else 0
    for number in numbers:
        if number is None or number != number or number < low or number > high:  # != itself: NaN
            continue
        # Buckets of equal width need no search.
        place = int((number - low) / width) if width else bisect.bisect_right(borders, number) - 1
        counts[min(place, last)] += 1
    return counts


def place_of(key: Any, partitioner: HashPartitioner, partition: int, records: Records) -> list[int]:
    """The partition that a key belongs to."""
    return indices(partitioner, [key])


def values_of(key: Any, partition: int, pairs: Records) -> list[Any]:
    """The values of one key."""
    return [value for pair in pairs for known, value in (pair,) if known == key]


def larger(key: Callable[[Any], Any] | None, a: Any, b: Any) -> Any:
    """Return the larger of two."""
    return max(a, b, key=key)


def smaller(key: Callable[[Any], Any] | None, a: Any, b: Any) -> Any:
    """Return the smaller of two."""
    return min(a, b, key=key)


def begin_from(zero: U, function: Callable[[U, Any], U]) -> Callable[[Any], U]:
    """Return the `create` of an aggregator that folds the first value into a copy of `zero`."""
    return partial(_begin, zero, function)


def _begin(zero: Any, function: Callable[[Any, Any], Any], value: Any) -> Any:
    return function(copy.deepcopy(zero), value)


def fold_to_one(zero: Any, seq_op: Callable[[Any, Any], Any], records: Records) -> list[Any]:
    """The records folded into a copy of `zero`, as the one record of a partition."""
    return [fold_part(zero, seq_op, 0, records)]


def key_by_partition(count: int, partition: int, records: Records) -> Iterator[tuple[int, Any]]:
    """Each record behind its partition's number, folded into `count`."""
    return ((partition % count, record) for record in records)


def extent(partition: int, numbers: Records) -> list[tuple[Any, Any]]:
    """The smallest and the largest number as one pair in a list, which is empty without numbers."""
    seen = [number for number in numbers if number is not None and number == number]
    return [(min(seen), max(seen))] if seen else []
