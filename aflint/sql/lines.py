"""Files of lines as rows of one column: read by splits, exact at their borders, as text RDDs are.

The rows come as an Arrow stream that DuckDB pulls, a few megabytes at a time.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from aflint.executor.text import TextSource, all_bytes
from aflint.sql import remote
from aflint.sql.batches import empty, joined, without_schema
from aflint.sql.csv_records import CsvStyle
from aflint.task import TextSplit


@dataclass(frozen=True, slots=True)
class LineFiles:
    """What one task reads: the lines of splits. With a `header`, the first line of a file that is
    neither blank nor a `comment` is left out.

    A file is read as a whole where it is `whole`, one row; where lines end by a `separator` of
    their own; and where rows are records of CSV, which quotes let span lines. Else a newline of any
    kind ends a line.
    """

    splits: tuple[TextSplit, ...]
    whole: bool = False
    header: bool = False
    separator: str = ""
    records: CsvStyle | None = None
    comment: str = ""
    encoding: str = "utf-8"
    numbered: bool = False
    """Whether rows also have the number of their file, `file`, from 1."""

    def view(self, cursor: Any, name: str) -> None:
        """Make the view `name`, whose rows have one text, `line`."""
        cursor.register(f"{name}_stream", _Lines(self))
        cursor.execute(f"CREATE TEMP VIEW {name} AS FROM {name}_stream")

    def batches(self) -> Iterator[bytes | memoryview]:
        """Yield the rows as messages of Arrow's IPC format, the schema first."""
        yield without_end(empty(_array(b"", [0], self._number(0))))
        try:
            paths = list(dict.fromkeys(split.path for split in self.splits))
            for split in self.splits:
                number = self._number(paths.index(split.path) + 1)
                yield from (_message(*rows, number) for rows in self._rows(split))
        except BaseException as error:
            remote.fail(error)
            raise

    def _number(self, number: int) -> int | None:
        return number if self.numbered else None

    def _rows(self, split: TextSplit) -> Iterator[tuple[Any, Any]]:
        means = remote.reading()
        if self.whole or self.separator or self.records:
            yield from self._rows_of(_decoded(b"".join(all_bytes(split, means)), self.encoding))
            return
        begins = self.header and split.start == 0
        for run in TextSource(split, means).runs():
            data = _text(run.data[run.begin : run.stop], self.encoding)
            if begins:
                data, begins = self._without_header(data)
            if data:
                yield _cut(data)

    def _rows_of(self, text: str) -> Iterator[tuple[Any, Any]]:
        """Yield the rows of a file that is read as a whole, the offsets of each beside them."""
        if self.records:
            first = re.search(r"\r\n?|\n", text)  # which ends the lines of all of the file
            if first and first[0] != "\n":
                text = text.replace(first[0], "\n")
            rows = list(self.records.records(text, self.comment))
        elif self.separator:
            rows = text.removesuffix(self.separator).split(self.separator) if text else []
        else:
            rows = [text]
        if self.header:
            place = next((i for i, row in enumerate(rows) if self._is_row(row)), len(rows))
            rows = rows[place + 1 :]
        pieces = [row.encode() for row in rows]
        yield b"".join(pieces), [0, *accumulate(map(len, pieces))]

    def _is_row(self, line: str) -> bool:
        bare = line.strip()
        return bare != "" and not (self.comment and bare.startswith(self.comment))

    def _without_header(self, data: bytes) -> tuple[bytes, bool]:
        """Return the lines after the header; and whether that is still to come."""
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        while data:
            line, _, data = data.partition(b"\n")
            if self._is_row(line.decode()):
                return data, False
        return data, True


def _decoded(data: bytes, encoding: str) -> str:
    wide = encoding if encoding != "utf-8" else "utf-8-sig"  # without a mark at its beginning
    return data.decode(wide, errors="replace")


def _text(data: bytes, encoding: str) -> bytes:
    """Return bytes as UTF-8, with marks in the place of what is no text."""
    if not data.isascii():
        try:
            if encoding == "utf-8":
                data.decode()
            else:
                return data.decode(encoding).encode()
        except UnicodeDecodeError:
            return data.decode(encoding, errors="replace").encode()
    return data


def _cut(data: bytes) -> tuple[Any, Any]:
    """Return lines without their ends, and where each begins and the last ends."""
    import numpy as np

    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    letters = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(letters == 10)
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    offsets = np.zeros(len(ends) + 1, np.int32)
    offsets[1:] = ends - np.arange(len(ends))  # as they lie once the ends of lines are left out
    return letters[letters != 10], offsets


def _message(data: Any, offsets: Any, number: int | None) -> memoryview:
    return without_schema(joined(_array(data, offsets, number)))


def _array(data: Any, offsets: Any, number: int | None) -> Any:
    import nanoarrow as na
    import numpy as np

    offsets = np.asarray(offsets, np.int32)
    count = len(offsets) - 1
    texts = na.c_array_from_buffers(na.string(), count, [None, offsets, data], null_count=0)
    if number is None:
        kind, children = na.struct({"line": na.string()}), [texts]
    else:
        numbers = np.full(count, number, np.int32)
        kind = na.struct({"line": na.string(), "file": na.int32()})
        filled = na.c_array_from_buffers(na.int32(), count, [None, numbers], null_count=0)
        children = [texts, filled]
    return na.c_array_from_buffers(kind, count, [None], null_count=0, children=children)


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
