"""CSV in texts: read by a schema, and written. As in files, by the options of these."""

from __future__ import annotations

from typing import Any

from aflint.sql import csv_scans
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.datetime_patterns import formatted
from aflint.sql.expressions.emitter import Emitter, Rule, cast
from aflint.sql.expressions.text_casts import written
from aflint.sql.modes import IN_TEXT, mode_of
from aflint.sql.plan import Expression
from aflint.sql.sinks.options import Options
from aflint.sql.types import Type, parse_type, quoted, text


def _read(expression: Expression, emit: Emitter) -> str:
    """`from_csv`: a field that does not fit its type, or is not there, is NULL."""
    options = {name.lower(): value for name, value in expression.fields["options"].items()}
    csv_scans.check(options)
    if unknown := sorted(options.keys() & csv_scans.ONE_WAY.keys() - csv_scans.OPTIONS):
        raise UnsupportedPlanError(f"the option {unknown[0]} of from_csv")
    corrupt = options.get("columnnameofcorruptrecord", "_corrupt_record")
    kind = parse_type(expression.fields["schema"])
    parts = [(name, part) for name, part in kind.parts if name != corrupt]
    mode = mode_of(options)
    if mode == "DROPMALFORMED":
        raise UnsupportedPlanError("from_csv with the mode DROPMALFORMED")
    cut = csv_scans.Cut(csv_scans.style_of(options), options, len(parts))
    fields, record = emit.name("fields"), emit.name("texts")
    given = [cut.field(place, fields) for place in range(1, len(parts) + 1)]

    def write(line: str) -> str:
        read = {
            name: cast(csv_scans.value(f"{record}[{i}]", part, options, emit), part.duckdb)
            for i, (name, part) in enumerate(parts, 1)
        }
        wrong = [f"len({fields}) <> {len(parts)}"]
        wrong += [f"({record}[{i}] IS NOT NULL AND {sql} IS NULL)"
                  for i, sql in enumerate(read.values(), 1)]  # fmt: skip
        if len(parts) < len(kind.parts):
            bad = " OR ".join(wrong)
            read[corrupt] = f"CASE WHEN {bad} THEN nullif({line}, '') END"
        members = ", ".join(f"{quoted(name)} := {read[name]}" for name, _ in kind.parts)
        made = f"struct_pack({members})"
        if mode == "FAILFAST":
            bad = " OR ".join(wrong)
            made = f"CASE WHEN {bad} THEN error({text(IN_TEXT)}) ELSE {made} END"
        texts = f"list_transform([[{', '.join(given)}]], lambda {record}: {made})[1]"
        found = f"list_transform([{cut.fields(line)}], lambda {fields}: {texts})[1]"
        return f"CASE WHEN {line} IS NOT NULL THEN {found} END"

    return cast(emit.once([emit(expression.children[0])], write), expression.type.duckdb)


def _written(expression: Expression, emit: Emitter) -> str:
    """`to_csv`."""
    (child,) = expression.children
    options = Options(expression.fields["options"])
    parts = child.type.parts

    def write(value: str) -> str:
        fields = [(f"{value}.{quoted(name)}", kind) for name, kind in parts]
        return f"CASE WHEN {value} IS NOT NULL THEN {csv_line(fields, options, emit)} END"

    return emit.once([emit(child)], write)


# ---- writing


_INSTANT = "yyyy-MM-dd'T'HH:mm:ss[.SSS][XXX]"
_LOCAL = "yyyy-MM-dd'T'HH:mm:ss[.SSS]"


def csv_line(fields: list[tuple[str, Type]], options: Options, emit: Emitter) -> str:
    """Return the SQL of a line of CSV, without its end."""
    options.check(_CSV)
    style = CsvWriter(options)
    texts = [style.field(_csv_text(sql, kind, options, emit), kind) for sql, kind in fields]
    return f" || {text(style.separator)} || ".join(texts)


_CSV = {
    "sep", "delimiter", "quote", "escape", "header", "nullvalue", "emptyvalue", "dateformat",
    "timestampformat", "timestampntzformat", "linesep", "quoteall", "ignoreleadingwhitespace",
    "ignoretrailingwhitespace",
}  # fmt: skip


class CsvWriter:
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


def _csv_text(sql: str, kind: Type, options: Options, emit: Emitter) -> str:
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


RULES: dict[str, Rule] = {"CsvToStructs": _read, "StructsToCsv": _written}
