"""Files of lines: CSV, JSON and text. The query makes each row one text, with its line's end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aflint.executor.compression import Compressor, compressor
from aflint.executor.sinks import StreamWriter
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.datetime_patterns import formatted
from aflint.sql.expressions.emitter import Emitter
from aflint.sql.expressions.jsons import to_json
from aflint.sql.expressions.text_casts import written
from aflint.sql.plan import Expression
from aflint.sql.remote import reading
from aflint.sql.sinks.options import Options
from aflint.sql.types import Type, text

LINE = "aflint_line"

_COMPRESSIONS = {
    **dict.fromkeys(("csv", "json", "txt"), ""),
    **{"gz": "gzip", "bz2": "bz2", "zst": "zstd", "deflate": "deflate"},
}
"""By the last ending of a file's name, which Spark makes of the codec."""

_INSTANT = "yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]"
_LOCAL = "yyyy-MM-dd'T'HH:mm:ss[.SSS]"

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
    options.check(_CSV)
    style = _Csv(options)
    fields = [style.field(_csv_text(column, options, emit), column.type) for _, column in data]
    head = style.line(style.quoted(name) for name, _ in data) if style.header else ""
    separator = f" || {text(style.separator)} || "
    return separator.join(fields) + f" || {text(style.end)}", head.encode()


_CSV = {
    "sep", "delimiter", "quote", "escape", "header", "nullvalue", "emptyvalue", "dateformat",
    "timestampformat", "timestampntzformat", "linesep", "quoteall", "ignoreleadingwhitespace",
    "ignoretrailingwhitespace",
}  # fmt: skip


class _Csv:
    """How Spark's writer of CSV puts values into a line."""

    def __init__(self, options: Options) -> None:
        self.separator = options.get("sep", options.get("delimiter", ","))
        self.quote = options.get("quote", '"') or "\0"
        self.escape = options.get("escape", "\\")
        self.end = options.get("lineSep", "\n")
        self.header = options.true("header", "false")
        self._all = options.true("quoteAll", "false")
        self._null = options.get("nullValue", "")
        self._empty = options.get("emptyValue", '""')
        self._trims = [
            options.true(f"ignore{side}WhiteSpace", "true") for side in ("Leading", "Trailing")
        ]
        if len(self.quote) != 1 or len(self.escape) != 1:
            raise UnsupportedPlanError("a quote or an escape of CSV that is not one character")

    def field(self, value: str, kind: Type) -> str:
        """Return the SQL of a value's place in a line."""
        if kind.name != "string":
            return f"coalesce({value}, {text(self._null)})" if not self._all else self._field(value)
        leading, trailing = self._trims
        if leading:
            value = rf"regexp_replace({value}, '^[\x00-\x20]+', '')"
        if trailing:
            value = rf"regexp_replace({value}, '[\x00-\x20]+$', '')"
        return self._field(value)

    def _field(self, value: str) -> str:
        quote, escape = self.quote, self.escape
        safe = f"replace(v, {text(escape)}, {text(escape * 2)})" if escape != quote else "v"
        safe = f"replace({safe}, {text(quote)}, {text(escape + quote)})"
        needed = "true" if self._all else " OR ".join(
            f"contains(v, {text(mark)})" for mark in (self.separator, quote, "\n", "\r")
        )  # fmt: skip
        nothing = quote + self._null + quote if self._all else self._null
        made = (
            f"CASE WHEN v IS NULL THEN {text(nothing)} WHEN v = '' THEN {text(self._empty)} "
            f"WHEN {needed} THEN {text(quote)} || {safe} || {text(quote)} ELSE v END"
        )
        return f"list_transform([{value}], lambda v: {made})[1]"

    def quoted(self, value: str) -> str:
        """Return a text's place in a line."""
        if self._all or any(mark in value for mark in (self.separator, self.quote, "\n", "\r")):
            safe = (
                value if self.escape == self.quote else value.replace(self.escape, self.escape * 2)
            )
            return self.quote + safe.replace(self.quote, self.escape + self.quote) + self.quote
        return value or self._empty

    def line(self, values: Any) -> str:
        """Return a whole line."""
        return self.separator.join(values) + self.end


def _csv_text(column: Expression, options: Options, emit: Emitter) -> str:
    kind, sql = column.type, column.column
    match kind.name:
        case "string":
            return sql
        case "date":
            pattern = options.get("dateFormat", "yyyy-MM-dd")
            return _when(sql, formatted(f"{sql}::TIMESTAMP", pattern, emit.time_zone))
        case "timestamp":
            pattern = _whole(options.get("timestampFormat", _INSTANT))
            local = f"timezone({text(emit.time_zone)}, {sql})"
            return _when(sql, formatted(local, pattern, emit.time_zone, sql))
        case "timestamp_ntz":
            pattern = _whole(options.get("timestampNTZFormat", _LOCAL))
            return _when(sql, formatted(sql, pattern, emit.time_zone))
        case "binary" | "array" | "map" | "struct":
            raise UnsupportedPlanError(f"writing {kind} as CSV")
        case "decimal" if kind.scale > 6:
            raise UnsupportedPlanError(f"writing {kind} as CSV", instead="Cast it to string.")
    return written(sql, kind, emit)


def _whole(pattern: str) -> str:
    """Return a pattern whose optional parts are written, as Java does."""
    return pattern.replace("[", "").replace("]", "")


def _when(sql: str, then: str) -> str:
    return f"CASE WHEN {sql} IS NOT NULL THEN {then} END"


Lines = Callable[[Columns, Options, Emitter], tuple[str, bytes]]

FORMATS: Mapping[str, Lines] = {
    "CSVFileFormat": csv,
    "JsonFileFormat": lambda data, options, emit: (jsons(data, options, emit), b""),
    "TextFileFormat": lambda data, options, emit: (texts(data, options), b""),
}
"""By the name of Spark's class: the SQL of a row's line, and what a file begins with."""
