"""What actions make, in the driver, of the values that tasks return."""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, TypeVar

from aflint.driver.callsite import method_here, named_here
from aflint.errors import InvalidArgumentError, UnportableKeyError, shown
from aflint.plan.lineage import HashPartitioner, Source
from aflint.plan.program import Return
from aflint.task import RangeSplit

if TYPE_CHECKING:
    from aflint.driver.jobs import JobRunner
    from aflint.rdd.rdd import RDD

from aflint.executor.in_tasks import (
    extremes_part,
    fold_part,
    fold_to_one,
    key_by_partition,
    place_of,
    reduce_part,
    take_part,
    values_of,
)

T = TypeVar("T")
U = TypeVar("U")
Records = Iterator[Any]


def add_counts(parts: Iterable[dict[Any, int]]) -> dict[Any, int]:
    """Add up counts by key."""
    total: dict[Any, int] = {}
    for part in parts:
        for key, count in part.items():
            total[key] = total.get(key, 0) + count
    return total


def as_map(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Make a dict of pairs."""
    try:
        return dict(pairs)
    except (TypeError, ValueError) as error:
        culprit = next((shown(record) for record in pairs if not _fits_dict(record)), "a record")
        if "unhashable" in str(error):
            raise UnportableKeyError(
                f"collect_as_map makes a dict, and the key of {culprit} cannot be hashed: {error}"
            ) from error
        raise InvalidArgumentError(
            f"collect_as_map needs (key, value) pairs, and {culprit} is not one: {error}"
        ) from error


def _fits_dict(record: Any) -> bool:
    try:
        dict([record])
    except (TypeError, ValueError):
        return False
    return True


def whole_number(value: object) -> int | None:
    """Return an integer, numpy's as Python's own; None for anything else."""
    # True is an int to Python, and a mistake here.
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def check_number(num: object, method: str) -> int:
    """Return a whole number that is not negative. Raises InvalidArgumentError for anything else."""
    number = whole_number(num)
    if number is None or number < 0:
        raise InvalidArgumentError(
            f"{method_here(method)} needs a whole number of at least 0, not {num!r}"
        )
    return number


def check_fraction(with_replacement: bool, fraction: float) -> None:
    """Raise InvalidArgumentError for a fraction that no sample can have."""
    most_allowed = math.inf if with_replacement else 1
    try:
        right = 0 <= fraction <= most_allowed and fraction != math.inf
    except TypeError:
        right = False
    if not right:
        most = "at least 0" if with_replacement else "from 0 to 1"
        raise InvalidArgumentError(
            f"sample(with_replacement, fraction, seed): the fraction must be a number {most}, not "
            f"{fraction!r}"
        )


def check_compression(compression: str | None) -> None:
    """Raise InvalidArgumentError for a compression that saves do not know."""
    if compression not in (None, "gzip", "bz2", "zstd"):
        raise InvalidArgumentError(
            f"compression must be 'gzip', 'bz2', 'zstd' or None, not {compression!r}"
        )


async def take(rdd: RDD[T], num: int) -> list[T]:
    """Look at one partition, then at four times as many each round, until there are enough."""
    num = check_number(num, "take")
    found: list[T] = []
    if not num:
        return found
    sink = Return(partial(take_part, num))
    async with rdd._runner.job(rdd._node, sink, named_here("take")) as job:
        # As Spark: the first partition often has enough. All rounds are one job, whose earlier
        # stages run once.
        start, width = 0, 1
        while len(found) < num and start < job.partitions:
            asked = range(start, min(start + width, job.partitions))
            for part in await job.values(asked):
                found += part[: num - len(found)]
            start, width = asked.stop, width * 4
    return found


async def extremes(
    rdd: RDD[T], num: int, key: Callable[[T], Any] | None, *, smallest: bool
) -> list[T]:
    """Return the smallest or largest records, in order."""
    num = check_number(num, "take_ordered" if smallest else "top")
    if not num:
        return []
    parts = await rdd._run(Return(partial(extremes_part, num, key, smallest)), "top")
    records = [record for part in parts for record in part]
    # The best of each partition, and of these the best: the same step once more.
    found: list[T] = extremes_part(num, key, smallest, 0, iter(records))
    return found


async def reduce_all(rdd: RDD[T], function: Callable[[T, T], T]) -> T:
    """Merge all records."""
    parts = await rdd._run(Return(partial(reduce_part, function)), "reduce")
    merged: T = _reduce_some([record for part in parts for record in part], function)
    return merged


def _reduce_some(records: list[T], function: Callable[[T, T], T]) -> T:
    if not records:
        raise InvalidArgumentError("the RDD is empty: there is nothing to reduce")
    merged: T = reduce(function, records)
    return merged


async def aggregate(
    rdd: RDD[T], zero: U, seq_op: Callable[[U, T], U], comb_op: Callable[[U, U], U]
) -> U:
    """Fold each partition and merge the results."""
    # A copy in the driver, too: functions may change their first argument, and zero is the user's.
    parts = await rdd._run(Return(partial(fold_part, zero, seq_op)), "aggregate")
    return reduce(comb_op, parts, copy.deepcopy(zero))


async def tree_aggregate(
    rdd: RDD[T], zero: U, seq_op: Callable[[U, T], U], comb_op: Callable[[U, U], U], depth: int
) -> U:
    """Fold each partition and merge the results in tasks, as long as that makes them fewer."""
    _check_depth(depth)
    partial_results = rdd.map_partitions(partial(fold_to_one, zero, seq_op))
    merged = await _merge_in_levels(partial_results, comb_op, depth)
    return reduce(comb_op, await merged.collect(), copy.deepcopy(zero))


async def tree_reduce(rdd: RDD[T], function: Callable[[T, T], T], depth: int) -> T:
    """Merge each partition and the results in tasks, as long as that makes them fewer."""
    _check_depth(depth)
    partial_results = rdd.map_partitions(partial(reduce_part, function, 0))
    merged = await _merge_in_levels(partial_results, function, depth)
    last: T = _reduce_some(await merged.collect(), function)
    return last


def _check_depth(depth: int) -> None:
    if depth < 1:
        raise InvalidArgumentError(f"depth must be at least 1, not {depth!r}")


async def _merge_in_levels(rdd: RDD[T], function: Callable[[T, T], T], depth: int) -> RDD[T]:
    count = await rdd.num_partitions()
    scale = max(math.ceil(count ** (1 / depth)), 2)
    # Spark's rule: a further level is worth it while it leaves fewer results to the driver.
    while count > scale + count / scale:
        count = math.ceil(count / scale)
        keyed = rdd.map_partitions_with_index(partial(key_by_partition, count))
        # Keys are the numbers of the partitions to merge into: `int` places each where it belongs.
        rdd = keyed.reduce_by_key(function, count, int).values()
    return rdd


async def lookup(rdd: RDD[Any], key: Any) -> list[Any]:
    """Return the values of a key."""
    node, runner, placed = rdd._node, rdd._runner, rdd._node.partitioner
    where: Sequence[int] = range(await runner.resolver.partition_count(node))
    # Of pairs placed by a range, the bounds may be unknown as yet: all partitions are read.
    if isinstance(placed, HashPartitioner):
        where = await _place_of(key, replace(placed, partitions=len(where)), runner)
    async with runner.job(node, Return(partial(values_of, key)), named_here("lookup")) as job:
        return [value for part in await job.values(where) for value in part]


async def _place_of(key: Any, partitioner: HashPartitioner, runner: JobRunner) -> list[int]:
    """Ask a task for the partition of a key: strings have other hashes in the driver."""
    one = Source(name="lookup", splits=(RangeSplit(0, 1, 1),))
    async with runner.job(one, Return(partial(place_of, key, partitioner)), "lookup") as job:
        found: list[int] = (await job.values([0]))[0]
        return found
