"""Scans of files: which task reads which of them, and how DuckDB does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlparse

from aflint.aio import together
from aflint.sql import remote
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.parquet_files import ParquetFiles
from aflint.sql.plan import PlanNode
from aflint.sql.stages import Relation
from aflint.sql.tasks import connection
from aflint.sql.types import Type, parse_type, quoted
from aflint.storage.base import Storage

Splits = list[list[dict[str, Any]]]
_PARQUET = "ParquetFileFormat"
OPENING = 4 << 20
"""Opening a file counts as much as reading so many bytes, as in Spark."""
_FOOTER = 64 << 10
"""Read of a remote file's end at first: most footers are smaller."""
_FETCHES = 32
"""Footers fetched at the same time."""
_LAST_ROW = (1 << 63) - 1


def scan(node: PlanNode, name: str, most: int, names_files: bool = False) -> Relation:
    """Return the SELECT of a scan of the rows `name`: see `splits`. If it `names_files`, it has the
    column FILE.
    """
    kind = node.fields["format"]
    if kind != _PARQUET:
        raise UnsupportedPlanError(
            f"reading files of {kind.removesuffix('FileFormat')}",
            instead="Have them as Parquet, CSV, JSON or text, or set spark.aflint.fallback=spark.",
        )
    placed, told = folder_variables(node, name), about(node, name, "aflint_number", most)
    items, columns = [], {}
    for each in node.output:
        columns[each.column] = each.type.duckdb
        value = quoted(each.name)
        if each.id in told:
            value = told[each.id]
        elif each.name in placed:
            value = partition_value(placed[each.name], each.type)
        elif each.name == _ROW_INDEX:
            value = "file_row_number"
        items.append(f"CAST({value} AS {each.type.duckdb}) AS {each.column}")
    if names_files:
        items.append(f"{file_path(name, 'aflint_number')} AS {FILE}")
        columns[FILE] = "VARCHAR"
    if not items:
        items, columns = ["1 AS nothing"], {"nothing": "INTEGER"}
    where = ""
    if cuts(node, most):
        rows = f"getvariable('{name}_from') AND getvariable('{name}_to')"
        where = f" WHERE file_row_number BETWEEN {rows}"
    return Relation(f"SELECT {', '.join(items)} FROM {name}{where}", columns)


FILE = "aflint_file"
"""The column of a scan that has the path of a row's file, for `input_file_name`."""
_ROW_INDEX = "_tmp_metadata_row_index"
"""The column of a scan that has a row's place in its file, from 0."""


def about(node: PlanNode, name: str, number: str, most: int) -> dict[int, str]:
    """Return the SQL of the columns that tell of a row's file, by their ids. `number` is that of
    the file in the split, from 1.

    Raises UnsupportedPlanError for places within files that are cut.
    """
    found = {}
    for each in node.fields["about"]:
        value = f"getvariable('{name}_about')[{number}].{each.name}"
        if each.name == "file_modification_time":
            value = f"make_timestamptz({value} * 1000)"
        elif each.name.startswith("file_block") and any(
            int(file["size"]) > min(OPENING, most)
            for directory in node.fields["directories"]
            for file in directory["files"]
        ):
            raise UnsupportedPlanError(f"_metadata.{each.name} of files that are cut")
        found[each.id] = value
    return found


def file_path(name: str, number: str) -> str:
    """Return the SQL of the path of a row's file."""
    return f"getvariable('{name}_about')[{number}].input"


