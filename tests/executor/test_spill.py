from __future__ import annotations

import errno
from itertools import chain, islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.errors import DiskFullError, PayloadRefusedError
from aflint.executor.group import Group, GroupBuilder, pieces
from aflint.executor.io_loop import IOLoop
from aflint.executor.memory import MemoryWatch, chunks, slices
from aflint.executor.spill import MAX_FAN_IN, Runs, SpillFile, SpillFolder, translate
from aflint.storage.local import LocalStorage


class Pressed(MemoryWatch):
    def __init__(self) -> None:
        super().__init__(0)

    def pressed(self) -> bool:
        return True


def test_blocks_are_read_as_often_as_wanted(tmp_path: Path) -> None:
    file = SpillFile(SpillFolder(tmp_path))
    file.append([1, "a"])
    file.append([(2, None)])
    one, other = file.read(), file.read()
    assert next(one) == next(other) == [1, "a"]
    assert list(one) == list(other) == [[(2, None)]]
    file.close()


def test_what_was_altered_in_storage_is_not_decoded(tmp_path: Path) -> None:
    with IOLoop() as io:
        folder = SpillFolder(tmp_path / "x", 0, LocalStorage(), io, str(tmp_path / "stored"))
        file = SpillFile(folder)
        for number in range(3):
            file.append([number] * 1000)
        file._put()
        assert list(file.read()) == [[number] * 1000 for number in range(3)]
        (path,) = tmp_path.glob("stored/*")
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        with pytest.raises(PayloadRefusedError, match="what was spilled was altered"):
            list(file.read())
        file.close()


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("runs", [1, 5, MAX_FAN_IN, 3 * MAX_FAN_IN + 1])
def test_runs_merge_in_order_and_stably(tmp_path: Path, runs: int, descending: bool) -> None:
    merged = Runs(SpillFolder(tmp_path), descending=descending)
    for run in range(runs):
        order = range(9, -1, -1) if descending else range(10)
        merged.add((key, key, run) for key in order)
    found = list(merged.merged())
    assert found == sorted(found, key=lambda t: (-t[0] if descending else t[0], t[2]))
    assert len(found) == 10 * runs
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_says_where_and_what_to_do(tmp_path: Path) -> None:
    error = translate(OSError(errno.ENOSPC, "No space left"), tmp_path)
    assert isinstance(error, DiskFullError)
    assert str(tmp_path) in str(error)
    assert "scratch_dir" in str(error)
    other = OSError(errno.EIO, "broken")
    assert translate(other, tmp_path) is other


def test_groups_are_sequences(tmp_path: Path) -> None:
    builder = GroupBuilder(SpillFolder(tmp_path), Pressed())
    values = [f"value {n}" for n in range(5000)]
    for piece in pieces(values):
        builder.extend(piece)
    for group in (builder.build(), Group(values)):
        assert len(group) == 5000
        assert list(group) == list(group) == values
        assert (group[0], group[4999], group[-1]) == (values[0], values[-1], values[-1])
        assert group[10:4000:7] == values[10:4000:7]
        assert group == values
        assert group != values[1:]
        assert group != "other"
        assert values[77] in group
        assert repr(group).startswith("['value 0', 'value 1'")
        with pytest.raises(IndexError):
            group[5000]
        with pytest.raises(TypeError, match="unhashable"):
            hash(group)


def test_pieces_go_by_size() -> None:
    large = [bytes(50_000)] * 40
    assert [len(piece) for piece in pieces(large)] == [2] * 20
    assert [len(piece) for piece in pieces(list(range(3000)))] == [1024, 1024, 952]
    assert list(pieces([])) == []


def test_chunks_give_every_record_once() -> None:
    seen = [record for chunk in chunks(iter(range(50_000))) for record in chunk]
    assert seen == list(range(50_000))
    assert list(chunks(iter(()))) == []


@given(st.lists(st.integers(0, 700), max_size=8))
def test_slices_hold_the_records_of_lists_in_order(lengths: list[int]) -> None:
    records = iter(range(sum(lengths)))
    lists = [list(islice(records, length)) for length in lengths]
    cut = list(slices(lists))
    assert list(chain(*cut)) == list(range(sum(lengths)))
    assert all(cut)
