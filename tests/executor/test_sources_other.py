from __future__ import annotations

import asyncio
import gzip
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aflint.codec import records
from aflint.codec.digest import digest_of
from aflint.codec.pairs import Pairs
from aflint.driver.splits import whole_file_splits
from aflint.errors import (
    CorruptInputError,
    InternalError,
    PathNotFoundError,
    PayloadRefusedError,
    TextDecodingError,
)
from aflint.executor import blockfile, ranges
from aflint.executor.blockfile import END, MAGIC, frame_encoded, pack_block
from aflint.executor.io_loop import IOLoop
from aflint.executor.sinks import BlockFileWriter
from aflint.executor.sources import SourceCounts, blocks, count, open_source
from aflint.storage.local import LocalStorage
from aflint.task import Blob, BlocksSplit, DataSplit, FilesSplit, RangeSplit

storage = LocalStorage()


def frame_block(block: list[Any]) -> bytes:
    """Return a block as it lies in a file."""
    return frame_encoded(records.encode(block), len(block))


@pytest.fixture
def io() -> Iterator[IOLoop]:
    with IOLoop() as loop:
        yield loop


def read(split: Any, io: IOLoop) -> list[Any]:
    """Read a split; counting must agree, and so must going on from every position."""
    found = [record for block in blocks(split, storage, io) for record in block]
    assert count(split, storage, io) == len(found)
    source = open_source(split, storage, io)
    seen: list[Any] = []
    for block in source.blocks():
        seen += block
        rest = open_source(split, storage, io, position=source.position)
        assert seen + [record for more in rest.blocks() for record in more] == found
    return found


@pytest.mark.parametrize(
    "numbers", [range(0), range(5), range(3, 25_000, 7), range(10, -10, -3), range(20_000)]
)
def test_ranges(numbers: range, io: IOLoop) -> None:
    assert read(RangeSplit(numbers.start, numbers.stop, numbers.step), io) == list(numbers)


def test_a_huge_range_is_counted_at_once(io: IOLoop) -> None:
    assert count(RangeSplit(0, 10**15, 1), storage, io) == 10**15


def test_data_inline_and_in_storage(tmp_path: Path, io: IOLoop) -> None:
    parts: list[list[Any]] = [[1, (2, "x")], [], [None, 1.5, {"a": True}]]
    blobs = []
    for number, part in enumerate(parts):
        data = pack_block(part)
        path = tmp_path / str(number)
        path.write_bytes(data)
        blobs.append(Blob(digest_of(data), len(data), data=data))
        blobs.append(Blob(digest_of(data), len(data), location=str(path)))
    expected = [record for part in parts for record in part + part]
    found = read(DataSplit(tuple(blobs)), io)
    assert found == expected
    assert type(found[1]) is tuple


