"""Evaluates the tree of a stage for one partition, as fused iterators."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, count, groupby, islice, repeat
from typing import Any

from aflint.codec import closure
from aflint.codec.pairs import Pairs
from aflint.executor.aggregate import cogroup
from aflint.executor.chaining import is_plain_read
from aflint.executor.fusion import Flow, fuse
from aflint.executor.held import Gathered
from aflint.executor.inputs import Inputs
from aflint.executor.order import comes_in_any_order
from aflint.executor.reading import (
    aggregate,
    count_split,
    read_blocks,
    read_cogroup,
    read_shuffle,
    split_blocks,
)
from aflint.executor.sinks import BlockFileWriter
from aflint.plan.lineage import JOINS, Operator, PerPartition, PerRecord, RecordStep
from aflint.plan.program import (
    Aggregate,
    Anew,
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
from aflint.task import BlocksSplit

Records = Iterator[Any]

# Of a file that keeps records: the bytes of a block before compression, and its most records.
_BLOCK_BYTES = 1024 * 1024
_MOST_RECORDS = 16384


def flow(step: Step, partition: int, inputs: Inputs) -> Flow:
    """Return the records of one partition of a step for what takes in all of them."""
    match step:
        case ReadSplit(leaf):
            return Flow.of_blocks(split_blocks(leaf, partition, inputs))
        case ReadShuffle() if is_plain_read(step):
            return Flow.of_blocks(read_blocks(step, partition, inputs))
        case Transform(parent, operators):
            # The steps over records that come last are left to the loop that takes them in.
            last: list[PerRecord] = []
            for operator in reversed(operators):
                if not isinstance(operator, PerRecord):
                    break
                last.insert(0, operator)
            before = operators[: len(operators) - len(last)]
            if before:
                source = Flow.of(records(replace(step, operators=before), partition, inputs))
            elif isinstance(parent, CoGroup) and _is_join(operators[0]):
                source = Flow.of(_cogrouped(parent.members, partition, inputs, bare=True))
            else:
                source = flow(parent, partition, inputs)
            return source.then(last)
        case Concatenate(members, offsets):
            member = _member(offsets, partition)
            return flow(members[member], partition - offsets[member], inputs)
        case _:
            return Flow.of(records(step, partition, inputs))


def records(step: Step, partition: int, inputs: Inputs) -> Records:
    """Return the records of one partition of a step."""
    match step:
        case ReadSplit(leaf):
            return chain.from_iterable(split_blocks(leaf, partition, inputs))
        case Transform(CoGroup(members), operators) if _is_join(operators[0]):
            groups = _cogrouped(members, partition, inputs, bare=True)
            return transform(groups, operators, partition)
        case Transform(ReadShuffle() as read, operators) if _takes_values(read, operators[0]):
            values = read_shuffle(read, partition, inputs, only_values=True)
            return transform(values, operators[1:], partition)
        case Transform(parent, operators):
            return transform(records(parent, partition, inputs), operators, partition)
        case ReadShuffle():
            return read_shuffle(step, partition, inputs)
        case Aggregate(parent, aggregator, ordering):
            pairs = flow(parent, partition, inputs)
            return aggregate(pairs, aggregator, ordering, inputs.spiller)
        case CoGroup(members):
            return _cogrouped(members, partition, inputs, bare=False)
        case Concatenate(members, offsets):
            member = _member(offsets, partition)
            return records(members[member], partition - offsets[member], inputs)
        case Merge(parent, groups):
            return chain.from_iterable(records(parent, p, inputs) for p in groups[partition])
        case Zip(left, right):
            return _zip(records(left, partition, inputs), records(right, partition, inputs))
        case Product(left, right, width):
            return _product(left, partition // width, right, partition % width, inputs)
        case Anew(parent, pickled):
            # Unpickled for each evaluation, so that no two branches share what a function captured.
            own: Transform | Aggregate | ReadShuffle = closure.loads(pickled)
            if parent is not None and not isinstance(own, ReadShuffle):
                own = replace(own, parent=parent)
            return records(own, partition, inputs)
        case Store(parent, node, folder, held):
            # A checkpoint may be read by another session, which knows no key of this one.
            ours = folder.startswith(f"{inputs.task.storage}/")
            path = f"{folder}/{node}-{partition}-{secrets.token_hex(16)}"
            split = BlocksSplit(path, 0, ours, comes_in_any_order(parent), held)
            return _stored(records(parent, partition, inputs), node, partition, split, inputs)


def size(step: Step, partition: int, inputs: Inputs) -> int:
    """Count the records of one partition, without making them where a source can."""
    match step:
        case ReadSplit(leaf):
            return count_split(leaf, partition, inputs)
        case Concatenate(members, offsets):
            member = _member(offsets, partition)
            return size(members[member], partition - offsets[member], inputs)
        case Merge(parent, groups):
            return sum(size(parent, p, inputs) for p in groups[partition])
        case _:
            # `zip` takes a number for each record, and `deque` throws both away: a count without a
            # loop in Python.
            places = count()
            deque(zip(records(step, partition, inputs), places, strict=False), maxlen=0)
            return next(places)


def transform(source: Records, operators: Sequence[Operator], partition: int) -> Records:
    """Run operators over records; neighbouring per-record ones as one loop."""
    # `groupby` cuts where a step over records meets one over the partition.
    for kind, run in groupby(operators, key=type):
        if kind is PerRecord:
            source = fuse([step for step in run if isinstance(step, PerRecord)])(source)
        else:
            for step in run:
                if isinstance(step, PerPartition):
                    source = iter(step.function(partition, source))
    return source


def _is_join(operator: Operator) -> bool:
    return isinstance(operator, PerRecord) and operator.step in JOINS


def _takes_values(read: ReadShuffle, operator: Operator) -> bool:
    sorts = read.aggregator is None and read.ordering is not None
    return sorts and isinstance(operator, PerRecord) and operator.step is RecordStep.VALUES


def _cogrouped(
    members: tuple[Step, ...], partition: int, inputs: Inputs, bare: bool
) -> Iterator[Any]:
    if all(map(is_plain_read, members)):
        return read_cogroup(members, partition, inputs, bare)
    # Lazily: the pairs of one member are all taken in before the next one is begun.
    pairs_of = (flow(member, partition, inputs) for member in members)
    return cogroup(pairs_of, len(members), inputs.spiller, bare)


def _member(offsets: tuple[int, ...], partition: int) -> int:
    # Offsets ascend: the last that is not past the partition is its member's.
    return max(m for m, offset in enumerate(offsets) if offset <= partition)


def _zip(left: Records, right: Records) -> Records:
    try:
        yield from zip(left, right, strict=True)
    except ValueError as error:
        # The user's functions run within this loop, and may raise a ValueError of their own.
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


def _stored(
    source: Iterator[Any], node: int, partition: int, split: BlocksSplit, inputs: Inputs
) -> Iterator[Any]:
    """Yield records, and keep them in a file, and in memory where the split says so; they are among
    the task's stored partitions once all have been yielded.

    The file is this attempt's own: attempts do not meet, and the driver takes the file of the
    accepted one.
    """
    most = 64
    key = inputs.file_key(split.path) if split.tagged else None
    gathered = Gathered(inputs.held, split.path) if split.held else None
    with BlockFileWriter(split.path, inputs.storage, inputs.io, key) as file:
        while block := list(islice(source, most)):
            apart = Pairs.of(block) or block
            written = max(1, file.write(apart))
            if gathered is not None:
                gathered.add(apart)
            # Blocks of about equal bytes, whatever the size of records.
            most = max(1, min(_MOST_RECORDS, most * _BLOCK_BYTES // written, most * 4))
            yield from block
    # A consumer that stops early never comes here: half a partition is not kept.
    if gathered is not None:
        gathered.keep()
    inputs.stored.append((node, partition, replace(split, size=file.size)))
