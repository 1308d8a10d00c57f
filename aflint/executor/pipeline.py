"""Evaluates the tree of a stage for one partition, as fused iterators."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, groupby, repeat
from typing import Any

from aflint.errors import InternalError
from aflint.executor import sources
from aflint.executor.aggregate import Spiller, cogroup, combine, group, identity, sort
from aflint.executor.fusion import fuse
from aflint.executor.io_loop import IOLoop
from aflint.executor.shuffle import ReadCounts, read_blocks
from aflint.executor.store import store
from aflint.lineage import Aggregator, Grouping, Operator, Ordering, PerPartition, PerRecord
from aflint.program import (
    Aggregate,
    CoGroup,
    Concatenate,
    Merge,
    Product,
    ReadShuffle,
    ReadSplit,
    Step,
    Store,
    Transform,
    Zip,
)
from aflint.storage.base import Storage
from aflint.task import BlocksSplit, Manifest, TaskDescription
from aflint.transport.base import Transport

Records = Iterator[Any]


@dataclass(slots=True)
class Inputs:
    """What a task reads, by leaf and partition, and what it has read so far."""

    task: TaskDescription
    storage: Storage
    transport: Transport | None
    io: IOLoop
    spiller: Spiller
    source_counts: sources.SourceCounts = field(default_factory=sources.SourceCounts)
    shuffle_counts: ReadCounts = field(default_factory=ReadCounts)
    stored: list[tuple[int, int, BlocksSplit]] = field(default_factory=list)
    _splits: dict[tuple[int, int], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._splits = {(item.leaf, item.partition): item.split for item in self.task.inputs}

    def split(self, leaf: int, partition: int) -> Any:
        """Return what a leaf reads for one of its partitions."""
        return self._splits[leaf, partition]

    def manifest(self, leaf: int, partition: int) -> Manifest:
        """Return the manifest that a leaf reads by."""
        manifest = self.split(leaf, partition)
        if not isinstance(manifest, Manifest):
            raise InternalError(f"leaf {leaf} of {self.task.id} has no manifest")
        return manifest


def records(step: Step, partition: int, inputs: Inputs) -> Records:
    """Return the records of one partition of a step."""
    match step:
        case ReadSplit(leaf):
            return chain.from_iterable(
                sources.blocks(
                    inputs.split(leaf, partition), inputs.storage, inputs.io, inputs.source_counts
                )
            )
        case Transform(parent, operators):
            return transform(records(parent, partition, inputs), operators, partition)
        case ReadShuffle():
            return _read_shuffle(step, partition, inputs)
        case Aggregate(parent, aggregator, ordering):
            pairs = records(parent, partition, inputs)
            return _aggregate(pairs, aggregator, ordering, False, inputs.spiller)
        case CoGroup(members):
            pairs_of = (records(member, partition, inputs) for member in members)
            return cogroup(pairs_of, len(members), inputs.spiller)
        case Concatenate(members, offsets):
            member = _member(offsets, partition)
            return records(members[member], partition - offsets[member], inputs)
        case Merge(parent, groups):
            return chain.from_iterable(records(parent, p, inputs) for p in groups[partition])
        case Zip(left, right):
            return _zip(records(left, partition, inputs), records(right, partition, inputs))
        case Product(left, right, width):
            return _product(left, partition // width, right, partition % width, inputs)
        case Store(parent, node, folder):
            return store(
                records(parent, partition, inputs),
                f"{folder}/{node}-{partition}",
                inputs.storage,
                inputs.io,
                lambda split: inputs.stored.append((node, partition, split)),
            )


def size(step: Step, partition: int, inputs: Inputs) -> int:
    """Count the records of one partition, without making them where a source can."""
    match step:
        case ReadSplit(leaf):
            return sources.count(
                inputs.split(leaf, partition), inputs.storage, inputs.io, inputs.source_counts
            )
        case Concatenate(members, offsets):
            member = _member(offsets, partition)
            return size(members[member], partition - offsets[member], inputs)
        case Merge(parent, groups):
            return sum(size(parent, p, inputs) for p in groups[partition])
        case _:
            places = count()
            deque(zip(records(step, partition, inputs), places, strict=False), maxlen=0)
            return next(places)


def transform(source: Records, operators: Sequence[Operator], partition: int) -> Records:
    """Run operators over records; neighbouring per-record ones as one loop."""
    for kind, run in groupby(operators, key=type):
        if kind is PerRecord:
            source = fuse([step for step in run if isinstance(step, PerRecord)])(source)
        else:
            for step in run:
                if isinstance(step, PerPartition):
                    source = iter(step.function(partition, source))
    return source


def _member(offsets: tuple[int, ...], partition: int) -> int:
    return max(m for m, offset in enumerate(offsets) if offset <= partition)


def _read_shuffle(step: ReadShuffle, partition: int, inputs: Inputs) -> Records:
    assert inputs.transport is not None
    pairs = chain.from_iterable(
        read_blocks(
            inputs.manifest(step.leaf, partition),
            inputs.task.key,
            inputs.transport,
            inputs.io,
            inputs.task.fetch_timeout_s,
            inputs.shuffle_counts,
        )
    )
    return _aggregate(pairs, step.aggregator, step.ordering, step.combined, inputs.spiller)


def _aggregate(
    pairs: Records,
    aggregator: Aggregator | Grouping | None,
    ordering: Ordering | None,
    combined: bool,
    spiller: Spiller,
) -> Records:
    match aggregator:
        case Grouping():
            pairs = group(pairs, spiller)
        case Aggregator(create, merge_value, merge_combiners):
            if combined:
                create, merge_value = identity, merge_combiners
            pairs = combine(pairs, create, merge_value, merge_combiners, spiller)
        case None:
            pass
    return sort(pairs, ordering, spiller) if ordering is not None else pairs


def _zip(left: Records, right: Records) -> Records:
    try:
        yield from zip(left, right, strict=True)
    except ValueError as error:
        if "zip()" not in str(error):
            raise
        raise ValueError(
            "zip: the two RDDs have different numbers of records in a partition; they can only be "
            "zipped when they have the same number of partitions and of records in each"
        ) from None


def _product(left: Step, p: int, right: Step, q: int, inputs: Inputs) -> Records:
    """Hold the right side's records, and walk the left side once."""
    held = list(records(right, q, inputs))
    return chain.from_iterable(zip(repeat(a), held) for a in records(left, p, inputs))
