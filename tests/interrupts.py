"""Signals that come at a given line."""

from __future__ import annotations

import _weakrefset
import gc
import sys
from collections.abc import Callable
from itertools import count
from types import FrameType
from typing import Any


class Interrupt(BaseException):
    """What a signal's handler raises, as KeyboardInterrupt or SystemExit."""


def interrupted(at: int, function: Callable[[], Any]) -> bool:
    """Call a function, interrupted before the line that it and its callees reach as number `at`.

    Returns False when it ended before that.
    """
    lines = count()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename == _weakrefset.__file__:
            return None  # a callback, in which an exception is only reported
        if event == "line" and next(lines) == at:
            raise Interrupt
        return trace

    before = sys.gettrace()
    # A finalizer of another test's garbage would swallow the exception.
    gc.disable()
    sys.settrace(trace)
    try:
        function()
    except Interrupt:
        return True
    finally:
        sys.settrace(before)
        gc.enable()
    return False
