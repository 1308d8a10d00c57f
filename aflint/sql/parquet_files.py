"""Parquet files as the columns that a query asks for, whatever columns each of them has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aflint.sql import remote
from aflint.sql.errors import QueryError
from aflint.sql.types import Type, decimal, quoted, text

_READABLE: Mapping[str, tuple[str, ...]] = {
    "BOOLEAN": ("boolean",),
    **dict.fromkeys(
        ("TINYINT", "SMALLINT", "INTEGER"), ("byte", "short", "integer", "long", "double")
    ),
    **dict.fromkeys(("UTINYINT", "USMALLINT"), ("short", "integer", "long")),
    "UINTEGER": ("long",),
    "BIGINT": ("long", "timestamp_ntz"),
    "UBIGINT": (),
    "FLOAT": ("float", "double"),
    "DOUBLE": ("double",),
    "VARCHAR": ("string", "binary"),
    "BLOB": ("binary", "string"),
    "DATE": ("date", "timestamp_ntz"),
    **dict.fromkeys(("TIMESTAMP WITH TIME ZONE", "TIMESTAMP"), ("timestamp", "timestamp_ntz")),
}
"""By DuckDB's type of a column in a file, the types of Spark's that Spark reads it as."""
_NESTED = {"array": r".*\[\]", "map": r"MAP\(.*", "struct": r"STRUCT\(.*\)"}


@dataclass(frozen=True, slots=True)
class ParquetFiles:
    """What one task reads: columns of files. A file that has not one of them has NULL there.

    `columns` are found by their names, whatever the case of these.
    """

    paths: tuple[str, ...]
    columns: tuple[tuple[str, Type], ...]

    def view(self, cursor: Any, name: str) -> None:
        """Make the view `name`: the columns, `file_row_number`, and the number of a row's file,
        from 1, as `aflint_number`.

        Raises QueryError for a column that a file holds in a type that Spark does not read so.
        """
        far = self.paths[0].startswith(remote.SCHEME)
        if far:
            remote.register(cursor)
        # An object has its version in its path, so what was read of it stays true.
        cursor.execute(f"SET parquet_metadata_cache = {far}")
        layouts: dict[tuple[str | None, ...], list[int]] = {}
        for number, path in enumerate(self._paths_with_types(cursor), 1):
            layouts.setdefault(path, []).append(number)
        several = len(layouts) > 1
        parts = (self._part(types, numbers, several) for types, numbers in layouts.items())
        cursor.execute(f"CREATE TEMP VIEW {name} AS {' UNION ALL '.join(parts)}")

    def _paths_with_types(self, cursor: Any) -> list[tuple[str | None, ...]]:
        """Return for each file the types of the columns in it, None for one that it has not."""
        rows = cursor.execute(
            "SELECT file_name, lower(name), duckdb_type, coalesce(num_children, 0) "
            "FROM parquet_schema($1)",
            [list(dict.fromkeys(self.paths))],
        ).fetchall()
        found: dict[str, dict[str, str]] = {path: {} for path in self.paths}
        skipped, before = 0, ""
        for path, column, kind, children in rows:  # each file's schema, depth first
            if path != before:
                before, skipped = path, 0
                continue  # the schema itself
            if skipped == 0:
                found[path][column] = kind
            skipped = max(0, skipped - 1) + children
        wanted = [column.lower() for column, _ in self.columns]
        return [tuple(map(found[path].get, wanted)) for path in self.paths]

    def _part(self, types: tuple[str | None, ...], numbers: list[int], several: bool) -> str:
        """Return the SELECT of the files of one layout."""
        items = []
        for (column, kind), held in zip(self.columns, types, strict=True):
            value = "NULL"
            if held is not None:
                _check(column, held, kind, self.paths[numbers[0] - 1])
                value = _instants(quoted(column), kind)
                if kind.name == "timestamp_ntz" and held.endswith("ZONE"):
                    value = f"timezone('UTC', {value})"
                if kind.name == "binary" and held == "VARCHAR":
                    value = f"encode({value})"
                elif kind.name == "string" and held == "BLOB":
                    value = f"decode({value})"
            items.append(f"CAST({value} AS {kind.duckdb}) AS {quoted(column)}")
        place = "(file_index + 1)::BIGINT"
        if several:
            place = f"{numbers}[{place}]"
        paths = ", ".join(text(self.paths[number - 1]) for number in numbers)
        return (
            f"SELECT {''.join(f'{item}, ' for item in items)}file_row_number, "
            f"{place} AS aflint_number FROM "
            f"read_parquet([{paths}], hive_partitioning = false, file_row_number = true)"
        )


def _check(column: str, held: str, kind: Type, path: str) -> None:
    if kind.name in _NESTED:
        good = re.fullmatch(_NESTED[kind.name], held) is not None
    elif found := re.fullmatch(r"DECIMAL\((\d+), ?(\d+)\)", held):
        there = decimal(int(found[1]), int(found[2]))
        whole = kind.precision - kind.scale - there.precision + there.scale
        good = kind.name == "decimal" and kind.scale >= there.scale and whole >= 0
    elif kind.name == "decimal":
        digits = {"INTEGER": 10, "BIGINT": 20}.get(held, 99)
        good = kind.precision - kind.scale >= digits or held == "UBIGINT"
    else:
        good = kind.name in _READABLE.get(held, ()) or kind.name == "void"
    if not good:
        raise QueryError(
            f"[FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH] Encountered error while reading "
            f"file {path}. Data type mismatches when reading Parquet column [{column}]. Expected "
            f"Spark type {kind}, actual Parquet type {held}. SQLSTATE: KD001"
        )


def _instants(value: str, kind: Type) -> str:
    """A column of Parquet whose timestamps are instants, however they are written: those of INT96,
    as Spark writes them, are to DuckDB without a time zone.
    """
    if kind.name == "timestamp":
        return f"make_timestamptz(epoch_us({value}))"
    if not _has_instants(kind):
        return value
    each = f"x{len(value)}"  # of no lambda around this one
    match kind.name:
        case "array":
            element = _instants(each, kind.part("element"))
            return f"list_transform({value}, lambda {each}: {element})"
        case "map":
            key, item = (_instants(f"{each}.{part}", kind.part(part)) for part in ("key", "value"))
            entries = f"lambda {each}: {{'key': {key}, 'value': {item}}}"
            made = f"map_from_entries(list_transform(map_entries({value}), {entries}))"
            return f"CASE WHEN {value} IS NOT NULL THEN {made} END"
    parts = (f"{quoted(n)} := {_instants(f'{value}.{quoted(n)}', t)}" for n, t in kind.parts)
    return f"CASE WHEN {value} IS NOT NULL THEN struct_pack({', '.join(parts)}) END"


def _has_instants(kind: Type) -> bool:
    return kind.name == "timestamp" or any(_has_instants(part) for _, part in kind.parts)