def test_data_that_was_altered_in_storage_is_not_decoded(
    tmp_path: Path, io: IOLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, path = pack_block([1, 2]), tmp_path / "blob"
    path.write_bytes(pack_block([1, 3]))

    def unpickle(_: bytes) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr("aflint.executor.sources.unpack_block", unpickle)
    with pytest.raises(PayloadRefusedError, match="blob was altered in storage"):
        read(DataSplit((Blob(digest_of(data), len(data), location=str(path)),)), io)


def test_a_tagged_file_is_decoded_only_where_each_byte_is_as_it_was_written(
    tmp_path: Path, io: IOLoop
) -> None:
    path, key = tmp_path / "blocks", b"k" * 32
    with BlockFileWriter(str(path), storage, io, key) as file:
        for block in ([1, 2], ["x"] * 5, [b"y"]):
            file.write(block)
    good = path.read_bytes()
    assert list(blockfile.parse([good], "p", key=key))[1:] == [(5, ["x"] * 5), (1, [b"y"])]
    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 1
        with pytest.raises((PayloadRefusedError, CorruptInputError)):
            list(blockfile.parse([bytes(bad)], "p", key=key))
    with pytest.raises(PayloadRefusedError, match="block 0 of p was altered"):
        list(blockfile.parse([good], "p", key=b"j" * 32))
    with pytest.raises(CorruptInputError, match="not a file of records"):
        list(blockfile.parse([good], "p"))
    # Another end, and the blocks in another order, are none of the writer's.
    first = len(blockfile.TAGGED_MAGIC)
    size = int.from_bytes(good[first : first + 4], "little") + 28
    for cut in (good[: first + size] + good[-28:], good[:first] + good[first + size :]):
        with pytest.raises(PayloadRefusedError):
            list(blockfile.parse([cut], "p", key=key))


Couple = namedtuple("Couple", "a b")


def test_pairs_and_all_else_come_back_from_a_tagged_file_as_they_were(
    tmp_path: Path, io: IOLoop
) -> None:
    path, key, shared = tmp_path / "blocks", b"k" * 32, [1]
    written: list[list[Any]] = [
        [(n, n / 2) for n in range(99)],
        [(str(n), [n, (n, None)]) for n in range(99)],
        [(1, shared), (shared, shared)],
        [((1, 2), Couple(1, 2))] * 40,
        [(1, 2), (1, 2, 3)],
        [(1, 2), [1, 2]],
        [Couple(1, 2), (1, 2)],
        [(True, b"x"), (0, None), (-(2**70), "")],
        ["ab", "cd"],
    ]
    with BlockFileWriter(str(path), storage, io, key) as file:
        for block in written:
            file.write(block)
    data = path.read_bytes()
    read = [list(block) for _, block in blockfile.parse([data], "p", key=key)]
    assert repr(read) == repr(written)
    (_, first), *_ = blockfile.parse([data], "p", key=key)
    assert type(first) is Pairs


def test_data_that_is_nowhere_is_a_fault(io: IOLoop) -> None:
    with pytest.raises(InternalError, match="abc"):
        read(DataSplit((Blob("abc", 3),)), io)


def files_in(folder: Path, kind: str, **options: Any) -> FilesSplit:
    [split] = asyncio.run(
        whole_file_splits(storage, str(folder), kind=kind, min_partitions=1, **options)
    )
    return split


def test_whole_text_files(tmp_path: Path, io: IOLoop) -> None:
    texts = {"a": "x\r\ny", "b": "", "c.gz": "é" * 100_000, "d": "\ufeffz"}
    for name, text in texts.items():
        data = text.encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    found = read(files_in(tmp_path, "text"), io)
    assert found == [(str(tmp_path / name), text) for name, text in texts.items()]


def test_whole_text_files_in_another_encoding(tmp_path: Path, io: IOLoop) -> None:
    (tmp_path / "a").write_bytes("é".encode("utf-16"))
    assert read(files_in(tmp_path, "text", encoding="utf-16"), io)[0][1] == "é"
    with pytest.raises(TextDecodingError, match=r"/a: byte 0 is not valid utf-8"):
        read(files_in(tmp_path, "text"), io)
    assert read(files_in(tmp_path, "text", errors="ignore"), io)[0][1] == "\0"


def test_binary_files_are_as_they_are(
    tmp_path: Path, io: IOLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "READ_BYTES", 10)
    monkeypatch.setattr(ranges.Reading.ranges, "__defaults__", ("", 10))
    contents = {f"{number:03d}.gz": bytes(range(number % 256)) for number in range(30)}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    counts = SourceCounts()
    split = files_in(tmp_path, "binary")
    found = [record for block in blocks(split, storage, io, counts) for record in block]
    assert found == [(str(tmp_path / name), data) for name, data in contents.items()]
    assert counts.input_bytes == sum(map(len, contents.values()))
    assert read(split, io) == found


def test_a_file_that_is_gone_is_named(tmp_path: Path, io: IOLoop) -> None:
    split = FilesSplit((str(tmp_path / "gone"),), (10,), "binary")
    with pytest.raises(PathNotFoundError, match="gone"):
        list(blocks(split, storage, io))


def pickle_file(path: Path, *parts: list[Any]) -> bytes:
    data = MAGIC + b"".join(map(frame_block, parts)) + END
    path.write_bytes(data)
    return data


def test_pickle_files(tmp_path: Path, io: IOLoop) -> None:
    pickle_file(tmp_path / "a", [1, (2,)], [{3}])
    pickle_file(tmp_path / "b")
    pickle_file(tmp_path / "c", ["x"] * 10_000)
    paths = tuple(str(tmp_path / name) for name in "abc")
    sizes = tuple((tmp_path / name).stat().st_size for name in "abc")
    assert read(FilesSplit(paths, sizes, "pickle"), io) == [1, (2,), {3}, *["x"] * 10_000]
    assert read(BlocksSplit(paths[0], sizes[0]), io) == [1, (2,), {3}]


def test_a_truncated_pickle_file_is_named(tmp_path: Path, io: IOLoop) -> None:
    whole = pickle_file(tmp_path / "a", list(range(1000)), list(range(1000)))
    first = len(MAGIC + frame_block(list(range(1000))))
    for length in (0, 3, len(MAGIC), len(MAGIC) + 3, first, first + 20, len(whole) - 1):
        (tmp_path / "a").write_bytes(whole[:length])
        for way in (count, lambda *task: list(blocks(*task))):
            with pytest.raises(CorruptInputError, match="/a is truncated"):
                way(files_in(tmp_path, "pickle"), storage, io)


def test_a_file_of_another_kind_is_named(tmp_path: Path, io: IOLoop) -> None:
    (tmp_path / "a").write_bytes(b"some text, not records")
    with pytest.raises(CorruptInputError, match="/a is not a file of records"):
        read(files_in(tmp_path, "pickle"), io)


def test_a_damaged_pickle_file_is_named(tmp_path: Path, io: IOLoop) -> None:
    whole = bytearray(pickle_file(tmp_path / "a", list(map(str, range(1000)))))
    for at in range(len(MAGIC) + 8, len(MAGIC) + 28):
        damaged = whole.copy()
        damaged[at] ^= 0xFF
        (tmp_path / "a").write_bytes(damaged)
        with pytest.raises(CorruptInputError, match="/a is damaged"):
            read(files_in(tmp_path, "pickle"), io)


def test_blocks_are_found_whatever_the_pieces() -> None:
    data = MAGIC + frame_block([1]) + frame_block([2, 3]) + END
    for size in (1, 2, 7, 1000):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert list(blockfile.parse(pieces, "x")) == [(1, [1]), (2, [2, 3])]
        assert list(blockfile.parse(pieces, "x", skip=1, decode=False)) == [(2, [])]


def test_an_unknown_split_is_a_fault(io: IOLoop) -> None:
    with pytest.raises(InternalError, match="str is no kind of split"):
        blocks("split", storage, io)
    with pytest.raises(InternalError, match="'odd' is no kind"):
        blocks(FilesSplit((), (), "odd"), storage, io)
