"""Placing the records of a map task into reduce partitions."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any

from aflint.codec.hashing import partition_indices
from aflint.executor.fusion import Ending, Flow, fuse_into
from aflint.plan.lineage import (
    GroupPartitioner,
    HashPartitioner,
    Partitioner,
    RangePartitioner,
    RoundRobinPartitioner,
)

_key = itemgetter(0)


def place(
    partitioner: Partitioner,
    flow: Flow,
    add: Callable[[int, list[Any]], None],
    first: int = 0,
) -> int:
    """Hand over all records, in blocks, each with its reduce partition.

    A round robin begins at partition `first`, so that map tasks do not all favour the same ones.
    Returns whose turn it is next.
    """
    made: list[Any] = []

    def hand_over() -> None:
        nonlocal first
        first = _place_block(partitioner, made, add, first)
        made.clear()

    loop = fuse_into(flow.steps, Ending.ADDED)
    for block in flow.blocks:
        if flow.steps:
            loop(block, made, hand_over)
            hand_over()
        else:
            records = block if isinstance(block, list) else list(block)
            first = _place_block(partitioner, records, add, first)
    return first


def _place_block(
    partitioner: Partitioner, block: list[Any], add: Callable[[int, list[Any]], None], first: int
) -> int:
    if partitioner.partitions == 1:  # no key is needed, so none has to be hashable
        add(0, block)
    elif isinstance(partitioner, RoundRobinPartitioner):
        return _deal(block, partitioner.partitions, add, first)
    else:
        _place_pairs(indices(partitioner, list(map(_key, block))), block, add)
    return first


def indices(partitioner: Partitioner, keys: list[Any]) -> list[int]:
    """Return the partition of each key."""
    match partitioner:
        case HashPartitioner(partitions, None):
            return partition_indices(keys, partitions)
        case HashPartitioner(partitions, function):
            assert function is not None
            return [int(function(key)) % partitions for key in keys]
        case RangePartitioner(partitions, bounds, ascending, key_function):
            ranks = keys if key_function is None else [key_function(key) for key in keys]
            # Bounds ascend in either order of sorting.
            places = [bisect_left(bounds, rank) for rank in ranks]
            return places if ascending else [partitions - 1 - place for place in places]
        case GroupPartitioner(of=of, width=width):
            return [place // width for place in indices(of, keys)]
        case _:
            raise TypeError(f"{type(partitioner).__name__} does not place by key")


def _deal(
    block: list[Any], partitions: int, add: Callable[[int, list[Any]], None], first: int
) -> int:
    for place in range(min(partitions, len(block))):
        # Every n-th record by a slice, and not record by record.
        add((first + place) % partitions, block[place::partitions])
    return (first + len(block)) % partitions


def _place_pairs(
    places: Iterable[int], block: list[Any], add: Callable[[int, list[Any]], None]
) -> None:
    buckets: defaultdict[int, list[Any]] = defaultdict(list)
    for place, record in zip(places, block, strict=True):
        buckets[place].append(record)
    for place, bucket in buckets.items():
        add(place, bucket)
