"""Scans of files: which task reads which of them, and how DuckDB does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlparse

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.plan import PlanNode
from aflint.sql.stages import Relation
from aflint.sql.types import Type, parse_type, quoted, text

Splits = list[list[dict[str, Any]]]


def scan(node: PlanNode, name: str, split_bytes: int) -> tuple[Relation, Splits]:
    """Return the SELECT of a scan, whose files are in a variable, and each split's variables."""
    kind = node.fields["format"]
    read = _FORMATS.get(kind)
    if read is None:
        raise UnsupportedPlanError(f"reading files of {kind.removesuffix('FileFormat')}")
    variable = f"{name}_files"
    partitions = _partition_types(node.fields["partitionSchema"])
    placed = {name: f"{variable}_{i}" for i, name in enumerate(partitions)}
    splits: Splits = []
    for directory in node.fields["directories"]:
        values = {
            placed[column]: value
            for column, value in zip(partitions, directory["values"] or [], strict=True)
        }
        files = directory["files"]
        splits += [[{variable: paths, **values}] for paths in packed(files, split_bytes)]
    source = read(variable, node)
    items, columns = [], {}
    for each in node.output:
        columns[each.column] = each.type.duckdb
        if each.name in placed:
            sql = _partition_value(placed[each.name], each.type)
        else:
            sql = quoted(each.name)
        items.append(f"CAST({sql} AS {each.type.duckdb}) AS {each.column}")
    if not items:
        items, columns = ["1 AS nothing"], {"nothing": "INTEGER"}
    sql = f"SELECT {', '.join(items)} FROM {source}"
    return Relation(sql, columns), splits


def _partition_types(schema: Any) -> dict[str, Type]:
    return {field["name"]: parse_type(field["type"]) for field in schema["fields"]}


def _partition_value(variable: str, kind: Type) -> str:
    """A folder's value, as Catalyst's own text of it."""
    value = f"getvariable('{variable}')"
    match kind.name:
        case "date":
            return f"(DATE '1970-01-01' + CAST({value} AS INTEGER))"
        case "timestamp":
            return f"make_timestamptz(CAST({value} AS BIGINT))"
    return value


def packed(files: list[Mapping[str, Any]], most: int) -> list[list[str]]:
    """Return the paths of files in groups of about `most` bytes, the largest first, as Spark
    packs.
    """
    groups: list[list[str]] = []
    room = 0
    for file in sorted(files, key=lambda file: -int(file["size"])):
        size = int(file["size"]) + (4 << 20)  # opening a file costs as much as reading 4 MiB
        if not groups or size > room:
            groups.append([])
            room = most
        groups[-1].append(_path(file["path"]))
        room -= size
    return groups


def _path(url: str) -> str:
    parsed = urlparse(url)
    if parsed.scheme not in ("", "file"):
        raise UnsupportedPlanError(f"reading {url}", instead="Read files of this machine.")
    return unquote(parsed.path)


def _parquet(variable: str, node: PlanNode) -> str:
    return f"read_parquet(getvariable('{variable}'), hive_partitioning = false)"


def _columns(fields: Any) -> str:
    pairs = (f"{text(f['name'])}: {text(parse_type(f['type']).duckdb)}" for f in fields)
    return f"{{{', '.join(pairs)}}}"


def _csv(variable: str, node: PlanNode) -> str:
    """CSV by the schema that Spark has found or was given, by Spark's options."""
    options = {name.lower(): value for name, value in node.fields["options"].items()}
    known = {"header", "sep", "delimiter", "quote", "escape", "nullvalue", "inferschema", "path"}
    if unknown := sorted(options.keys() - known):
        raise UnsupportedPlanError(f"the CSV option {unknown[0]}")
    separator = options.get("sep", options.get("delimiter", ","))
    arguments = {
        "columns": _columns(node.fields["dataSchema"]["fields"]),
        "header": "true" if options.get("header", "false").lower() == "true" else "false",
        "delim": text(separator),
        "quote": text(options.get("quote", '"')),
        "escape": text(options.get("escape", "\\")),
        "nullstr": f"[{text(options.get('nullvalue', ''))}, '']",  # nothing is NULL in any case
        "auto_detect": "false",
        "null_padding": "true",
    }
    listed = ", ".join(f"{key} = {value}" for key, value in arguments.items())
    return f"read_csv(getvariable('{variable}'), {listed})"


_FORMATS: dict[str, Callable[[str, PlanNode], str]] = {
    "ParquetFileFormat": _parquet,
    "CSVFileFormat": _csv,
}
