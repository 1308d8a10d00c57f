"""What a program that ends by an error of aflint's shows of where it came from."""

from __future__ import annotations

import logging
from types import TracebackType

from aflint.errors import AflintError, InternalError

_log = logging.getLogger("aflint")


def hide_inside(error: BaseException) -> None:
    """Have the traceback of an aflint error end where the program called aflint.

    What is inside helps those who work on aflint: it stays where debug logging is on, and in an
    error that is a fault of aflint itself.
    """
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            hide_inside(each)
    elif isinstance(error, InternalError) or _log.isEnabledFor(logging.DEBUG):
        return
    elif isinstance(error, AflintError):
        _cut(error.__traceback__)


def _cut(trace: TracebackType | None) -> None:
    # Behind the last frame of the program's: the error still says where it was called from.
    while trace is not None and trace.tb_next is not None:
        if _is_ours(trace.tb_next):
            trace.tb_next = None
        trace = trace.tb_next


def _is_ours(trace: TracebackType) -> bool:
    module: str = trace.tb_frame.f_globals.get("__name__", "")
    return module == "aflint" or module.startswith("aflint.")
