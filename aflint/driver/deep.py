"""Room for lineages of thousands of steps, as loops that build on their last result make them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_DEEP = 50_000
"""Frames of Python code: these live on the heap since Python 3.11, not on the C stack."""


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Raise the recursion limit meanwhile. Only for code that does not await."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEEP))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
