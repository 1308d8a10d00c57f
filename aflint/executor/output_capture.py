"""What user code prints and logs, kept for the driver or thrown away."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import (
    contextmanager,
    nullcontext,
    redirect_stderr,
    redirect_stdout,
    suppress,
)
from typing import Any, Final, TextIO

MOST_BYTES: Final = 64 * 1024
"""What is kept of one task's output; the rest is replaced by a line that says so."""


class TaskOutput:
    """What a task writes to its standard streams: up to a limit, or nothing."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._parts: list[bytes] = []

    def keep(self, data: Any) -> None:
        """Keep what fits."""
        if not self._left:
            return
        self._parts.append(bytes(data[: self._left]))
        self._left -= len(self._parts[-1])
        if not self._left:
            self._parts.append(b"\n... (more output was dropped)\n")

    def text(self) -> str:
        """Return what was written so far."""
        return b"".join(self._parts).decode("utf-8", "replace")


class _Stream(io.RawIOBase):
    """The lowest layer of a standard stream.

    Its descriptor is that of this process: what a child process, a crash or code in C writes there
    goes where it would have gone anyway (a worker's log, CloudWatch), and not into a TaskOutput.
    """

    def __init__(self, name: str, descriptor: int) -> None:
        self.output = TaskOutput(0)
        self.name = name
        self.mode = "wb"
        self._descriptor = descriptor

    def write(self, data: Any, /) -> int:
        view = memoryview(data)
        self.output.keep(view)
        return view.nbytes

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor


_FORM: Final = ("utf-8", "backslashreplace", True)


class _Standard:
    """A standard stream of tasks: made once, as that takes longer than many a task, and again after
    user code has closed or changed it.
    """

    def __init__(self, name: str, descriptor: int) -> None:
        self._name = name
        self._descriptor = descriptor
        self._make()

    def _make(self) -> None:
        encoding, errors, by_line = _FORM  # by line: stdout and stderr stay in their order
        self.raw = _Stream(self._name, self._descriptor)
        buffer = io.BufferedWriter(self.raw)
        self.text = io.TextIOWrapper(buffer, encoding, errors, line_buffering=by_line)

    def into(self, output: TaskOutput) -> io.TextIOWrapper:
        """Return the stream, writing into an output from now on."""
        try:
            form = (self.text.encoding, self.text.errors, self.text.line_buffering)
            # User code may have closed or reconfigured it: the next task must not inherit that.
            if self.text.closed or form != _FORM or self.text.write_through:
                self._make()
        except ValueError:  # its buffer was detached
            self._make()
        self.raw.output = output
        return self.text


_AS_IT_IS: Final = nullcontext()
_STDOUT: Final = _Standard("<stdout>", 1)
_STDERR: Final = _Standard("<stderr>", 2)


def _flush() -> None:
    """Take what streams still hold back, those as well that user code put in their place."""
    for stream in {id(each): each for each in (sys.stdout, sys.stderr)}.values():
        with suppress(Exception):  # closed, or an object of the user's that fails in any way
            stream.flush()


@contextmanager
def captured_output(wanted: bool, debug: bool = False) -> Iterator[TaskOutput]:
    """Redirect what is printed, and logged at INFO and above, into the output that is yielded.

    Nothing is kept unless it is wanted. With `debug`, aflint's own debug log is written, too.
    """
    output = TaskOutput(MOST_BYTES if wanted else 0)
    before = _STDOUT.raw.output, _STDERR.raw.output
    stdout, stderr = _STDOUT.into(output), _STDERR.into(output)
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr):
            try:
                with _logging(stderr if wanted else None, debug) if wanted or debug else _AS_IT_IS:
                    yield output
            finally:
                _flush()
    finally:
        _STDOUT.raw.output, _STDERR.raw.output = before


@contextmanager
def _logging(stream: TextIO | None, debug: bool) -> Iterator[None]:
    """Log at INFO and above into a stream; with `debug`, aflint's own debug log is written, too,
    in a function also to what Lambda logs.
    """
    root, ours = logging.getLogger(), logging.getLogger("aflint")
    level, our_level = root.level, ours.level
    handler = logging.StreamHandler(stream) if stream is not None else logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    if stream is not None:
        root.setLevel(min(level, logging.INFO))
    if debug:
        ours.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        ours.setLevel(our_level)
