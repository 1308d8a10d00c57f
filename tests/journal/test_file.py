from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.errors import JournalDamagedError, JournalVersionError
from aflint.journal.entries import Entry, JobClosed
from aflint.journal.file import open_file, read_file
from aflint.journal.segment import encode
from aflint.testing.clock import run_virtual
from tests.journal.entries import KEY, SESSION, SOME, entries

HEAD = 24

KILLED = """
import asyncio, os, signal, sys
from aflint.journal.file import open_file
from tests.journal.entries import KEY, SESSION, SOME
async def main():
    journal, _ = await open_file(sys.argv[1], KEY, SESSION)
    for entry in SOME:
        journal.record(entry)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


async def write(path: Path, *some: Entry) -> list[Entry]:
    """Record entries, close, and return what stood there before."""
    journal, before = await open_file(str(path), KEY, SESSION)
    for entry in some:
        journal.record(entry)
    await journal.aclose()
    return before


def read(path: Path, session: str = SESSION, key: bytes = KEY) -> list[Entry]:
    return read_file(str(path), key, session)


@given(st.lists(st.lists(entries, max_size=3), max_size=3))
def test_drivers_one_after_the_other_find_it_all(runs: list[list[Entry]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, so_far = Path(folder) / "journal", list[Entry]()
        for some in runs:
            assert run_virtual(write(path, *some)) == so_far
            so_far += some
            assert read(path) == so_far


def test_what_was_recorded_survives_the_driver(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert read(path) == list(SOME)
    assert run_virtual(write(path, JobClosed("x"))) == list(SOME)


async def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    await write(tmp_path / "journal")
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o600


def refused(path: Path, error: type[Exception], **other: Any) -> None:
    """Check that a journal is refused by an error that names it, and left as it is."""
    before = path.read_bytes()
    handles = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        opening = open_file(str(path), other.get("key", KEY), other.get("session", SESSION))
        with pytest.raises(error, match=path.name) as told:
            run_virtual(opening)
        assert "othing was changed" in str(told.value)
        with pytest.raises(error):
            read(path, **other)
    assert path.read_bytes() == before
    assert len(os.listdir("/proc/self/fd")) == handles


def test_any_altered_byte_is_told(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    run_virtual(write(path, *SOME[1:2], *SOME[4:]))
    whole = path.read_bytes()
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 0x41
        path.write_bytes(data)
        try:
            read(path)
        except JournalVersionError:
            assert data[place - 7 : place].startswith(b"AFLINT")
        except JournalDamagedError:
            continue
        else:
            pytest.fail(f"byte {place} was altered, and nobody noticed")
    path.write_bytes(bytes([*whole[:7], 9, *whole[8:]]))
    refused(path, JournalVersionError)


def test_no_other_number_of_committed_bytes_is_believed(tmp_path: Path) -> None:
    """Not even one where a segment ends."""
    path = tmp_path / "journal"
    run_virtual(write(path, *SOME))
    whole = path.read_bytes()
    end = HEAD
    for number, entry in enumerate(SOME):
        path.write_bytes(whole[:8] + end.to_bytes(8, "little") + whole[16:])
        refused(path, JournalDamagedError)
        end += len(encode(SESSION, number, (entry,), KEY))
    assert end == len(whole)


def test_any_cut_is_told(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    run_virtual(write(path, *SOME[:2]))
    whole = path.read_bytes()
    for end in range(1, len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(JournalDamagedError, match="cut short"):
            read(path)
    refused(path, JournalDamagedError)


async def test_an_empty_file_is_a_new_journal(tmp_path: Path) -> None:
    """A driver may be killed before it wrote the head."""
    (tmp_path / "journal").touch()
    assert await write(tmp_path / "journal", *SOME) == []
    assert read(tmp_path / "journal") == list(SOME)


async def test_a_torn_tail_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    await write(path, *SOME[:2])
    whole = path.read_bytes()
    torn = encode(SESSION, 2, SOME[2:], KEY)
    for size in range(1, len(torn) + 1):
        path.write_bytes(whole + torn[:size])
        assert read(path) == list(SOME[:2])
    assert await write(path, JobClosed("other")) == list(SOME[:2])
    assert read(path) == [*SOME[:2], JobClosed("other")]


@pytest.mark.parametrize("other", [{"key": KEY[::-1]}, {"session": "another"}])
def test_it_is_of_one_run_and_one_secret(tmp_path: Path, other: dict[str, Any]) -> None:
    run_virtual(write(tmp_path / "journal", *SOME))
    refused(tmp_path / "journal", JournalDamagedError, **other)


async def test_a_full_disk_is_told_once_and_the_job_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal"
    journal, _ = await open_file(str(path), KEY, SESSION)
    journal.record(SOME[0])
    real, room = os.pwrite, [20]

    def nearly_full(handle: int, data: Any, at: int) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(handle, bytes(data)[: room[0]], at)
        room[0] -= written
        return written

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(os, "pwrite", nearly_full)
        for entry in SOME[1:]:
            journal.record(entry)
    journal.record(SOME[1])  # there is room again; but what lies between is lost
    await journal.flush()
    await journal.aclose()
    (said,) = caplog.messages
    assert "nightly cannot be written (No space left on device)" in said
    assert read(path) == [SOME[0]]
    assert await write(path, SOME[1]) == [SOME[0]]
    assert read(path) == list(SOME[:2])


async def test_short_writes_are_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda h, data, at: real(h, bytes(data)[:3], at))
        await write(tmp_path / "journal", *SOME)
    assert read(tmp_path / "journal") == list(SOME)


async def test_nothing_is_recorded_once_closed(tmp_path: Path) -> None:
    journal, _ = await open_file(str(tmp_path / "journal"), KEY, SESSION)
    await journal.aclose()
    journal.record(SOME[0])
    await journal.flush()
    assert read(tmp_path / "journal") == []


async def test_a_run_ends_though_somebody_has_removed_its_journal(tmp_path: Path) -> None:
    journal, _ = await open_file(str(tmp_path / "journal"), KEY, SESSION)
    (tmp_path / "journal").unlink()
    await journal.end()
    await journal.aclose()
