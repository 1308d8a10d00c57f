from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from aflint import errors, limits
from aflint.localcloud import Faults, LocalCloud
from aflint.storage.base import Storage, Subfolders
from aflint.storage.globs import compile_glob, literal_prefix
from aflint.storage.local import LocalStorage
from aflint.storage.s3 import PART_BYTES, S3Storage
from tests.aws.clouds import BUCKET, running

HOME = f"s3://{BUCKET}"


@pytest.fixture
async def cloud_and_storage() -> AsyncIterator[tuple[LocalCloud, S3Storage]]:
    async with running() as (cloud, aws):
        yield cloud, S3Storage(aws)


@pytest.fixture
def storage(cloud_and_storage: tuple[LocalCloud, S3Storage]) -> S3Storage:
    return cloud_and_storage[1]


@pytest.mark.parametrize("kind", ["local", "s3"])
async def test_a_folder_is_cleared_of_all_but_what_is_to_be_kept(
    kind: str, storage: S3Storage, tmp_path: Path
) -> None:
    place: Storage = storage if kind == "s3" else LocalStorage()
    folder = f"{HOME}/clear" if kind == "s3" else str(tmp_path / "clear")
    names = ("a", ".a.crc", "_SUCCESS", "k=1/a", "k=1/b", "k=2/b", "_temporary/job/a", "ab/a")
    for path in (*(f"{folder}/{name}" for name in names), f"{folder}-other"):
        await place.write(path, b"x")
    await place.clear(f"{folder}/none", ())
    await place.clear(folder, {"_temporary", "a", "k=1/b"})
    left = [name for name in names if await place.exists(f"{folder}/{name}")]
    assert left == ["a", "k=1/b", "_temporary/job/a"]
    assert await place.exists(f"{folder}-other")
    assert not await place.exists(f"{folder}/k=2")


NAMES = [
    "in/2009.csv",
    "in/2010.csv",
    "in/_SUCCESS",
    "in/.hidden",
    "in/deep/2011.csv",
    "in/deep/er/2012.csv",
    "in/with space & sign+%41.txt",
    "in/größe.csv",
    "in-other/2009.csv",
    "in/deep/_no/2013.csv",
    "in/_deep/2014.csv",
    "odd/br[1].txt",
    "odd/br1.txt",
    "odd/st*r{a,b}.txt",
]
PATTERNS = [
    "in",
    "in/",
    "in/*",
    "in/*.csv",
    "in/20{09,10}.csv",
    "in/201[0-9].csv",
    "in/201[!1].csv",
    "in/20??.csv",
    "in/**/*.csv",
    "in/_*",
    "i*",
    "*/2009.csv",
    "in/with space & sign+%41.txt",
    "in/größe.csv",
    "in/*/",
    "in/d*",
    r"odd/br\[1\].txt",
    r"odd/st\*r\{a,b\}.t*",
    "odd/br[1].txt",
]


@pytest.mark.parametrize("subfolders", ["skip", "read", "refuse"])
async def test_lists_as_local_files_are_listed(
    storage: S3Storage, tmp_path: Path, subfolders: Subfolders
) -> None:
    for name in NAMES:
        await storage.write(f"{HOME}/{name}", name.encode())
        await LocalStorage().write(str(tmp_path / name), name.encode())

    async def listed(some: Storage, home: str, pattern: str) -> object:
        try:
            found = await some.list(f"{home}/{pattern}", subfolders)
        except errors.SubfolderError as error:
            return error.path.removeprefix(home)
        return [(file.path.removeprefix(home), file.size) for file in found]

    for pattern in PATTERNS:
        ours = await listed(storage, HOME, pattern)
        assert ours == await listed(LocalStorage(), str(tmp_path), pattern), pattern
    for file in await storage.list(f"{HOME}/in", "read"):
        assert len(await storage.read(file.path)) == file.size


@pytest.mark.parametrize("path", ["nothing", "nothing/*", "in/*.nothing", "in/2009.csv/"])
async def test_what_is_not_there(storage: S3Storage, path: str) -> None:
    await storage.write(f"{HOME}/in/2009.csv", b"1")
    with pytest.raises(errors.PathNotFoundError, match=r"nothing|2009"):
        await storage.list(f"{HOME}/{path}")
    assert not await storage.exists(f"{HOME}/{path}")


