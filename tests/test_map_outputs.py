from __future__ import annotations

import sys
import tracemalloc
from dataclasses import replace
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.counts import Counts, pack_counts
from aflint.errors import FrameError
from aflint.map_outputs import (
    ManifestLines,
    MapColumns,
    MapOutputs,
    lies_in_object,
    map_status,
    object_bytes,
    partition_sizes,
    size_of,
    sizes_of,
)
from aflint.task import Extent, MapOutput, MapStatus
from aflint.transport.frame_run import Layout
from aflint.wire import pack, unpack

PARTITIONS = 70
"""More than are unpacked at once."""

batches = st.lists(
    st.dictionaries(
        st.integers(0, PARTITIONS - 1),
        st.lists(st.integers(0, 300).map(bytes), min_size=1, max_size=3),
        max_size=PARTITIONS,
    ),
    max_size=4,
)


@given(st.lists(st.integers(0, 2**64 - 1)) | st.lists(st.just(7)) | st.lists(st.integers(0, 3)))
def test_counts_come_back_as_they_were(values: list[int]) -> None:
    counts = Counts(pack_counts(values))
    assert list(counts) == list(counts.unpacked()) == values
    assert counts.total() == sum(values)
    if len(values) > 2:
        assert list(counts.unpacked(1, 3)) == values[1:3]
        assert counts.total(1, 3) == sum(values[1:3])


@pytest.mark.parametrize(
    "packed", [b"", b"\x00", bytes(13), b"\x03" + bytes(12), pack_counts([1, 2]) + b"\x00"]
)
def test_what_is_no_counts_is_refused(packed: bytes) -> None:
    with pytest.raises(FrameError, match="not packed counts"):
        Counts(packed)


def written(number: int, some: list[dict[int, list[bytes]]], most: int) -> tuple[MapStatus, Layout]:
    layout = Layout(most)
    frames, sizes = [0] * PARTITIONS, [0] * PARTITIONS
    for batch in some:
        layout.add(batch)
        for partition, of_partition in batch.items():
            frames[partition] += len(of_partition)
            sizes[partition] += sum(map(len, of_partition))
    return map_status((number, 1, 0), frames, sizes, f"s3://b/{number}", layout.extents()), layout


def bytes_of(some: list[dict[int, list[bytes]]], partition: int) -> int:
    return sum(len(frame) for batch in some for frame in batch.get(partition, ()))


@given(st.lists(batches, max_size=4), st.integers(50, 2000))
def test_a_manifest_names_exactly_what_was_laid_out_in_the_driver_and_in_a_task(
    maps: list[list[dict[int, list[bytes]]]], most: int
) -> None:
    made = [written(number, some, most) for number, some in enumerate(maps)]
    columns = MapColumns([status for status, _ in made])
    for partition in (*range(PARTITIONS), 40, 3):
        expected = tuple(
            MapOutput(
                status.map, 1, 0, frames, bytes_of(some, partition), status.object,
                layout.extents().get(partition, ()),
            )
            for (status, layout), some in zip(made, maps, strict=True)
            if (frames := Counts(status.frames)[partition])
        )  # fmt: skip
        lines = ManifestLines(columns, partition)
        sent = unpack(pack(lines))
        assert isinstance(sent, MapOutputs)
        assert lines == expected
        assert sent == expected
    for (status, layout), some in zip(made, maps, strict=True):
        found = [bytes_of(some, partition) for partition in range(PARTITIONS)]
        assert list(sizes_of(status)) == found
        assert list(sizes_of(status, 3, 7)) == found[3:7]
        assert object_bytes(unpack(pack(status))) == layout.size
        assert [size_of(status, partition) for partition in (0, 7)] == [found[0], found[7]]
        assert all(lies_in_object(status, partition) for partition in range(PARTITIONS))
    sums = [sum(bytes_of(some, partition) for some in maps) for partition in range(PARTITIONS)]
    assert partition_sizes([status for status, _ in made], PARTITIONS) == sums


def test_a_status_takes_few_bytes_for_a_partition_that_it_wrote_to() -> None:
    batch = {partition: [bytes(9_000 + partition)] for partition in range(PARTITIONS)}
    status, _ = written(0, [batch], 1 << 24)
    assert not status.extents
    assert len(pack(status)) < PARTITIONS + 150


@pytest.mark.parametrize("least", [0, 1, 200, 70_000, 2**32, 2**64 - 256])
def test_counts_that_are_about_alike_take_a_byte_each(least: int) -> None:
    values = [0, 0, *range(least, least + 256), 0]
    packed = pack_counts(values)
    assert len(packed) <= 256 + 21
    assert list(Counts(packed)) == list(Counts(packed).unpacked()) == values
    assert [Counts(packed)[place] for place in (1, 2, 257, 258)] == values[1:3] + values[-2:]


