from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.errors import (
    AflintError,
    JournalDamagedError,
    JournalVersionError,
    RunInUseError,
    ServiceUnavailableError,
)
from aflint.journal import Journal
from aflint.journal.entries import Entry, JobBegan, JobClosed
from aflint.journal.reading import read_journal
from aflint.journal.segment import encode
from aflint.journal.writing import PAUSE_S, QUIET_S, REMOVAL_S, open_journal
from aflint.storage.local import LocalStorage
from aflint.storage.s3 import S3Storage
from aflint.testing.clock import VirtualClock, run_virtual
from aflint.testing.simulation.callers import Caller
from aflint.testing.simulation.dice import Dice
from aflint.testing.simulation.objects import SimulatedObjects, SimulatedS3
from tests.journal.entries import KEY, SESSION, SOME, driver, entries

FOLDER = "s3://bucket/sim/journals/nightly"
PLACE = FOLDER.removeprefix("s3://bucket/")


class Service(Caller):
    """Whose requests succeed, unless it is `down`."""

    def __init__(self) -> None:
        super().__init__(Dice(0, {}), "driver")
        self.down = False

    def is_unavailable(self, where: str) -> bool:
        return self.down


class Bucket:
    """One bucket, and storage for whoever asks."""

    def __init__(self) -> None:
        self.objects = SimulatedObjects(Dice(0, {}))
        self.service = Service()

    def storage(self, s3: Callable[..., SimulatedS3] = SimulatedS3) -> S3Storage:
        storage = S3Storage(_Aws())  # type: ignore[arg-type]
        storage._s3 = s3(self.objects, self.service)
        return storage

    async def open(
        self, storage: S3Storage | None = None, key: bytes = KEY, session: str = SESSION
    ) -> tuple[Journal, list[Entry]]:
        return await open_journal(FOLDER, storage or self.storage(), key, session)

    async def write(self, *some: Entry) -> None:
        journal, _ = await self.open()
        for entry in some:
            journal.record(entry)
            await journal.flush()
        await journal.aclose()

    async def read(self) -> list[Entry]:
        journal, found = await self.open()
        await journal.aclose()
        return found

    @property
    def names(self) -> list[str]:
        return sorted(self.objects.held)

    @property
    def puts(self) -> int:
        return len(self.objects.held)


