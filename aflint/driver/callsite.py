"""Where in the user's program something was asked for, and by which method."""

from __future__ import annotations

import contextlib
import os
import sys
from contextvars import ContextVar
from types import CodeType

_AFLINT = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_OURS = (_AFLINT, contextlib.__file__)

_fronts: tuple[str, ...] = ()
_site: ContextVar[tuple[str, str] | None] = ContextVar("aflint_callsite", default=None)


def add_front(*folders: str) -> None:
    """Take the code in these folders for another API over aflint's: a step that a program makes by
    it is named by the method that the program called, such as `reduceByKey`.
    """
    global _fronts
    _fronts = (*_fronts, *(os.path.abspath(folder) + os.sep for folder in folders))


def is_inside(code: CodeType) -> bool:
    """Say whether code is aflint's, or of another API over it."""
    return code.co_filename.startswith((_AFLINT, *_fronts))


def named_here(name: str) -> str:
    """Return "name at file.py:12": the first line outside of aflint that led here."""
    method, place = _find(name)
    return f"{method} at {place}" if place else method


def method_here(name: str) -> str:
    """Return the name by which the program called the method `name`."""
    return _find(name)[0]


def keep_site() -> None:
    """Have what this context runs from now on named by the call that is under way: for work that
    goes on in another thread.
    """
    _site.set(_find(""))


def _find(name: str) -> tuple[str, str]:
    known = _site.get()
    if known is not None:
        return known[0] or name, known[1]
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith((*_OURS, *_fronts)):
        code, frame = frame.f_code, frame.f_back
        # The outermost of such an API's methods is the one that the program called.
        if code.co_filename.startswith(_fronts) and not code.co_name.startswith("<"):
            name = code.co_name
    path = frame.f_code.co_filename
    if path.startswith((*_OURS, *_fronts)):  # no line of a program: in a thread of aflint's
        return name, ""
    if os.path.basename(os.path.dirname(path)).startswith("ipykernel_"):
        # A notebook compiles each cell under a file name that it makes up.
        return name, f"line {frame.f_lineno} of a cell"
    return name, f"{os.path.basename(path)}:{frame.f_lineno}"
