"""Scans of text and JSON: which lines each task reads, and the SQL that makes rows of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aflint.sql import scans
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.emitter import Emitter
from aflint.sql.expressions.jsons import LENIENT, typed
from aflint.sql.lines import LineFiles
from aflint.sql.plan import Expression, PlanNode
from aflint.sql.stages import Relation
from aflint.sql.types import quoted, text
from aflint.storage.formats import check_readable, compression_of
from aflint.task import TextSplit

FORMATS = ("TextFileFormat", "JsonFileFormat")
_LISTING = {
    "path", "basepath", "recursivefilelookup", "pathglobfilter", "modifiedbefore", "modifiedafter",
    "mergeschema", "inferschema",
}  # fmt: skip
"""What Spark's own listing of files has heeded."""

_TEXT = {"wholetext", "linesep", "encoding"}
_JSON = {
    "multiline", "mode", "columnnameofcorruptrecord", "linesep", "encoding", "charset",
    "primitivesasstring", "samplingratio", "dropfieldifallnull", "prefersdecimal", "infertimestamp",
}  # fmt: skip
_MALFORMED = (
    "[MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION] Malformed records are detected in record "
    "parsing. Parse Mode: FAILFAST. SQLSTATE: 22023"
)
_ROWS = "'[UNSUPPORTED_FEATURE] aflint reads arrays of rows with multiLine only.'"


def scan(node: PlanNode, name: str, emit: Emitter) -> Relation:
    """Return the SELECT of a scan of the lines `name`: see `splits`."""
    options = _options(node)
    placed = scans.folder_variables(node, name)
    data = [each for each in node.output if each.name not in placed]
    if node.fields["format"] == "TextFileFormat":
        source = f"SELECT line AS v0 FROM {name}"
    else:
        source = _json(data, name, options, emit)
    items, columns = [], {}
    values = {each.id: f"v{i}" for i, each in enumerate(data)}
    for each in node.output:
        columns[each.column] = each.type.duckdb
        value = values.get(each.id) or scans.partition_value(placed[each.name], each.type)
        items.append(f"CAST({value} AS {each.type.duckdb}) AS {each.column}")
    if not items:
        items, columns = ["1 AS nothing"], {"nothing": "INTEGER"}
    return Relation(f"SELECT {', '.join(items)} FROM ({source})", columns)


def _options(node: PlanNode) -> dict[str, str]:
    """Return a scan's options. Raises UnsupportedPlanError for one that would change its rows."""
    options = {name.lower(): value for name, value in node.fields["options"].items()}
    known = _TEXT if node.fields["format"] == "TextFileFormat" else _JSON
    if unknown := sorted(options.keys() - known - _LISTING):
        raise UnsupportedPlanError(f"the option {unknown[0]} of files that are read")
    if options.get("linesep", "\n") != "\n":
        raise UnsupportedPlanError("the option lineSep of files that are read")
    for name in ("encoding", "charset"):
        if options.get(name, "UTF-8").upper().replace("-", "") != "UTF8":
            raise UnsupportedPlanError(f"files in {options[name]}", instead="Write them in UTF-8.")
    return options


def _whole(options: Mapping[str, str]) -> bool:
    return "true" in (options.get("multiline", "").lower(), options.get("wholetext", "").lower())


def splits(node: PlanNode, name: str, most: int) -> scans.Splits:
    """Return the variables of each split: its lines, and the values of the folders of its files."""
    whole, placed = _whole(_options(node)), scans.folder_variables(node, name)
    found: scans.Splits = []
    for directory in node.fields["directories"]:
        values = dict(zip(placed.values(), directory["values"] or [], strict=True))
        pieces = [piece for file in directory["files"] for piece in _pieces(file, most, whole)]
        group: list[TextSplit] = []
        room = most
        for piece in sorted(pieces, key=lambda piece: piece.start - piece.end):
            size = piece.end - piece.start + scans.OPENING
            if group and size > room:
                found.append([{name: LineFiles(tuple(group), whole), **values}])
                group, room = [], most
            group.append(piece)
            room -= size
        if group:
            found.append([{name: LineFiles(tuple(group), whole), **values}])
    return found


def _pieces(file: Mapping[str, Any], most: int, whole: bool) -> list[TextSplit]:
    path, size = scans.path_of(file["path"]), int(file["size"])
    check_readable(path)
    compression = compression_of(path)
    step = max(size, 1) if whole or compression else most
    version = file["version"] or "" if path.startswith("s3://") else ""
    return [
        TextSplit(
            path, at, min(at + step, size), size, compression, errors="replace", version=version
        )
        for at in range(0, max(size, 1), step)
    ]


def _json(data: list[Expression], name: str, options: Mapping[str, str], emit: Emitter) -> str:
    """Rows of JSON. What does not fit its type is NULL; a line that is none, or has such, goes by
    the mode.
    """
    corrupt = options.get("columnnameofcorruptrecord", "_corrupt_record")
    mode = options.get("mode", "PERMISSIVE").upper()
    fields = [(i, each) for i, each in enumerate(data) if each.name != corrupt]
    judged = mode != "PERMISSIVE" or len(fields) < len(data)
    nested = [each for _, each in fields if each.type.parts]
    if judged and (nested or not fields):
        what = f"the nested column {nested[0].name}" if nested else "no other column"
        raise UnsupportedPlanError(f"the mode {mode} or {corrupt} with {what}")
    docs = _documents(name, _whole(options))
    nodes = "".join(
        f", json_extract(doc, {text('$.' + quoted(each.name))}) AS n{i}" for i, each in fields
    )
    values = "".join(
        f", CAST({typed(f'n{i}', each.type, emit, 'line')} AS {each.type.duckdb}) AS v{i}"
        for i, each in fields
    )
    rows = f"SELECT *{values} FROM (SELECT *{nodes} FROM ({docs}))"
    if not judged:
        return rows
    wrong = [f"coalesce(json_type(n{i}), 'NULL') <> 'NULL' AND v{i} IS NULL" for i, _ in fields]
    bad = " OR ".join(["doc IS NULL", *(f"({each})" for each in wrong)])
    if mode == "DROPMALFORMED":
        return f"SELECT * FROM ({rows}) WHERE NOT ({bad})"
    if mode == "FAILFAST":
        good = f"CASE WHEN {bad} THEN error({text(_MALFORMED)}) ELSE true END"
        return f"SELECT * FROM ({rows}) WHERE {good}"
    (place,) = (i for i, each in enumerate(data) if each.name == corrupt)
    return f"SELECT *, CASE WHEN {bad} THEN line END AS v{place} FROM ({rows})"


def _documents(name: str, whole: bool) -> str:
    """Lines that are not blank, each with the object that it is, or NULL. What Spark may read
    though it is no strict JSON is an error.
    """
    lenient = r"regexp_matches(line, '''|\}\s*\S|NaN|INF|Infinity')"
    other = f"WHEN {lenient} THEN error({LENIENT})"
    doc = f"CASE WHEN json_valid(line) THEN CAST(line AS JSON) {other} END"
    found = f"SELECT line, {doc} AS doc FROM {name} WHERE regexp_matches(line, '\\S')"
    if whole:
        each = "CASE json_type(doc) WHEN 'ARRAY' THEN CAST(doc AS JSON[]) ELSE [doc] END"
        found = f"SELECT line, unnest({each}) AS doc FROM ({found})"
        array = "NULL"
    else:
        array = f"error({_ROWS})"
    chosen = f"CASE json_type(doc) WHEN 'OBJECT' THEN doc WHEN 'ARRAY' THEN {array} END"
    return f"SELECT line, {chosen} AS doc FROM ({found})"
