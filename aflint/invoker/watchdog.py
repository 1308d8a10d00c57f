"""Looks at worker processes while they run tasks: is one stopped, does one hold too much memory?

Stopped (by SIGSTOP, by a batch system that suspends jobs) is what the system says of a process. Its
silence would not do: code in C may hold the interpreter's lock for minutes, and nothing in that
process can then say that it is alive.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from aflint.errors import AttemptError, ConfigError, OutOfMemoryError, WorkerLostError

_LOOK_S: Final = 1.0
_MEMORY_LOOK_S: Final = 0.1
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True, eq=False)
class _Watched:
    """A process that runs a task, and in how many looks in a row it was stopped."""

    process: int
    what: str
    end: Callable[[AttemptError], None]
    stopped: int = 0


class Watchdog:
    """Has a worker ended that is stopped for `stopped_s`, or holds more than `memory_limit_mb`.

    Raises ConfigError for a limit where the system does not say what other processes hold.
    """

    def __init__(self, stopped_s: float, memory_limit_mb: int | None = None) -> None:
        if memory_limit_mb is not None and not os.path.exists("/proc/self/statm"):
            raise ConfigError("worker_memory_limit_mb needs Linux: this system has no /proc")
        self._memory_limit_mb = memory_limit_mb
        self._stopped_s = stopped_s
        self._every_s = min(
            _LOOK_S if memory_limit_mb is None else _MEMORY_LOOK_S, max(stopped_s / 4, 0.01)
        )
        self._watched: set[_Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def watching(
        self, process: int, what: str, end: Callable[[AttemptError], None]
    ) -> Iterator[None]:
        """Watch a child of this process for as long as the context is open.

        `end` is called once, with an error that speaks of it as `what`.
        """
        watched = _Watched(process, what, end)
        self._watched.add(watched)
        if self._timer is None:
            self._set_timer()
        try:
            yield
        finally:
            self._watched.discard(watched)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._every_s, self._look)

    def _look(self) -> None:
        self._timer = None
        for watched in list(self._watched):
            if (error := self._fault_of(watched)) is not None:
                self._watched.discard(watched)  # ended once: it needs a while to be gone
                watched.end(error)
        if self._watched:  # a timer is not set while nothing runs
            self._set_timer()

    def _fault_of(self, watched: _Watched) -> AttemptError | None:
        # Looks are counted, and not seconds: where the driver was suspended together with its
        # workers, time has passed that they did not have.
        watched.stopped = watched.stopped + 1 if is_stopped(watched.process) else 0
        if watched.stopped * self._every_s >= self._stopped_s:
            return WorkerLostError(
                f"{watched.what} was stopped by a signal for {self._stopped_s:g} s, and was killed "
                "(`worker_stopped_s`)"
            )
        held = own_memory(watched.process) if self._memory_limit_mb is not None else 0
        if self._memory_limit_mb is not None and held > self._memory_limit_mb << 20:
            return OutOfMemoryError(
                f"{watched.what} held {held >> 20:,} MB of memory, and was killed: "
                f"`worker_memory_limit_mb` is {self._memory_limit_mb:,}"
            )
        return None


def is_stopped(process: int) -> bool:
    """Say whether a child of this process is stopped; False where the system does not say."""
    if not hasattr(os, "waitid"):
        return False
    try:  # WNOWAIT: what is seen is left for whoever waits for the process to end
        return os.waitid(os.P_PID, process, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def own_memory(process: int) -> int:
    """Return the resident bytes that are a process's own: files that it maps are not."""
    try:
        with open(f"/proc/{process}/statm", "rb", buffering=0) as statm:
            fields = statm.read().split()
    except OSError:
        return 0  # it has just ended
    return (int(fields[1]) - int(fields[2])) * _PAGE
