from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import FrameType

import pytest

from aflint.scheduler.loop import Scheduler
from aflint.testing.memory_transport import MemoryTransport
from bench.peers.drive_scheduler import Answering, drive, job_of

CLOCKED = ("journal/writing.py", "observe/logfile.py", "storage/local.py")
"""Files whose functions are called as often as time passes."""


def _calls(maps: int, reduces: int, folder: Path) -> int:
    """Return how many functions of aflint a job calls on the driver: as many in every run, but for
    what the journal's and the log's clocks decide.
    """
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        path = frame.f_code.co_filename
        calls += event == "call" and "/aflint/" in path and not path.endswith(CLOCKED)

    sys.setprofile(count)
    try:
        accepted = asyncio.run(drive(maps, reduces, folder))
    finally:
        sys.setprofile(None)
    assert accepted == maps + reduces
    return calls


@pytest.mark.parametrize("reduces", [0, 10])
def test_the_work_for_a_task_does_not_grow_with_the_number_of_tasks(
    tmp_path: Path, reduces: int
) -> None:
    few, many = (
        _calls(size, reduces, tmp_path / str(size)) / (size + reduces) for size in (300, 1200)
    )
    # A manifest has a line for each map; columns of them are made by as many calls as one.
    assert many / few < 1.05, (few, many)
    assert many < (110 if reduces else 100)


async def test_what_is_sent_for_a_task_does_not_grow_with_the_number_of_tasks() -> None:
    few, many = [await _bytes_sent(size) / size for size in (100, 400)]
    assert many < few * 1.01


async def _bytes_sent(size: int) -> int:
    invoker = Answering(0)
    scheduler = Scheduler(invoker, MemoryTransport())
    async with scheduler, scheduler.run(job_of(size, 0)) as running:
        await running.values(range(size))
    return invoker.sent