def test_sizes_are_kept_where_not_all_frames_lie_in_the_object() -> None:
    layout = Layout(1000)
    layout.add({0: [bytes(9)]})
    status = map_status((0, 0, 0), [1, 1], [9, 5], "s3://b/0", layout.extents())
    assert (list(sizes_of(status)), bool(status.sizes)) == ([9, 5], True)
    assert [lies_in_object(status, partition) for partition in (0, 1)] == [True, False]
    lines = [ManifestLines(MapColumns([status]), partition) for partition in (0, 1)]
    assert [line.size for lines in lines for line in lines] == [9, 5]


def test_extents_that_do_not_lie_one_after_the_other_are_kept_as_they_are() -> None:
    extents = {1: (Extent(7, 5),)}
    status = map_status((0, 0, 0), [0, 1], [0, 5], "s3://b/0", extents)
    assert [list(Counts(each)) for each in status.extents] == [[1], [7], [5]]
    assert status.rows == ()
    (line,) = ManifestLines(MapColumns([status]), 1)
    assert line.extents == extents[1]
    assert object_bytes(status) == 5


def test_a_manifest_joins_outputs_in_queues_in_objects_and_in_both_in_the_order_of_maps() -> None:
    ones, sizes = [1] * PARTITIONS, [9_000 + partition for partition in range(PARTITIONS)]
    layout = Layout(1 << 24)
    layout.add({partition: [bytes(size)] for partition, size in enumerate(sizes)})
    few = {5: (Extent(0, 9), Extent(20, 11)), 66: (Extent(9, 11),)}
    statuses = [
        map_status((0, 0, 0), ones, sizes),
        map_status((1, 2, 0), ones, sizes, "s3://b/1", layout.extents()),
        map_status((2, 0, 0), [2] * PARTITIONS, sizes, "s3://b/2", few),
        map_status((3, 0, 0), ones, sizes),
        map_status((3, 0, 1), ones, sizes, "s3://b/3", layout.extents()),
    ]
    columns = MapColumns(statuses)
    for partition in (66, 0, 5, 64, 63):
        own = layout.extents()[partition]
        size = sizes[partition]
        expected = [
            MapOutput(0, 0, 0, 1, size),
            MapOutput(1, 2, 0, 1, size, "s3://b/1", own),
            MapOutput(2, 0, 0, 2, size, "s3://b/2", few.get(partition, ())),
            MapOutput(3, 0, 0, 1, size),
            MapOutput(3, 0, 1, 1, size, "s3://b/3", own),
        ]
        assert list(unpack(pack(ManifestLines(columns, partition)))) == expected
        some = ManifestLines(columns.part(1, 3), partition)
        assert list(unpack(pack(some))) == expected[1:3]


def many(maps: int) -> list[MapStatus]:
    made = [
        written(
            0, [{p: [bytes(8_000 + (p * 37 + kind) % 4_000)] for p in range(PARTITIONS)}], 1 << 24
        )
        for kind in range(8)
    ]
    return [
        replace(made[map % 8][0], map=map, object=f"s3://bucket/shuffles/{map:06}")
        for map in range(maps)
    ]


def calls_for(columns: MapColumns, partitions: range) -> int:
    """Count the functions of Python and of C that are called for manifests."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        for partition in partitions:
            columns.outputs(partition)
    finally:
        sys.setprofile(None)
    return calls


def test_making_a_manifest_takes_as_many_calls_for_a_thousand_maps_as_for_a_hundred() -> None:
    few, lots = MapColumns(many(100)), MapColumns(many(1_000))
    for columns in (few, lots):
        columns.outputs(0)  # cuts columns out of each row, for many partitions at once
    assert calls_for(lots, range(1, 64)) == calls_for(few, range(1, 64)) < 63 * 100


def test_the_manifests_of_a_stage_take_little_beside_what_its_map_tasks_said() -> None:
    statuses = many(2_000)
    pairs = len(statuses) * PARTITIONS
    sent = len(pack(ManifestLines(MapColumns(statuses), 30)))
    assert sent < len(statuses) * (4 + 4 + len("000000") + 3)
    tracemalloc.start()
    try:
        columns = MapColumns(statuses)
        for partition in range(PARTITIONS):
            columns.outputs(partition)
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Two bytes for each of the 64 columns that are cut out, and some numbers for each map.
    assert held < 3 * pairs
    assert most < 6 * pairs
