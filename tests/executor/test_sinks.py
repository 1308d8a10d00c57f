from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aflint.driver import commit
from aflint.driver.splits import text_splits, whole_file_splits
from aflint.errors import DiskFullError, OutputError, OutputExistsError
from aflint.executor import sinks
from aflint.executor.io_loop import IOLoop
from aflint.executor.sinks import BlockFileWriter, SizedLists, StreamWriter, save_pickle, save_text
from aflint.executor.sources import blocks
from aflint.storage.base import FileWriter
from aflint.storage.local import LocalStorage
from aflint.task import StagedPart, TaskId
from aflint.wire import pack, unpack

storage = LocalStorage()


@pytest.fixture
def io() -> Iterator[IOLoop]:
    with IOLoop() as loop:
        yield loop


def task(partition: int = 0, attempt: int = 0) -> TaskId:
    return TaskId("job", 2, partition, attempt)


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def read_text(target: Path, io: IOLoop) -> list[str]:
    splits = asyncio.run(text_splits(storage, str(target), min_partitions=1))
    return [line for split in splits for block in blocks(split, storage, io) for line in block]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([], b""),
        (["a", "é"], "a\né\n".encode()),
        ([1, None, (1, "x"), 2.5], b"1\nNone\n(1, 'x')\n2.5\n"),
        (["a", 1, b"raw", bytearray(b"more")], b"a\n1\nraw\nmore\n"),
        (["a\udcff"], b"a\xff\n"),
        (["two\nlines"], b"two\nlines\n"),
    ],
)
def test_text_is_one_line_for_each_record(
    records: list[Any], expected: bytes, tmp_path: Path, io: IOLoop
) -> None:
    part = save_text(iter(records), str(tmp_path / "out"), None, task(7), storage, io)
    assert part.name == "part-00007"
    assert Path(part.staged).read_bytes() == expected
    assert (part.size, part.records) == (len(expected), len(records))


@pytest.mark.parametrize(
    ("compression", "suffix"), [(None, ""), ("gzip", ".gz"), ("bz2", ".bz2"), ("zstd", ".zst")]
)
def test_saved_text_can_be_read_again(
    compression: str | None, suffix: str, tmp_path: Path, io: IOLoop
) -> None:
    target = tmp_path / "out"
    parts = [
        save_text(range(p * 5000, p * 5000 + 5000), str(target), compression, task(p), storage, io)
        for p in range(3)
    ]
    parts.append(save_text([], str(target), compression, task(3), storage, io))
    asyncio.run(commit.commit(storage, str(target), parts))
    assert files_below(target) == ["_SUCCESS", *(f"part-{p:05d}{suffix}" for p in range(4))]
    assert read_text(target, io) == list(map(str, range(15_000)))


def test_saved_pickles_can_be_read_again(tmp_path: Path, io: IOLoop) -> None:
    records: list[Any] = [(1, "a"), {"x": {1, 2}}, None, *range(100)]
    part = save_pickle(records, str(tmp_path / "out"), 10, task(), storage, io)
    asyncio.run(commit.commit(storage, str(tmp_path / "out"), [part]))
    [split] = asyncio.run(whole_file_splits(storage, str(tmp_path / "out"), kind="pickle"))
    read = list(blocks(split, storage, io))
    assert [record for block in read for record in block] == records
    assert max(map(len, read)) == 10
    assert part.records == len(records)


def test_only_the_accepted_attempts_are_committed(tmp_path: Path, io: IOLoop) -> None:
    target = str(tmp_path / "out")
    loser = save_text(["no"], target, None, task(0, 0), storage, io)
    winner = save_text(["yes"], target, None, task(0, 1), storage, io)
    assert loser.staged != winner.staged
    assert not (tmp_path / "out" / "part-00000").exists()
    asyncio.run(commit.commit(storage, target + "/", [winner]))
    assert files_below(tmp_path) == ["out/_SUCCESS", "out/part-00000"]
    assert not (tmp_path / "out" / "_temporary").exists()
    assert read_text(tmp_path / "out", io) == ["yes"]


def test_an_attempt_of_an_earlier_job_of_the_same_name_stages_elsewhere(
    tmp_path: Path, io: IOLoop
) -> None:
    target = str(tmp_path / "out")
    part = save_text(["new"], target, None, task(), storage, io)
    late = save_text(["old"], target, None, task(), storage, io)
    assert part.staged != late.staged
    asyncio.run(commit.commit(storage, target, [part]))
    assert read_text(tmp_path / "out", io) == ["new"]


def test_an_aborted_save_leaves_nothing(tmp_path: Path, io: IOLoop) -> None:
    target = str(tmp_path / "out")
    save_text(["x"], target, None, task(), storage, io)
    asyncio.run(commit.abort(storage, target))
    asyncio.run(commit.abort(storage, target))
    assert os.listdir(tmp_path) == []
    asyncio.run(commit.prepare(storage, target))


def test_an_abort_after_the_commit_takes_nothing_away(tmp_path: Path, io: IOLoop) -> None:
    target = str(tmp_path / "out")
    part = save_text(["x"], target, None, task(), storage, io)
    asyncio.run(commit.commit(storage, target, [part]))
    asyncio.run(commit.abort(storage, target))
    assert read_text(tmp_path / "out", io) == ["x"]


