"""Reading the leaves of a stage, splits and shuffles, from where an earlier link stopped.

A link that is cut while it aggregates stores what it has: (key, combiner) pairs, which the next
link takes in before the frames that are left. A link that is cut after that stores the pairs that
it has not given yet, and the next link reads nothing else.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from operator import itemgetter
from typing import Any

from aflint.executor.aggregate import Spiller, cogroup, combine, group, identity, sort
from aflint.executor.chaining import PausedError
from aflint.executor.fusion import Flow
from aflint.executor.inputs import Inputs
from aflint.executor.memory import slices
from aflint.executor.sinks import BlockFileWriter
from aflint.executor.text import TextSource
from aflint.plan.lineage import Aggregator, Grouping, Ordering
from aflint.plan.program import ReadShuffle, Step
from aflint.task import BlocksSplit, FrameId, InShuffle, InSource

Pairs = Iterator[tuple[Any, Any]]
_STATE_RECORDS = 1024


def split_blocks(leaf: int, partition: int, inputs: Inputs) -> Iterator[Sequence[Any]]:
    """Yield the blocks of a leaf's split."""
    split = inputs.split(leaf, partition)
    if not inputs.chain.limit.bounded:
        # Nothing can be cut: blocks need not be looked at between.
        return inputs.counted(inputs.open(split).blocks())
    begin = inputs.chain.in_source
    source = inputs.open(split, begin.position)
    return inputs.counted(inputs.chain.source_blocks(source, begin.skip))


def count_split(leaf: int, partition: int, inputs: Inputs) -> int:
    """Count the records of a leaf's split, without making them where its source can."""
    found = _count_split(leaf, partition, inputs)
    inputs.source_counts.input_records += found
    return found


def _count_split(leaf: int, partition: int, inputs: Inputs) -> int:
    control = inputs.chain
    begin = control.in_source
    source = inputs.open(inputs.split(leaf, partition), begin.position)
    # Lines are counted from a byte on. A link that begins behind some records has no such byte.
    if not isinstance(source, TextSource) or begin.skip:
        if control.begin is None:
            return source.count()
        return sum(map(len, control.source_blocks(source, begin.skip)))
    total = 0
    for lines in source.counts():
        total += lines
        if control.limit.bounded and control.must_stop():
            control.cut = InSource(source.position)
            break
    return total


def read_shuffle(
    step: ReadShuffle, partition: int, inputs: Inputs, only_values: bool = False
) -> Iterator[Any]:
    """Give the pairs of one reduce partition, aggregated and sorted as the step says; of what is
    only sorted, perhaps only the values.
    """
    if step.aggregator is None and step.ordering is None:
        return chain.from_iterable(read_blocks(step, partition, inputs))

    bounded = inputs.chain.limit.bounded  # a link that is cut stores pairs, with their keys

    def build(pairs: Iterable[Flow]) -> Iterator[Any]:
        (only,) = pairs
        if only_values and not bounded:
            assert step.ordering is not None
            return sort(only, step.ordering, inputs.spiller, only_values=True)
        return aggregate(only, step.aggregator, step.ordering, inputs.spiller, step.combined)

    restore = _ungroup if isinstance(step.aggregator, Grouping) else _as_they_are
    found = _aggregated([step], partition, inputs, build, restore)
    return map(itemgetter(1), found) if only_values and bounded else found


def read_cogroup(
    members: Sequence[Step], partition: int, inputs: Inputs, bare: bool
) -> Iterator[Any]:
    """Give each key with one group of values for each member; each is a plain read."""
    reads = [member for member in members if isinstance(member, ReadShuffle)]

    def build(pairs: Iterable[Flow]) -> Iterator[Any]:
        return cogroup(iter(pairs), len(reads), inputs.spiller, bare)

    return _aggregated(reads, partition, inputs, build, _ungroup_member)


def aggregate(
    pairs: Flow,
    aggregator: Aggregator | Grouping | None,
    ordering: Ordering | None,
    spiller: Spiller,
    combined: bool = False,
) -> Iterator[Any]:
    """Aggregate pairs by key, or group them, and sort what comes of it.

    `combined` says that the values are combiners already.
    """
    match aggregator:
        case Grouping():
            found: Iterator[Any] = group(pairs, spiller)
        case Aggregator(create, merge_value, merge_combiners):
            if combined:
                create, merge_value = identity, merge_combiners
            found = combine(pairs, create, merge_value, merge_combiners, spiller)
        case None if ordering is None:
            return pairs.records
        case None:
            return sort(pairs, ordering, spiller)
    return sort(Flow.of(found), ordering, spiller) if ordering is not None else found


