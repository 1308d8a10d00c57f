"""Where in the program something was asked for, past aflint's frames and PySpark's."""

from __future__ import annotations

import os
import sys

import pyspark

import aflint

_OWN = tuple(str(os.path.dirname(m.__file__ or "")) + os.sep for m in (aflint, pyspark))


def named_here(name: str) -> str:
    """Return "name at file.py:12"."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OWN):
        frame = frame.f_back
    path = frame.f_code.co_filename
    if path.startswith(_OWN):
        return name
    return f"{name} at {os.path.basename(path)}:{frame.f_lineno}"
