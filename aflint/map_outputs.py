"""What map tasks wrote, in little memory: a shuffle may have 100 million pairs of map task and
reduce partition.

Frames lie in an object one after the other, by partition, once or (where the object was written in
several parts) several times over. So where they lie follows from how many bytes each partition has:
a row of them for each time. A map task that wrote to few partitions has its extents in columns
instead: to which partition each belongs, where it begins, how long it is. Nothing here is rounded.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import accumulate, chain, compress, islice, repeat
from operator import attrgetter
from os.path import commonprefix
from typing import Final, overload

from aflint.counts import (
    Counts,
    CountsTable,
    Offsets,
    pack_column,
    pack_counts,
    unpack_column,
)
from aflint.frozen import changed, quick
from aflint.task import Extent, Input, Manifest, MapOutput, MapStatus
from aflint.wire import travels_as, wire

FRAME_HEAD_BYTES: Final = 4
"""Before each frame in an object stands its length."""

_SPARSE: Final = 4
"""Rows that have more places than so many for each extent are not worth it."""

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
    others = _columns(extents) if extents and rows is None else ()
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


def size_of(status: MapStatus, partition: int) -> int:
    """Return how many bytes of frames there are for a reduce partition."""
    return sizes_of(status, partition, partition + 1)[0]


def partition_sizes(statuses: Sequence[MapStatus], partitions: int) -> list[int]:
    """Return how many bytes several maps wrote for each reduce partition."""
    if not statuses:
        return [0] * partitions
    return [sum(column) for column in zip(*map(sizes_of, statuses), strict=True)]


def lies_in_object(status: MapStatus, partition: int) -> bool:
    """Say whether all frames for a reduce partition lie in the map's object."""
    lengths = [Counts(row)[partition] for row in status.rows]
    if status.extents:
        placed, _, of_each = (Counts(column).unpacked() for column in status.extents)
        lengths += [length for p, length in zip(placed, of_each, strict=True) if p == partition]
    heads = FRAME_HEAD_BYTES * Counts(status.frames)[partition]
    return sum(lengths) == size_of(status, partition) + heads


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


def _columns(extents: Mapping[int, tuple[Extent, ...]]) -> tuple[bytes, ...]:
    """Return for each extent its partition, its offset and its length, a column for each."""
    placed = [(p, each.offset, each.length) for p in sorted(extents) for each in extents[p]]
    return tuple(map(pack_counts, zip(*placed, strict=True)))


def object_bytes(status: MapStatus) -> int:
    """Return how many bytes of its object a map task wrote."""
    return sum(Counts(lengths).total() for lengths in (*status.extents[2:], *status.rows))


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
@dataclass(frozen=True, slots=True)
class AlikeOutputs:
    """Lines of a manifest of which all, or none, have sizes of their own: a column for each field.

    `attempts` may be those of the whole stage, of which some wrote nothing for the partition; None
    on the way, where they travel once for all manifests: see `apart`. `runs` counts the extents of
    each line, `begins` and `ends` are those of all, in order; one that is empty stands for none.
    Where `sizes` is empty they follow from these.
    """

    attempts: MapAttempts | None
    frames: bytes
    sizes: bytes
    runs: bytes
    begins: bytes
    ends: bytes

    def __iter__(self) -> Iterator[MapOutput]:
        assert self.attempts is not None
        # Each begin and its end, taken from the two columns in step as lines are made.
        places = zip(Counts(self.begins).unpacked(), Counts(self.ends).unpacked(), strict=True)
        frames, runs = Counts(self.frames).unpacked(), Counts(self.runs).unpacked()
        sizes: Iterable[int | None] = Counts(self.sizes).unpacked() if self.sizes else repeat(None)
        for (map_, attempt, link, name), count, own, size in zip(
            self.attempts, frames, runs, sizes, strict=False
        ):
            extents = tuple(
                [Extent(begin, end - begin) for begin, end in islice(places, own) if begin != end]
            )
            if not count:
                continue
            if size is None:
                size = sum([each.length for each in extents]) - count * FRAME_HEAD_BYTES
            yield MapOutput(map_, attempt, link, count, size, name, extents)


