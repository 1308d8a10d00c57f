from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from aflint.driver.signals import ENDING, SignalGuard, exit_on_signals, held_back

PROGRAM = """
import asyncio, os, signal, sys
import aflint
from aflint.session.resources import Resources

def send(name):
    os.kill(os.getpid(), getattr(signal, name))

async def removing(self, *arguments):
    for name in sys.argv[3:]:
        send(name)
        await asyncio.sleep(0)
    await remove(self, *arguments)

remove = Resources._remove_all
Resources._remove_all = removing

async def main():
    try:
        async with aflint.connect(workers=1, progress=False, scratch_dir=sys.argv[1]) as session:
            assert await session.range(3).count() == 3
            if sys.argv[2]:
                send(sys.argv[2])
                await asyncio.Event().wait()
    finally:
        print("left", flush=True)
    print("went on")

asyncio.run(main())
"""


def run(scratch: Path, first: str, *while_removing: str) -> tuple[int, str, str, list[str]]:
    """Run a program that gets signals; return its status, what it said, and what it left."""
    command = [sys.executable, "-c", PROGRAM, str(scratch), first, *while_removing]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr, os.listdir(scratch)


@pytest.mark.parametrize("number", ENDING)
def test_a_program_that_is_ended_by_a_signal_leaves_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    assert run(tmp_path, number.name) == (128 + number, "left\n", "", [])


def test_a_signal_while_the_session_is_left_ends_the_program_once_it_was(tmp_path: Path) -> None:
    assert run(tmp_path, "", "SIGTERM") == (128 + signal.SIGTERM, "left\n", "", [])


@pytest.mark.parametrize(("first", "second"), [("SIGINT", "SIGINT"), ("SIGTERM", "SIGINT")])
def test_a_second_signal_does_not_cut_the_removal_short(
    tmp_path: Path, first: str, second: str
) -> None:
    status, said, errors, left = run(tmp_path, first, second)
    assert status == (-signal.SIGINT if first == "SIGINT" else 128 + signal.SIGTERM)
    assert (said, left) == ("left\n", [])
    assert errors.startswith("aflint: removing what the session made. Once more")
    assert ("KeyboardInterrupt" in errors) == (first == "SIGINT")


def test_ctrl_c_while_the_session_is_left_waits(tmp_path: Path) -> None:
    status, said, errors, left = run(tmp_path, "", "SIGINT")
    assert (status, said, left) == (-signal.SIGINT, "left\n", [])
    assert "KeyboardInterrupt" in errors


def test_a_third_signal_ends_the_program_at_once(tmp_path: Path) -> None:
    status, said, _, left = run(tmp_path, *["SIGTERM"] * 3)
    assert (status, said, len(left)) == (-signal.SIGTERM, "", 1)


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (*ENDING, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def mine(number: int, frame: FrameType | None) -> None:
    """A handler of the program's own."""


def current() -> list[Any]:
    return [signal.getsignal(number) for number in (*ENDING, signal.SIGINT)]


@pytest.mark.usefixtures("handlers")
def test_handlers_of_the_program_stay_and_others_come_back() -> None:
    signal.signal(signal.SIGTERM, mine)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    outside = current()

    async def main() -> None:
        inside = current()
        with SignalGuard():
            changed = current()
            assert changed[:2] == [mine, signal.SIG_IGN]
            assert changed[2] is not outside[2]
            assert changed[3] is not inside[3]
            with SignalGuard():
                assert current() == changed
            assert current() == changed
            signal.signal(signal.SIGQUIT, mine)
        assert current() == [mine, signal.SIG_IGN, mine, inside[3]]

    asyncio.run(main())
    assert current() == [mine, signal.SIG_IGN, mine, outside[3]]


@pytest.mark.usefixtures("handlers")
def test_ctrl_c_is_left_to_a_program_that_handles_it() -> None:
    seen: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))

    async def main() -> None:
        with SignalGuard():
            for _ in range(3):
                signal.raise_signal(signal.SIGINT)

    asyncio.run(main())
    assert seen == [signal.SIGINT] * 3


@pytest.mark.usefixtures("handlers")
def test_other_threads_have_no_handlers() -> None:
    outside = current()

    async def main() -> None:
        with SignalGuard():
            assert current() == outside

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    thread.join()


SEVERAL = """
import asyncio, signal
from aflint.driver.signals import SignalGuard

async def session(name):
    with SignalGuard():
        try:
            await asyncio.Event().wait()
        finally:
            print(name, flush=True)

async def main():
    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(session(name))
        await asyncio.sleep(0)
        signal.raise_signal(signal.SIGTERM)

asyncio.run(main())
"""


def test_all_sessions_of_a_program_are_left() -> None:
    done = subprocess.run([sys.executable, "-c", SEVERAL], capture_output=True, text=True)
    assert (done.returncode, sorted(done.stdout.split())) == (128 + signal.SIGTERM, ["a", "b", "c"])


@pytest.mark.usefixtures("handlers")
def test_programs_that_do_not_await_exit_and_keep_their_handlers() -> None:
    signal.signal(signal.SIGHUP, mine)
    exit_on_signals()
    assert signal.getsignal(signal.SIGHUP) == mine
    for number in (signal.SIGTERM, signal.SIGQUIT):
        with pytest.raises(SystemExit) as ended:
            signal.raise_signal(number)
        assert ended.value.code == 128 + number


@pytest.mark.usefixtures("handlers")
def test_a_signal_waits_while_something_is_removed_and_a_second_does_not() -> None:
    exit_on_signals()
    outside, removed = current(), []

    def remove(*numbers: int) -> None:
        with held_back():
            for number in numbers:
                signal.raise_signal(number)
            removed.append(numbers)

    with pytest.raises(SystemExit):
        remove(signal.SIGTERM)
    assert len(removed) == 1
    with pytest.raises(KeyboardInterrupt):
        remove(signal.SIGTERM, signal.SIGINT)
    assert len(removed) == 1
    assert current() == outside
