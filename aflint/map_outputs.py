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
from itertools import accumulate, repeat
from os.path import commonprefix
from typing import Final, overload

from aflint.counts import Counts, pack_counts
from aflint.frozen import quick
from aflint.task import Extent, MapOutput, MapStatus
from aflint.wire import travels_as, wire

FRAME_HEAD_BYTES: Final = 4
"""Before each frame in an object stands its length."""

_SPARSE: Final = 4
"""Rows that have more places than so many for each extent are not worth it."""

_AT_ONCE: Final = 16
"""So many partitions are unpacked at once."""

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
    in_rows = [Counts(row).unpacked() for row in rows or ()]
    same = rows is not None and list(sizes) == _bytes_in_rows(frames, in_rows)
    own_sizes = b"" if same else pack_counts(sizes)
    return MapStatus(*place, pack_counts(frames), own_sizes, object, others, rows or ())


def sizes_of(status: MapStatus, start: int = 0, end: int | None = None) -> Sequence[int]:
    """Return how many bytes of frames there are for each reduce partition, or for some of them."""
    if status.sizes:
        return Counts(status.sizes).unpacked(start, end)
    rows = [Counts(row).unpacked(start, end) for row in status.rows]
    return _bytes_in_rows(Counts(status.frames).unpacked(start, end), rows)


def _bytes_in_rows(frames: Sequence[int], rows: Sequence[Sequence[int]]) -> list[int]:
    lengths = rows[0] if len(rows) == 1 else map(sum, zip(*rows, strict=True))
    return [
        length - count * FRAME_HEAD_BYTES for length, count in zip(lengths, frames, strict=True)
    ]


def _rows(extents: Mapping[int, tuple[Extent, ...]], partitions: int) -> tuple[bytes, ...] | None:
    """Return extents as rows; None where they do not lie so, or there are too few for it."""
    placed = [(each.offset, p, each.length) for p, some in extents.items() for each in some]
    width = max(extents) - min(extents) + 1
    rows: list[list[int]] = []
    end, latest = 0, partitions
    for offset, partition, length in sorted(placed):
        if offset != end:
            return None
        if partition <= latest:
            rows.append([0] * partitions)
            if len(rows) * width > _SPARSE * len(placed):
                return None
        rows[-1][partition] = length
        end, latest = offset + length, partition
    return tuple(map(pack_counts, rows))


def object_bytes(status: MapStatus) -> int:
    """Return how many bytes of its object a map task wrote."""
    explicit = (extent.length for some in status.extents.values() for extent in some)
    return sum(explicit) + sum(Counts(row).total() for row in status.rows)


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


class _Slice:
    """What one link of a map attempt wrote for a few partitions next to each other.

    `before` is what it wrote for those before these, where that is at hand: it says where in the
    object these begin, which otherwise takes a sum over all that is before them.
    """

    __slots__ = ("_explicit", "_rows", "_sizes", "_start", "frames", "status")

    def __init__(self, status: MapStatus, start: int, end: int, before: _Slice | None) -> None:
        self.status = status
        self.frames = Counts(status.frames).unpacked(start, end)
        self._start, self._explicit = start, status.extents
        rows = [Counts(row) for row in status.rows]
        if before is not None:
            begins = [offsets[-1] for offsets in before._rows]
        else:
            ends = accumulate(row.total() for row in rows)
            begins = [behind - row.total(start) for row, behind in zip(rows, ends, strict=True)]
        # Of each row: where in the object each partition begins, and where the last ends.
        self._rows: list[array[int]] = [
            array("Q", accumulate(row.unpacked(start, end), initial=begin))
            for row, begin in zip(rows, begins, strict=True)
        ]
        sizes = Counts(status.sizes).unpacked(start, end) if status.sizes else None
        self._sizes: Sequence[int] | None = sizes

    def size(self, place: int) -> int:
        """Return the bytes of the frames for one of the partitions."""
        if self._sizes is not None:
            return self._sizes[place]
        in_rows = sum([offsets[place + 1] - offsets[place] for offsets in self._rows])
        return in_rows - self.frames[place] * FRAME_HEAD_BYTES

    def extents(self, place: int) -> list[tuple[int, int]]:
        """Return (offset, length) of what there is in the object for one of the partitions."""
        if self._explicit:
            return [(e.offset, e.length) for e in self._explicit.get(self._start + place, ())]
        return [
            (offsets[place], size)
            for offsets in self._rows
            if (size := offsets[place + 1] - offsets[place])
        ]


class MapColumns:
    """What the map tasks of a stage wrote, in the order of maps. It never changes.

    Reduce tasks are launched in the order of their partitions, and so are given what was unpacked
    for several of these at once.
    """

    def __init__(self, statuses: Iterable[MapStatus]) -> None:
        self.statuses: Sequence[MapStatus] = list(statuses)
        self._unpacked: tuple[int, list[_Slice]] = -1, []

    def part(self, low: int, high: int) -> MapColumns:
        """Return some of the columns."""
        return MapColumns(self.statuses[low:high])

    def slices(self, partition: int) -> tuple[list[_Slice], int]:
        """Return what each column has for some partitions, and the place of one among these."""
        number, place = divmod(partition, _AT_ONCE)
        if self._unpacked[0] != number:
            start = number * _AT_ONCE
            # Of all columns alike, as they are of one shuffle.
            partitions = len(Counts(self.statuses[0].frames)) if self.statuses else 0
            end = min(start + _AT_ONCE, partitions)
            known, slices = self._unpacked
            before = slices if slices and known == number - 1 else repeat(None)
            self._unpacked = (
                number,
                [
                    _Slice(status, start, end, each)
                    for status, each in zip(self.statuses, before, strict=False)
                ],
            )
        return self._unpacked[1], place

    @cached_property
    def attempts(self) -> MapAttempts:
        """Those of all columns, made once for all partitions."""
        return MapAttempts.of(self.statuses)


class ManifestLines(_Outputs):
    """What there is to read of a partition, out of the driver's columns: it holds nothing itself,
    so that a thousand reduce tasks under way take no more memory than one.
    """

    __slots__ = ("_columns", "_partition")

    def __init__(self, columns: MapColumns, partition: int) -> None:
        self._columns = columns
        self._partition = partition

    def __iter__(self) -> Iterator[MapOutput]:
        slices, place = self._columns.slices(self._partition)
        for each in slices:
            if frames := each.frames[place]:
                status, size = each.status, each.size(place)
                extents = tuple(Extent(*extent) for extent in each.extents(place))
                yield MapOutput(
                    status.map, status.attempt, status.link, frames, size, status.object, extents
                )

    def packed(self) -> MapOutputs:
        """Return them as they travel."""
        slices, place = self._columns.slices(self._partition)
        wrote = [each for each in slices if each.frames[place]]
        # The attempts of all columns are there already, and need be sent only if most are read.
        if 2 * len(wrote) < len(slices):
            slices = wrote
            attempts = MapAttempts.of([each.status for each in slices])
        else:
            attempts = self._columns.attempts
        runs = [each.extents(place) for each in slices]
        return MapOutputs(
            attempts,
            pack_counts([each.frames[place] for each in slices]),
            pack_counts([each.size(place) for each in slices]),
            pack_counts([len(each) for each in runs]),
            pack_counts([offset for each in runs for offset, _ in each]),
            pack_counts([length for each in runs for _, length in each]),
        )

    def __repr__(self) -> str:
        return f"ManifestLines({list(self)})"


travels_as(ManifestLines, ManifestLines.packed)
