"""What map tasks wrote, in little memory: a shuffle may have 100 million pairs of map task and
reduce partition.

Frames lie in an object one after the other, by partition, once or (where the object was written in
several parts) several times over. So where they lie follows from how many bytes each partition has:
a row of them for each time. Nothing here is rounded.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os.path import commonprefix
from typing import Final, overload

from aflint.counts import Counts, pack_counts
from aflint.frozen import quick
from aflint.task import Extent, MapOutput, MapStatus
from aflint.wire import shared, travels_as, wire

_SPARSE: Final = 4
"""Rows that have more places than so many for each extent are not worth it."""

_MARKED: Final = 32
"""Of so many partitions in a row, one offset is known; the others are counted from it."""

_BETWEEN: Final = "\0"


def map_status(
    place: tuple[int, int, int],
    frames: Sequence[int],
    sizes: Sequence[int],
    object: str = "",
    extents: Mapping[int, tuple[Extent, ...]] | None = None,
) -> MapStatus:
    """Return the status of (map, attempt, link), in as few bytes as hold it."""
    rows = _rows(extents, len(frames)) if extents else None
    others = {} if rows is not None else dict(extents or {})
    packed = pack_counts(frames), pack_counts(sizes)
    return MapStatus(*place, *packed, object, others, rows or ())


def _rows(extents: Mapping[int, tuple[Extent, ...]], partitions: int) -> tuple[bytes, ...] | None:
    """Return extents as rows; None where they do not lie so, or there are too few for it."""
    placed = [(each.offset, p, each.length) for p, some in extents.items() for each in some]
    rows: list[list[int]] = []
    end, latest = 0, partitions
    for offset, partition, length in sorted(placed):
        if offset != end:
            return None
        if partition <= latest:
            rows.append([0] * partitions)
            if len(rows) * partitions > _SPARSE * len(placed):
                return None
        rows[-1][partition] = length
        end, latest = offset + length, partition
    return tuple(map(pack_counts, rows))


def object_bytes(status: MapStatus) -> int:
    """Return how many bytes of its object a map task wrote."""
    explicit = (extent.length for some in status.extents.values() for extent in some)
    return sum(explicit) + sum(Counts(row).total() for row in status.rows)


class _Row:
    """How many bytes each partition has in one row of an object, and so where they begin."""

    __slots__ = ("_lengths", "_marks", "end")

    def __init__(self, lengths: Counts, begin: int) -> None:
        self._lengths = lengths
        self._marks = array("Q")
        for start in range(0, len(lengths), _MARKED):
            self._marks.append(begin)
            begin += lengths.total(start, min(start + _MARKED, len(lengths)))
        self.end = begin

    def extent(self, partition: int) -> Extent | None:
        length = self._lengths[partition]
        if not length:
            return None
        mark, after = divmod(partition, _MARKED)
        before = self._lengths.total(partition - after, partition) if after else 0
        return Extent(self._marks[mark] + before, length)


class MapColumn:
    """What one link of a map attempt wrote, by partition."""

    __slots__ = ("_frames", "_rows", "_sizes", "status")

    def __init__(self, status: MapStatus) -> None:
        self.status = status
        self._frames, self._sizes = Counts(status.frames), Counts(status.sizes)
        self._rows: list[_Row] = []
        end = 0
        for row in status.rows:
            self._rows.append(_Row(Counts(row), end))
            end = self._rows[-1].end

    def frames(self, partition: int) -> int:
        """Return how many frames a partition has."""
        return self._frames[partition]

    def size(self, partition: int) -> int:
        """Return how many bytes they have."""
        return self._sizes[partition]

    def extents(self, partition: int) -> tuple[Extent, ...]:
        """Return where they lie in the object."""
        if not self._rows:
            return self.status.extents.get(partition, ())
        found = [row.extent(partition) for row in self._rows]
        return tuple([extent for extent in found if extent is not None])


class _Outputs(Sequence[MapOutput]):
    """Lines of a manifest that are made as they are read, in the order of maps."""

    __slots__ = ()

    @overload
    def __getitem__(self, index: int) -> MapOutput: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[MapOutput]: ...
    def __getitem__(self, index: int | slice) -> MapOutput | Sequence[MapOutput]:
        return tuple(self)[index]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


@shared
@wire
@dataclass(frozen=True, slots=True)
class MapAttempts:
    """The links of map attempts whose output is read: their objects, without what the names of all
    begin with, are one string.
    """

    maps: bytes
    attempts: bytes
    links: bytes
    prefix: str
    objects: str

    @classmethod
    def of(cls, statuses: Sequence[MapStatus]) -> MapAttempts:
        """Return those of statuses."""
        names = [status.object for status in statuses]
        prefix = commonprefix(names)  # noqa: RUF071 - of strings, as they are
        return cls(
            pack_counts([status.map for status in statuses]),
            pack_counts([status.attempt for status in statuses]),
            pack_counts([status.link for status in statuses]),
            prefix,
            _BETWEEN.join(name[len(prefix) :] for name in names),
        )

    def __iter__(self) -> Iterator[tuple[int, int, int, str]]:
        columns = (Counts(each).unpacked() for each in (self.maps, self.attempts, self.links))
        objects = (self.prefix + tail for tail in self.objects.split(_BETWEEN))
        return zip(*columns, objects, strict=False)


@wire
@quick
@dataclass(frozen=True, slots=True, eq=False)
class MapOutputs(_Outputs):
    """Lines of a manifest as they travel: a column for each of their fields.

    `attempts` may be those of the whole stage, of which some wrote nothing for the partition.
    `runs` counts the extents of each line, `offsets` and `lengths` are those of all, in order.
    """

    attempts: MapAttempts
    frames: bytes
    sizes: bytes
    runs: bytes
    offsets: bytes
    lengths: bytes

    def __iter__(self) -> Iterator[MapOutput]:
        offsets, lengths = Counts(self.offsets).unpacked(), Counts(self.lengths).unpacked()
        columns = (Counts(each).unpacked() for each in (self.frames, self.sizes, self.runs))
        extents = map(Extent, offsets, lengths)
        for (map_, attempt, link, name), frames, size, runs in zip(
            self.attempts, *columns, strict=True
        ):
            own = tuple(next(extents) for _ in range(runs))
            if frames:
                yield MapOutput(map_, attempt, link, frames, size, name, own)


class MapColumns:
    """What the map tasks of a stage wrote, in the order of maps. It never changes."""

    def __init__(self, statuses: Iterable[MapStatus]) -> None:
        self.columns: Sequence[MapColumn] = [MapColumn(status) for status in statuses]

    def part(self, low: int, high: int) -> MapColumns:
        """Return some of the columns."""
        part = MapColumns(())
        part.columns = self.columns[low:high]
        return part

    @cached_property
    def attempts(self) -> MapAttempts:
        """Those of all columns, made once for all partitions."""
        return MapAttempts.of([column.status for column in self.columns])


class ManifestLines(_Outputs):
    """What there is to read of a partition, out of the driver's columns: it holds nothing itself,
    so that a thousand reduce tasks under way take no more memory than one.
    """

    __slots__ = ("_columns", "_partition")

    def __init__(self, columns: MapColumns, partition: int) -> None:
        self._columns = columns
        self._partition = partition

    def __iter__(self) -> Iterator[MapOutput]:
        partition = self._partition
        for column in self._columns.columns:
            if frames := column.frames(partition):
                status, size = column.status, column.size(partition)
                place = status.map, status.attempt, status.link
                yield MapOutput(*place, frames, size, status.object, column.extents(partition))

    def packed(self) -> MapOutputs:
        """Return them as they travel."""
        columns, partition = self._columns.columns, self._partition
        wrote = [column for column in columns if column.frames(partition)]
        # The attempts of all columns are there already, and need be sent only if most are read.
        if 2 * len(wrote) < len(columns):
            columns = wrote
            attempts = MapAttempts.of([column.status for column in columns])
        else:
            attempts = self._columns.attempts
        runs = [column.extents(partition) for column in columns]
        extents = [extent for each in runs for extent in each]
        return MapOutputs(
            attempts,
            pack_counts([column.frames(partition) for column in columns]),
            pack_counts([column.size(partition) for column in columns]),
            pack_counts([len(each) for each in runs]),
            pack_counts([extent.offset for extent in extents]),
            pack_counts([extent.length for extent in extents]),
        )

    def __repr__(self) -> str:
        return f"ManifestLines({list(self)})"


travels_as(ManifestLines, ManifestLines.packed)
