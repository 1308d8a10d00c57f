"""What user code prints and logs, kept for the driver or thrown away."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, Final

MOST_BYTES: Final = 64 * 1024
"""What is kept of one task's output; the rest is replaced by a line that says so."""


class TaskOutput:
    """What a task writes to its standard streams: up to a limit, or nothing.

    `stdout` and `stderr` are files as those of any process. Their descriptors are those of this
    process: what a child process, a crash or code in C writes there goes where it would have gone
    anyway (a worker's log, CloudWatch), and not into `text`.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self._wanted = most > 0
        self._parts: list[bytes] = []
        self.stdout = self._stream("stdout", 1)
        self.stderr = self._stream("stderr", 2)

    def _stream(self, name: str, descriptor: int) -> io.TextIOWrapper:
        raw = _Stream(self, f"<{name}>", descriptor)
        # Line by line where it is kept: stdout and stderr stay in the order they were written in.
        return io.TextIOWrapper(
            io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=self._wanted
        )

    def keep(self, data: bytes) -> None:
        """Keep what fits."""
        if not self._left:
            return
        self._parts.append(data[: self._left])
        self._left -= len(self._parts[-1])
        if not self._left:
            self._parts.append(b"\n... (more output was dropped)\n")

    def flush(self) -> None:
        """Take what streams still hold back, those as well that user code put in their place."""
        for stream in (sys.stdout, sys.stderr, self.stdout, self.stderr):
            with suppress(Exception):  # closed, or an object of the user's that fails in any way
                stream.flush()

    def text(self) -> str:
        """Return what was written and flushed so far."""
        return b"".join(self._parts).decode("utf-8", "replace")


class _Stream(io.RawIOBase):
    """The lowest layer of a standard stream."""

    def __init__(self, output: TaskOutput, name: str, descriptor: int) -> None:
        self._output = output
        self._descriptor = descriptor
        self.name = name
        self.mode = "wb"

    def write(self, data: Any, /) -> int:
        view = memoryview(data)
        if self._output._left:
            self._output.keep(bytes(view))
        return view.nbytes

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor


@contextmanager
def captured_output(wanted: bool, debug: bool = False) -> Iterator[TaskOutput]:
    """Redirect what is printed, and logged at INFO and above, into the output that is yielded.

    Nothing is kept unless it is wanted. With `debug`, aflint's own debug log is written, too.
    """
    output = TaskOutput(MOST_BYTES if wanted else 0)
    handler = logging.StreamHandler(output.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root, ours = logging.getLogger(), logging.getLogger("aflint")
    level, our_level = root.level, ours.level
    if debug:
        ours.setLevel(logging.DEBUG)
    if wanted:
        root.addHandler(handler)
        root.setLevel(min(level, logging.INFO))
    try:
        with redirect_stdout(output.stdout), redirect_stderr(output.stderr):
            try:
                yield output
            finally:
                output.flush()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        ours.setLevel(our_level)
