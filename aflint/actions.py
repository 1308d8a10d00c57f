"""What actions do in tasks, and with what tasks return."""

from __future__ import annotations

import bisect
import copy
import heapq
import math
import random
import reprlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial, reduce
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

from aflint.errors import InvalidArgumentError, UnportableKeyError
from aflint.executor.partition import indices
from aflint.lineage import HashPartitioner, Node, Shuffled, Source
from aflint.program import Return
from aflint.statistics import Stats
from aflint.task import RangeSplit

if TYPE_CHECKING:
    from aflint.rdd import RDD
    from aflint.runner import Runner

T = TypeVar("T")
U = TypeVar("U")
Records = Iterator[Any]
Groups = tuple[Sequence[Any], ...]

SAMPLES_PER_PARTITION = 20
"""Keys sampled for each partition of a sort, as Spark does."""

# ---- in tasks: (partition, records) -> value


def collect(partition: int, records: Records) -> list[Any]:
    """All records."""
    return list(records)


def take_part(num: int, partition: int, records: Records) -> list[Any]:
    """The first records."""
    return list(islice(records, num))


def count_keys(partition: int, pairs: Records) -> dict[Any, int]:
    """How many pairs each key has."""
    return _counted(map(itemgetter(0), pairs), "count_by_key")


def count_values(partition: int, records: Records) -> dict[Any, int]:
    """How often each record occurs."""
    return _counted(records, "count_by_value")