def read_blocks(step: ReadShuffle, partition: int, inputs: Inputs) -> Iterator[Sequence[Any]]:
    """Yield the pairs of a shuffle as they come: nothing but the frames seen need be carried."""
    consumed: list[FrameId] = list(inputs.chain.in_shuffle.seen.get(step.leaf, ()))
    yield from _frames(step, partition, inputs, consumed)
    if inputs.chain.is_cut:
        # Only now, when the consumer has come back for more, is the last frame used up.
        inputs.chain.cut = InShuffle({step.leaf: tuple(consumed)})


def _aggregated(
    members: Sequence[ReadShuffle],
    partition: int,
    inputs: Inputs,
    build: Callable[[Iterable[Flow]], Iterator[Any]],
    restore: Callable[[Pairs, int], Pairs],
) -> Iterator[Any]:
    """Read shuffles whole, and give what `build` makes of them.

    Raises PausedError when time is up before all frames are read.
    """
    rest = inputs.chain.in_source
    if rest.stored is not None:
        # Earlier links have read all frames; what they had no time to give lies in a file.
        source = inputs.open(rest.stored, rest.position)
        return chain.from_iterable(inputs.chain.source_blocks(source, rest.skip, rest.stored))
    begin = inputs.chain.in_shuffle
    state = begin.state
    consumed = {member.leaf: list(begin.seen.get(member.leaf, ())) for member in members}

    def pairs_of(index: int, member: ReadShuffle) -> Flow:
        fresh = _frames(member, partition, inputs, consumed[member.leaf])
        if state is None:
            return Flow.of_blocks(fresh)
        stored = chain.from_iterable(inputs.open(state).blocks())
        return Flow(chain(Flow.of(restore(stored, index)).blocks, slices(fresh)))

    # Reads all frames, or as many as there is time for, before it returns.
    records = build(pairs_of(index, member) for index, member in enumerate(members))
    if not inputs.chain.limit.bounded:
        return records
    if inputs.chain.is_cut:
        carried = {leaf: tuple(frames) for leaf, frames in consumed.items()}
        raise PausedError(InShuffle(carried, _store(records, inputs)))
    return _cut_records(records, inputs)


def _frames(
    step: ReadShuffle, partition: int, inputs: Inputs, consumed: list[FrameId]
) -> Iterator[Sequence[Any]]:
    """Yield the records of the frames that no earlier link has read, noting those used up."""
    control = inputs.chain
    if control.is_cut:
        return  # at another member; a link that was not cut yet reads one frame, however late it is
    with closing(inputs.frames(inputs.manifest(step.leaf, partition), consumed[:])) as blocks:
        for frame, block in blocks:
            yield block
            consumed.append(frame)
            if control.limit.bounded and control.must_stop():
                control.cut = InShuffle()  # `_stream` or `_aggregated` adds which frames were read
                return


def _cut_records(records: Iterator[Any], inputs: Inputs) -> Iterator[Any]:
    """Give records until time is short; then store the rest for the next link."""
    for batch in inputs.chain.slices(records):
        yield from batch
        if inputs.chain.must_stop():
            inputs.chain.cut = InSource(stored=_store(records, inputs))
            return


def _store(records: Iterator[Any], inputs: Inputs) -> BlocksSplit:
    path = f"{inputs.task.storage}/state/{inputs.task.id.job}/{secrets.token_hex(16)}"
    with BlockFileWriter(path, inputs.storage, inputs.io, inputs.file_key(path)) as file:
        while block := list(islice(records, _STATE_RECORDS)):
            file.write(block)
    return BlocksSplit(path, file.size, tagged=True)


def _as_they_are(pairs: Pairs, index: int) -> Pairs:
    return pairs


def _ungroup(pairs: Pairs, index: int) -> Pairs:
    return ((key, value) for key, values in pairs for value in values)


def _ungroup_member(pairs: Pairs, index: int) -> Pairs:
    return ((key, value) for key, groups in pairs for value in groups[index])
