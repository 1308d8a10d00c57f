"""A process whose descriptors a task closed ends, and says why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aflint.executor.descriptors import closed_since, open_descriptors, what_lies_behind

WAITING = """
import os, asyncio
from aflint.executor.io_loop import IOLoop

async def forever():
    await asyncio.Event().wait()

with IOLoop() as io:
    future = io.submit(forever())
    {close}
    future.result()
"""


@pytest.mark.parametrize(
    "close", ["os.closerange(3, 256)", "os.close(io._selector.fileno())"], ids=["all", "its own"]
)
def test_a_loop_that_lost_its_descriptors_ends_the_process(close: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WAITING.format(close=close)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "aflint: a task closed what this process does its I/O with" in done.stderr


def test_what_was_closed_or_replaced_is_noticed(tmp_path: Path) -> None:
    files = [os.open(tmp_path / name, os.O_CREAT | os.O_WRONLY) for name in "abc"]
    before = what_lies_behind(files)
    assert closed_since(before) == []
    os.close(files[0])
    os.dup2(files[2], files[1])
    assert closed_since(before) == files[:2]
    assert files[0] not in open_descriptors()
    assert {0, 1, 2} & open_descriptors() == set()
    for each in files[1:]:
        os.close(each)
