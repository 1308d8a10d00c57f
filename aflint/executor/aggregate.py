"""Aggregating, grouping and sorting the records of one partition, in bounded memory.

A table that grows past its share of memory is written out as a run sorted by the hash of its keys
(see `spill`); at the end the runs are merged, and keys of equal hash told apart.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from aflint.codec.hashing import portable_hash, unportable
from aflint.executor.group import Group, GroupBuilder, pieces
from aflint.executor.memory import MemoryWatch, chunks, give_back
from aflint.executor.spill import Runs, SpillFolder, Triple
from aflint.plan.lineage import Aggregator, Ordering

Pair = tuple[Any, Any]
Table = dict[Any, Any]

_first = itemgetter(0)
_ABSENT = object()


def identity(value: Any) -> Any:
    """Return the value: the `create` of an aggregator whose values are their own combiners."""
    return value


def combine_into(
    table: Table, pairs: Iterable[Pair], create: Callable[[Any], Any], merge: Callable[..., Any]
) -> None:
    """Fold pairs into a table of combiners by key.

    The loops do the same; they are spelled out because this is where aggregation spends its time
    outside the user's functions. A record is unpacked in a line of its own, here and below, so that
    an error can show one that is not a pair: see `failure.hint_for`.
    """
    get, key = table.get, None
    try:
        if create is not identity:
            for pair in pairs:
                key, value = pair
                sofar = get(key, _ABSENT)
                table[key] = create(value) if sofar is _ABSENT else merge(sofar, value)
        elif merge is operator.add:
            for pair in pairs:
                key, value = pair
                sofar = get(key, _ABSENT)
                table[key] = value if sofar is _ABSENT else sofar + value
        elif merge is min:
            for pair in pairs:
                key, value = pair
                sofar = get(key, _ABSENT)
                if sofar is _ABSENT or value < sofar:  # of equal ones `min` keeps the first
                    table[key] = value
        elif merge is max:
            for pair in pairs:
                key, value = pair
                sofar = get(key, _ABSENT)
                if sofar is _ABSENT or value > sofar:
                    table[key] = value
        else:
            for pair in pairs:
                key, value = pair
                sofar = get(key, _ABSENT)
                table[key] = value if sofar is _ABSENT else merge(sofar, value)
    except TypeError as error:
        raise _explain(error, key) from error


def group_into(table: Table, pairs: Iterable[Pair]) -> None:
    """Append the values of pairs to the lists of a table."""
    get, key = table.get, None
    try:
        for pair in pairs:
            key, value = pair
            values = get(key)
            if values is None:
                table[key] = [value]
            else:
                values.append(value)
    except TypeError as error:
        raise _explain(error, key) from error


def cogroup_into(table: Table, pairs: Iterable[Pair], member: int, width: int) -> None:
    """Append the values of pairs to the lists of one member in a table of `width` lists."""
    get, key = table.get, None
    nothing = ((),) * width
    try:
        for pair in pairs:
            key, value = pair
            lists = get(key)
            if lists is None:
                lists = table[key] = tuple(map(list, nothing))
            lists[member].append(value)
    except TypeError as error:
        raise _explain(error, key) from error


def _explain(error: TypeError, key: Any) -> Exception:
    """Return the error to raise: of a key, unless a function of the user's raised it."""
    # An unhashable key fails in the loop's own frame, or in a `__hash__` written in Python; any
    # deeper frame is one of a user's function, which may have hashed something of its own.
    deeper = error.__traceback__.tb_next if error.__traceback__ else None
    of_key = deeper is None or deeper.tb_frame.f_code.co_name == "__hash__"
    if of_key and str(error).startswith("unhashable type"):
        return unportable(key, str(error))
    return error


