from __future__ import annotations

import asyncio
import bz2
import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aflint.driver.splits import text_splits
from aflint.errors import (
    CorruptInputError,
    InputChangedError,
    PathNotFoundError,
    TextDecodingError,
)
from aflint.executor import lines, text
from aflint.executor.io_loop import IOLoop
from aflint.executor.ranges import Reading
from aflint.executor.sources import SourceCounts, blocks, count, open_source
from aflint.storage.local import LocalStorage
from aflint.task import TextSplit

MIB = 1024 * 1024
storage = LocalStorage()


@pytest.fixture
def io() -> Iterator[IOLoop]:
    with IOLoop() as loop:
        yield loop


def splits_of(path: Path, pieces: int = 1, **options: Any) -> tuple[TextSplit, ...]:
    return asyncio.run(text_splits(storage, str(path), min_partitions=pieces, **options))


def read(path: Path, io: IOLoop, pieces: int = 1, **options: Any) -> list[str]:
    """Read a file by its splits; counting must agree."""
    found: list[str] = []
    for split in splits_of(path, pieces, **options):
        mine = [line for block in blocks(split, storage, io) for line in block]
        assert count(split, storage, io) == len(mine)
        found += mine
    return found


def write(folder: Path, data: bytes | str, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", []),
        ("\n", [""]),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\n\n", ["a", ""]),
        ("a\r\nb\rc\nd", ["a", "b", "c", "d"]),
        ("\r\r\n\n\r", ["", "", "", ""]),
        ("a\x0bb\x0cc\x1cd\x85e\u2028f\n", ["a\x0bb\x0cc\x1cd\x85e\u2028f"]),
        ("a\0b\n", ["a\0b"]),
        ("\ufeffa\nb", ["a", "b"]),
        ("\ufeff", []),
        ("\ufeff\n", [""]),
        ("\ufeff\ufeffa\n\ufeffb", ["\ufeffa", "\ufeffb"]),
    ],
)
@pytest.mark.parametrize("pieces", [1, 2, 3, 50])
def test_lines_end_as_hadoop_says(
    data: str, expected: list[str], pieces: int, tmp_path: Path, io: IOLoop
) -> None:
    assert read(write(tmp_path, data), io, pieces) == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("pieces", [1, 3])
def test_many_blocks(end: str, pieces: int, tmp_path: Path, io: IOLoop) -> None:
    expected = [f"{number}:é€😀" * (number % 9) for number in range(110_000)]
    path = write(tmp_path, end.join(expected) + end)
    assert path.stat().st_size > 5 * MIB
    assert read(path, io, pieces) == expected


def test_a_line_longer_than_many_blocks_across_splits(tmp_path: Path, io: IOLoop) -> None:
    expected = ["first", "x" * (9 * MIB) + "é", "", "y" * MIB, "last"]
    assert read(write(tmp_path, "\n".join(expected)), io, 5) == expected


def test_a_line_that_ends_far_behind_its_split(tmp_path: Path, io: IOLoop) -> None:
    path = write(tmp_path, "a\n" + "x" * (6 * MIB) + "\nb\n")
    size = path.stat().st_size
    halves = [TextSplit(str(path), 0, 10, size), TextSplit(str(path), 10, size, size)]
    found = [[x for block in blocks(s, storage, io) for x in block] for s in halves]
    assert found == [["a", "x" * (6 * MIB)], ["b"]]


def test_a_carriage_return_and_newline_across_blocks(
    tmp_path: Path, io: IOLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reading.ranges, "__defaults__", ("", 4))
    monkeypatch.setattr(text, "BEYOND_BYTES", 1)
    monkeypatch.setattr(text, "READ_BYTES", 3)
    monkeypatch.setattr(lines.chunks, "__defaults__", (2,))
    for data in ("abc\r\ndef\r\n", "ab\r\n\r\ncd\r", "abc\rdef\r\r\r\n", "é\r\né\r\né"):
        expected = data.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
        for pieces in range(1, 9):
            assert read(write(tmp_path, data), io, pieces) == expected


