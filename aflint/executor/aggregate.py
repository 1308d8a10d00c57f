"""Aggregating, grouping and sorting the records of one partition, in bounded memory.

A table that grows past its share of memory is written out as a run sorted by the hash of its keys
(see `spill`); at the end the runs are merged, and keys of equal hash told apart.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import replace
from functools import partial
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, TypeVar

from aflint.codec.hashing import portable_hash
from aflint.codec.pairs import Block, Pairs, joined
from aflint.executor.fusion import Ending, Flow, fuse_into
from aflint.executor.group import Group, GroupBuilder, pieces
from aflint.executor.memory import MemoryWatch, chunks, give_back
from aflint.executor.spill import Runs, SpillFolder, Triple
from aflint.plan.lineage import Aggregator, Ordering

Pair = tuple[Any, Any]
Table = dict[Any, Any]
B = TypeVar("B")

_TRIAL = 1 << 18
_PASSED = 7 * _TRIAL
"""Records that are handed over as they are after a trial in which combining did not pay."""

_MANY_KEYS = 1_250_000
"""With as many keys, a task of a million records hands over two thirds of them, combined or not."""

_first, _second = itemgetter(0), itemgetter(1)


def identity(value: Any) -> Any:
    """Return the value: the `create` of an aggregator whose values are their own combiners."""
    return value


def keep(first: Any, second: Any) -> Any:
    """Return the first of two: the `merge` of an aggregator of which the first value stays."""
    return first


def combine_into(
    table: Table, pairs: Iterable[Pair], create: Callable[[Any], Any], merge: Callable[..., Any]
) -> None:
    """Fold pairs into a table of combiners by key."""
    fuse_into((), _combining(create, merge))(pairs, table, _go_on, create, merge)


def _combining(create: Callable[[Any], Any], merge: Callable[..., Any]) -> Ending:
    """Return the loop's ending that does what an aggregator says; the usual ones call nothing."""
    if create is not identity:
        return Ending.CREATED
    # Not a dict of them: a function of the user's need not be hashable.
    usual = (
        (operator.add, Ending.SUMMED),
        (min, Ending.LEAST),
        (max, Ending.GREATEST),
        (keep, Ending.FIRST),
    )
    return next((ending for known, ending in usual if merge is known), Ending.MERGED)


def _go_on() -> None:
    """Do not look at memory: what is fed here is little."""


class Spiller:
    """What aggregation needs of its task: when to spill, and where."""

    def __init__(self, watch: MemoryWatch, folder: SpillFolder) -> None:
        self.watch = watch
        self.folder = folder

    def feed(
        self,
        flow: Flow,
        ending: Ending,
        into: Table | list[Any],
        flush: Callable[[], None],
        create: Any = None,
        merge: Any = None,
    ) -> None:
        """Put all records into a table or a list, flushing it whenever memory asks for it."""

        def empty() -> None:
            flush()
            into.clear()

        loop = fuse_into(flow.steps, ending)
        self.watched(flow.blocks, lambda block, look: loop(block, into, look, create, merge), empty)

    def watched(
        self,
        blocks: Iterable[B],
        take: Callable[[B, Callable[[], None]], None],
        empty: Callable[[], None],
    ) -> None:
        """Have `take` hold all blocks, and `empty` let go of what is held whenever memory asks for
        it: after a block, or where `take` calls the function that it is given.
        """
        held = 0

        def look() -> None:
            nonlocal held
            held += 1
            if self.watch.over(held):
                empty()
                give_back()
                held = 0

        for block in blocks:
            take(block, look)
            look()


def combine(
    pairs: Flow,
    create: Callable[[Any], Any],
    merge: Callable[..., Any],
    merge_combiners: Callable[..., Any],
    spiller: Spiller,
) -> Iterator[Pair]:
    """Yield one (key, combiner) for each key."""
    table: Table = {}
    runs = Runs(spiller.folder)
    ending = _combining(create, merge)
    spiller.feed(pairs, ending, table, lambda: runs.add(_by_hash(table)), create, merge)
    if not runs:
        return iter(table.items())
    runs.add(_by_hash(table))
    return _merge_combiners(runs, merge_combiners)


