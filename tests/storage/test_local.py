from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from aflint.errors import (
    DiskFullError,
    InputChangedError,
    OutputError,
    PathNotFoundError,
    SubfolderError,
    UnreadableInputError,
)
from aflint.storage.base import FileInfo, Subfolders
from aflint.storage.local import LocalStorage, local_path, version_of

storage = LocalStorage()


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


async def names(folder: Path, pattern: str) -> list[str]:
    found = await storage.list(os.path.join(folder, pattern))
    return [file.path.removeprefix(f"{folder}/") for file in found]


async def test_lists_a_file_with_its_size(tmp_path: Path) -> None:
    make(tmp_path, "a.txt")
    path = str(tmp_path / "a.txt")
    expected = FileInfo(path, 5, version_of(os.stat(path)))
    assert await storage.list(path) == [expected]
    assert await storage.list((tmp_path / "a.txt").as_uri()) == [expected]


async def test_reads_the_version_that_is_asked_for_or_none(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", "b.txt")
    path = str(tmp_path / "a.txt")
    [file] = await storage.list(path)
    assert await storage.read(path, 1, 3, file.version) == (await storage.read(path))[1:3]
    os.replace(tmp_path / "b.txt", path)
    for start in (0, 3, 100):
        with pytest.raises(InputChangedError, match=r"a\.txt was changed or replaced"):
            await storage.read(path, start, start + 1, file.version)


async def test_lists_a_folder_without_hidden_files_and_folders(tmp_path: Path) -> None:
    make(tmp_path, "b", "a", "_SUCCESS", ".a.crc", "deeper/c")
    assert await names(tmp_path, "") == ["a", "b"]


async def test_an_empty_folder_has_no_files(tmp_path: Path) -> None:
    assert await storage.list(str(tmp_path)) == []


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.csv", ["a1.csv", "a2.csv", "b1.csv"]),
        ("a?.csv", ["a1.csv", "a2.csv"]),
        ("[ab]1.csv", ["a1.csv", "b1.csv"]),
        ("[^a]1.csv", ["b1.csv"]),
        ("[!a]1.csv", ["b1.csv"]),
        ("{a1,b1,c1}.csv", ["a1.csv", "b1.csv"]),
        ("{a,a}1.csv", ["a1.csv"]),
        ("day=*", ["day=1/x.csv", "day=2/y.csv"]),
        ("day=*/*.csv", ["day=1/x.csv", "day=2/y.csv"]),
        (
            "**/*.csv",
            ["a1.csv", "a2.csv", "b1.csv", "day=1/x.csv", "day=2/deep/z.csv", "day=2/y.csv"],
        ),
        ("_*.csv", ["_hidden.csv"]),
    ],
)
async def test_globs(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    make(tmp_path, "a1.csv", "a2.csv", "b1.csv", "_hidden.csv", ".dot.csv")
    make(tmp_path, "day=1/x.csv", "day=2/y.csv", "day=2/_no", "day=2/deep/z.csv")
    assert await names(tmp_path, pattern) == expected


async def test_a_name_with_glob_characters_can_be_given_back(tmp_path: Path) -> None:
    make(tmp_path, "a[1]*.txt", "a1.txt")
    [file] = await storage.list(str(tmp_path / "a[1]*.txt"))
    assert await storage.read(file.path) == b"a[1]*.txt"


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        (r"br\[1\].txt", "br[1].txt"),
        (r"a\{b,c\}.txt", "a{b,c}.txt"),
        (r"st\*r.*", "st*r.txt"),
        (r"q\?.txt", "q?.txt"),
        (r"back\\slash.txt", r"back\slash.txt"),
        (r"back\slash.txt", r"back\slash.txt"),
    ],
)
async def test_a_backslash_quotes_a_character_of_a_glob(
    tmp_path: Path, pattern: str, name: str
) -> None:
    make(tmp_path, "br1.txt", "ab.txt", "star.txt", "qq.txt", "backslash.txt", name)
    assert await names(tmp_path, pattern) == [name]