def _counted(values: Records, method: str) -> dict[Any, int]:
    count: Counter[Any] = Counter()
    for block in iter(lambda: list(islice(values, 4096)), []):
        try:
            count.update(block)
        except TypeError as error:
            culprit = next((value for value in block if not _is_hashable(value)), None)
            raise UnportableKeyError(
                f"{method} counts in a dict, and cannot hash {reprlib.repr(culprit)} (type "
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
    """The records merged into one; none of none."""
    for first in records:
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


def sample_keys(
    key: Callable[[Any], Any] | None, fraction: float, partition: int, pairs: Records
) -> list[Any]:
    """The sort keys of some of the pairs."""
    chance = random.Random(partition).random
    chosen = [pair[0] for pair in pairs if chance() < fraction]
    return chosen if key is None else [key(found) for found in chosen]


def bucket_counts(borders: list[Any], even: bool, partition: int, numbers: Records) -> list[int]:
    """How many numbers fall between each two borders."""
    counts = [0] * (len(borders) - 1)
    low, high, last = borders[0], borders[-1], len(counts) - 1
    width = (high - low) / len(counts) if even and last else 0
    for number in numbers:
        if number is None or number != number or number < low or number > high:
            continue
        place = int((number - low) / width) if width else bisect.bisect_right(borders, number) - 1
        counts[min(place, last)] += 1
    return counts


def place_of(key: Any, partitioner: HashPartitioner, partition: int, records: Records) -> list[int]:
    """The partition that a key belongs to."""
    return indices(partitioner, [key])


def values_of(key: Any, partition: int, pairs: Records) -> list[Any]:
    """The values of one key."""
    return [value for known, value in pairs if known == key]


# ---- values of joins: (groups of the left, groups of the right) -> pairs


def inner(groups: Groups) -> Iterator[Any]:
    """Every pair."""
    left, right = groups
    return ((a, b) for a in left for b in right)


def left_outer(groups: Groups) -> Iterator[Any]:
    """Every pair; None for a missing right side."""
    left, right = groups
    return ((a, b) for a in left for b in (right or (None,)))


def right_outer(groups: Groups) -> Iterator[Any]:
    """Every pair; None for a missing left side."""
    left, right = groups
    return ((a, b) for a in (left or (None,)) for b in right)


def full_outer(groups: Groups) -> Iterator[Any]:
    """Every pair; None for a missing side."""
    left, right = groups
    return ((a, b) for a in (left or (None,)) for b in (right or (None,)))


def only_left(groups: Groups) -> Sequence[Any]:
    """The left values where there are no right ones."""
    left, right = groups
    return () if len(right) else left


# ---- functions of records


def keep(first: T, second: T) -> T:
    """Return the first of two."""
    return first


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


# ---- in the driver


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
        if "unhashable" in str(error):
            raise UnportableKeyError(
                f"collect_as_map makes a dict, and one of the keys cannot be hashed: {error}"
            ) from error
        raise InvalidArgumentError(
            f"collect_as_map needs (key, value) pairs, and a record is none: {error}"
        ) from error


def check_number(num: object, method: str) -> None:
    """Raise InvalidArgumentError for anything but a whole number that is not negative."""
    if isinstance(num, bool) or not isinstance(num, int) or num < 0:
        raise InvalidArgumentError(f"{method} needs a whole number of at least 0, not {num!r}")


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
    check_number(num, "take")
    found: list[T] = []
    if not num:
        return found
    sink = Return(partial(take_part, num))
    async with rdd._runner.job(rdd._node, sink, "take") as job:
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
    check_number(num, "take_ordered" if smallest else "top")
    if not num:
        return []
    parts = await rdd._run(Return(partial(extremes_part, num, key, smallest)), "top")
    records = [record for part in parts for record in part]
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
    parts = await rdd._run(Return(partial(fold_part, zero, seq_op)), "aggregate")
    return reduce(comb_op, parts, copy.deepcopy(zero))


async def tree_aggregate(
    rdd: RDD[T], zero: U, seq_op: Callable[[U, T], U], comb_op: Callable[[U, U], U], depth: int
) -> U:
    """Fold each partition and merge the results in tasks, as long as that makes them fewer."""
    _check_depth(depth)
    partial_results = rdd.map_partitions(partial(_fold_to_one, zero, seq_op))
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


def _fold_to_one(zero: Any, seq_op: Callable[[Any, Any], Any], records: Records) -> list[Any]:
    return [fold_part(zero, seq_op, 0, records)]


async def _merge_in_levels(rdd: RDD[T], function: Callable[[T, T], T], depth: int) -> RDD[T]:
    count = await rdd.num_partitions()
    scale = max(math.ceil(count ** (1 / depth)), 2)
    while count > scale + count / scale:
        count = math.ceil(count / scale)
        keyed = rdd.map_partitions_with_index(partial(_key_by_partition, count))
        rdd = keyed.reduce_by_key(function, count, int).values()
    return rdd


def _key_by_partition(count: int, partition: int, records: Records) -> Iterator[tuple[int, Any]]:
    return ((partition % count, record) for record in records)


async def take_sample(rdd: RDD[T], with_replacement: bool, num: int, seed: int | None) -> list[T]:
    """Sample more than enough, and shuffle and cut what came."""
    check_number(num, "take_sample")
    total = await rdd.count() if num else 0
    if not total:
        return []
    chance = random.Random(seed)
    if not with_replacement and num >= total:
        everything = await rdd.collect()
        chance.shuffle(everything)
        return everything
    fraction = _generous_fraction(num, total, with_replacement)
    samples: list[T] = []
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


async def range_bounds(
    rdd: RDD[Any], partitions: int, key: Callable[[Any], Any] | None
) -> tuple[Any, ...]:
    """Return the borders of even ranges of keys, by a sample of them."""
    total = await rdd.count()
    if not total:
        return ()
    fraction = min(1.0, partitions * SAMPLES_PER_PARTITION / total)
    parts = await rdd._run(Return(partial(sample_keys, key, fraction)), "sort_by_key (sampling)")
    try:
        keys = sorted(found for part in parts for found in part)
        if keys:
            bisect.bisect_left(keys, keys[0])  # a single None is sorted, and cannot be placed
    except TypeError as error:
        raise InvalidArgumentError(
            f"sort_by_key: the keys cannot be put in order: {error}. Sort by a key of one type: "
            "for keys that may be None, for example, key_func=lambda k: (k is not None, k or 0)"
        ) from error
    if not keys:
        return ()
    return tuple(keys[len(keys) * place // partitions] for place in range(1, partitions))


async def histogram(rdd: RDD[Any], buckets: int | Sequence[Any]) -> tuple[list[Any], list[int]]:
    """Count records by bucket."""
    if isinstance(buckets, int) and not isinstance(buckets, bool):
        borders, even = await _even_borders(rdd, buckets), True
        if borders[0] == borders[-1]:
            borders = [borders[0], borders[-1]]
    else:
        borders, even = _given_borders(buckets), False
    parts = await rdd._run(Return(partial(bucket_counts, borders, even)), "histogram")
    return borders, [sum(counts) for counts in zip(*parts, strict=True)] or [0] * (len(borders) - 1)


async def _even_borders(rdd: RDD[Any], buckets: int) -> list[Any]:
    if buckets < 1:
        raise InvalidArgumentError(f"histogram needs at least 1 bucket, not {buckets}")
    parts = await rdd._run(Return(_extent), "histogram")
    extents = [extent for part in parts for extent in part]
    if not extents:
        raise InvalidArgumentError("the RDD is empty: there are no numbers to count by bucket")
    low, high = min(e[0] for e in extents), max(e[1] for e in extents)
    if low == high or buckets == 1:
        return [low, high]
    if not all(isinstance(border, int | float) for border in (low, high)):
        raise InvalidArgumentError("histogram makes even buckets of numbers only; give borders")
    if math.isinf(low) or math.isinf(high):
        raise InvalidArgumentError("histogram cannot make even buckets up to infinity")
    step = (high - low) / buckets
    if all(isinstance(border, int) for border in (low, high)) and (high - low) % buckets == 0:
        step = (high - low) // buckets
    return [*(low + place * step for place in range(buckets)), high]


def _extent(partition: int, numbers: Records) -> list[tuple[Any, Any]]:
    seen = [number for number in numbers if number is not None and number == number]
    return [(min(seen), max(seen))] if seen else []


def _given_borders(borders: Any) -> list[Any]:
    if not isinstance(borders, list | tuple) or len(borders) < 2:
        raise InvalidArgumentError(
            "histogram needs a number of buckets, or a list of at least two borders"
        )
    if any(border is None or border != border for border in borders):
        raise InvalidArgumentError("histogram: None and nan cannot be borders of buckets")
    if list(borders) != sorted(borders) or len(set(borders)) != len(borders):
        raise InvalidArgumentError("histogram: borders must be sorted, and each there once")
    return list(borders)


async def lookup(rdd: RDD[Any], key: Any) -> list[Any]:
    """Return the values of a key."""
    node, runner, placed = rdd._node, rdd._runner, rdd._node.partitioner
    where: Sequence[int] = range(await runner.partition_count(node))
    if isinstance(placed, HashPartitioner):
        where = await _place_of(key, replace(placed, partitions=len(where)), runner)
    async with runner.job(node, Return(partial(values_of, key)), "lookup") as job:
        return [value for part in await job.values(where) for value in part]


async def _place_of(key: Any, partitioner: HashPartitioner, runner: Runner) -> list[int]:
    """Ask a task for the partition of a key: strings have other hashes in the driver."""
    one = Source(name="lookup", splits=(RangeSplit(0, 1, 1),))
    async with runner.job(one, Return(partial(place_of, key, partitioner)), "lookup") as job:
        found: list[int] = (await job.values([0]))[0]
        return found


def draw_lineage(root: Node) -> str:
    """Draw a lineage as text."""
    lines: list[str] = []
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        mark = "+-" if depth else ""
        kept = " [cached]" if node.persisted else ""
        lines.append(f"{'  ' * depth}{mark}({node.id}) {node.name}{kept}")
        deeper = depth + 1 if isinstance(node, Shuffled) or len(node.parents) > 1 else depth
        waiting.extend((parent, deeper) for parent in reversed(node.parents))
    return "\n".join(lines)
