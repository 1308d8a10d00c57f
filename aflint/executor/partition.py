"""Placing the records of a map task into reduce partitions."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable
from math import isnan
from operator import index, itemgetter
from typing import Any

from aflint.codec.hashing import STABLE, partition_indices
from aflint.codec.pairs import Block, Pairs
from aflint.errors import InvalidArgumentError
from aflint.executor.fusion import Ending, Flow, fuse_into
from aflint.plan.lineage import (
    GroupPartitioner,
    HashPartitioner,
    Partitioner,
    RangePartitioner,
    RoundRobinPartitioner,
)

_key = itemgetter(0)


Add = Callable[[int, Block], None]


def place(partitioner: Partitioner, flow: Flow, add: Add, first: int = 0) -> int:
    """Hand over all records, in blocks, each with its reduce partition.

    A round robin begins at partition `first`, so that map tasks do not all favour the same ones.
    Returns whose turn it is next.
    """
    made: list[Any] = []
    one_loop = False

    def hand_over() -> None:
        nonlocal first, one_loop
        first = _place_block(partitioner, made, add, first)
        one_loop = _suits_one_loop(partitioner, made)
        made.clear()

    loop = fuse_into(flow.steps, Ending.ADDED)
    for block in flow.blocks:
        loop(block, made, hand_over)
        hand_over()
        if one_loop:
            _place_in_one_loop(partitioner.partitions, flow, add)  # what is left
    return first


def _suits_one_loop(partitioner: Partitioner, block: list[Any]) -> bool:
    """Say whether records like these are best hashed one by one, as they are made.

    Keys of several parts are hashed faster by the block.
    """
    match partitioner:
        case HashPartitioner(partitions, None) if partitions > 1 and block:
            pairs = Pairs.of(block)
            return pairs is not None and set(map(type, pairs.keys)) <= STABLE
        case _:
            return False


def _place_in_one_loop(partitions: int, flow: Flow, add: Add) -> None:
    columns = [Pairs([], []) for _ in range(partitions)]

    def hand_over() -> None:
        for partition, pairs in enumerate(columns):
            if pairs:
                add(partition, pairs)
                pairs.clear()

    def odd(pair: Any) -> None:
        (partition,) = partition_indices([_key(pair)], partitions)
        before = columns[partition]
        if before:
            add(partition, before)
            before.clear()
        add(partition, [pair])

    keys = [pairs.keys.append for pairs in columns]
    values = [pairs.values.append for pairs in columns]
    loop = fuse_into(flow.steps, Ending.PLACED)
    for block in flow.blocks:
        loop(block, (keys, values, odd, partitions), hand_over)
        hand_over()


def _place_block(partitioner: Partitioner, block: list[Any], add: Add, first: int) -> int:
    if isinstance(partitioner, RoundRobinPartitioner):
        return _deal(block, partitioner.partitions, add, first)
    if isinstance(partitioner, RangePartitioner) and _can_be_cut(partitioner, block):
        _cut_at_bounds(partitioner, block, add)
        return first
    pairs = Pairs.of(block)
    if partitioner.partitions == 1:  # no key is needed, so none has to be hashable
        add(0, block if pairs is None else pairs)
    elif pairs is None:
        _place_rows(indices(partitioner, list(map(_key, block))), block, add)
    else:
        _place_pairs(indices(partitioner, pairs.keys), pairs, add)
    return first


def indices(partitioner: Partitioner, keys: list[Any]) -> list[int]:
    """Return the partition of each key."""
    match partitioner:
        case HashPartitioner(partitions, None):
            return partition_indices(keys, partitions)
        case HashPartitioner(partitions, function):
            assert function is not None
            try:
                return [index(function(key)) % partitions for key in keys]
            except TypeError:
                _check_places(function, keys)
                raise
        case RangePartitioner(partitions, bounds, ascending, key_function):
            ranks = keys if key_function is None else [key_function(key) for key in keys]
            # Bounds ascend in either order of sorting.
            places = [bisect_left(bounds, rank) for rank in ranks]
            return places if ascending else [partitions - 1 - place for place in places]
        case GroupPartitioner(of=of, width=width):
            return [place // width for place in indices(of, keys)]
        case _:
            raise TypeError(f"{type(partitioner).__name__} does not place by key")


def _can_be_cut(partitioner: RangePartitioner, block: list[Any]) -> bool:
    """Say whether a sort of these records by key puts each where it belongs.

    NaN is in no order, and other objects than plain ones need not be.
    """
    if partitioner.partitions == 1 or partitioner.key is not None:
        return False
    kinds = set(map(type, map(_key, block)))
    return kinds <= STABLE or (kinds == {float} and not any(map(isnan, map(_key, block))))


def _cut_at_bounds(partitioner: RangePartitioner, block: list[Any], add: Add) -> None:
    """Sort records and cut them at the bounds: no Python runs for a record.

    The task that reads a partition sorts it by merging such runs, in less time than was spent here.
    """
    block.sort(key=_key)  # stable, so that equal keys stay in order in either direction
    pairs = Pairs.of(block)
    records: Block = block if pairs is None else pairs
    keys = list(map(_key, block)) if pairs is None else pairs.keys
    last = partitioner.partitions - 1
    low = 0
    for place in range(len(partitioner.bounds) + 1):
        high = len(keys)
        if place < len(partitioner.bounds):
            # From the cut before, so that no record is in two parts where a bound is NaN.
            high = bisect_right(keys, partitioner.bounds[place], low)
        if low < high:
            add(place if partitioner.ascending else last - place, records[low:high])
        low = high


def _deal(block: list[Any], partitions: int, add: Add, first: int) -> int:
    for place in range(min(partitions, len(block))):
        # Every n-th record by a slice, and not record by record.
        add((first + place) % partitions, block[place::partitions])
    return (first + len(block)) % partitions


def _place_rows(places: Iterable[int], block: list[Any], add: Add) -> None:
    buckets: defaultdict[int, list[Any]] = defaultdict(list)
    for place, record in zip(places, block, strict=True):
        buckets[place].append(record)
    for place, bucket in buckets.items():
        add(place, bucket)


def _place_pairs(places: Iterable[int], pairs: Pairs, add: Add) -> None:
    buckets: defaultdict[int, tuple[list[Any], list[Any]]] = defaultdict(lambda: ([], []))
    for place, key, value in zip(places, pairs.keys, pairs.values, strict=True):
        keys, values = buckets[place]
        keys.append(key)
        values.append(value)
    for place, bucket in buckets.items():
        add(place, Pairs(*bucket))


def _check_places(function: Callable[[Any], Any], keys: list[Any]) -> None:
    """Raise InvalidArgumentError for what a partitioner returns that is no integer."""
    for key in keys:
        place = function(key)
        if not hasattr(place, "__index__"):
            raise InvalidArgumentError(
                f"the partitioner returned {place!r:.50} ({type(place).__name__}) for the key "
                f"{key!r:.50}: it must return an integer, of which the remainder by the number of "
                "partitions is taken"
            )
