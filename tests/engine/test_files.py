"""Reading and saving files."""

from __future__ import annotations

import gzip
import lzma
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lz4.frame
import pytest

from aflint import (
    CorruptInputError,
    InvalidArgumentError,
    OutputError,
    OutputExistsError,
    PathNotFoundError,
    Session,
    SubfolderError,
    TaskError,
    TextDecodingError,
    UnreadableInputError,
    UnsupportedCompressionError,
)
from tests.fuzz.samples import hadoop_lz4

pytestmark = pytest.mark.asyncio(loop_scope="module")
Compression = Literal["gzip", "bz2", "zstd"]


@pytest.mark.parametrize("compression", [None, "gzip", "bz2", "zstd"])
async def test_text_round_trip(
    session: Session, tmp_path: Path, compression: Compression | None
) -> None:
    target = str(tmp_path / "out")
    lines = session.parallelize(["a", "", "é\u2028ü", 3, None, (1, "x")], 4)
    await lines.save_as_text_file(target, compression)
    assert (tmp_path / "out" / "_SUCCESS").read_bytes() == b""
    assert len(list((tmp_path / "out").glob("part-0000[0-3]*"))) == 4
    assert not (tmp_path / "out" / "_temporary").exists()
    assert await session.text_file(target).collect() == [
        "a",
        "",
        "é\u2028ü",
        "3",
        "None",
        "(1, 'x')",
    ]
    assert await session.text_file(target).count() == 6
    whole = await session.whole_text_files(target).collect()
    assert "".join(content for _, content in whole).splitlines()[0] == "a"


@dataclass
class Trip:
    miles: float


async def test_pickle_round_trip(session: Session, tmp_path: Path) -> None:
    records: list[Any] = [(1, "a"), [1], {2: 3}, None, True, 1.5, {1}, b"x", Trip(2.5), 2**80]
    await session.parallelize(records, 3).save_as_pickle_file(str(tmp_path / "out"), 2)
    back = await session.pickle_file(str(tmp_path / "out")).collect()
    assert back == records
    assert list(map(type, back)) == list(map(type, records))
    assert await session.pickle_file(str(tmp_path / "out")).count() == len(records)
    (tmp_path / "no").write_text("something else altogether")
    with pytest.raises(CorruptInputError, match="saved as pickles"):
        await session.pickle_file(str(tmp_path / "no")).collect()


async def test_saving_over_something_is_refused(session: Session, tmp_path: Path) -> None:
    with pytest.raises(OutputExistsError, match="already there"):
        await session.range(3).save_as_text_file(str(tmp_path))
    with pytest.raises(InvalidArgumentError, match="compression"):
        await session.range(3).save_as_text_file(str(tmp_path / "x"), "lzo")  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()


