"""Batches of rows as bytes: each a whole stream of Arrow's IPC format, schema included."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

import nanoarrow
from nanoarrow.ipc import InputStream, StreamWriter

from aflint import html

_SHOWN = 20
_END = b"\xff\xff\xff\xff\0\0\0\0"
"""What ends a stream of Arrow's IPC format."""


def encoded(stream: Any) -> Iterator[bytes]:
    """Yield the batches of something that gives an Arrow stream, such as a relation of DuckDB's.

    None is yielded for a stream without rows.
    """
    with nanoarrow.c_array_stream(stream) as arrays:
        for array in arrays:
            if array.length:
                out = io.BytesIO()
                with StreamWriter.from_writable(out) as writer:
                    writer.write_array(array)
                yield out.getvalue()


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
