"""Where in the user's program something was asked for."""

from __future__ import annotations

import os
import sys

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def named_here(name: str) -> str:
    """Return "name at file.py:12": the first line outside of aflint that led here."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    path = frame.f_code.co_filename
    if path.startswith(_HERE):
        return name
    return f"{name} at {os.path.basename(path)}:{frame.f_lineno}"