async def test_folders_within_a_folder_are_skipped_refused_or_read(tmp_path: Path) -> None:
    make(tmp_path, "a", "sub/b", "sub/deep/c", "sub/_no/d", "_sub/e", "sub/.f")
    folder = str(tmp_path)

    async def listed(pattern: str, subfolders: Subfolders) -> list[str]:
        found = await storage.list(pattern, subfolders)
        return [file.path.removeprefix(f"{folder}/") for file in found]

    assert await listed(folder, "skip") == ["a"]
    assert await listed(folder, "read") == ["a", "sub/b", "sub/deep/c"]
    assert await listed(f"{folder}/s*", "read") == ["sub/b", "sub/deep/c"]
    with pytest.raises(SubfolderError, match=f"{folder}/sub is a folder within {folder}") as raised:
        await listed(folder, "refuse")
    assert raised.value.path == f"{folder}/sub"
    with pytest.raises(SubfolderError, match=r"sub/deep is a folder within .*recursive=True"):
        await listed(f"{folder}/*", "refuse")
    assert await listed(f"{folder}/**/*", "refuse") == [
        "_sub/e",
        "a",
        "sub/_no/d",
        "sub/b",
        "sub/deep/c",
    ]
    assert await listed(f"{folder}/_sub", "refuse") == ["_sub/e"]


async def test_links_that_lead_around_are_followed_once(tmp_path: Path) -> None:
    make(tmp_path, "a", "sub/b")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    found = await storage.list(str(tmp_path), "read")
    assert [Path(file.path).name for file in found] == ["a", "b"]


async def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(PathNotFoundError, match="nowhere"):
        await storage.list(str(tmp_path / "nowhere"))
    with pytest.raises(PathNotFoundError, match="nowhere"):
        await storage.read(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("pattern", ["*.nothing", "missing/*", "{x,y}"])
async def test_a_glob_that_matches_nothing_is_named(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(PathNotFoundError, match=str(tmp_path)):
        await storage.list(str(tmp_path / pattern))


async def test_what_may_not_be_read_is_an_error_when_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a.txt")
    monkeypatch.setattr(os, "access", lambda *_: False)  # the superuser may read everything
    for pattern in ("a.txt", "", "*.txt"):
        with pytest.raises(UnreadableInputError, match=r"a\.txt may not be read"):
            await storage.list(os.path.join(tmp_path, pattern))


async def test_a_folder_that_may_not_be_listed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(UnreadableInputError, match="permission denied"):
        await storage.list(str(tmp_path))
    with pytest.raises(UnreadableInputError, match="permission denied"):
        await storage.list(str(tmp_path / "*.nothing"))


async def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    make(tmp_path, "a")
    with pytest.raises(UnreadableInputError, match="neither a file nor a folder"):
        await storage.list(str(tmp_path / "pipe"))
    assert await names(tmp_path, "") == ["a"]


async def test_broken_links_in_a_folder_are_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "a")
    (tmp_path / "broken").symlink_to(tmp_path / "gone")
    assert await names(tmp_path, "") == ["a"]
    assert await names(tmp_path, "*") == ["a"]


async def test_reading_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="directory"):
        await storage.read(str(tmp_path))


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, None, b"0123456789"), (3, 5, b"34"), (8, 20, b"89"), (10, 12, b""), (20, 30, b"")],
)
async def test_reads_ranges(tmp_path: Path, start: int, end: int | None, expected: bytes) -> None:
    (tmp_path / "digits").write_bytes(b"0123456789")
    assert await storage.read(str(tmp_path / "digits"), start, end) == expected


async def test_writes_whole_files_and_makes_folders(tmp_path: Path) -> None:
    path = str(tmp_path / "x" / "y" / "file")
    await storage.write(path, b"one")
    await storage.write(path, b"two")
    assert await storage.read(path) == b"two"
    assert os.listdir(tmp_path / "x" / "y") == ["file"]


async def test_a_writer_shows_its_file_only_when_finished(tmp_path: Path) -> None:
    writer = storage.create(str(tmp_path / "out" / "file"))
    await writer.write(b"one ")
    await writer.write(b"two")
    assert await storage.list(str(tmp_path / "out")) == []
    assert not await storage.exists(str(tmp_path / "out" / "file"))
    await writer.finish()
    await writer.abort()
    assert await storage.read(str(tmp_path / "out" / "file")) == b"one two"