def test_invalid_bytes_name_file_and_offset(tmp_path: Path, io: IOLoop) -> None:
    good = "fünf\n" * 100_000
    path = write(tmp_path, good.encode() + b"ab\xffcd\n" + good.encode())
    offset = len(good.encode()) + 2

    def read_all(splits: tuple[TextSplit, ...], way: Any) -> None:
        for split in splits:
            way(split, storage, io)

    for splits in (splits_of(path), splits_of(path, 7)):
        for way in (count, lambda *task: list(blocks(*task))):
            with pytest.raises(
                TextDecodingError, match=rf"a\.txt: byte {offset} is not valid utf-8"
            ):
                read_all(splits, way)


def test_a_truncated_character_at_the_end_is_invalid(tmp_path: Path, io: IOLoop) -> None:
    path = write(tmp_path, "abc€".encode()[:-1])
    with pytest.raises(TextDecodingError, match="byte 3 "):
        read(path, io)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [("replace", ["a\ufffd", "b"]), ("ignore", ["a", "b"]), ("surrogateescape", ["a\udcff", "b"])],
)
def test_errors_chooses_what_becomes_of_invalid_bytes(
    errors: str, expected: list[str], tmp_path: Path, io: IOLoop
) -> None:
    assert read(write(tmp_path, b"a\xff\nb\n"), io, errors=errors) == expected


def test_a_line_of_ignored_bytes_only_is_a_line(tmp_path: Path, io: IOLoop) -> None:
    assert read(write(tmp_path, b"a\n\xff\xff"), io, errors="ignore") == ["a", ""]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "gb18030", "utf-8-sig"])
def test_other_encodings_are_cut_too(encoding: str, tmp_path: Path, io: IOLoop) -> None:
    expected = [f"Zürich {number}" for number in range(100)]
    path = write(tmp_path, "\r\n".join(expected).encode(encoding))
    assert read(path, io, 4, encoding=encoding) == expected


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-7", "cp037"])
def test_wide_encodings_are_read_whole(encoding: str, tmp_path: Path, io: IOLoop) -> None:
    expected = [f"Zürich {number}" for number in range(1000)]
    path = write(tmp_path, "\r\n".join(expected).encode(encoding))
    assert read(path, io, 4, encoding=encoding) == expected


def test_wide_encodings_name_the_invalid_byte(tmp_path: Path, io: IOLoop) -> None:
    path = write(tmp_path, "ab".encode("utf-16-le") + b"\x00\xd8" + "c".encode("utf-16-le"))
    with pytest.raises(TextDecodingError, match="byte 4 is not valid utf-16-le"):
        read(path, io, encoding="utf-16-le")


def zstd(data: bytes) -> bytes:
    library = pytest.importorskip("zstandard")
    compressed: bytes = library.ZstdCompressor(write_checksum=True).compress(data)
    return compressed


COMPRESSIONS: list[tuple[str, Any]] = [
    (".gz", gzip.compress),
    (".bz2", bz2.compress),
    (".zst", zstd),
]
compressed = pytest.mark.parametrize(("suffix", "compress"), COMPRESSIONS)


@compressed
def test_compressed_files_of_several_members(
    suffix: str, compress: Any, tmp_path: Path, io: IOLoop
) -> None:
    expected = [f"{number},é€" for number in range(150_000)]
    data = "\n".join(expected).encode()
    half = len(data) // 2 + 1  # in the middle of a line
    path = write(tmp_path, compress(data[:half]) + compress(data[half:]), "a" + suffix)
    [split] = splits_of(path, 4)
    counts = SourceCounts()
    assert [line for block in blocks(split, storage, io, counts) for line in block] == expected
    assert counts.input_bytes == path.stat().st_size
    assert count(split, storage, io) == len(expected)


@compressed
def test_an_empty_compressed_file(suffix: str, compress: Any, tmp_path: Path, io: IOLoop) -> None:
    assert read(write(tmp_path, compress(b""), "a" + suffix), io) == []
    assert read(write(tmp_path, b"", "b" + suffix), io) == []