@pytest.mark.parametrize("mode", ["append", "overwrite", "overwrite_partitions"])
def test_a_commit_may_be_done_again_by_another_driver(
    mode: commit.Mode, tmp_path: Path, io: IOLoop
) -> None:
    target = tmp_path / "out"
    (target / "k=1").mkdir(parents=True)
    for name in ("k=1/old", "k=1/.old.crc", "old", "_SUCCESS"):
        (target / name).touch()
    part = save_text(["x"], str(target), None, task(), storage, io)
    part = replace(part, name="k=1/new")
    left = {
        "append": ["_SUCCESS", "k=1/.old.crc", "k=1/new", "k=1/old", "old"],
        "overwrite": ["_SUCCESS", "k=1/new"],
        "overwrite_partitions": ["_SUCCESS", "k=1/new", "old"],
    }
    for _ in range(2):
        asyncio.run(commit.commit(storage, str(target), [part], mode, task().job))
        assert files_below(target) == left[mode]


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_an_aborted_save_leaves_what_was_there(
    mode: commit.Mode, tmp_path: Path, io: IOLoop
) -> None:
    target = tmp_path / "out"
    part = save_text(["x"], str(target), None, task(), storage, io)
    asyncio.run(commit.abort(storage, str(target), mode, task().job))
    assert os.listdir(tmp_path) == []
    target.mkdir()
    (target / "old").touch()
    part = save_text(["x"], str(target), None, task(), storage, io)
    other = save_text(["x"], str(target), None, replace(task(), job="other"), storage, io)
    asyncio.run(storage.move(part.staged, f"{target}/new"))
    moved = replace(part, name="new")
    asyncio.run(commit.abort(storage, str(target), mode, task().job, [moved]))
    assert files_below(target) == [str(Path(other.staged).relative_to(target)), "old"]


@pytest.mark.parametrize("there", ["file", "folder", "empty"])
def test_an_existing_target_is_refused(there: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder" / "x").touch()
    (tmp_path / "file").touch()
    with pytest.raises(OutputExistsError, match=f"{there} is already there"):
        asyncio.run(commit.prepare(storage, str(tmp_path / there)))


def test_an_empty_save_is_a_success(tmp_path: Path) -> None:
    asyncio.run(commit.commit(storage, str(tmp_path / "out"), []))
    assert files_below(tmp_path) == ["out/_SUCCESS"]


def test_a_failing_pipeline_leaves_no_part(tmp_path: Path, io: IOLoop) -> None:
    def records() -> Iterator[str]:
        yield from ["x" * 1000] * 10_000
        raise RuntimeError("user's own")

    def save(pickled: bool) -> StagedPart:
        if pickled:
            return save_pickle(records(), str(tmp_path / "out"), 10, task(), storage, io)
        return save_text(records(), str(tmp_path / "out"), "gzip", task(), storage, io)

    for pickled in (False, True):
        with pytest.raises(RuntimeError, match="user's own"):
            save(pickled)
        assert files_below(tmp_path) == []


def test_text_that_utf8_cannot_carry_is_named(tmp_path: Path, io: IOLoop) -> None:
    with pytest.raises(OutputError, match=r"'\\ud800' cannot be written"):
        save_text(["fine", "\ud800"], str(tmp_path / "out"), None, task(), storage, io)
    assert files_below(tmp_path) == []


class Full(LocalStorage):
    """A disk that is full after so many writes."""

    def __init__(self, writes: int) -> None:
        self.left = writes
        self.aborted = 0

    def create(self, path: str) -> FileWriter:
        return FullWriter(self)


class FullWriter(FileWriter):
    def __init__(self, disk: Full) -> None:
        self._disk = disk

    async def write(self, data: bytes) -> None:
        self._disk.left -= 1
        if self._disk.left < 0:
            raise DiskFullError("full")

    async def finish(self) -> None:
        await self.write(b"")

    async def abort(self) -> None:
        self._disk.aborted += 1


@pytest.mark.parametrize("writes", [0, 1, 2, 3])
def test_a_full_disk_stops_the_task(
    writes: int, io: IOLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "WRITE_BYTES", 1000)
    disk = Full(writes)
    with pytest.raises(DiskFullError, match="full"):
        save_text(["x" * 2000] * 60_000, "/out", None, task(), disk, io)
    assert disk.aborted == 1


def test_a_partition_is_written_in_bounded_memory(
    tmp_path: Path, io: IOLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "WRITE_BYTES", 10_000)
    held: list[int] = []
    with StreamWriter(str(tmp_path / "a"), storage, io) as stream:
        for _ in range(100):
            stream.write(b"x" * 999)
            held.append(stream._held)
    assert max(held) < 10_000
    assert (tmp_path / "a").read_bytes() == b"x" * 99_900


def test_large_records_are_taken_few_at_a_time() -> None:
    batches = SizedLists(iter(range(10_000)), 5000)
    sizes = []
    for batch in batches:
        sizes.append(len(batch))
        batches.made(len(batch) * (100_000 if batch[0] > 1000 else 10))
    assert sum(sizes) == 10_000
    assert max(sizes) == 4096
    assert sizes[4:6] == [2, 2]
    assert sizes[:3] == [64, 256, 1024]
    assert sizes[-2] == 2


def test_a_block_file_counts_what_it_holds(tmp_path: Path, io: IOLoop) -> None:
    with BlockFileWriter(str(tmp_path / "a"), storage, io) as file:
        for block in ([1, 2], [], [3]):
            file.write(block)
    assert file.records == 3
    assert file.size == (tmp_path / "a").stat().st_size


def test_gzip_parts_are_ordinary_gzip_files(tmp_path: Path, io: IOLoop) -> None:
    part = save_text(["a", "b"], str(tmp_path / "out"), "gzip", task(), storage, io)
    assert gzip.decompress(Path(part.staged).read_bytes()) == b"a\nb\n"


def test_staged_parts_travel() -> None:
    part = StagedPart("a", "b", 1, 2)
    assert unpack(pack(part)) == part
