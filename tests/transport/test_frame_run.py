"""Runs of frames, as files and objects have them: laid out, planned, cut, and damaged anywhere."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.task import Extent, MapOutput
from aflint.transport.frame_run import Layout, LostOutputError, Run, batched, cut, plan_runs
from tests.fuzz.damage import damaged

frames_by_partition = st.dictionaries(st.integers(0, 3), st.lists(st.binary(max_size=30)))
extents = st.lists(st.builds(Extent, st.integers(0, 1000), st.integers(1, 50)), max_size=4)


@given(st.lists(frames_by_partition, max_size=4), st.integers(1, 100))
def test_what_is_laid_out_is_planned_and_cut_again(
    batches: list[dict[int, list[bytes]]], most: int
) -> None:
    layout = Layout(most)
    data = b"".join(piece for frames in batches for piece in layout.add(frames))
    assert layout.size == len(data)
    for partition, own in layout.extents().items():
        runs = plan_runs([MapOutput(5, 0, 0, 0, 0, "file", own)], most)
        found = [
            frame
            for run in runs
            for frame in cut(run, data[run.extent.offset :][: run.extent.length])
        ]
        assert found == [frame for frames in batches for frame in frames.get(partition, [])]
        assert all(run.extent.length <= most or len(cut_of(run, data)) == 1 for run in runs)


def cut_of(run: Run, data: bytes) -> list[bytes]:
    return cut(run, data[run.extent.offset :][: run.extent.length])


@given(st.lists(extents, max_size=6), st.integers(1, 100))
def test_all_is_read_once_and_in_order(mine: list[list[Extent]], most: int) -> None:
    outputs = [MapOutput(m, 0, 0, 1, 0, f"f{m}", tuple(each)) for m, each in enumerate(mine)]
    runs = plan_runs(outputs, most)
    assert [byte for run in runs for byte in bytes_of(run.map, run.extent)] == [
        byte for m, each in enumerate(mine) for extent in each for byte in bytes_of(m, extent)
    ]
    batches = batched(runs, most)
    assert [run for batch in batches for run in batch] == runs
    for batch in batches:
        assert len(batch) == 1 or sum(run.extent.length for run in batch) <= most


def bytes_of(map: int, extent: Extent) -> list[tuple[int, int]]:
    return [(map, extent.offset + at) for at in range(extent.length)]


def test_extents_that_touch_are_one_read() -> None:
    output = MapOutput(1, 0, 0, 3, 0, "f", (Extent(0, 4), Extent(4, 6), Extent(11, 5)))
    assert plan_runs([output], 10) == [Run(1, "f", Extent(0, 10)), Run(1, "f", Extent(11, 5))]
    assert len(plan_runs([output], 9)) == 3


@pytest.mark.parametrize("bit", range(32))
def test_a_flipped_bit_of_a_length_is_lost_output_or_other_frames(bit: int) -> None:
    frames = [b"a" * 40, b"b" * 300, b""]
    data = bytearray(b"".join(Layout(1000).add({0: frames})))
    data[bit // 8] ^= 1 << bit % 8
    assert frames_or_lost(bytes(data), len(data)) != frames


def test_a_damaged_run_is_never_anything_but_lost_output() -> None:
    random = Random(1)
    whole = b"".join(Layout(1000).add({0: [random.randbytes(n) for n in (0, 5, 90)]}))
    for _ in range(500):
        data = damaged(whole, random)
        for length in (len(data), len(whole)):
            found = frames_or_lost(data, length)
            assert found is None or sum(map(len, found)) + 4 * len(found) == length


def frames_or_lost(data: bytes, length: int) -> list[bytes] | None:
    """Return the frames of a run of map 7, None where it is lost."""
    try:
        return cut(Run(7, "f", Extent(0, length)), data)
    except LostOutputError as error:
        map = error.map
    assert map == 7
    return None