@compressed
def test_a_truncated_file_is_named(suffix: str, compress: Any, tmp_path: Path, io: IOLoop) -> None:
    whole = compress("".join(f"{n * n}\n" for n in range(50_000)).encode())
    for length in (1, 7, 20, len(whole) // 2, len(whole) - 1):
        path = write(tmp_path, whole[:length], "a" + suffix)
        with pytest.raises(CorruptInputError, match=r"/a\.\w+ is truncated"):
            read(path, io)


@compressed
def test_a_damaged_file_is_named(suffix: str, compress: Any, tmp_path: Path, io: IOLoop) -> None:
    whole = bytearray(compress("".join(f"{n * n}\n" for n in range(50_000)).encode()))
    whole[len(whole) // 2] ^= 0xFF
    for data in (bytes(whole), b"this is plain text\n" * 100):
        with pytest.raises(CorruptInputError, match=r"/a\.\w+ is (damaged|truncated)"):
            read(write(tmp_path, data, "a" + suffix), io)


def test_zeros_after_a_gzip_member_are_padding(tmp_path: Path, io: IOLoop) -> None:
    member = gzip.compress(b"a\n")
    assert read(write(tmp_path, member + b"\0" * 1000 + member, "a.gz"), io) == ["a", "a"]


def test_invalid_bytes_in_a_compressed_file(tmp_path: Path, io: IOLoop) -> None:
    path = write(tmp_path, gzip.compress(b"ab\n\xff\n"), "a.gz")
    with pytest.raises(TextDecodingError, match="byte 3 of the decompressed data"):
        read(path, io)


def test_a_file_that_is_gone_or_shorter_than_listed(tmp_path: Path, io: IOLoop) -> None:
    path = write(tmp_path, "a\n" * 100)
    [split] = splits_of(path)
    path.write_text("a\n")
    with pytest.raises(InputChangedError, match=r"a\.txt was changed"):
        list(blocks(split, storage, io))
    with pytest.raises(InputChangedError, match=r"a\.txt was changed"):
        list(blocks(replace(split, version=""), storage, io))
    path.unlink()
    with pytest.raises(PathNotFoundError, match=r"a\.txt"):
        list(blocks(split, storage, io))


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_reading_goes_on_from_a_position(
    name: str, encoding: str, tmp_path: Path, io: IOLoop
) -> None:
    expected = [f"{number},é\r" * 3 + "x" for number in range(100_000)]
    data = "\n".join(expected).encode(encoding)
    path = write(tmp_path, gzip.compress(data, 1) if name.endswith("gz") else data, name)
    for split in splits_of(path, 2, encoding=encoding):
        everything = [x for block in blocks(split, storage, io) for x in block]
        for stop in (0, 1, 2, 3):
            source = open_source(split, storage, io)
            reading = source.blocks()
            before = [x for _, block in zip(range(stop), reading, strict=False) for x in block]
            reading.close()  # type: ignore[attr-defined]
            rest = open_source(split, storage, io, position=source.position)
            after = [x for block in rest.blocks() for x in block]
            assert before + after == everything
            again = open_source(split, storage, io, position=source.position)
            assert again.count() == len(after)


def test_a_finished_position_has_nothing_left(tmp_path: Path, io: IOLoop) -> None:
    for data in ("a\r\nb\r\n", "a\nb"):
        for split in splits_of(write(tmp_path, data), 3):
            source = open_source(split, storage, io)
            list(source.blocks())
            rest = open_source(split, storage, io, position=source.position)
            assert list(rest.blocks()) == []


class Slow(LocalStorage):
    """Reads that hang after the first, and tell when they are cancelled."""

    def __init__(self) -> None:
        self.started = self.cancelled = 0

    async def read(
        self, path: str, start: int = 0, end: int | None = None, version: str = ""
    ) -> bytes:
        self.started += 1
        if start:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return await super().read(path, start, end)


def test_stopping_early_leaves_nothing_in_flight(tmp_path: Path) -> None:
    path = write(tmp_path, "x" * 99 + "\n" * (20 * MIB))
    [split] = splits_of(path)
    slow = Slow()
    with IOLoop() as io:
        reading = blocks(split, slow, io)
        assert next(reading)[0] == "x" * 99
        reading.close()  # type: ignore[attr-defined]
        io.run(asyncio.sleep(0))
        assert slow.cancelled == slow.started - 1


def test_counts_bytes_read(tmp_path: Path, io: IOLoop) -> None:
    path = write(tmp_path, "abc\n" * 1000)
    counts = SourceCounts()
    for split in splits_of(path):
        list(blocks(split, storage, io, counts))
    assert counts.input_bytes == 4000