@wire
@quick
@dataclass(frozen=True, slots=True, eq=False)
class MapOutputs(_Outputs):
    """Lines of a manifest as they travel."""

    parts: tuple[AlikeOutputs, ...]

    def __iter__(self) -> Iterator[MapOutput]:
        if len(self.parts) == 1:
            return iter(self.parts[0])
        return merge(*self.parts, key=attrgetter("map", "attempt", "link"))


Runs = tuple[list[int], list[int], list[int]]
"""Of a few lines how many extents each has, and of all of these where they begin and end."""


class _InRows:
    """Where frames lie that lie in rows, if in an object at all."""

    def __init__(self, statuses: Sequence[MapStatus]) -> None:
        rows = [status.rows for status in statuses]
        self._counts = list(map(len, rows))
        self._packed = pack_counts(self._counts)
        begins: list[int] = []
        for each in rows:
            # The first row of an object begins where that does, which need not be summed up.
            begins += islice(accumulate(map(_total, each[:-1]), initial=0), len(each))
        self._offsets = Offsets(list(chain.from_iterable(rows)), begins)

    def of_all(self, partition: int) -> tuple[bytes, bytes, bytes]:
        """Return `runs`, `begins` and `ends` of the lines of all statuses."""
        width = self._offsets.width
        begins, ends = map(self._offsets.column, (partition, partition + 1))
        return self._packed, pack_column(begins, width), pack_column(ends, width)

    def of_some(self, partition: int, chosen: Sequence[int]) -> Runs:
        """Return these of some lines."""
        width = self._offsets.width
        begins, ends = (
            unpack_column(self._offsets.column(each), width) for each in (partition, partition + 1)
        )
        firsts = list(accumulate(self._counts, initial=0))
        places = [place for each in chosen for place in range(firsts[each], firsts[each + 1])]
        runs = [self._counts[each] for each in chosen]
        return runs, [begins[place] for place in places], [ends[place] for place in places]


class _Placed:
    """Where frames lie of which each status names the extents: sorted by partition, once for all of
    them, as there are few.
    """

    def __init__(self, statuses: Sequence[MapStatus], partitions: int) -> None:
        # By partition: the numbers of statuses, ascending, and what each has there.
        self._extents = [(array("I"), array("Q"), array("Q")) for _ in range(partitions)]
        for number, status in enumerate(statuses):
            columns = (Counts(each).unpacked() for each in status.extents)
            for partition, offset, length in zip(*columns, strict=True):
                numbers, begins, ends = self._extents[partition]
                numbers.append(number)
                begins.append(offset)
                ends.append(offset + length)

    def of_some(self, partition: int, chosen: Sequence[int]) -> Runs:
        """Return how many extents each of some lines has, and where these begin and end."""
        counts = dict.fromkeys(chosen, 0)
        found: tuple[list[int], list[int]] = [], []
        for number, begin, end in zip(*self._extents[partition], strict=True):
            if number in counts:
                counts[number] += 1
                found[0].append(begin)
                found[1].append(end)
        return list(counts.values()), *found


class _Alike:
    """Statuses of one shuffle that are alike in how they say what there is, and where."""

    def __init__(self, statuses: Sequence[MapStatus]) -> None:
        first = statuses[0]
        self._statuses = statuses
        self._frames = CountsTable([status.frames for status in statuses])
        self._sizes = CountsTable([s.sizes for s in statuses]) if first.sizes else None
        self._where = (
            _Placed(statuses, self._frames.columns) if first.extents else _InRows(statuses)
        )
        # Those of all of them, once they are asked for.
        self.attempts: MapAttempts | None = None

    def outputs(self, partition: int) -> AlikeOutputs:
        """Return what they have for a partition."""
        column = self._frames.column(partition)
        width = self._frames.width
        frames = unpack_column(column, width)
        # Bytes are counted in a hundredth of the time.
        nothing = column.count(0) if width == 1 else frames.count(0)
        # The attempts of all are there already, and need be sent only if most of them are read.
        if type(self._where) is _InRows and 2 * nothing <= len(frames):
            if self.attempts is None:
                self.attempts = MapAttempts.of(self._statuses)
            sizes = self._sizes
            return AlikeOutputs(
                self.attempts,
                pack_column(column, width),
                b"" if sizes is None else pack_column(sizes.column(partition), sizes.width),
                *self._where.of_all(partition),
            )
        chosen = list(compress(range(len(frames)), frames))
        return AlikeOutputs(
            MapAttempts.of([self._statuses[each] for each in chosen]),
            pack_counts([frames[each] for each in chosen]),
            self._some_sizes(partition, chosen),
            *map(pack_counts, self._where.of_some(partition, chosen)),
        )

    def _some_sizes(self, partition: int, chosen: Sequence[int]) -> bytes:
        if self._sizes is None:
            return b""
        sizes = unpack_column(self._sizes.column(partition), self._sizes.width)
        return pack_counts([sizes[each] for each in chosen])