async def test_an_absent_bucket(storage: S3Storage) -> None:
    for call in (storage.list, storage.read):
        with pytest.raises(errors.PathNotFoundError, match="no-such-bucket"):
            await call("s3://no-such-bucket/file")
    assert not await storage.exists("s3://no-such-bucket/file")
    with pytest.raises(errors.BucketNotFoundError, match=r"no-such-bucket.*aflint deploy"):
        await storage.write("s3://no-such-bucket/file", b"")


async def test_reads_the_version_that_is_asked_for_or_none(storage: S3Storage) -> None:
    for name in ("in/a", "in/b"):
        await storage.write(f"{HOME}/{name}", b"0123456789")
    for pattern in ("in/a", "in", "in/*"):
        file = (await storage.list(f"{HOME}/{pattern}"))[0]
        assert await storage.read(file.path, 3, 5, file.version) == b"34"
    await storage.write(file.path, b"9876543210")
    for start in (0, 3, 100):
        with pytest.raises(errors.InputChangedError, match="in/a was changed or replaced"):
            await storage.read(file.path, start, start + 1, file.version)
    await storage.delete(file.path)
    with pytest.raises(errors.PathNotFoundError):
        await storage.read(file.path, 0, 1, file.version)


async def test_ranges(storage: S3Storage) -> None:
    path = f"{HOME}/file"
    await storage.write(path, b"0123456789")
    assert await storage.read(path) == b"0123456789"
    assert await storage.read(path, 3) == b"3456789"
    assert await storage.read(path, 3, 5) == b"34"
    assert await storage.read(path, 8, 99) == b"89"
    assert await storage.read(path, 10, 20) == b""
    assert await storage.read(path, 5, 5) == b""
    with pytest.raises(errors.PathNotFoundError):
        await storage.read(f"{HOME}/absent", 0, 5)


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, 2 * PART_BYTES + 1, 3 * PART_BYTES])
async def test_writers_take_any_size(
    cloud_and_storage: tuple[LocalCloud, S3Storage], size: int
) -> None:
    cloud, storage = cloud_and_storage
    data = os.urandom(size)
    writer = storage.create(f"{HOME}/large")
    for begin in range(0, size, 3_000_000):
        await writer.write(data[begin : begin + 3_000_000])
    assert not await storage.exists(f"{HOME}/large")
    await writer.finish()
    await writer.abort()
    assert await storage.read(f"{HOME}/large") == data
    await storage.write(f"{HOME}/whole", data)
    assert await storage.read(f"{HOME}/whole") == data
    assert not cloud.snapshot().uploads


async def test_an_aborted_writer_leaves_nothing(
    cloud_and_storage: tuple[LocalCloud, S3Storage],
) -> None:
    cloud, storage = cloud_and_storage
    writer = storage.create(f"{HOME}/large")
    await writer.write(bytes(3 * PART_BYTES))
    await writer.abort()
    await writer.abort()
    assert not cloud.snapshot().uploads
    assert not cloud.snapshot().buckets[BUCKET]


async def test_moving_and_deleting(storage: S3Storage) -> None:
    await storage.write(f"{HOME}/a/one + two", b"1")
    await storage.write(f"{HOME}/a/two", b"2")
    await storage.write(f"{HOME}/ab", b"3")
    await storage.move(f"{HOME}/a/one + two", f"{HOME}/b/größe")
    assert await storage.read(f"{HOME}/b/größe") == b"1"
    assert not await storage.exists(f"{HOME}/a/one + two")
    assert await storage.exists(f"{HOME}/a")
    await storage.delete(f"{HOME}/a")
    await storage.delete(f"{HOME}/a")
    assert not await storage.exists(f"{HOME}/a/two")
    assert await storage.exists(f"{HOME}/ab")
    with pytest.raises(errors.PathNotFoundError):
        await storage.move(f"{HOME}/absent", f"{HOME}/b")
    with pytest.raises(errors.InvalidArgumentError, match="bucket"):
        await storage.delete(HOME)


