"""An event loop whose time jumps, so that a test of waiting does not wait."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_Events = list[tuple[selectors.SelectorKey, int]]


class StalledError(RuntimeError):
    """Nothing is ready, no timer is set, and no socket or thread woke the loop: a deadlock."""


class VirtualClock:
    """The time of one loop, in seconds from 0. It only moves when nothing else can happen."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class _JumpingSelector(selectors.DefaultSelector):
    """Looks at sockets without waiting, and then moves the clock to when the next timer is due."""

    def __init__(self, clock: VirtualClock, stall_s: float) -> None:
        super().__init__()
        self._clock = clock
        self._stall_s = stall_s

    def select(self, timeout: float | None = None) -> _Events:
        if timeout is None:
            found: _Events = super().select(self._stall_s)
            if not found:
                raise StalledError(
                    f"no task can go on, no timer is set, and nothing came from outside in "
                    f"{self._stall_s:g} s (virtual time {self._clock.now:g} s)"
                )
            return found
        if timeout == 0 and len(self.get_map()) == 1:
            # Callbacks are ready, and no socket is but the one by which threads and signals wake
            # the loop: it is looked at before the clock moves. This is most of all looks.
            return []
        found = super().select(0)
        if not found and timeout > 0:
            self._clock.now += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on a VirtualClock: `asyncio.sleep(3600)` takes no time.

    Sockets and threads work, but take no virtual time: where timers are set, the clock does not
    wait for them. With nothing to do and nothing coming from outside within `stall_s` real seconds,
    the loop raises StalledError.
    """

    def __init__(self, clock: VirtualClock | None = None, *, stall_s: float = 10.0) -> None:
        self.clock = clock or VirtualClock()
        super().__init__(_JumpingSelector(self.clock, stall_s))

    def time(self) -> float:
        return self.clock.now


def run_virtual(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine as `asyncio.run` does, on a VirtualLoop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


def virtual_clock() -> VirtualClock:
    """Return the clock of the running VirtualLoop.

    Raises RuntimeError on any other loop.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise RuntimeError("this is not a VirtualLoop; see aflint.testing.pytest_virtual")
    return loop.clock
