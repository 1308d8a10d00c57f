"""Counting records by bucket."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from aflint.errors import InvalidArgumentError
from aflint.plan.program import Return

if TYPE_CHECKING:
    from aflint.rdd.rdd import RDD

from aflint.executor.in_tasks import bucket_counts, extent

T = TypeVar("T")
U = TypeVar("U")
Records = Iterator[Any]


async def histogram(rdd: RDD[Any], buckets: int | Sequence[Any]) -> tuple[list[Any], list[int]]:
    """Count records by bucket."""
    if isinstance(buckets, int) and not isinstance(buckets, bool):
        borders, even = await _even_borders(rdd, buckets), True
    else:
        borders, even = _given_borders(buckets), False
    parts = await rdd._run(Return(partial(bucket_counts, borders, even)), "histogram")
    # Without a partition there is nothing to zip, and every bucket is empty.
    return borders, [sum(counts) for counts in zip(*parts, strict=True)] or [0] * (len(borders) - 1)


async def _even_borders(rdd: RDD[Any], buckets: int) -> list[Any]:
    if buckets < 1:
        raise InvalidArgumentError(f"histogram needs at least 1 bucket, not {buckets}")
    parts = await rdd._run(Return(extent), "histogram")
    extents = [extent for part in parts for extent in part]
    if not extents:
        raise InvalidArgumentError("the RDD is empty: there are no numbers to count by bucket")
    low, high = min(e[0] for e in extents), max(e[1] for e in extents)
    # One bucket, as in Spark, whatever number was asked for: between equal borders is no room.
    if low == high or buckets == 1:
        return [low, high]
    if not all(isinstance(border, int | float) for border in (low, high)):
        raise InvalidArgumentError(
            "histogram makes even buckets only of numbers; give a list of borders for other records"
        )
    if math.isinf(low) or math.isinf(high):
        raise InvalidArgumentError("histogram cannot make even buckets up to infinity")
    # Whole borders stay integers where they divide evenly, as in Spark.
    step = (high - low) / buckets
    if all(isinstance(border, int) for border in (low, high)) and (high - low) % buckets == 0:
        step = (high - low) // buckets
    # The last one as it is: a sum of steps may miss it by a rounding.
    return [*(low + place * step for place in range(buckets)), high]


def _given_borders(borders: Any) -> list[Any]:
    if not isinstance(borders, list | tuple) or len(borders) < 2:
        raise InvalidArgumentError(
            "histogram needs a number of buckets, or a list of at least two borders"
        )
    if any(border is None or border != border for border in borders):
        raise InvalidArgumentError("histogram: None and nan cannot be borders")
    if list(borders) != sorted(borders) or len(set(borders)) != len(borders):
        raise InvalidArgumentError(
            "histogram: borders must be in ascending order, without duplicates"
        )
    return list(borders)