def combine_partially(
    pairs: Flow,
    aggregator: Aggregator,
    spiller: Spiller,
    write: Callable[[Flow], None],
) -> None:
    """Combine on the map side, handing over what there is whenever memory asks for it.

    A key may be handed over more than once: the reduce side merges its combiners. Where combining
    is found to leave most records, many are handed over as they are before it is tried again.
    """
    table: Table = {}

    def flush() -> None:  # into no run: the shuffle takes what memory cannot hold
        write(Flow.of(iter(table.items())))

    create, merge = aggregator.create, aggregator.merge_value
    # Only where values are combiners already: for others `create` would be called for each record.
    tries = create is identity and not any(step.step.loops for step in pairs.steps)
    blocks = iter(pairs.blocks)
    while (first := next(blocks, None)) is not None:
        rest = chain((first,), blocks)
        tried = _while_it_pays(rest, table) if tries else rest
        ending = _combining(create, merge)
        spiller.feed(replace(pairs, blocks=tried), ending, table, flush, create, merge)
        flush()
        table.clear()
        # What a trial has left, mostly nothing. Records may be in an order in which keys of their
        # own come first, and one key again and again after them.
        write(replace(pairs, blocks=_first_records(blocks, _PASSED)))


def _first_records(blocks: Iterator[Iterable[Any]], most: int) -> Iterator[Iterable[Any]]:
    """Give blocks of about so many records."""
    taken = 0
    while taken < most and (block := next(blocks, None)) is not None:
        taken += len(block) if isinstance(block, Sized) else 1
        yield block


def _while_it_pays(blocks: Iterator[Iterable[Any]], table: Table) -> Iterator[Iterable[Any]]:
    """Give blocks that go into a table of combiners, and no more of them once enough have shown
    that their keys hardly ever come again.
    """
    taken = 0
    for block in blocks:
        yield block
        if not isinstance(block, Sized):
            break
        taken += len(block)
        if taken >= _TRIAL:
            # Of that many keys, as often as one another, so many of the records have had theirs.
            if taken - len(table) < taken * taken / (2 * _MANY_KEYS):
                return
            break
    yield from blocks


def group(pairs: Flow, spiller: Spiller) -> Iterator[tuple[Any, Group]]:
    """Yield (key, all its values) for each key."""
    table: Table = {}
    runs = Runs(spiller.folder)
    spiller.feed(pairs, Ending.GROUPED, table, lambda: runs.add(_pieces(table)))
    if not runs:
        return ((key, Group(values)) for key, values in table.items())
    runs.add(_pieces(table))
    return ((key, groups[0]) for key, groups in _merge_groups(runs, 1, spiller))


def cogroup(
    members: Iterable[Flow], width: int, spiller: Spiller, bare: bool = False
) -> Iterator[tuple[Any, tuple[Sequence[Any], ...]]]:
    """Yield (key, one group for each member) for each key of any member.

    `bare` says that groups in memory may be given as lists, for what only iterates them.
    """
    table: Table = {}
    runs = Runs(spiller.folder)
    create = _two_groups if width == 2 else partial(_groups, width)
    for index, pairs in enumerate(members):
        spiller.feed(
            pairs,
            Ending.COGROUPED,
            table,
            lambda: runs.add(_member_pieces(table)),
            create,
            index,
        )
    if not runs and bare:
        return iter(table.items())
    if not runs:
        return ((key, tuple(map(Group, lists))) for key, lists in table.items())
    runs.add(_member_pieces(table))
    return _merge_groups(runs, width, spiller)


def _two_groups() -> tuple[list[Any], ...]:
    return [], []


def _groups(width: int) -> tuple[list[Any], ...]:
    return tuple([] for _ in range(width))


