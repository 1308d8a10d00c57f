"""Synchronous code stepped by an asyncio loop: a thread that runs only while the loop stands still.

An executor's compute code is synchronous and blocks on I/O. Here each attempt has a thread of its
own, and a baton goes back and forth: the loop hands it over and waits; the thread runs until it
needs I/O, and hands it back. Only one of them ever runs, so that a run depends on nothing but its
inputs. Attempts interleave at every wait for I/O, and nowhere else.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aflint.executor import context


class KilledError(GeneratorExit):
    """Unwinds the code of an environment that has ended; everything it tries raises it again. Where
    nothing runs any more, generators are closed by it as by any other GeneratorExit.
    """


@dataclass(frozen=True, slots=True)
class Finished:
    """The code has come to its end, well or not."""

    result: Any = None
    error: BaseException | None = None


Message = asyncio.Future[Any] | Finished


class Puppet:
    """A thread that runs functions one after the other, in steps."""

    def __init__(self) -> None:
        self._to_thread = threading.Lock()
        self._to_loop = threading.Lock()
        self._to_thread.acquire()
        self._to_loop.acquire()
        self._function: Callable[[], Any] | None = None
        self._message: Message | None = None
        self._globals: tuple[Any, ...] = ()
        threading.Thread(target=self._serve, name="aflint-puppet", daemon=True).start()

    def begin(self, function: Callable[[], Any]) -> Message:
        """Run a function up to its first wait, or to its end."""
        self._function = function
        return self.resume()

    def resume(self) -> Message:
        """Go on to the next wait, or to the end."""
        ours = _globals()
        self._to_thread.release()
        self._to_loop.acquire()
        _restore(ours)
        assert self._message is not None
        return self._message

    def wait(self, future: asyncio.Future[Any]) -> None:
        """In the thread: have the loop wait for a future, and go on then."""
        ours = _globals()
        self._message = future
        self._to_loop.release()
        self._to_thread.acquire()
        _restore(ours)

    def _serve(self) -> None:
        while True:
            self._to_thread.acquire()
            assert self._function is not None
            try:
                self._message = Finished(self._function())
            except BaseException as error:  # handed over whole to who runs this puppet
                self._message = Finished(error=error)
            self._function = None
            self._to_loop.release()


def _globals() -> tuple[Any, ...]:
    """Return what a process has once and an executor changes: each puppet plays a process."""
    return context.current, sys.stdout, sys.stderr


def _restore(saved: tuple[Any, ...]) -> None:
    context.current, sys.stdout, sys.stderr = saved


_idle: list[Puppet] = []


def borrow() -> Puppet:
    """Return a puppet that nobody uses."""
    return _idle.pop() if _idle else Puppet()


def give_back(puppet: Puppet) -> None:
    """Let others use a puppet whose function has ended."""
    _idle.append(puppet)
