from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aflint.driver.programs import Programs
from aflint.storage.local import LocalStorage
from aflint.task import Blob

BLOB = Blob("d" * 32, 3, b"abc")


class Refuses:
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise ZeroDivisionError


def endless() -> Any:
    value: list[Any] = []
    for _ in range(50_000):
        value = [value]
    return value


def fingerprint(program: Any, *, fingerprinted: bool = True) -> str:
    programs = Programs(LocalStorage(), "nowhere", 1, fingerprinted)
    return programs.fingerprint(program, BLOB)


@pytest.mark.parametrize("program", [Refuses(), [1, {"x": Refuses()}], endless()])
def test_what_cannot_be_taken_apart_counts_by_its_pickle(program: Any) -> None:
    assert fingerprint(program) == BLOB.digest


def test_what_can_does_not() -> None:
    assert fingerprint([1]) == fingerprint([1]) != BLOB.digest


def test_a_run_that_is_not_to_be_resumed_takes_nothing_apart() -> None:
    assert fingerprint(Refuses(), fingerprinted=False) == ""


class Slow(LocalStorage):
    """Storage whose writes wait until `go` is set, and of which the first `failures` fail."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.written: list[str] = []
        self.failures = failures

    async def write(self, path: str, data: bytes) -> None:
        await self.go.wait()
        if self.failures:
            self.failures -= 1
            raise OSError("the disk is full")
        self.written.append(path)


async def test_a_job_waits_for_the_blob_that_another_one_is_writing(tmp_path: Path) -> None:
    storage = Slow()
    programs = Programs(storage, str(tmp_path), inline_bytes=1, fingerprinted=False)
    blob = programs.blob(b"large")  # both jobs are planned before one of them uploads
    assert programs.blob(b"large") == blob
    async with asyncio.TaskGroup() as group:
        first = group.create_task(programs.upload())
        await asyncio.sleep(0)
        second = group.create_task(programs.upload())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not first.done()
        assert not second.done()
        storage.go.set()
    assert storage.written == [blob.location]


async def test_a_blob_that_could_not_be_written_is_written_with_the_next_job(
    tmp_path: Path,
) -> None:
    storage = Slow(failures=1)
    storage.go.set()
    programs = Programs(storage, str(tmp_path), inline_bytes=1, fingerprinted=False)
    blob = programs.blob(b"large")
    with pytest.raises(OSError, match="full"):
        await programs.upload()
    await programs.upload()
    assert storage.written == [blob.location]