def told_of(name: str, files: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the variable that tells of the files of a split."""
    return {
        f"{name}_about": [
            {
                "input": file["path"],
                "file_path": re.sub("^file:///", "file:/", file["path"]),
                "file_name": file["path"].rpartition("/")[2],
                "file_size": int(file["size"]),
                "file_block_start": 0,
                "file_block_length": int(file["size"]),
                "file_modification_time": int(file["modified"]),
            }
            for file in files
        ]
    }


def splits(
    node: PlanNode, name: str, most: int, footers: Mapping[str, str] = MappingProxyType({})
) -> Splits:
    """Return the variables of each split: its files, or the rows of a large one, and the values of
    the folders that these lie in. Reads the footers of files that are cut: see `fetch_footers`.
    """
    placed, cut = folder_variables(node, name), cuts(node, most)
    about = {each.id for each in node.fields["about"]}
    data = tuple(
        (each.name, each.type)
        for each in node.output
        if each.name not in placed and each.id not in about and each.name != _ROW_INDEX
    )

    def rows(files: list[Mapping[str, Any]]) -> dict[str, Any]:
        paths = tuple(map(_readable, files))
        return {name: ParquetFiles(paths, data), **told_of(name, files)}

    found: Splits = []
    for directory in node.fields["directories"]:
        values = dict(zip(placed.values(), directory["values"] or [], strict=True))
        files = directory["files"]
        large = [file for file in files if cut and int(file["size"]) > most]
        whole = {f"{name}_from": 0, f"{name}_to": _LAST_ROW} if cut else {}
        for group in packed([file for file in files if file not in large], most):
            found.append([{**rows(group), **whole, **values}])
        for file in large:
            for first, last in row_ranges(footers.get(file["path"], path_of(file["path"])), most):
                part = {f"{name}_from": first, f"{name}_to": last}
                found.append([{**rows([file]), **part, **values}])
    return found


async def fetch_footers(node: PlanNode, most: int, storage: Storage, folder: str) -> dict[str, str]:
    """Return, for each remote file that is cut, a local file of its size that has its footer only.

    The files are made in `folder`.
    """
    files = [file for d in node.fields["directories"] for file in d["files"]]
    remotes = [f for f in files if int(f["size"]) > most and remote.is_remote(path_of(f["path"]))]
    found = {file["path"]: f"{folder}/{number}" for number, file in enumerate(remotes)}

    async def fetch(file: Mapping[str, Any]) -> None:
        path, size, version = path_of(file["path"]), int(file["size"]), file["version"] or ""
        tail = await storage.read(path, size - _FOOTER, size, version)
        whole = int.from_bytes(tail[-8:-4], "little") + 8  # its length stands before the last mark
        if whole > len(tail):
            tail = await storage.read(path, size - min(whole, size), size, version)
        await asyncio.to_thread(_write_end, found[file["path"]], size, tail)

    await together(map(fetch, remotes), _FETCHES)
    return found


def _write_end(path: str, size: int, tail: bytes) -> None:
    with open(path, "wb") as file:
        file.seek(size - len(tail))  # what lies before takes no room on the disk
        file.write(tail)


def split_bytes(node: PlanNode, most: int, slots: int) -> int:
    """Return how many bytes a split has: a slot's share, within Spark's own bounds."""
    sizes = [int(f["size"]) + OPENING for d in node.fields["directories"] for f in d["files"]]
    return min(most, max(OPENING, sum(sizes) // max(1, slots)))


def cuts(node: PlanNode, most: int) -> bool:
    """Say whether there are files that several splits share."""
    files = (file for directory in node.fields["directories"] for file in directory["files"])
    return node.fields["format"] == _PARQUET and any(int(f["size"]) > most for f in files)


def row_ranges(path: str, most: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last row of parts of a Parquet file: row groups of about `most` bytes."""
    cursor = connection()
    try:
        groups = cursor.execute(
            "SELECT row_group_id, any_value(row_group_num_rows), sum(total_compressed_size) "
            "FROM parquet_metadata($1) GROUP BY 1 ORDER BY 1",
            [path],
        ).fetchall()
    finally:
        cursor.close()
    first = last = size = 0
    for _, rows, held in groups:
        if size and size + held > most:
            yield first, last - 1
            first, size = last, 0
        last, size = last + rows, size + held
    if last > first:
        yield first, last - 1


def folder_variables(node: PlanNode, name: str) -> dict[str, str]:
    """Return the variable of each column that folders give values to."""
    partitions = _partition_types(node.fields["partitionSchema"])
    return {column: f"{name}_folder{i}" for i, column in enumerate(partitions)}


def _partition_types(schema: Any) -> dict[str, Type]:
    return {field["name"]: parse_type(field["type"]) for field in schema["fields"]}


def partition_value(variable: str, kind: Type) -> str:
    """Return the SQL of a folder's value, which is given as Catalyst's own text of it."""
    value = f"getvariable('{variable}')"
    match kind.name:
        case "date":
            return f"(DATE '1970-01-01' + CAST({value} AS INTEGER))"
        case "timestamp":
            return f"make_timestamptz(CAST({value} AS BIGINT))"
    return value


def packed(files: list[Mapping[str, Any]], most: int) -> list[list[Mapping[str, Any]]]:
    """Return files in groups of about `most` bytes, the largest first, as Spark packs."""
    groups: list[list[Mapping[str, Any]]] = []
    room = 0
    for file in sorted(files, key=lambda file: -int(file["size"])):
        size = int(file["size"]) + OPENING
        if not groups or size > room:
            groups.append([])
            room = most
        groups[-1].append(file)
        room -= size
    return groups


def path_of(url: str) -> str:
    """Return the path of a file that the planner has listed. Raises UnsupportedPlanError."""
    parsed = urlparse(url)
    if parsed.scheme in ("s3", "s3a", "s3n"):
        return f"s3://{parsed.netloc}{unquote(parsed.path)}"
    if parsed.scheme not in ("", "file"):
        raise UnsupportedPlanError(f"reading {url}", instead="Read local files or s3:// ones.")
    return unquote(parsed.path)


def _readable(file: Mapping[str, Any]) -> str:
    """Return the path by which DuckDB reads a file."""
    path = path_of(file["path"])
    if not remote.is_remote(path):
        return path
    return remote.readable(path, int(file["size"]), file["version"] or "")
