"""What user code prints and logs, kept for the driver or thrown away."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

MOST_CHARACTERS = 64 * 1024
"""What is kept of one task's output; the rest is replaced by a line that says so."""


class _Tail(io.TextIOBase):
    """Text that is kept up to a limit, or not at all."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._cut = most > 0
        self._text = io.StringIO()

    def write(self, text: str) -> int:
        self._text.write(text[: self._left])
        self._left -= min(len(text), self._left)
        if self._cut and not self._left:
            self._cut = False
            self._text.write("\n... (more output was dropped)\n")
        return len(text)

    def writable(self) -> bool:
        return True

    def getvalue(self) -> str:
        return self._text.getvalue()


@contextmanager
def captured_output(wanted: bool, debug: bool = False) -> Iterator[_Tail]:
    """Redirect what is printed, and logged at INFO and above, into the text that is yielded.

    Nothing is kept unless it is wanted. With `debug`, aflint's own debug log is written, too.
    """
    tail = _Tail(MOST_CHARACTERS if wanted else 0)
    handler = logging.StreamHandler(tail)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root, ours = logging.getLogger(), logging.getLogger("aflint")
    level, our_level = root.level, ours.level
    if debug:
        ours.setLevel(logging.DEBUG)
    if wanted:
        root.addHandler(handler)
        root.setLevel(min(level, logging.INFO))
    try:
        with redirect_stdout(tail), redirect_stderr(tail):
            yield tail
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        ours.setLevel(our_level)
