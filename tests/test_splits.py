from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.driver.splits import SPLIT_BYTES, cut_text, pack_files, text_splits, whole_file_splits
from aflint.errors import InvalidArgumentError, PathNotFoundError
from aflint.storage.base import FileInfo
from aflint.storage.router import open_storage

storage = open_storage()
sizes = st.lists(st.integers(0, 1000), min_size=1, max_size=8)


def files_of(sizes: list[int], suffix: str = "") -> list[FileInfo]:
    return [FileInfo(f"f{index}{suffix}", size) for index, size in enumerate(sizes)]


@given(sizes, st.integers(1, 40), st.integers(1, 500))
def test_splits_cover_every_byte_once_and_keep_their_bounds(
    sizes: list[int], min_partitions: int, split_bytes: int
) -> None:
    splits = cut_text(files_of(sizes), min_partitions=min_partitions, split_bytes=split_bytes)
    for index, size in enumerate(sizes):
        mine = [split for split in splits if split.path == f"f{index}"]
        assert bool(mine) == bool(size)
        assert [split.start for split in mine] == [0, *(split.end for split in mine)][: len(mine)]
        assert not mine or mine[-1].end == size
        lengths = [split.end - split.start for split in mine]
        assert all(0 < length <= split_bytes * 1.1 for length in lengths)
        assert len(set(lengths[:-1])) <= 1


@pytest.mark.parametrize(("size", "wanted"), [(1000, 4), (1001, 4), (999, 7), (10, 10), (3, 10)])
def test_one_file_is_cut_into_as_many_as_asked(size: int, wanted: int) -> None:
    splits = cut_text(files_of([size]), min_partitions=wanted, split_bytes=10**9)
    assert len(splits) == min(size, wanted)


def test_an_empty_file_is_no_partition() -> None:
    assert cut_text(files_of([0]), min_partitions=4, split_bytes=100) == ()
    assert cut_text(files_of([0], ".gz"), min_partitions=4, split_bytes=100) == ()


@pytest.mark.parametrize(
    ("sizes", "min_partitions", "lengths"),
    [
        ([80_000_000], 2, [33554432, 33554432, 12891136]),
        ([64], 5, [12] * 5 + [4]),
        ([56], 3, [18, 18, 18, 2]),
        ([22], 3, [7, 7, 7, 1]),
        ([22], 5, [4] * 5 + [2]),
        ([22], 9, [2] * 11),
        ([1, 64], 3, [1, 21, 21, 22]),
        ([110], 1, [110]),
        ([1, 1000, 10], 2, [1, 505, 495, 10]),
    ],
)
def test_files_are_cut_as_spark_cuts_them(
    sizes: list[int], min_partitions: int, lengths: list[int]
) -> None:
    splits = cut_text(files_of(sizes), min_partitions=min_partitions, split_bytes=SPLIT_BYTES)
    assert [split.end - split.start for split in splits] == lengths


def test_compressed_files_are_not_cut() -> None:
    splits = cut_text(files_of([1000], ".gz"), min_partitions=4, split_bytes=100)
    assert [(s.start, s.end, s.compression) for s in splits] == [(0, 1000, "gzip")]


def test_wide_encodings_are_not_cut() -> None:
    splits = cut_text(files_of([1000]), min_partitions=4, split_bytes=100, encoding="utf-16")
    assert [(s.start, s.end, s.encoding) for s in splits] == [(0, 1000, "utf-16")]


@given(sizes, st.integers(1, 12), st.integers(1, 1500))
def test_packed_files_keep_their_order_and_bounds(
    sizes: list[int], min_partitions: int, split_bytes: int
) -> None:
    files = files_of(sizes)
    groups = pack_files(files, min_partitions=min_partitions, split_bytes=split_bytes)
    assert [file for group in groups for file in group] == files
    assert len(groups) >= min(min_partitions, len(files))
    for group in groups:
        assert group
        assert len(group) == 1 or sum(file.size for file in group) <= split_bytes


def test_nothing_to_pack_is_no_group() -> None:
    assert pack_files([], min_partitions=2, split_bytes=10) == []


async def test_paths_may_be_a_list_a_comma_list_a_glob_or_a_folder(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c,d.txt"):
        (tmp_path / name).write_text("x" * 10)
    a, b = tmp_path / "a.txt", tmp_path / "b.txt"
    for paths in (f"{b},{a}", [str(b), str(a)], [b, a]):
        splits = await text_splits(storage, paths, min_partitions=1)
        assert [split.path for split in splits] == [str(b), str(a)]
    for everything in (str(tmp_path), f"{tmp_path}/*", tmp_path):
        assert len(await text_splits(storage, everything, min_partitions=1)) == 3
    [odd] = await text_splits(storage, tmp_path / "c,d.txt", min_partitions=1)
    assert odd.path == str(tmp_path / "c,d.txt")


async def test_each_pickle_file_is_a_partition(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"part-{number}").write_bytes(b"x")
    splits = await whole_file_splits(storage, str(tmp_path), kind="pickle", min_partitions=1)
    assert [len(split.paths) for split in splits] == [1, 1, 1]
    [packed] = await whole_file_splits(storage, str(tmp_path), kind="binary", min_partitions=1)
    assert packed.sizes == (1, 1, 1)


async def test_bad_arguments_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="min_partitions is 0"):
        await text_splits(storage, str(tmp_path), min_partitions=0)
    with pytest.raises(InvalidArgumentError, match="split_bytes is 0"):
        await text_splits(storage, str(tmp_path), split_bytes=0)
    with pytest.raises(InvalidArgumentError, match="utf-ate"):
        await text_splits(storage, str(tmp_path), encoding="utf-ate")
    with pytest.raises(InvalidArgumentError, match="shrug"):
        await text_splits(storage, str(tmp_path), errors="shrug")
    with pytest.raises(InvalidArgumentError, match="no path"):
        await text_splits(storage, [])
    with pytest.raises(PathNotFoundError, match="gone"):
        await text_splits(storage, [str(tmp_path), str(tmp_path / "gone")])
