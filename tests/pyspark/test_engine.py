"""The engine below a SparkContext, whatever the program's own thread is doing."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from aflint.config import Config
from aflint.driver.calls import Calls
from aflint.errors import AccessDeniedError, JobCancelledError, SessionError
from aflint.pyspark.engine import Engine
from aflint.session.resources import Resources
from tests.interrupts import interrupted


async def answer() -> int:
    return 42


def test_a_call_interrupted_at_any_line_leaves_an_engine_that_works_and_ends(
    tmp_path: Path,
) -> None:
    engine = Engine(Config(workers=1, scratch_dir=str(tmp_path)))
    try:
        for line in count():
            if not interrupted(line, lambda: engine.run(answer)):
                break
            assert engine.run(answer) == 42
    finally:
        engine.close()
    assert line > 20
    assert not list(tmp_path.iterdir())


def test_a_call_while_the_engine_ends_is_told_so(tmp_path: Path) -> None:
    engine = Engine(Config(workers=1, scratch_dir=str(tmp_path)))
    running, ending, asked = threading.Event(), threading.Event(), threading.Event()

    async def ends_slowly() -> None:
        try:
            running.set()
            await asyncio.Event().wait()
        finally:
            ending.set()
            await asyncio.to_thread(asked.wait)

    with ThreadPoolExecutor() as threads:
        slow = threads.submit(engine.run, ends_slowly)
        running.wait()
        closing = threads.submit(engine.close)
        ending.wait()
        try:
            for _ in range(2):
                with pytest.raises(SessionError, match="stopped"):
                    engine.run(answer)
        finally:
            asked.set()
        closing.result()
        with pytest.raises(JobCancelledError):
            slow.result()
    with pytest.raises(SessionError, match="stopped"):
        engine.run(answer)


def test_a_call_that_is_cancelled_before_it_starts_does_not_run() -> None:
    loop = asyncio.new_event_loop()
    ran: list[int] = []

    async def runs() -> None:
        ran.append(1)

    call = Calls(loop).call(runs)
    call.cancel()
    call.start()
    for _ in range(3):
        loop.run_until_complete(asyncio.sleep(0))
    with pytest.raises(asyncio.CancelledError):
        call.result()
    assert not ran
    loop.close()


def test_what_ending_the_session_raises_is_raised_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object) -> None:
        raise AccessDeniedError("it may not be removed")

    monkeypatch.setattr(Resources, "_remove_all", refused)
    engine = Engine(Config(workers=1, scratch_dir=str(tmp_path)))
    with pytest.raises(AccessDeniedError, match="may not be removed"):
        engine.close()
    engine.close()
    assert not list(tmp_path.iterdir())
