from __future__ import annotations

import asyncio
import mmap
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aflint.errors import AttemptError, ConfigError, OutOfMemoryError, WorkerLostError
from aflint.invoker import watchdog
from aflint.invoker.watchdog import Watchdog, is_stopped, own_memory
from aflint.testing.clock import run_virtual


def ends(
    monkeypatch: pytest.MonkeyPatch,
    stopped: Callable[[float], bool],
    for_s: float = 100.0,
    suspended_at: float | None = None,
) -> list[tuple[float, AttemptError]]:
    """Watch a process that is stopped at the given times; return when it was ended, and why."""
    found: list[tuple[float, AttemptError]] = []

    async def watch() -> None:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(watchdog, "is_stopped", lambda _: stopped(loop.time()))
        dog = Watchdog(30.0)
        if suspended_at is not None:
            loop.call_later(suspended_at, suspend, loop)
        with dog.watching(7, "the worker", lambda error: found.append((loop.time(), error))):
            await asyncio.sleep(for_s)
        dog.close()

    def suspend(loop: asyncio.AbstractEventLoop) -> None:
        loop.clock.now += 3600.0  # type: ignore[attr-defined]

    run_virtual(watch())
    return found


def test_a_worker_that_stays_stopped_is_ended_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ((when, error),) = ends(monkeypatch, lambda now: now > 10)
    assert 40 <= when <= 42
    assert isinstance(error, WorkerLostError)
    assert "the worker was stopped by a signal for 30 s" in str(error)


def test_a_worker_that_goes_on_again_and_again_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert ends(monkeypatch, lambda now: now % 25 < 20) == []


def test_time_in_which_the_driver_was_suspended_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A batch system stops and continues all of a job; the driver may be the first to go on."""
    suspended = ends(monkeypatch, lambda now: 5 < now < 3612, for_s=3700.0, suspended_at=6.0)
    assert suspended == []


def test_no_timer_is_set_while_nothing_runs() -> None:
    async def watch() -> None:
        dog = Watchdog(30.0)
        with dog.watching(os.getpid(), "the worker", lambda error: pytest.fail(str(error))):
            pass
        await asyncio.sleep(100)
        assert dog._timer is None

    run_virtual(watch())


def test_what_the_system_says_of_a_process() -> None:
    command = [sys.executable, "-c", "print(flush=True); import time; time.sleep(600)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert not is_stopped(process.pid)
        assert own_memory(process.pid) > 1 << 20
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert is_stopped(process.pid)
        assert is_stopped(process.pid), "looking does not use it up"
        process.send_signal(signal.SIGCONT)
        os.waitid(os.P_PID, process.pid, os.WCONTINUED | os.WNOWAIT)
        assert not is_stopped(process.pid)
        process.kill()
    assert not is_stopped(process.pid)
    assert own_memory(process.pid) == 0


def test_mapped_files_are_not_a_process_own_memory(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(64 << 20))
    before = own_memory(os.getpid())
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert not any(mapped[::4096])
        assert own_memory(os.getpid()) - before < 32 << 20


def test_a_memory_limit_ends_what_is_over_it() -> None:
    async def watch() -> list[AttemptError]:
        found: list[AttemptError] = []
        dog = Watchdog(30.0, memory_limit_mb=1)
        with dog.watching(os.getpid(), "the worker", found.append):
            await asyncio.sleep(10)
        return found

    (error,) = run_virtual(watch())
    assert isinstance(error, OutOfMemoryError)
    assert "`worker_memory_limit_mb` is 1" in str(error)


def test_a_memory_limit_is_refused_where_memory_cannot_be_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.path.exists", lambda _: False)
    with pytest.raises(ConfigError, match="worker_memory_limit_mb needs Linux"):
        Watchdog(30.0, memory_limit_mb=100)
