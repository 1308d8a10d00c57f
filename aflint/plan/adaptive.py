"""What is decided by the sizes of finished shuffles: how their partitions are read. Pure.

The rules and their settings are those of Spark's adaptive execution: small neighbours are read by
one task, and a skewed partition of a join is read by several, each with a part of its maps' output.
A skewed partition whose values are combiners is combined in shares before one task merges these.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import ceil, isqrt, prod
from statistics import median

DECIDED = ("AQEShuffleRead", "BroadcastHashJoin")
"""What the names of steps begin with that were decided by sizes."""

_FEWEST_SHARES = 3
"""The first share runs alone, as a trial: with two, nothing would run beside anything."""

_SHARES_OF_LEAST = 8
"""A share is as large as so many make the smallest partition that counts as skewed, or larger."""

_SMALL = 0.2
_MERGED = 1.2
"""Shares of the target size by which neighbouring pieces of a split are merged after all."""


@dataclass(frozen=True, slots=True)
class Adaptive:
    """The settings of Spark's adaptive execution, sizes in bytes.

    `least_partitions`: coalescing leaves at least so many, if they are of `least_bytes` then.
    `most_splits`: so many tasks read one partition of a join at most.
    """

    coalesces: bool = True
    advisory_bytes: int = 64 << 20
    least_bytes: int = 1 << 20
    least_partitions: int = 1
    splits: bool = True
    skew_factor: float = 5.0
    skew_bytes: int = 256 << 20
    most_splits: int = 1000
    broadcast_bytes: int = 10 << 20
    nonempty_ratio: float = 0.2

    def broadcasts(self, sizes: Sequence[int]) -> bool:
        """Whether a join's side of these partition sizes is broadcast instead of shuffled."""
        filled = sum(1 for size in sizes if size)
        # A side whose rows lie in few partitions leaves the join's other tasks nothing to do.
        return sum(sizes) <= self.broadcast_bytes and filled >= self.nonempty_ratio * len(sizes)


