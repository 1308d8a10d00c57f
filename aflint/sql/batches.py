"""Batches of rows as bytes: each a whole stream of Arrow's IPC format, schema included."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

import nanoarrow
from nanoarrow.ipc import InputStream, StreamWriter

from aflint import html

_SHOWN = 20
_TARGET_BYTES = 1 << 20
_ROWS = 2048
"""Rows that DuckDB turns into Arrow at once: as many as it computes at once."""
_END = b"\xff\xff\xff\xff\0\0\0\0"
"""What ends a stream of Arrow's IPC format."""


def encoded(cursor: Any, query: str, carried: int = 0) -> Iterator[bytes]:
    """Yield the rows of a query of DuckDB's as batches of about a megabyte: none for no rows.

    A batch of more than one row has at most `carried` bytes, if that is not 0.
    """
    target = min(_TARGET_BYTES, carried // 2) if carried else _TARGET_BYTES
    for rows, batch in _streamed(cursor.sql(query), _ROWS, target):
        yield from _cut(cursor, batch, rows, carried) if carried else (batch,)


def _streamed(relation: Any, most_rows: int, target: int) -> Iterator[tuple[int, bytes]]:
    """Yield the rows of a relation as batches, each with how many it has: one is ended once it has
    `target` bytes, which it passes by what `most_rows` take.
    """
    out, rows = io.BytesIO(), 0
    with nanoarrow.c_array_stream(_arrays(relation, most_rows)) as arrays:
        writer = StreamWriter.from_writable(out)
        for array in arrays:
            if array.length:
                writer.write_array(array)
                rows += array.length
            if rows and out.tell() >= target:
                writer.close()
                yield rows, out.getvalue()
                out, rows = io.BytesIO(), 0
                writer = StreamWriter.from_writable(out)
        if rows:
            writer.close()
            yield rows, out.getvalue()


def _arrays(relation: Any, most_rows: int) -> Any:
    """Return an Arrow stream of a relation, whose arrays have so many rows at most.

    By default they have 131,072, which of wide rows is more memory than a small task has. Of
    DuckDB's ways to another number, the public ones need pyarrow.
    """
    submit = getattr(relation, "_submit", None)
    return relation if submit is None else submit("stream", most_rows).arrow_capsule()


def _cut(cursor: Any, batch: bytes, rows: int, most: int) -> Iterator[bytes]:
    """Yield a batch as batches that have at most `most` bytes, or one row."""
    if len(batch) <= most or rows == 1:
        yield batch
        return
    reading = cursor.cursor()  # what the batch came from is still being read by the other
    try:
        reading.register("whole", Batches([batch]))
        fewer = max(1, min(rows // 2, rows * most // len(batch)))
        for count, part in _streamed(reading.sql("FROM whole"), fewer, 0):
            yield from _cut(cursor, part, count, most)
    finally:
        reading.close()


def empty(stream: Any) -> bytes:
    """Return the schema of something that gives an Arrow stream without rows, as a batch."""
    out = io.BytesIO()
    with StreamWriter.from_writable(out) as writer:
        writer.serialize_stream(stream)
    return out.getvalue()


class Batches:
    """Encoded batches of one schema as an Arrow stream, which may be read any number of times.

    What speaks the Arrow PyCapsule interface (pandas, Polars, DuckDB, pyarrow) reads it.
    """

    def __init__(self, batches: Iterable[bytes]) -> None:
        self.batches = list(batches)

    def __arrow_c_schema__(self) -> object:
        capsule: object = nanoarrow.ArrayStream(self).schema.__arrow_c_schema__()
        return capsule

    def _repr_html_(self) -> str:
        """Show the first rows as a table, for notebooks."""
        import duckdb

        with duckdb.connect() as connection:
            connection.register("result", self)
            found = connection.execute("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM result")
            columns = [name for name, *_ in found.description or ()]
            rows = found.fetchmany(_SHOWN + 1)
        shown = [["NULL" if cell is None else cell for cell in row] for row in rows[:_SHOWN]]
        more = f"the first {_SHOWN} rows" if len(rows) > _SHOWN else ""
        return html.table(columns, shown, more)

    def joined(self) -> bytes:
        """Return all batches as one stream of the IPC format."""
        return self._stream().read()

    def _stream(self) -> _Joined:
        first, *others = self.batches
        return _Joined([first.removesuffix(_END), *map(without_schema, others)])

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        capsule: object = InputStream.from_readable(self._stream()).__arrow_c_stream__(
            requested_schema
        )
        return capsule


def joined(array: Any) -> bytes:
    """Return one array of rows as a batch."""
    out = io.BytesIO()
    with StreamWriter.from_writable(out) as writer:
        writer.write_array(array)
    return out.getvalue()


def without_schema(batch: bytes) -> memoryview:
    """Return a stream without its first message, which is the schema, and without its end."""
    size = int.from_bytes(batch[4:8], "little")  # of the message's head; a schema has no body
    return memoryview(batch)[8 + size : -len(_END) if batch.endswith(_END) else len(batch)]


class _Joined(io.RawIOBase):
    """Pieces of bytes as one readable file, without copying them into one."""

    def __init__(self, pieces: list[bytes | memoryview]) -> None:
        self._pieces = [memoryview(piece) for piece in pieces]
        self._pieces.append(memoryview(_END))
        self._pieces.reverse()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view) and self._pieces:
            piece = self._pieces[-1]
            count = min(len(piece), len(view) - filled)
            view[filled : filled + count] = piece[:count]
            filled += count
            if count == len(piece):
                self._pieces.pop()
            else:
                self._pieces[-1] = piece[count:]
        return filled
