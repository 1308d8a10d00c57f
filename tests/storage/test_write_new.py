"""`Storage.write_new`: of several writers, one succeeds."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aflint import errors
from aflint.localcloud import Faults, LocalCloud
from aflint.storage.base import Storage
from aflint.storage.local import LocalStorage
from aflint.storage.router import RoutedStorage
from aflint.storage.s3 import S3Storage
from tests.aws.clouds import BUCKET, running

S3 = f"s3://{BUCKET}/new"


@pytest.fixture(params=["local", "s3", "routed"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Any, str]]:
    if request.param == "s3":
        async with running() as (_, aws):
            yield S3Storage(aws), S3
    elif request.param == "local":
        yield LocalStorage(), str(tmp_path)
    else:
        yield RoutedStorage({"": LocalStorage}), tmp_path.as_uri()


async def names(storage: Storage, folder: str) -> list[str]:
    return [file.path.rpartition("/")[2] for file in await storage.list(folder)]


async def test_the_first_wins(place: tuple[Storage, str]) -> None:
    storage, folder = place
    path = f"{folder}/deep/er/00000000"
    await storage.write_new(path, b"one")
    with pytest.raises(errors.OutputExistsError, match="00000000"):
        await storage.write_new(path, b"two")
    with pytest.raises(errors.OutputExistsError):
        await storage.write_new(path, b"")
    assert await storage.read(path) == b"one"
    assert await names(storage, f"{folder}/deep/er") == ["00000000"]


async def test_the_same_again_is_no_error(place: tuple[Storage, str]) -> None:
    storage, folder = place
    for content in (b"", b"one" * 100_000):
        path = f"{folder}/{len(content)}"
        for _ in range(3):
            await storage.write_new(path, content)
        assert await storage.read(path) == content


async def test_what_was_deleted_may_be_written_anew(place: tuple[Storage, str]) -> None:
    storage, folder = place
    await storage.write_new(f"{folder}/a", b"one")
    await storage.delete(f"{folder}/a")
    await storage.write_new(f"{folder}/a", b"two")
    assert await storage.read(f"{folder}/a") == b"two"


async def test_of_many_at_once_one_succeeds(place: tuple[Storage, str]) -> None:
    storage, folder = place
    contents = [bytes([number]) * 50_000 for number in range(24)]
    writes = (storage.write_new(f"{folder}/a", content) for content in contents)
    ends = await asyncio.gather(*writes, return_exceptions=True)
    assert ends.count(None) == 1
    assert {type(end) for end in ends} == {type(None), errors.OutputExistsError}
    assert await storage.read(f"{folder}/a") == contents[ends.index(None)]
    assert await names(storage, folder) == ["a"]


def left(folder: Path) -> list[str]:
    """Return all names in a folder, hidden ones, too."""
    return sorted(os.listdir(folder))


async def test_no_temporary_file_is_left_or_seen(tmp_path: Path) -> None:
    storage, stop, seen = LocalStorage(), threading.Event(), set[str]()

    def watch() -> None:
        while not stop.is_set():
            seen.update(name for name in os.listdir(tmp_path) if not name.startswith("."))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for number in range(40):
            await storage.write_new(str(tmp_path / str(number % 20)), b"x")
    finally:
        stop.set()
        watcher.join()
    assert left(tmp_path) == sorted(map(str, range(20)))
    assert seen <= set(map(str, range(20)))


@pytest.mark.parametrize("call", ["link", "replace", "makedirs"])
async def test_a_disk_that_refuses_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(errors.DiskFullError):
        await LocalStorage().write_new(str(tmp_path / "a"), b"x")
    assert left(tmp_path) == []


async def test_a_name_in_use_by_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises((errors.OutputError, errors.UnreadableInputError)):
        await LocalStorage().write_new(str(tmp_path / "a"), b"x")
    assert left(tmp_path) == ["a"]


@pytest.mark.parametrize("seed", range(4))
async def test_answers_that_are_lost_are_no_conflict(seed: int) -> None:
    async with running() as (cloud, aws):
        storage = S3Storage(aws)
        cloud.set_faults(Faults(seed=seed, drop_response=0.3, throttle=0.2))
        for number in range(12):
            await storage.write_new(f"{S3}/{number}", bytes([number]))
        cloud.set_faults(Faults())
        for number in range(12):
            with pytest.raises(errors.OutputExistsError):
                await storage.write_new(f"{S3}/{number}", b"other")


async def test_a_bucket_that_is_not_there_is_named() -> None:
    async with running() as (cloud, aws):
        assert isinstance(cloud, LocalCloud)
        with pytest.raises(errors.BucketNotFoundError, match="elsewhere"):
            await S3Storage(aws).write_new("s3://elsewhere/a", b"x")