@dataclass(frozen=True, slots=True)
class Skew:
    """When a partition whose values are combiners is skewed: it has more than `least_bytes`, and
    more than `factor` times the median. No partition is where `least_bytes` is 0, nor where fewer
    than `fewest_slots` tasks run at once: shares cost more CPU than they then save time.
    """

    least_bytes: int = 0
    factor: float = 5.0
    fewest_slots: int = 1

    def skewed(self, by_partition: Sequence[int]) -> list[int]:
        """Return the skewed partitions among those of these sizes."""
        if not (self.least_bytes and by_partition):
            return []
        limit = max(self.least_bytes, self.factor * median(by_partition))
        return [p for p, size in enumerate(by_partition) if size > limit]

    def shares(self, by_map: Sequence[int]) -> list[tuple[int, int]]:
        """Return the ranges (first, last) of maps, without the last, by which a partition is
        combined in shares; none where it is of too few maps.

        About as many shares as a share has maps: where all maps have the same keys, the shares and
        what merges them then have the least to do one after the other.
        """
        maps = sum(1 for size in by_map if size)
        if maps < 2 * _FEWEST_SHARES:
            return []
        count = max(_FEWEST_SHARES, isqrt(maps))
        starts = split_evenly(
            by_map, max(sum(by_map) // count, self.least_bytes // _SHARES_OF_LEAST)
        )
        ranges = list(pairwise((*starts, len(by_map))))
        return ranges if len(ranges) >= _FEWEST_SHARES else []


def combining_pays(read: int, written: int) -> bool:
    """Say whether the other shares are to be combined, too, after the first one has read so many
    bytes and written so many: else the last task would have about as much to read as before.
    """
    return 2 * written <= read


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a finished shuffle holds: `by_map[m][r]` bytes of map m for reduce partition r."""

    partitions: int
    by_map: tuple[Sequence[int], ...]

    @property
    def by_partition(self) -> list[int]:
        """The bytes of each reduce partition."""
        if not self.by_map:
            return [0] * self.partitions
        return [sum(column) for column in zip(*self.by_map, strict=True)]

    @property
    def total(self) -> int:
        """All bytes."""
        return sum(map(sum, self.by_map))


@dataclass(frozen=True, slots=True)
class Piece:
    """Reduce partitions `first` up to `last`, without it; of one, maybe `maps` alone: (first, last)
    in the order of maps, without the last.
    """

    first: int
    last: int
    maps: tuple[int, int] | None = None


Reading = tuple[Piece, ...]
"""For each task, what it reads of one shuffle. None of a partition's rows is read by no task."""


def read_together(
    sizes: Sequence[Sizes], settings: Adaptive, splittable: Collection[int] = ()
) -> list[Reading] | None:
    """Return how shuffles that are read partition by partition together are to be read, each by as
    many tasks; None where nothing is gained.

    `splittable` are the places of those whose partitions may be cut as long as every cut meets the
    whole partition of the others.
    """
    partitions = sizes[0].partitions
    by_shuffle = [each.by_partition for each in sizes]
    together = [sum(column) for column in zip(*by_shuffle, strict=True)]
    cuts = _cuts(sizes, by_shuffle, settings, splittable) if settings.splits else {}
    target = _target(sum(together), settings)
    readings: list[list[Piece]] = [[] for _ in sizes]
    start = 0
    for skewed in (*sorted(cuts), partitions):
        # Between two skewed partitions, the others are coalesced as if there were no more.
        for piece in _coalesced(together, start, skewed, target, settings.coalesces):
            for reading in readings:
                reading.append(piece)
        if skewed < partitions:
            whole = Piece(skewed, skewed + 1)
            for pieces in product(*(cuts[skewed].get(i, (whole,)) for i in range(len(sizes)))):
                for reading, piece in zip(readings, pieces, strict=True):
                    reading.append(piece)
        start = skewed + 1
    if not readings[0]:  # all are empty, and a task must say so
        readings = [[Piece(0, partitions)] for _ in sizes]
    if not cuts and len(readings[0]) >= partitions:
        return None
    return [tuple(reading) for reading in readings]


def _target(total: int, settings: Adaptive) -> int:
    share = ceil(total / max(1, settings.least_partitions))
    return max(min(share, settings.advisory_bytes), settings.least_bytes)


def _coalesced(
    sizes: Sequence[int], start: int, end: int, target: int, coalesces: bool
) -> list[Piece]:
    """Return neighbouring partitions from `start` to `end` in pieces of at most `target` bytes,
    where one alone is not larger. What is empty is left out.
    """
    if not coalesces:
        return [Piece(i, i + 1) for i in range(start, end)]
    found: list[Piece] = []
    first, held = start, 0
    for i in range(start, end):
        if i > first and held + sizes[i] > target:
            if held:
                found.append(Piece(first, i))
            first, held = i, 0
        held += sizes[i]
    if held:
        found.append(Piece(first, end))
    return found


def _cuts(
    sizes: Sequence[Sizes],
    by_shuffle: Sequence[Sequence[int]],
    settings: Adaptive,
    splittable: Collection[int],
) -> dict[int, dict[int, tuple[Piece, ...]]]:
    """Return the pieces of skewed partitions, by partition and by the place of the shuffle."""
    skewed: dict[int, dict[int, int]] = {}
    for place in splittable:
        of_all = by_shuffle[place]
        limit = max(settings.skew_bytes, settings.skew_factor * median(of_all))
        even = [size for size in of_all if size <= limit]
        target = max(settings.advisory_bytes, sum(even) // len(even) if even else 0)
        for partition, size in enumerate(of_all):
            if size > limit:
                skewed.setdefault(partition, {})[place] = target
    found = {}
    for partition, targets in skewed.items():
        pieces = {
            place: _cut(sizes[place], partition, target, settings.most_splits)
            for place, target in targets.items()
        }
        # Each piece of one side meets each of the other: larger pieces, where these are too many.
        while prod(map(len, pieces.values())) > settings.most_splits:
            place = max(pieces, key=lambda place: len(pieces[place]))
            pieces[place] = _cut(sizes[place], partition, 0, len(pieces[place]) // 2)
        if any(len(cut) > 1 for cut in pieces.values()):
            found[partition] = pieces
    return found


def _cut(sizes: Sizes, partition: int, target: int, most: int) -> tuple[Piece, ...]:
    """Return a partition in pieces of about `target` bytes, at most `most`, by ranges of maps."""
    column = [of_map[partition] for of_map in sizes.by_map]
    starts = split_evenly(column, max(1, target))
    target = max(target, sum(column) // most)
    while len(starts) > most:
        target = target * 2 + 1
        starts = split_evenly(column, target)
    ranges = pairwise((*starts, len(column)))
    return tuple(Piece(partition, partition + 1, maps) for maps in ranges)


def split_evenly(sizes: Sequence[int], target: int) -> list[int]:
    """Return where pieces of about `target` bytes begin in a row of sizes; the first is 0.

    A piece that is small, or that fits with the one before it, is merged into that.
    """
    starts, held, before = [0], 0, -1
    for i, size in enumerate((*sizes, None)):
        if size is not None and (i == 0 or held + size <= target):
            held += size
            continue
        small = min(held, before) < target * _SMALL
        if before >= 0 and (small or held + before < target * _MERGED):
            starts.pop()
            before += held
        else:
            before = held
        if size is not None:
            starts.append(i)
            held = size
    return starts
