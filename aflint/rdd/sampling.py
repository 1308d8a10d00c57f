"""Samples: of records, and of the keys that a sort is placed by."""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Callable, Iterator
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

from aflint.driver.callsite import method_here
from aflint.errors import InvalidArgumentError
from aflint.plan.program import Return

if TYPE_CHECKING:
    from aflint.rdd.rdd import RDD

from aflint.executor.in_tasks import sample_ranks
from aflint.rdd.actions import check_number

T = TypeVar("T")
U = TypeVar("U")
Records = Iterator[Any]
SAMPLES_PER_PARTITION = 20
"""Keys sampled for each partition of a sort, as Spark does."""
_GENEROUS = 3
"""Times as many are taken, as in Spark: the partitions that they come from differ in size."""
_first = itemgetter(0)


async def take_sample(rdd: RDD[T], with_replacement: bool, num: int, seed: int | None) -> list[T]:
    """Sample more than enough, and shuffle and cut what came."""
    num = check_number(num, "take_sample")
    total = await rdd.count() if num else 0
    if not total:
        return []
    chance = random.Random(seed)
    # All of them, in an order at random, as a smaller sample has it.
    if not with_replacement and num >= total:
        everything = await rdd.collect()
        chance.shuffle(everything)
        return everything
    fraction = _generous_fraction(num, total, with_replacement)
    samples: list[T] = []
    # Once in ten thousand there are too few: drawn again, from another seed.
    while len(samples) < num:
        samples = await rdd.sample(with_replacement, fraction, chance.randrange(2**31)).collect()
    chance.shuffle(samples)
    return samples[:num]


def _generous_fraction(num: int, total: int, with_replacement: bool) -> float:
    """Return a fraction that gives at least `num` records with a probability of 99.99 %.

    The bounds are Spark's (RDD._computeFractionForSampleSize).
    """
    fraction = num / total
    if with_replacement:
        return fraction + (9 if num < 12 else 5) * math.sqrt(fraction / total)
    gamma = -math.log(0.00005) / total
    return min(1.0, fraction + gamma + math.sqrt(gamma * gamma + 2 * gamma * fraction))


def rank_of_pair(key: Callable[[Any], Any] | None, pair: Any) -> Any:
    """Return what a pair is sorted by: its key, or what a function makes of that."""
    return pair[0] if key is None else key(pair[0])


async def range_bounds(
    rdd: RDD[Any], partitions: int, rank: Callable[[Any], Any]
) -> tuple[Any, ...]:
    """Return the borders of even ranges of what records are sorted by, which `rank` makes of each.

    They are sampled in one pass, so many of each partition, and each stands for its share of it.
    """
    wanted = SAMPLES_PER_PARTITION * partitions * _GENEROUS
    each = max(math.ceil(wanted / max(await rdd.num_partitions(), 1)), SAMPLES_PER_PARTITION)
    parts = await rdd._run(Return(partial(sample_ranks, rank, each)), "sort_by_key (sampling)")
    try:
        found = sorted(
            ((rank, count / len(ranks)) for count, ranks in parts for rank in ranks), key=_first
        )
        if found:
            bisect.bisect_left(
                found, found[0][0], key=_first
            )  # one None is sorted, and has no place
    except TypeError as error:
        raise InvalidArgumentError(
            f"{method_here('sort_by_key')}: the keys cannot be put in order: {error}. Sort by keys "
            "of one type, as lambda k: (k is not None, k or 0) makes of those that may be None"
        ) from error
    if not found:
        return ()
    # How many records lie before each sampled one.
    before = [0.0, *itertools.accumulate(weight for _, weight in found)]
    places = (before[-1] * place / partitions for place in range(1, partitions))
    return tuple(found[bisect.bisect_right(before, place) - 1][0] for place in places)