async def test_a_save_that_fails_leaves_nothing(session: Session, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="ZeroDivisionError"):
        await (
            session.range(9, num_slices=3)
            .map(lambda x: 1 // (x - 8))
            .save_as_text_file(str(tmp_path / "out"))
        )
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        await session.range(3).save_as_text_file(str(tmp_path / "file" / "out"))


async def test_what_paths_may_be(session: Session, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.log"):
        (tmp_path / name).write_text(f"{name}\n")
    (tmp_path / "_hidden").write_text("no\n")
    (tmp_path / "z.gz").write_bytes(gzip.compress(b"zipped"))
    folder = str(tmp_path)
    assert await session.text_file(folder).collect() == ["a.txt", "b.txt", "c.log", "zipped"]
    assert await session.text_file(f"{folder}/*.txt").collect() == ["a.txt", "b.txt"]
    assert await session.text_file(f"{folder}/b.txt,{folder}/a.txt").collect() == ["b.txt", "a.txt"]
    assert await session.text_file([tmp_path / "c.log", f"{folder}/a*"]).count() == 2
    # Six bytes: Spark's arithmetic, too, makes splits of one byte of them.
    assert await session.text_file(tmp_path / "a.txt", min_partitions=4).num_partitions() == 6
    files = await session.whole_text_files(f"{folder}/*.txt").collect_as_map()
    assert files == {f"{folder}/a.txt": "a.txt\n", f"{folder}/b.txt": "b.txt\n"}
    (binary,) = await session.binary_files(f"{folder}/z.gz").values().collect()
    assert gzip.decompress(binary) == b"zipped"


async def test_names_that_are_not_text(session: Session, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.txt")).write_text("found\n")
    assert await session.text_file(tmp_path).collect() == ["found"]
    (path,) = await session.whole_text_files(tmp_path).keys().collect()
    assert os.fsencode(path).endswith(b"/\xff.txt")


async def test_files_that_cannot_be_read(session: Session, tmp_path: Path) -> None:
    with pytest.raises(PathNotFoundError, match="/nowhere/x does not exist; check the path"):
        await session.text_file("/nowhere/x").count()
    with pytest.raises(PathNotFoundError, match=r"nothing matches .*\*\.csv"):
        await session.text_file(f"{tmp_path}/*.csv").collect()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableInputError, match="neither a file nor a folder"):
        await session.text_file(tmp_path / "pipe").collect()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises((UnreadableInputError, PathNotFoundError), match="loop"):
        await session.text_file(tmp_path / "loop").collect()
    (tmp_path / "gone").write_text("x\n")
    gone = session.text_file(tmp_path / "gone")
    assert await gone.count() == 1
    (tmp_path / "gone").unlink()
    with pytest.raises(PathNotFoundError, match="gone"):
        await gone.count()


async def test_truncated_gzip(session: Session, tmp_path: Path) -> None:
    whole = gzip.compress(os.urandom(100_000).hex().encode())
    (tmp_path / "x.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptInputError, match=r"x\.gz is truncated"):
        await session.text_file(tmp_path / "x.gz").count()


async def test_invalid_utf8(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(b"good\n" * 1000 + b"b\xffd\n" + b"good\n" * 10)
    for action in (session.text_file(path).collect, session.text_file(path).count):
        with pytest.raises(
            TextDecodingError, match=r"bad\.txt: byte 5001 is not valid utf-8.*errors="
        ):
            await action()
    assert (await session.text_file(path, errors="replace").collect())[1000] == "b\ufffdd"
    assert (await session.text_file(path, errors="ignore").collect())[1000] == "bd"
    assert (await session.text_file(path, encoding="latin-1").collect())[1000] == "b\xffd"
    with pytest.raises(InvalidArgumentError, match="unknown encoding"):
        session.text_file(path, encoding="nope")


async def test_a_job_that_fails_says_so_in_all_ways_to_read(
    session: Session, tmp_path: Path
) -> None:
    async def stream() -> list[str]:
        return [line async for line in session.text_file("/nowhere/x")]

    missing = session.text_file("/nowhere/x")
    for action in (missing.collect, missing.first, missing.explain, missing.num_partitions, stream):
        with pytest.raises(PathNotFoundError):
            await action()


async def test_folders_within_a_folder_are_refused_or_read(
    session: Session, tmp_path: Path
) -> None:
    await session.parallelize(["a"], 1).save_as_text_file(str(tmp_path / "in" / "first"))
    await session.parallelize(["b"], 1).save_as_text_file(str(tmp_path / "in" / "second"))
    folder = str(tmp_path / "in")
    for read in (session.text_file, session.whole_text_files, session.binary_files):
        with pytest.raises(SubfolderError, match=r"in/(first|second) is a folder within .*/in"):
            await read(folder).collect()
        assert await read(folder, recursive=True).count() == 2
        assert await read(f"{folder}/*").count() == 2
    assert await session.text_file(folder, recursive=True).collect() == ["a", "b"]
    await session.range(3).save_as_pickle_file(str(tmp_path / "kept" / "numbers"))
    with pytest.raises(SubfolderError):
        await session.pickle_file(str(tmp_path / "kept")).collect()
    assert await session.pickle_file(str(tmp_path / "kept"), recursive=True).sum() == 3


async def test_a_quoted_glob_names_a_file(session: Session, tmp_path: Path) -> None:
    (tmp_path / "br[1].txt").write_text("br\n")
    assert await session.text_file(rf"{tmp_path}/br\[1\].txt").collect() == ["br"]
    assert await session.text_file(rf"{tmp_path}/br\[?\].txt").collect() == ["br"]


LINES = [f"line {number}" for number in range(1000)]
PLAIN = "".join(f"{line}\n" for line in LINES).encode()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.deflate", zlib.compress(PLAIN)),
        ("x.DEFLATE", zlib.compress(PLAIN)),
        ("x.xz", lzma.compress(PLAIN)),
        ("x.lzma", lzma.compress(PLAIN, lzma.FORMAT_ALONE)),
        ("x.lz4", lz4.frame.compress(PLAIN)),
        ("hadoop.lz4", hadoop_lz4([PLAIN[:99], PLAIN[99:5000]], [PLAIN[5000:]])),
    ],
)
async def test_compressed_files_are_read_as_their_names_say(
    session: Session, tmp_path: Path, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    lines = session.text_file(tmp_path / name, 4)
    assert await lines.collect() == LINES
    assert await lines.num_partitions() == 1
    [(_, text)] = await session.whole_text_files(tmp_path / name).collect()
    assert text.encode() == PLAIN
    (tmp_path / name).write_bytes(PLAIN)
    with pytest.raises(CorruptInputError, match=f"{name} is (damaged|truncated)"):
        await session.text_file(tmp_path / name).collect()


@pytest.mark.parametrize("ending", ["snappy", "lzo", "Z", "zip", "br", "7z", "tgz"])
async def test_other_compressed_files_are_refused_as_text(
    session: Session, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"x.{ending}"
    path.write_bytes(PLAIN)
    for read in (session.text_file, session.whole_text_files):
        with pytest.raises(UnsupportedCompressionError, match=rf"x\.{ending}: text cannot be read"):
            await read(tmp_path).collect()
    assert await session.binary_files(path).values().collect() == [PLAIN]
