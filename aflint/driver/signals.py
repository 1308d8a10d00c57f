"""Ends a program by a signal as Ctrl-C ends it: its sessions are left, and remove what they made.

The first signal has sessions left, a second is only noted, as it would cut the removal short, and a
third ends the program at once: `aflint clean` removes what is left then. Handlers that the program
has installed itself, and signals that it ignores, stay as they are.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, Final, Self

ENDING: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""What ends a process that does not handle it: `docker stop`, a closed SSH session, Ctrl-\\."""

_NOTE: Final = b"aflint: removing what the session made. Once more ends at once and leaves it.\n"

_guards: set[SignalGuard] = set()
_before: dict[int, Any] = {}
_count = 0
"""Signals that came since the first of the open sessions was entered."""


class SignalGuard:
    """Has the asyncio task that enters it cancelled by a signal, and ends the program when left.

    `leaving` is to be set when the session begins to be left: from then on nothing is cancelled.
    Does nothing outside of the main thread, which alone is given signals.
    """

    def __init__(self) -> None:
        self.leaving = False
        self._number: int | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._loop = asyncio.get_running_loop()
            self._task = asyncio.current_task()
            _guards.add(self)
            if len(_guards) == 1:
                _install()
        return self

    def __exit__(self, *error: object) -> None:
        _guards.discard(self)
        if not _guards:
            _restore()
        # Only the last one ends the program: what it raises stops the loop that others are left in.
        if self._number is None or any(guard._number for guard in _guards):
            return
        if self._number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self._number)

    def end(self, number: int) -> bool:
        """Have the session left, and the program ended after that; False where that cannot be."""
        if self._task is None or self._task.done() or self._loop.is_closed():
            return False
        self._number = number
        if not self.leaving:
            self._loop.call_soon_threadsafe(self._task.cancel)  # which also wakes the loop
        return True


def _install() -> None:
    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            _before[number] = signal.signal(number, _on_signal)
    keyboard = signal.getsignal(signal.SIGINT)
    if isinstance(keyboard, partial) and isinstance(
        getattr(keyboard.func, "__self__", None), asyncio.Runner
    ):  # asyncio.run's: at a second Ctrl-C it raises an error wherever the program is
        _before[signal.SIGINT] = signal.signal(signal.SIGINT, _on_signal)


def _restore() -> None:
    global _count
    for number, handler in _before.items():
        if signal.getsignal(number) is _on_signal:
            signal.signal(number, handler)
    _before.clear()
    _count = 0


def _on_signal(number: int, frame: FrameType | None) -> None:
    global _count
    _count += 1
    if _count == 2:
        _note()
        return
    # asyncio.run handles a first Ctrl-C itself: it cancels the main task, unless that is cleaning.
    if _count == 1 and (number != signal.SIGINT or any(guard.leaving for guard in _guards)):
        ended = [guard.end(number) for guard in list(_guards)]
        if any(ended):
            return
    _as_before(number, frame, _before[number])


def _as_before(number: int, frame: FrameType | None, handler: Any) -> None:
    """Do what a signal would have done without aflint."""
    if callable(handler):
        handler(number, frame)
    elif handler is signal.SIG_DFL:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


def _note() -> None:
    with suppress(OSError):  # not by sys.stderr: it may be in the middle of a write
        os.write(2, _NOTE)


def exit_on_signals() -> None:
    """Have this process exit on signals that would end it, so that exit handlers run.

    For programs that do not await. Handlers that are there stay. Does nothing outside of the main
    thread, which alone is given signals.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _exit)


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


@contextmanager
def held_back() -> Iterator[None]:
    """Have a signal wait while something is removed; a second one does not.

    For the main thread of a program that does not await; in others nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        waiting.append(number)
        if len(waiting) == 1:
            _note()
        else:
            _as_before(number, frame, before[number])

    handled = [n for n in (*ENDING, signal.SIGINT) if callable(signal.getsignal(n))]
    before: dict[int, Any] = {number: signal.signal(number, hold) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is hold:
                signal.signal(number, handler)
        if len(waiting) == 1:
            signal.raise_signal(waiting[0])
