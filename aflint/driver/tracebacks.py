"""What a program that ends by an error of aflint's, or by Ctrl-C, shows of where that came."""

from __future__ import annotations

import asyncio
import logging
import sys
from functools import partial
from types import TracebackType
from typing import Any

from aflint.driver.callsite import is_inside
from aflint.errors import AflintError, InternalError

_log = logging.getLogger("aflint")

_INTERRUPTS = (KeyboardInterrupt, asyncio.CancelledError)
"""What Ctrl-C raises, wherever the program happens to be: in aflint, if it waits for a job."""


def hide_inside(error: BaseException) -> None:
    """Have the traceback of an aflint error, or an interrupt, end where the program called aflint;
    also of one that led to `error`, or is in a group.

    What is inside helps those who work on aflint: it stays where debug logging is on, and in an
    error that is a fault of aflint itself.
    """
    if _log.isEnabledFor(logging.DEBUG):
        return
    waiting: list[BaseException | None] = [error]
    seen = set[int]()  # errors may be each other's context
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen or isinstance(each, InternalError):
            continue
        seen.add(id(each))
        waiting += (each.__cause__, each.__context__)
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        elif isinstance(each, (AflintError, *_INTERRUPTS)):
            _cut(each.__traceback__)


def hide_inside_at_exit() -> None:
    """Have `hide_inside` called for an error that ends the program: for programs that have no
    `async with` of a session's around their calls.
    """
    sys.excepthook = partial(_show, sys.excepthook)


def hide_inside_in_cells() -> None:
    """Have `hide_inside` called for an error that ends a cell, where IPython runs the program.

    A program that has a handler of its own for some exceptions keeps it: IPython has one for all.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is not None and not shell.custom_exceptions:
        shell.set_custom_exc((AflintError, BaseExceptionGroup, *_INTERRUPTS), show_in_cell)


def show_in_cell(
    shell: Any, kind: type[BaseException], error: BaseException, trace: Any, tb_offset: Any = None
) -> None:
    """Show an error that ends a cell, with the program's own lines alone."""
    hide_inside(error)
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset, running_compiled_code=True)


def _show(hook: Any, kind: type[BaseException], error: BaseException, trace: Any) -> None:
    hide_inside(error)
    hook(kind, error, error.__traceback__)


def _cut(trace: TracebackType | None) -> None:
    # Behind the last frame of the program's: the error still says where it was called from.
    while trace is not None and trace.tb_next is not None:
        if is_inside(trace.tb_next.tb_frame.f_code):
            trace.tb_next = None
        trace = trace.tb_next