async def test_what_is_too_large_for_one_copy_is_moved_in_parts(
    cloud_and_storage: tuple[LocalCloud, S3Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud, storage = cloud_and_storage
    part = limits.S3_PART_MIN_BYTES
    monkeypatch.setattr("aflint.storage.s3._MOST_COPIED", part)
    for size in (part, part + 1, 2 * part, 2 * part + 1000):
        data = os.urandom(size)
        await storage.write(f"{HOME}/from ü/a", data)
        await storage.move(f"{HOME}/from ü/a", f"{HOME}/to/b c")
        assert await storage.read(f"{HOME}/to/b c") == data
        assert not await storage.exists(f"{HOME}/from ü/a")
    assert not cloud.snapshot().uploads

    async def broken(*args: object) -> str:
        raise errors.BackendError("no part is copied")

    monkeypatch.setattr("aflint.aws.s3.S3.copy_part", broken)
    with pytest.raises(errors.BackendError, match="no part"):
        await storage.move(f"{HOME}/to/b c", f"{HOME}/to/d")
    assert await storage.read(f"{HOME}/to/b c") == data
    assert not cloud.snapshot().uploads


async def test_deleting_many_files_at_once(storage: S3Storage) -> None:
    for name in ("a", "a/b", "c & d", "e"):
        await storage.write(f"{HOME}/{name}", b"")
    await storage.delete_files([f"{HOME}/{name}" for name in ("a", "c & d", "absent")])
    await storage.delete_files([])
    assert not await storage.exists(f"{HOME}/c & d")
    assert [file.path for file in await storage.list(f"{HOME}/*")] == [f"{HOME}/a/b", f"{HOME}/e"]


async def test_more_objects_than_a_page(
    cloud_and_storage: tuple[LocalCloud, S3Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud, storage = cloud_and_storage
    page = storage._s3.page

    async def short(*arguments: object, **settings: object) -> object:
        return await page(*arguments, **{**settings, "most": 3})  # type: ignore[arg-type]

    monkeypatch.setattr(storage._s3, "page", short)
    for number in range(10):
        await storage.write(f"{HOME}/many/{number}", b"")
    assert len(await storage.list(f"{HOME}/many")) == 10
    await storage.delete(f"{HOME}/many")
    assert not cloud.snapshot().buckets[BUCKET]


async def test_refusals_are_waited_out_or_told(
    cloud_and_storage: tuple[LocalCloud, S3Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(seconds: float) -> None: ...

    monkeypatch.setattr("aiobotocore.endpoint.asyncio", SimpleNamespace(sleep=at_once))
    cloud, storage = cloud_and_storage
    # Half of all tries fail. Of calls that are tried six times, one in fifty then fails at each.
    cloud.set_faults(Faults(seed=1, s3_503=0.4, drop_response=0.2))
    told = {}
    for number in range(60):
        path = f"{HOME}/{number}"
        try:
            await storage.write(path, b"x")
            assert await storage.read(path) == b"x"
        except (errors.ServiceUnavailableError, errors.EndpointUnreachableError) as error:
            told[path] = str(error)
    assert 0 < len(told) < 10
    assert all(f"{path}: " in said for path, said in told.items())
    cloud.set_faults(Faults(s3_503=1))
    with pytest.raises(errors.ServiceUnavailableError, match=f"{HOME}/0.*SlowDown.*several tries"):
        await storage.read(f"{HOME}/0")
    cloud.set_faults(Faults())
    cloud.deny(["s3:PutObject"])
    with pytest.raises(errors.AccessDeniedError, match=rf"s3://{BUCKET}/x.*s3:PutObject"):
        await storage.write(f"{HOME}/x", b"")


@pytest.mark.parametrize("path", ["s3://", "s3:///key", "bucket/key"])
async def test_paths_without_a_bucket(storage: S3Storage, path: str) -> None:
    with pytest.raises(errors.InvalidArgumentError, match="s3://bucket/key"):
        await storage.read(path)


async def test_folders_cannot_be_written(storage: S3Storage) -> None:
    for path in (HOME, f"{HOME}/folder/"):
        with pytest.raises(errors.OutputError, match="folder"):
            await storage.write(path, b"")


def test_globs() -> None:
    assert compile_glob("a/**/b").fullmatch("a/b")
    assert compile_glob("a[b").fullmatch("a[b")
    assert compile_glob("a[]]b").fullmatch("a]b")
    assert not compile_glob("a[!b]c").fullmatch("a/c")
    assert literal_prefix("a/b*c") == "a/b"
    assert literal_prefix("plain") == "plain"