class MapColumns:
    """What the map tasks of a stage wrote, in the order of maps. It never changes.

    Reduce tasks are mostly launched in the order of their partitions, and columns are cut out and
    added up for these: see `aflint.counts`.
    """

    def __init__(self, statuses: Iterable[MapStatus]) -> None:
        self.statuses: Sequence[MapStatus] = list(statuses)
        self._alike: list[_Alike] | None = None

    def part(self, low: int, high: int) -> MapColumns:
        """Return some of the columns."""
        return MapColumns(self.statuses[low:high])

    @property
    def attempts(self) -> list[MapAttempts]:
        """Those of whole columns that were given out: the same objects for each partition."""
        return [each.attempts for each in self._alike or () if each.attempts is not None]

    def outputs(self, partition: int) -> MapOutputs:
        """Return what there is to read of a partition."""
        if self._alike is None:
            kinds: dict[tuple[bool, bool], list[MapStatus]] = {}
            for each in self.statuses:
                kinds.setdefault((bool(each.sizes), bool(each.extents)), []).append(each)
            self._alike = list(map(_Alike, kinds.values()))
        return MapOutputs(tuple([each.outputs(partition) for each in self._alike]))


class ManifestLines(_Outputs):
    """What there is to read of a partition, out of the driver's columns: it holds nothing itself,
    so that a thousand reduce tasks under way take no more memory than one.
    """

    __slots__ = ("_partition", "columns")

    def __init__(self, columns: MapColumns, partition: int) -> None:
        self.columns = columns
        self._partition = partition

    def __iter__(self) -> Iterator[MapOutput]:
        return iter(self.packed())

    def packed(self) -> MapOutputs:
        """Return them as they travel."""
        return self.columns.outputs(self._partition)

    def __repr__(self) -> str:
        return f"ManifestLines({list(self)})"


travels_as(ManifestLines, ManifestLines.packed)


def apart(inputs: tuple[Input, ...]) -> tuple[tuple[Input, ...], tuple[MapAttempts, ...]]:
    """Return what a task reads without the attempts that its manifests have in common with those of
    other tasks, and these: of most manifests they are the larger part.
    """
    common: list[MapAttempts] = []

    def without(part: AlikeOutputs, columns: MapColumns) -> AlikeOutputs:
        if part.attempts is None or not any(part.attempts is each for each in columns.attempts):
            return part
        common.append(part.attempts)
        return changed(part, attempts=None)

    def sent(item: Input) -> Input:
        if type(item.split) is not Manifest or type(item.split.outputs) is not ManifestLines:
            return item
        lines = item.split.outputs
        outputs = MapOutputs(tuple([without(each, lines.columns) for each in lines.packed().parts]))
        return changed(item, split=changed(item.split, outputs=outputs))

    return tuple(map(sent, inputs)), tuple(common)


def together(inputs: tuple[Input, ...], common: Iterable[MapAttempts]) -> tuple[Input, ...]:
    """Return what `apart` was given. Raises ValueError where the two do not belong together."""
    attempts = iter(common)

    def whole(item: Input) -> Input:
        if type(item.split) is not Manifest or type(item.split.outputs) is not MapOutputs:
            return item
        parts = [
            changed(each, attempts=next(attempts)) if each.attempts is None else each
            for each in item.split.outputs.parts
        ]
        return changed(item, split=changed(item.split, outputs=MapOutputs(tuple(parts))))

    try:
        found = tuple([whole(item) for item in inputs])
    except StopIteration as error:
        raise ValueError("a manifest misses its attempts") from error
    return found


def _total(row: bytes) -> int:
    return Counts(row).total()