class Disk:
    """A folder of this machine, and storage for whoever asks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "journal"

    async def open(self, key: bytes = KEY, session: str = SESSION) -> tuple[Journal, list[Entry]]:
        return await open_journal(str(self.folder), LocalStorage(), key, session, alone=True)

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.exists() else []


class _Aws:
    def s3(self) -> None:
        return None


def numbered(*numbers: int) -> list[str]:
    return [f"{PLACE}/{number:08d}" for number in numbers]


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


async def write(place: Bucket | Disk, *some: Entry) -> list[Entry]:
    """Record entries, close, and return what stood there before."""
    journal, before = await place.open()
    for entry in some:
        journal.record(entry)
    await journal.flush()
    await journal.aclose()
    return before


@given(st.lists(st.lists(entries, max_size=3), max_size=3))
def test_drivers_one_after_the_other_find_it_all(runs: list[list[Entry]]) -> None:
    async def all_runs(place: Bucket | Disk) -> None:
        so_far = list[Entry]()
        for some in runs:
            assert await write(place, *some) == so_far
            so_far += some
        assert await write(place) == so_far

    with tempfile.TemporaryDirectory() as folder:
        for place in (Bucket(), Disk(Path(folder))):
            run_virtual(all_runs(place))


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.journal.entries import SOME
from tests.journal.test_writing import Disk, write
async def main():
    await write(Disk(Path(sys.argv[1])), *SOME)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


def test_what_was_flushed_survives_the_driver(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert run_virtual(write(Disk(tmp_path), JobClosed("x"))) == list(SOME)


async def test_a_segment_that_a_kill_left_half_written_is_none(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    await write(disk, *SOME[:2])
    (disk.folder / ".00000001.hidden").write_bytes(encode(SESSION, "run", 1, SOME, KEY)[:40])
    assert await write(disk, SOME[2]) == list(SOME[:2])
    assert await write(disk) == list(SOME[:3])


async def test_a_full_disk_is_told_once_and_the_job_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(tmp_path)
    journal, _ = await disk.open()
    journal.record(SOME[0])
    await journal.flush()

    def full(source: str, target: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(os, "link", full)
        for entry in SOME[1:]:
            journal.record(entry)
            await journal.flush()
    journal.record(SOME[1])  # there is room again; but what lies between is lost
    await journal.flush()
    await journal.aclose()
    (said,) = caplog.messages
    assert "nightly cannot be written (no room is left on the disk" in said
    assert await write(disk) == [SOME[0]]
    assert disk.names == ["00000000"]


async def test_an_entry_that_cannot_be_packed_is_told_and_nobody_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(tmp_path)
    journal, _ = await disk.open()
    journal.record(JobClosed(object()))  # type: ignore[arg-type]
    await journal.flush()
    await journal.aclose()
    (told,) = caplog.records
    assert "nightly cannot be written" in told.message
    assert told.exc_info is not None
    assert disk.names == []


async def test_a_run_ends_though_its_journal_was_removed(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    journal, _ = await disk.open()
    journal.record(SOME[0])
    await journal.flush()
    (disk.folder / "00000000").unlink()
    journal.record(SOME[1])
    await journal.check()
    await journal.end()
    await journal.aclose()
    await journal.remove()
    assert disk.names == []


async def test_in_its_quiet_time_nothing_is_written(
    bucket: Bucket, virtual_time: VirtualClock
) -> None:
    for lasts, written in ((QUIET_S - 1, []), (QUIET_S + 1, numbered(0))):
        journal, _ = await open_journal(FOLDER, bucket.storage(), KEY, SESSION, quiet_s=QUIET_S)
        for entry in SOME:
            journal.record(entry)
        before = virtual_time.now
        await journal.flush()
        await journal.check()
        assert virtual_time.now == pytest.approx(before, abs=0.1)
        await asyncio.sleep(lasts)
        assert bucket.names == written
        assert await bucket.read() == (list(SOME) if written else [])
        await journal.end()
        await journal.aclose()
        await journal.remove()
        assert bucket.names == []


async def test_a_journal_that_is_there_has_no_quiet_time(bucket: Bucket) -> None:
    await bucket.write(SOME[0])
    journal, _ = await open_journal(FOLDER, bucket.storage(), KEY, SESSION, quiet_s=QUIET_S)
    journal.record(SOME[1])
    await journal.flush()
    assert bucket.names == numbered(0, 1)
    await journal.aclose()


async def test_opening_and_closing_writes_nothing(bucket: Bucket) -> None:
    journal, found = await bucket.open()
    await journal.flush()
    await journal.aclose()
    assert found == []
    assert bucket.names == []


async def test_what_comes_close_together_is_one_segment(
    bucket: Bucket, virtual_time: VirtualClock
) -> None:
    journal, _ = await bucket.open()
    for number in range(100):
        journal.record(JobClosed(f"a-{number}"))
        await asyncio.sleep(PAUSE_S / 50)
    await asyncio.sleep(1)
    assert 3 <= bucket.puts <= 12
    await journal.aclose()
    assert await bucket.read() == [JobClosed(f"a-{number}") for number in range(100)]


async def test_what_was_recorded_is_written_without_being_asked_for(bucket: Bucket) -> None:
    journal, _ = await bucket.open()
    journal.record(SOME[0])
    await asyncio.sleep(PAUSE_S)
    assert bucket.names == numbered(0)
    await asyncio.sleep(10)
    journal.record(SOME[1])
    await asyncio.sleep(PAUSE_S)
    assert bucket.names == numbered(0, 1)
    assert await bucket.read() == list(SOME[:2])
    await journal.aclose()


async def test_flush_waits_for_no_pause(bucket: Bucket, virtual_time: VirtualClock) -> None:
    journal, _ = await bucket.open()
    before = virtual_time.now
    for entry in SOME:
        journal.record(entry)
        await journal.flush()
    assert virtual_time.now - before < PAUSE_S * len(SOME) / 2
    assert len(bucket.names) == len(SOME)
    await journal.aclose()


async def test_many_may_flush_at_once(bucket: Bucket) -> None:
    journal, _ = await bucket.open()

    async def one(number: int) -> None:
        journal.record(JobClosed(f"a-{number}"))
        await journal.flush()
        assert JobClosed(f"a-{number}") in await bucket.read()

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(one(number))
    await journal.aclose()


async def test_a_flush_that_is_cancelled_leaves_the_sequence_whole(bucket: Bucket) -> None:
    journal, _ = await bucket.open()
    for number, entry in enumerate(SOME):
        journal.record(entry)
        flush = asyncio.create_task(journal.flush())
        for _ in range(number):
            await asyncio.sleep(0.002)
        flush.cancel()
        await asyncio.wait({flush})
    await journal.flush()
    await journal.aclose()
    assert await bucket.read() == list(SOME)


@pytest.mark.parametrize("steps", range(12))
async def test_closing_while_it_writes_leaves_it_whole_and_nobody_waiting(
    bucket: Bucket, steps: int
) -> None:
    journal, _ = await bucket.open()
    journal.record(SOME[0])
    flush = asyncio.create_task(journal.flush())
    for _ in range(steps):
        await asyncio.sleep(0.004)
    await journal.aclose()
    async with asyncio.timeout(1):
        await flush
    journal.record(SOME[1])
    await asyncio.sleep(1)
    await journal.aclose()
    assert await bucket.read() in ([], [SOME[0]])
    await bucket.write(SOME[1])
    assert (await bucket.read())[-1] == SOME[1]


async def test_an_end_that_is_cancelled_leaves_nothing(bucket: Bucket) -> None:
    for steps in range(12):
        journal, _ = await bucket.open()
        journal.record(SOME[0])
        await journal.flush()
        ending = asyncio.create_task(journal.end())
        for _ in range(steps):
            await asyncio.sleep(0.004)
        ending.cancel()
        await asyncio.wait({ending})
        await journal.aclose()
        await journal.remove()
        assert bucket.names == []


async def test_the_driver_that_resumes_fences_the_one_before(bucket: Bucket) -> None:
    lost: list[AflintError] = []
    first, _ = await bucket.open()
    first.on_lost = lost.append
    first.record(driver(1))
    await first.flush()
    second, found = await bucket.open()
    assert found == [driver(1)]
    second.record(driver(2))
    await second.flush()
    first.record(JobClosed("late"))
    with pytest.raises(RunInUseError, match="resumed by another driver"):
        await first.flush()
    first.record(JobClosed("later"))
    await asyncio.sleep(1)
    with pytest.raises(RunInUseError):
        await first.flush()
    second.record(JobClosed("nightly-1"))
    await second.flush()
    assert [type(error) for error in lost] == [RunInUseError]
    await first.aclose()
    await second.aclose()
    assert await bucket.read() == [driver(1), driver(2), JobClosed("nightly-1")]


async def test_a_driver_asks_whether_the_run_is_its_own(bucket: Bucket) -> None:
    lost: list[AflintError] = []
    first, _ = await bucket.open()
    first.on_lost = lost.append
    first.record(driver(1))
    for number in range(20):  # its own writes, under way or not, are no one else's
        first.record(JobClosed(f"a-{number}"))
        await first.check()
    second, _ = await bucket.open()
    second.record(driver(2))
    await second.flush()
    for _ in range(2):
        with pytest.raises(RunInUseError, match="resumed by another driver"):
            await first.check()
    await second.check()
    assert len(lost) == 1
    await first.aclose()
    await second.aclose()


async def test_of_two_who_resume_at_once_one_goes_on(bucket: Bucket) -> None:
    await bucket.write(driver(0))
    journals = [(await bucket.open())[0] for _ in range(2)]
    for process, journal in enumerate(journals, 1):
        journal.record(driver(process))
    ends = await asyncio.gather(*(j.flush() for j in journals), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["NoneType", "RunInUseError"]
    for journal in journals:
        await journal.aclose()
    won = 1 + [end is None for end in ends].index(True)
    assert await bucket.read() == [driver(0), driver(won)]


async def test_one_that_begins_beside_a_living_driver_is_told_so(bucket: Bucket) -> None:
    first, _ = await bucket.open()
    later, _ = await bucket.open()
    first.record(driver(1))
    await first.flush()
    later.record(driver(2))
    with pytest.raises(RunInUseError, match=r"run nightly is in use: .* Wait until that driver"):
        await later.flush()
    await first.check()
    await first.aclose()
    await later.aclose()


async def test_a_run_that_is_over_is_waited_for_and_not_resumed(bucket: Bucket) -> None:
    first, _ = await bucket.open()
    for entry in SOME:
        first.record(entry)
        await first.flush()
    await first.end()
    opening = asyncio.create_task(bucket.open())
    await asyncio.sleep(3.0)
    assert not opening.done()
    await first.aclose()
    await first.remove()
    assert bucket.names == []
    second, found = await opening
    assert (found, second.anew) == ([], False)
    second.record(driver(2))
    await second.flush()
    assert bucket.names == numbered(0)
    await second.aclose()


@pytest.mark.parametrize("removed", [0, 2, len(SOME)])
async def test_what_a_driver_left_that_was_killed_while_it_removed_is_of_no_more_use(
    bucket: Bucket, virtual_time: VirtualClock, removed: int
) -> None:
    first, _ = await bucket.open()
    for entry in SOME:
        first.record(entry)
        await first.flush()
    await first.end()
    await first.aclose()
    for name in numbered(*range(removed)):
        del bucket.objects.held[name]
    stored = await read_journal(FOLDER, bucket.storage(), KEY, SESSION)
    assert (stored.entries, stored.over) == ([], True)
    before = virtual_time.now
    second, found = await bucket.open()
    assert (found, second.anew) == ([], True)
    assert virtual_time.now - before == pytest.approx(REMOVAL_S, abs=1)
    second.record(driver(2))
    await second.flush()
    await second.clear()
    second.record(SOME[0])
    await second.flush()
    await second.aclose()  # it is killed now
    third, found = await bucket.open()
    assert (found, third.anew) == ([driver(2), SOME[0]], False)
    await third.end()
    await third.aclose()
    await third.remove()
    assert bucket.names == []


async def outliving(bucket: Bucket) -> Journal:
    """Return the journal of a driver whose run another one has taken over, ended and removed."""
    first, _ = await bucket.open()
    first.record(driver(1))
    await first.flush()
    second, _ = await bucket.open()
    second.record(driver(2))
    await second.end()
    await second.aclose()
    await second.remove()
    return first


async def test_a_driver_that_outlives_its_run_finds_out_and_leaves_nothing(bucket: Bucket) -> None:
    first = await outliving(bucket)
    with pytest.raises(RunInUseError, match="resumed by another driver"):
        await first.check()
    await first.aclose()
    assert bucket.names == []


@pytest.mark.parametrize("later", range(4))
async def test_a_driver_that_outlives_its_run_does_no_harm_to_the_next_one(
    bucket: Bucket, later: int
) -> None:
    first = await outliving(bucket)
    third, _ = await bucket.open()
    for entry in SOME[:later]:
        third.record(entry)
        await third.flush()
    first.record(JobClosed("late"))
    lost = asyncio.create_task(first.flush())
    await asyncio.sleep(0)
    third.record(SOME[later])
    await third.flush()
    with pytest.raises(RunInUseError):
        await lost
    await third.check()
    await first.aclose()
    await third.aclose()
    assert await bucket.read() == list(SOME[: later + 1])


class LostAnswers(SimulatedS3):
    """Every PUT takes effect, and is sent again as its answer is lost."""

    async def put(self, bucket: str, key: str, body: bytes, *, new: bool = False) -> None:
        await super().put(bucket, key, body)
        await super().put(bucket, key, body, new=new)


async def test_a_lost_answer_is_no_conflict(bucket: Bucket) -> None:
    journal, _ = await bucket.open(bucket.storage(LostAnswers))
    for entry in SOME:
        journal.record(entry)
        await journal.flush()
    await journal.aclose()
    assert bucket.names == numbered(*range(len(SOME)))
    assert await bucket.read() == list(SOME)


async def test_storage_that_fails_is_told_once_and_the_job_goes_on(
    bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    lost: list[AflintError] = []
    journal, _ = await bucket.open()
    journal.on_lost = lost.append
    journal.record(SOME[0])
    await journal.flush()
    bucket.service.down = True
    with caplog.at_level(logging.WARNING):
        for entry in SOME[1:]:
            journal.record(entry)
            await journal.flush()
    bucket.service.down = False
    journal.record(SOME[1])
    await journal.flush()
    await asyncio.sleep(1)
    await journal.aclose()
    (said,) = caplog.messages
    assert "nightly cannot be written" in said
    assert lost == []
    assert await bucket.read() == [SOME[0]]


async def test_storage_that_is_away_for_a_while_is_waited_for(
    bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    journal, _ = await bucket.open()
    bucket.service.down = True
    for entry in SOME[:2]:
        journal.record(entry)
    written = asyncio.create_task(journal.flush())
    await asyncio.sleep(2.0)
    journal.record(SOME[2])  # comes with the next segment: this one may have taken effect
    bucket.service.down = False
    await written
    await journal.flush()
    await journal.aclose()
    assert await bucket.read() == list(SOME[:3])
    assert bucket.names == numbered(0, 1)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_storage_that_fails_when_it_is_opened_is_an_error(bucket: Bucket) -> None:
    bucket.service.down = True
    with pytest.raises(ServiceUnavailableError):
        await bucket.open()


async def refused(bucket: Bucket, error: type[Exception], words: str, **other: Any) -> None:
    before = dict(bucket.objects.held)
    with pytest.raises(error, match=words) as told:
        await bucket.open(**other)
    assert "othing was changed" in str(told.value)
    assert bucket.objects.held == before


@pytest.mark.parametrize("missing", [0, 1, 4])
async def test_a_missing_segment_is_told(bucket: Bucket, missing: int) -> None:
    await bucket.write(*SOME)
    del bucket.objects.held[numbered(missing)[0]]
    await refused(
        bucket, JournalDamagedError, f"the journal .* is damaged: segment {missing} is missing"
    )


async def test_what_is_no_segment_is_told(bucket: Bucket) -> None:
    await bucket.write(*SOME)
    bucket.objects.held[f"{PLACE}/notes"] = b"?"
    await refused(bucket, JournalDamagedError, "notes")


async def test_segments_that_changed_places_are_told(bucket: Bucket) -> None:
    await bucket.write(*SOME)
    held, (one, other) = bucket.objects.held, numbered(1, 2)
    held[one], held[other] = held[other], held[one]
    await refused(bucket, JournalDamagedError, "in the wrong place")


async def test_any_altered_byte_and_any_cut_is_told(bucket: Bucket) -> None:
    await bucket.write(*SOME[:2])
    name = numbered(1)[0]
    whole = bucket.objects.held[name]
    for place in range(len(whole)):
        bucket.objects.held[name] = whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]
        with pytest.raises(JournalVersionError if place == 7 else JournalDamagedError):
            await bucket.open()
        bucket.objects.held[name] = whole[:place]
        with pytest.raises(JournalDamagedError):
            await bucket.open()


async def test_a_segment_of_another_version_run_or_secret_is_told(bucket: Bucket) -> None:
    await bucket.write(JobBegan("nightly-1", "count", "f"))
    await refused(bucket, JournalDamagedError, "another secret|altered", key=KEY[::-1])
    await refused(bucket, JournalDamagedError, "in the wrong place", session="another")
    segment = bytearray(encode(SESSION, "run", 0, SOME[:1], KEY))
    segment[7] = 9
    bucket.objects.held[numbered(0)[0]] = bytes(segment)
    await refused(bucket, JournalVersionError, "version 9")
