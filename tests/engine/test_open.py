from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

import aflint
from aflint.errors import ConfigError, JobCancelledError, SessionError
from tests.engine.conftest import Flag

UNCLOSED = """
import asyncio, sys, time, aflint
from aflint.events import TaskStarted

async def main(how, folder):
    session = await aflint.open(workers=1, scratch_dir=folder)
    assert await session.range(10).sum() == 45
    if how == "running":
        started = asyncio.Event()
        session.add_listener(lambda event: isinstance(event, TaskStarted) and started.set())
        job = asyncio.create_task(session.range(1).map(lambda x: time.sleep(600)).collect())
        await started.wait()

how, folder = sys.argv[1:]
if how == "stopped loop":
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main(how, folder))
else:
    asyncio.run(main(how, folder))
"""


def hang(started: str) -> int:
    with open(started, "wb", buffering=0) as file:
        file.write(b"x")
    time.sleep(600)
    return 0


async def test_an_opened_session_runs_jobs_until_it_is_closed(tmp_path: Path, flag: Flag) -> None:
    scratch, started = tmp_path / "scratch", flag.path
    session = await aflint.open(workers=1, progress=False, scratch_dir=str(scratch))
    numbers = session.range(10)
    assert await numbers.sum() == 45
    job = asyncio.create_task(numbers.map(lambda _: hang(started)).collect())
    await flag.wait()
    await session.aclose()
    with pytest.raises(JobCancelledError):
        await job
    with pytest.raises(SessionError, match="closed"):
        await numbers.sum()
    await session.aclose()
    assert not scratch.exists()


async def test_what_cannot_be_opened_raises_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="no temporary files can be made"):
        await aflint.open(scratch_dir=str(tmp_path / "file"))


async def test_only_an_opened_session_is_closed_by_hand() -> None:
    with pytest.raises(SessionError, match="only one from aflint"):
        await aflint.connect().aclose()


@pytest.mark.parametrize("how", ["ended loop", "running", "stopped loop"])
def test_an_unclosed_session_is_reported_and_cleaned_up_at_exit(how: str, tmp_path: Path) -> None:
    program = [sys.executable, "-W", "always::ResourceWarning", "-c", UNCLOSED]
    done = subprocess.run([*program, how, tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "was not closed: end it with `await session.aclose()`" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
