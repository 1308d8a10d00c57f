"""Narrow transformations that need the whole partition, or to count its records.

Each is bound to its arguments with functools.partial and is then called with (partition, records).
What works on one record at a time is in `fusion`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count, repeat
from typing import Any

from aflint.executor.lazily import checked

Records = Iterator[Any]


def map_partition(
    function: Callable[[Records], Iterable[Any]], partition: int, records: Records
) -> Records:
    """Apply a function to the iterator of all records."""
    return _iterator(function(records), function)


def map_partition_with_index(
    function: Callable[[int, Records], Iterable[Any]], partition: int, records: Records
) -> Records:
    """Apply a function to the partition's number and the iterator of all records."""
    return _iterator(function(partition, records), function)


def _iterator(result: Any, function: Callable[..., Any]) -> Records:
    try:
        return checked(iter(result))
    except TypeError:
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(
            f"{name} returned {type(result).__name__}; a function over partitions must return an "
            "iterable of records (or be a generator function)"
        ) from None


@dataclass(frozen=True)
class Unfit:
    """Stands for something given in place of a function, or for a function of other arguments.

    That is found where it is called, in a task, which knows nothing of the program's line: `where`
    says it.
    """

    given: Any
    where: str

    def __call__(self, *arguments: Any) -> Any:
        try:
            return self.given(*arguments)
        except TypeError as error:
            step = error.__traceback__
            if step is not None and step.tb_next is not None:  # it was called, and raised itself
                raise
            raise TypeError(f"{error}: {self.where}") from None


def glom(partition: int, records: Records) -> Records:
    """Give all records as one list."""
    return iter((list(records),))


def number_consecutively(starts: tuple[int, ...], partition: int, records: Records) -> Records:
    """Pair each record with its place among all records."""
    return zip(records, count(starts[partition]))


def number_uniquely(partitions: int, partition: int, records: Records) -> Records:
    """Pair each record with a number that no other record has: p, p + n, p + 2n, ..."""
    return zip(records, count(partition, partitions))


def sample(fraction: float, seed: int, partition: int, records: Records) -> Records:
    """Keep each record with a probability."""
    # Each partition has its own generator, so that another attempt draws the same records.
    chance = random.Random(seed * 1_000_003 + partition).random
    return (record for record in records if chance() < fraction)


def sample_with_replacement(
    fraction: float, seed: int, partition: int, records: Records
) -> Records:
    """Give each record as often as a Poisson variable says whose mean is the fraction."""
    chance = random.Random(seed * 1_000_003 + partition).random
    return chain.from_iterable(repeat(record, _poisson(fraction, chance)) for record in records)


def _poisson(mean: float, chance: Callable[[], float]) -> int:
    """Draw from a Poisson distribution: Knuth's method, in steps that do not underflow."""
    drawn = 0
    while mean > 0:
        # exp(-745) is 0. A sum of Poisson variables is one, so large means are drawn in parts.
        step = min(mean, 500.0)
        mean -= step
        limit, product = math.exp(-step), chance()
        while product > limit:
            drawn += 1
            product *= chance()
    return drawn
