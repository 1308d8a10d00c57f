"""Files of lines: CSV, JSON and text. The query makes each row one text, with its line's end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aflint.executor.compression import Compressor, compressor
from aflint.executor.sinks import StreamWriter
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.csvs import CsvWriter, csv_line
from aflint.sql.expressions.emitter import Emitter
from aflint.sql.expressions.jsons import to_json
from aflint.sql.plan import Expression
from aflint.sql.remote import reading
from aflint.sql.sinks.options import Options
from aflint.sql.types import text

LINE = "aflint_line"

_COMPRESSIONS = {
    **dict.fromkeys(("csv", "json", "txt"), ""),
    **{"gz": "gzip", "bz2": "bz2", "zst": "zstd", "deflate": "deflate"},
}
"""By the last ending of a file's name, which Spark makes of the codec."""

Columns = list[tuple[str, Expression]]


@dataclass(frozen=True, slots=True)
class WriteLines:
    """Writes one file of lines, which begins with `head`."""

    compression: str
    head: bytes = b""

    def __call__(self, cursor: Any, rows: str, path: str) -> int:
        import nanoarrow

        means, count = reading(), 0
        engine: Compressor | None = compressor(self.compression) if self.compression else None
        with (
            StreamWriter(path, means.storage, means.io) as stream,
            nanoarrow.c_array_stream(cursor.sql(rows)) as batches,
        ):
            stream.write(_packed(self.head, engine))
            for batch in batches:
                count += batch.length
                stream.write(_packed(_texts(batch.child(0)), engine))
            if engine is not None:
                stream.write(engine.flush())
        return count


def _packed(data: bytes, engine: Compressor | None) -> bytes:
    return data if engine is None else engine.compress(data)


def _texts(column: Any) -> bytes:
    """Return the texts of a column, none of which is NULL, one behind the other: as they lie."""
    view = column.view()
    offsets, data = view.buffer(1), view.buffer(2)
    ends = memoryview(offsets)
    first, last = ends[view.offset], ends[view.offset + len(view)]
    return bytes(memoryview(data).cast("B")[first:last])


def compression_of(extension: str) -> str:
    """Return the compression that a file's name tells of, or nothing."""
    name = _COMPRESSIONS.get(extension.rpartition(".")[2])
    if name is None:
        raise UnsupportedPlanError(
            f"writing {extension} files", instead="Use gzip, bzip2, zstd, deflate or none."
        )
    return name


def texts(data: Columns, options: Options) -> str:
    """Return the SQL of the lines of text files."""
    options.check({"linesep", "wholetext"})
    ((_, column),) = data
    return f"coalesce({column.column}, '') || {text(options.get('lineSep', chr(10)))}"


def jsons(data: Columns, options: Options, emit: Emitter) -> str:
    """Return the SQL of the lines of JSON files."""
    options.check({"linesep", "dateformat", "timestampformat", "timestampntzformat"})
    for name in ("dateFormat", "timestampFormat", "timestampNTZFormat"):
        if options.get(name, ""):
            raise UnsupportedPlanError(f"the option {name} of JSON files that are written")
    members = []
    for name, column in data:
        value = to_json(column.column, column.type, emit)
        key = f"json_quote({text(name)})::VARCHAR || ':'"
        members.append(f"({key} || {value})")
    inner = f"concat_ws(',', {', '.join(members)})"
    return f"'{{' || {inner} || '}}' || {text(options.get('lineSep', chr(10)))}"


def csv(data: Columns, options: Options, emit: Emitter) -> tuple[str, bytes]:
    """Return the SQL of the lines of CSV files, and the line that a file begins with."""
    style = CsvWriter(options)
    line = csv_line([(column.column, column.type) for _, column in data], options, emit)
    head = style.line(style.quoted(name) for name, _ in data) if style.header else ""
    return f"{line} || {text(style.end)}", head.encode()


Lines = Callable[[Columns, Options, Emitter], tuple[str, bytes]]

FORMATS: Mapping[str, Lines] = {
    "CSVFileFormat": csv,
    "JsonFileFormat": lambda data, options, emit: (jsons(data, options, emit), b""),
    "TextFileFormat": lambda data, options, emit: (texts(data, options), b""),
}
"""By the name of Spark's class: the SQL of a row's line, and what a file begins with."""
