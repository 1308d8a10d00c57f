"""Files of lines as rows of one column: read by splits, exact at their borders, as text RDDs are.

The rows come as an Arrow stream that DuckDB pulls, a few megabytes at a time.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aflint.executor.text import TextSource, all_bytes
from aflint.sql import remote
from aflint.sql.batches import empty, joined, without_schema
from aflint.task import TextSplit


@dataclass(frozen=True, slots=True)
class LineFiles:
    """What one task reads: the lines of splits, or, where it is `whole`, each file as one row. With
    a `header`, the first line of a file that is not blank is left out.
    """

    splits: tuple[TextSplit, ...]
    whole: bool = False
    header: bool = False

    def view(self, cursor: Any, name: str) -> None:
        """Make the view `name`, whose rows have one text, `line`."""
        cursor.register(f"{name}_stream", _Lines(self))
        cursor.execute(f"CREATE TEMP VIEW {name} AS FROM {name}_stream")

    def batches(self) -> Iterator[bytes | memoryview]:
        """Yield the rows as messages of Arrow's IPC format, the schema first."""
        yield without_end(empty(_array(b"", [0])))
        try:
            for split in self.splits:
                yield from self._texts(split)
        except BaseException as error:
            remote.fail(error)
            raise

    def _texts(self, split: TextSplit) -> Iterator[bytes | memoryview]:
        means = remote.reading()
        if self.whole:
            data = _text(b"".join(all_bytes(split, means)))
            yield _message(data, [0, len(data)])
            return
        begins = self.header and split.start == 0
        for run in TextSource(split, means).runs():
            data = _text(run.data[run.begin : run.stop])
            if begins:
                data, begins = _without_header(data)
            if data:
                yield _rows(data)


def _without_header(data: bytes) -> tuple[bytes, bool]:
    """Return the lines after the first that is not blank; and whether that is still to come."""
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    while data:
        line, _, data = data.partition(b"\n")
        if line.strip():
            return data, False
    return data, True


def _text(data: bytes) -> bytes:
    """Return bytes as UTF-8, with marks in the place of what is none."""
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            return data.decode(errors="replace").encode()
    return data


def _rows(data: bytes) -> memoryview:
    import numpy as np

    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    letters = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(letters == 10)
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    offsets = np.zeros(len(ends) + 1, np.int32)
    offsets[1:] = ends - np.arange(len(ends))  # as they lie once the ends of lines are left out
    return _message(letters[letters != 10], offsets)


def _message(data: Any, offsets: Any) -> memoryview:
    return without_schema(joined(_array(data, offsets)))


def _array(data: Any, offsets: Any) -> Any:
    import nanoarrow as na
    import numpy as np

    offsets = np.asarray(offsets, np.int32)
    count = len(offsets) - 1
    texts = na.c_array_from_buffers(na.string(), count, [None, offsets, data], null_count=0)
    kind = na.struct({"line": na.string()})
    return na.c_array_from_buffers(kind, count, [None], null_count=0, children=[texts])


def without_end(stream: bytes) -> bytes:
    """Return a stream of Arrow's IPC format without the mark of its end."""
    return stream.removesuffix(b"\xff\xff\xff\xff\0\0\0\0")


class _Lines:
    """An Arrow stream of lines, read only as they are asked for; may be read several times."""

    def __init__(self, files: LineFiles) -> None:
        self._files = files

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        from nanoarrow.ipc import InputStream

        read = InputStream.from_readable(_Pulled(self._files.batches()))
        capsule: object = read.__arrow_c_stream__(requested_schema)
        return capsule


class _Pulled(io.RawIOBase):
    """Pieces of bytes, made as they are read."""

    def __init__(self, pieces: Iterator[bytes | memoryview]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view):
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._rest = memoryview(piece)
            count = min(len(self._rest), len(view) - filled)
            view[filled : filled + count] = self._rest[:count]
            filled += count
            self._rest = self._rest[count:]
        return filled