def sort(
    pairs: Flow, ordering: Ordering, spiller: Spiller, only_values: bool = False
) -> Iterator[Any]:
    """Yield pairs in the order of their keys, or their values alone; equal keys as they came."""
    descending = not ordering.ascending
    runs = Runs(spiller.folder, descending=descending)
    held: Block = []

    def take(block: Iterable[Any], look: Callable[[], None]) -> None:
        nonlocal held
        held = joined(held, block if isinstance(block, Pairs) else list(block))

    def spill() -> None:
        nonlocal held
        ranks, places = _in_order(held, ordering)
        keys, values = _columns(held, places)
        runs.add(zip(map(ranks.__getitem__, places), keys, values, strict=True))
        held = []

    # Pairs of a shuffle stay in columns: no tuple is made of what only has to be put in order.
    spiller.watched(chunks(pairs.records) if pairs.steps else pairs.blocks, take, spill)
    if not runs:
        _, places = _in_order(held, ordering)
        if isinstance(held, list):
            rows = map(held.__getitem__, places)
            return map(_second, rows) if only_values else rows
        keys, values = _columns(held, places)
        return values if only_values else zip(keys, values, strict=True)
    # The last run holds the records that came last, so that equal keys stay in their order.
    spill()
    if only_values:
        return (value for _, _, value in runs.merged())
    return ((key, value) for _, key, value in runs.merged())


def _in_order(held: Block, ordering: Ordering) -> tuple[list[Any], list[int]]:
    """Return what pairs are sorted by, and their places in that order."""
    key = ordering.key
    keys = held.keys if isinstance(held, Pairs) else list(map(_first, held))
    ranks = keys if key is None else [key(each) for each in keys]
    # Sorted runs, as map tasks make them, are found and merged by this sort.
    return ranks, sorted(range(len(ranks)), key=ranks.__getitem__, reverse=not ordering.ascending)


def _columns(held: Block, places: Sequence[int]) -> tuple[Iterator[Any], Iterator[Any]]:
    """Return the keys and the values of pairs, in the order of places."""
    if isinstance(held, Pairs):
        return map(held.keys.__getitem__, places), map(held.values.__getitem__, places)
    rows = [held[place] for place in places]
    return (key for key, _ in rows), (value for _, value in rows)


def _by_hash(table: Table) -> Iterator[Triple]:
    """Empty a table as triples ordered by hash; its memory is freed on the way."""
    # By hash, as keys need not be comparable; equal ones have equal hashes.
    for key in sorted(table, key=portable_hash):
        yield portable_hash(key), key, table.pop(key)


def _pieces(table: Table) -> Iterator[Triple]:
    for order, key, values in _by_hash(table):
        for piece in pieces(values):
            yield order, key, (0, piece)


def _member_pieces(table: Table) -> Iterator[Triple]:
    for order, key, lists in _by_hash(table):
        for member, values in enumerate(lists):
            for piece in pieces(values):
                yield order, key, (member, piece)


def _merge_combiners(runs: Runs, merge: Callable[..., Any]) -> Iterator[Pair]:
    for _, same_hash in groupby(runs.merged(), key=_first):
        # Keys of one hash come together, from whichever runs, and only they share a table.
        table: Table = {}
        combine_into(table, ((key, value) for _, key, value in same_hash), identity, merge)
        yield from table.items()


def _merge_groups(
    runs: Runs, width: int, spiller: Spiller
) -> Iterator[tuple[Any, tuple[Group, ...]]]:
    for _, same_hash in groupby(runs.merged(), key=_first):
        builders: dict[Any, tuple[GroupBuilder, ...]] = {}
        for _, key, (member, values) in same_hash:
            if key not in builders:
                builders[key] = tuple(
                    GroupBuilder(spiller.folder, spiller.watch) for _ in range(width)
                )
            builders[key][member].extend(values)
        for key, group_builders in builders.items():
            yield key, tuple(builder.build() for builder in group_builders)