async def test_an_aborted_writer_leaves_nothing(tmp_path: Path) -> None:
    writer = storage.create(str(tmp_path / "file"))
    await writer.write(b"one")
    await writer.abort()
    await writer.abort()
    assert os.listdir(tmp_path) == []


async def test_a_writer_that_was_given_up_makes_no_file(tmp_path: Path) -> None:
    writer = storage.create(str(tmp_path / "file"))
    await writer.abort()
    for late in (writer.write(b"x"), writer.finish()):
        with pytest.raises(OutputError, match="given up"):
            await late
    assert os.listdir(tmp_path) == []


async def test_aborting_waits_for_a_write_that_was_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go = threading.Event(), threading.Event()
    make_folders = os.makedirs

    def slow(path: str, exist_ok: bool) -> None:
        started.set()
        go.wait()
        make_folders(path, exist_ok=exist_ok)

    monkeypatch.setattr(os, "makedirs", slow)
    writer = storage.create(str(tmp_path / "file"))
    writing = asyncio.ensure_future(writer.write(b"x"))
    await asyncio.to_thread(started.wait)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    aborting = asyncio.ensure_future(writer.abort())
    await asyncio.sleep(0)
    go.set()
    await aborting
    assert os.listdir(tmp_path) == []


async def test_an_empty_file_can_be_written(tmp_path: Path) -> None:
    await storage.create(str(tmp_path / "empty")).finish()
    assert await storage.read(str(tmp_path / "empty")) == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
async def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_full(path: str, *_: Any, **__: Any) -> Any:
        os.symlink("/dev/full", path)
        return os.fdopen(os.open(path, os.O_WRONLY), "wb", buffering=0)

    monkeypatch.setattr("builtins.open", open_full)
    with pytest.raises(DiskFullError, match=r"no room is left on the disk of .*/file"):
        await storage.write(str(tmp_path / "file"), b"x")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == []


async def test_a_target_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    make(tmp_path, "file")
    with pytest.raises(OutputError, match="file/below cannot be written"):
        await storage.write(str(tmp_path / "file" / "below"), b"x")


async def test_moves_and_makes_folders(tmp_path: Path) -> None:
    make(tmp_path, "a", "b")
    await storage.move(str(tmp_path / "a"), str(tmp_path / "new" / "b"))
    assert await storage.read(str(tmp_path / "new" / "b")) == b"a"
    with pytest.raises(PathNotFoundError):
        await storage.move(str(tmp_path / "a"), str(tmp_path / "c"))


async def test_deletes_files_and_folders_that_are_there_or_not(tmp_path: Path) -> None:
    make(tmp_path, "a", "b/c/d")
    for name in ("a", "a", "b", "b", "a/b"):
        await storage.delete(str(tmp_path / name))
    assert os.listdir(tmp_path) == []


async def test_a_folder_that_is_written_to_while_removed_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a/b")
    remove, late = os.rmdir, iter(["late", "later"])

    def disturbed(path: str, **options: Any) -> None:
        for name in late:
            (tmp_path / "a" / name).touch()
            break
        remove(path, **options)

    monkeypatch.setattr(os, "rmdir", disturbed)
    await storage.delete(str(tmp_path / "a"))
    assert os.listdir(tmp_path) == []


async def test_says_whether_something_is_there(tmp_path: Path) -> None:
    make(tmp_path, "a/b")
    (tmp_path / "empty").mkdir()
    there = [await storage.exists(str(tmp_path / name)) for name in ("a", "a/b", "c", "empty")]
    assert there == [True, True, False, True]


async def test_writers_of_one_path_do_not_meet(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    async with asyncio.TaskGroup() as group:
        for letter in b"abcdefgh":
            group.create_task(storage.write(path, bytes([letter]) * 1000))
    data = await storage.read(path)
    assert len(data) == 1000
    assert len(set(data)) == 1
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/b", "/a/b"),
        ("file:///a/b", "/a/b"),
        ("file:/a/b", "/a/b"),
        ("file://localhost/a/b", "/a/b"),
        ("file:///a%20b", "/a b"),
        ("/a/../b/", "/b"),
    ],
)
def test_understands_paths_and_uris(path: str, expected: str) -> None:
    assert local_path(path) == expected


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert local_path("a/b") == str(tmp_path / "a" / "b")