class Spiller:
    """What aggregation needs of its task: when to spill, and where."""

    def __init__(self, watch: MemoryWatch, folder: SpillFolder) -> None:
        self.watch = watch
        self.folder = folder

    def feed(
        self,
        table: Table,
        records: Iterator[Any],
        add: Callable[[Iterator[Any]], None],
        flush: Callable[[], None],
    ) -> None:
        """Add all records to a table, flushing it whenever memory asks for it."""
        held = 0
        for chunk in chunks(records):
            add(chunk)
            held += 1
            if self.watch.over(held):
                flush()
                table.clear()
                give_back()
                held = 0


def combine(
    pairs: Iterator[Pair],
    create: Callable[[Any], Any],
    merge: Callable[..., Any],
    merge_combiners: Callable[..., Any],
    spiller: Spiller,
) -> Iterator[Pair]:
    """Yield one (key, combiner) for each key."""
    table: Table = {}
    runs = Runs(spiller.folder)
    spiller.feed(
        table,
        pairs,
        lambda chunk: combine_into(table, chunk, create, merge),
        lambda: runs.add(_by_hash(table)),
    )
    if not runs:
        return iter(table.items())
    runs.add(_by_hash(table))
    return _merge_combiners(runs, merge_combiners)


def combine_partially(
    pairs: Iterator[Pair],
    aggregator: Aggregator,
    spiller: Spiller,
    write: Callable[[Iterable[Pair]], None],
) -> None:
    """Combine on the map side, handing over what there is whenever memory asks for it.

    A key may be handed over more than once: the reduce side merges its combiners.
    """
    table: Table = {}
    spiller.feed(
        table,
        pairs,
        lambda chunk: combine_into(table, chunk, aggregator.create, aggregator.merge_value),
        lambda: write(table.items()),  # no run: the shuffle takes what memory cannot hold
    )
    write(table.items())


def group(pairs: Iterator[Pair], spiller: Spiller) -> Iterator[tuple[Any, Group]]:
    """Yield (key, all its values) for each key."""
    table: Table = {}
    runs = Runs(spiller.folder)
    spiller.feed(
        table,
        pairs,
        lambda chunk: group_into(table, chunk),
        lambda: runs.add(_pieces(table)),
    )
    if not runs:
        return ((key, Group(values)) for key, values in table.items())
    runs.add(_pieces(table))
    return ((key, groups[0]) for key, groups in _merge_groups(runs, 1, spiller))


def cogroup(
    members: Iterable[Iterator[Pair]], width: int, spiller: Spiller, bare: bool = False
) -> Iterator[tuple[Any, tuple[Sequence[Any], ...]]]:
    """Yield (key, one group for each member) for each key of any member.

    `bare` says that groups in memory may be given as lists, for what only iterates them.
    """
    table: Table = {}
    runs = Runs(spiller.folder)
    for index, pairs in enumerate(members):
        spiller.feed(
            table,
            pairs,
            lambda chunk, index=index: cogroup_into(table, chunk, index, width),  # type: ignore[misc]
            lambda: runs.add(_member_pieces(table)),
        )
    if not runs and bare:
        return iter(table.items())
    if not runs:
        return ((key, tuple(map(Group, lists))) for key, lists in table.items())
    runs.add(_member_pieces(table))
    return _merge_groups(runs, width, spiller)


def sort(pairs: Iterator[Pair], ordering: Ordering, spiller: Spiller) -> Iterator[Pair]:
    """Yield pairs in the order of their keys; equal keys in the order they came."""
    key = ordering.key
    sort_key = _first if key is None else lambda pair: key(pair[0])
    descending = not ordering.ascending
    runs = Runs(spiller.folder, descending=descending)
    held: list[Pair] = []
    waiting = 0
    for chunk in chunks(pairs):
        held.extend(chunk)
        waiting += 1
        if spiller.watch.over(waiting):
            held.sort(key=sort_key, reverse=descending)
            runs.add((sort_key(pair), *pair) for pair in held)
            held = []
            give_back()
            waiting = 0
    held.sort(key=sort_key, reverse=descending)
    if not runs:
        return iter(held)
    # The last run holds the records that came last, so that equal keys stay in their order.
    runs.add((sort_key(pair), *pair) for pair in held)
    return ((k, value) for _, k, value in runs.merged())


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
