"""Scans of text, JSON and CSV: which lines each task reads, and the SQL that makes rows of them."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aflint.plan.lineage import Node
from aflint.sql import csv_scans, scans
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.emitter import Emitter
from aflint.sql.expressions.jsons import Reading, misfit, strict, typed
from aflint.sql.lines import LineFiles
from aflint.sql.modes import IN_TEXT, MALFORMED, STRICT, judged, mode_of
from aflint.sql.plan import Expression, PlanNode
from aflint.sql.stages import Relation
from aflint.sql.types import quoted, text
from aflint.storage.formats import check_readable, compression_of
from aflint.task import TextSplit

FORMATS = ("TextFileFormat", "JsonFileFormat", "CSVFileFormat")
_LISTING = {
    "path", "basepath", "recursivefilelookup", "pathglobfilter", "modifiedbefore", "modifiedafter",
    "mergeschema", "inferschema", "__partition_columns", "compression", "codec",
}  # fmt: skip
"""What Spark's own listing of files has heeded."""

_TEXT = {"wholetext", "linesep", "encoding"}
_JSON = {
    "multiline", "mode", "columnnameofcorruptrecord", "linesep", "encoding", "charset",
    "dateformat", "timestampformat", "timestampntzformat", "timezone", "primitivesasstring",
    "samplingratio", "dropfieldifallnull", "prefersdecimal", "infertimestamp",
}  # fmt: skip
_KNOWN = {
    "TextFileFormat": _TEXT, "JsonFileFormat": _JSON, "CSVFileFormat": csv_scans.OPTIONS
}  # fmt: skip
_SPARKS = {
    *csv_scans.OPTIONS, *csv_scans.ONE_WAY, *_TEXT, *_JSON, "allowcomments", "allowsinglequotes",
    "allowunquotedfieldnames", "allownumericleadingzeros", "allownonnumericnumbers", "locale",
    "allowbackslashescapinganycharacter", "allowunquotedcontrolchars", "singlevariantcolumn",
    "usetimestampntzforunknowntypes", "ignorecorruptfiles", "ignoremissingfiles", "rowtag",
}  # fmt: skip
"""The options by which Spark reads; others it does not look at."""
_ROWS = "'[UNSUPPORTED_FEATURE] aflint reads arrays of rows with multiLine only.'"


@dataclass(frozen=True, slots=True)
class Lines:
    """An RDD of batches of lines, in the column v0, each of which is read as one in a file."""

    node: Node
    format: str
    options: Mapping[str, str]

    def rows(self, output: tuple[Expression, ...], read: str, emit: Emitter) -> str:
        """Return the SQL of rows v0, v1 ..., given that of the lines.

        Raises UnsupportedPlanError for an option that would change them.
        """
        options, lines = checked(self.options, self.format), f"(SELECT v0 AS line FROM ({read}))"
        if self.format == "CSVFileFormat":
            schema = [each.name for each in output]
            return csv_scans.rows(list(output), schema, lines, options, emit, IN_TEXT)
        return _json(list(output), lines, options, emit, of_file=False)


def scan(
    node: PlanNode, name: str, most: int, emit: Emitter, names_files: bool = False
) -> Relation:
    """Return the SELECT of a scan of the lines `name`: see `splits`, and `scans.scan`."""
    options = _options(node)
    placed, told = scans.folder_variables(node, name), scans.about(node, name, "file", most)
    data = [each for each in node.output if each.name not in placed and each.id not in told]
    if node.fields["format"] == "TextFileFormat":
        source = f"SELECT *, line AS v0 FROM {name}"
    elif node.fields["format"] == "CSVFileFormat":
        schema = [field["name"] for field in node.fields["dataSchema"]["fields"]]
        good = csv_scans.worth_reading(options, _whole(options))
        records = f"(SELECT * FROM {name} WHERE {good})"
        source = csv_scans.rows(data, schema, records, options, emit)
    else:
        source = _json(data, name, options, emit)
    items, columns = [], {}
    values = {each.id: f"v{i}" for i, each in enumerate(data)}
    for each in node.output:
        columns[each.column] = each.type.duckdb
        value = values.get(each.id) or told.get(each.id)
        value = value or scans.partition_value(placed[each.name], each.type)
        items.append(f"CAST({value} AS {each.type.duckdb}) AS {each.column}")
    if names_files:
        items.append(f"{scans.file_path(name, 'file')} AS {scans.FILE}")
        columns[scans.FILE] = "VARCHAR"
    if not items:
        items, columns = ["1 AS nothing"], {"nothing": "INTEGER"}
    return Relation(f"SELECT {', '.join(items)} FROM ({source})", columns)


def _options(node: PlanNode) -> dict[str, str]:
    """Return a scan's options. Raises UnsupportedPlanError for one that would change its rows."""
    options = checked(node.fields["options"], node.fields["format"])
    options.setdefault("columnnameofcorruptrecord", node.fields["corrupt"])
    return options


def checked(given: Mapping[str, str], format: str) -> dict[str, str]:
    """Return options by their names in small letters. Raises UnsupportedPlanError for one that
    would change what is read.
    """
    options = {name.lower(): value for name, value in given.items()}
    if format == "CSVFileFormat":
        csv_scans.check(options)
    known = _KNOWN[format] | _LISTING
    if unknown := sorted(options.keys() & _SPARKS - known):
        raise UnsupportedPlanError(f"the option {unknown[0]} of files that are read")
    return options


def _encoding(options: Mapping[str, str]) -> str:
    """Return the encoding of files, by Python's name. Raises UnsupportedPlanError."""
    given = options.get("encoding", options.get("charset", "UTF-8"))
    try:
        name = codecs.lookup(given).name
        cut = "\n".encode(name) == b"\n"  # else lines cannot be cut at bytes
    except (LookupError, UnicodeError):
        cut, name = False, ""
    if not (cut or (name and _whole(options))):
        raise UnsupportedPlanError(f"files in {given}", instead="Write them in UTF-8.")
    return name


def _whole(options: Mapping[str, str]) -> bool:
    return "true" in (options.get("multiline", "").lower(), options.get("wholetext", "").lower())


def _files(options: Mapping[str, str], format: str) -> LineFiles:
    """Return how files are read, without their splits."""
    whole = _whole(options)
    csv = format == "CSVFileFormat"
    return LineFiles(
        (),
        whole=whole and not csv,
        header=csv and options.get("header", "").lower() == "true",
        separator=""
        if whole
        else options.get("linesep", "").replace("\n", "", 1) and options["linesep"],
        records=csv_scans.style_of(options) if whole and csv else None,
        comment=options.get("comment", "") if csv else "",
        encoding=_encoding(options),
    )


def splits(node: PlanNode, name: str, most: int, names_files: bool = False) -> scans.Splits:
    """Return the variables of each split: its lines, and the values of the folders of its files."""
    options, placed = _options(node), scans.folder_variables(node, name)
    files = _files(options, node.fields["format"])
    numbered = names_files or bool(node.fields["about"])
    files = replace(files, numbered=numbered)
    whole = bool(files.whole or files.separator or files.records)
    found: scans.Splits = []
    for directory in node.fields["directories"]:
        values = dict(zip(placed.values(), directory["values"] or [], strict=True))
        about = {scans.path_of(file["path"]): file for file in directory["files"]}
        pieces = [piece for file in directory["files"] for piece in _pieces(file, most, whole)]
        group: list[TextSplit] = []
        groups, room = [group], most
        for piece in sorted(pieces, key=lambda piece: piece.start - piece.end):
            size = piece.end - piece.start + scans.OPENING
            if group and size > room:
                groups.append(group := [])
                room = most
            group.append(piece)
            room -= size
        for group in filter(None, groups):
            told = {}
            if numbered:
                paths = dict.fromkeys(piece.path for piece in group)
                told = scans.told_of(name, [about[path] for path in paths])
            found.append([{name: replace(files, splits=tuple(group)), **told, **values}])
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


def _json(
    data: list[Expression],
    name: str,
    options: Mapping[str, str],
    emit: Emitter,
    *,
    of_file: bool = True,
) -> str:
    """Rows of JSON. What does not fit its type is NULL; a line that is none, or has such, goes by
    the mode.
    """
    corrupt, mode = options["columnnameofcorruptrecord"], mode_of(options)
    fields = [(i, each) for i, each in enumerate(data) if each.name != corrupt]
    judges = mode in STRICT or len(fields) < len(data)
    if judges and not fields:
        raise UnsupportedPlanError(f"the mode {mode} or {corrupt} with no other column")
    alone = not _whole(options)  # else a text may be an array of objects

    def how(each: Expression) -> Reading:
        name = each.name if alone and of_file else ""
        return Reading("line", exact=of_file, options=options, name=name)

    def read(place: int, each: Expression) -> str:
        return typed(f"n{place}", each.type, emit, how(each))

    docs = _documents(name, _whole(options))
    nodes = "".join(
        f", json_extract(doc, {text('$.' + quoted(each.name))}) AS n{i}" for i, each in fields
    )
    values = "".join(f", CAST({read(i, each)} AS {each.type.duckdb}) AS v{i}" for i, each in fields)
    rows = f"SELECT *{values} FROM (SELECT *{nodes} FROM ({docs}))"
    if not judges:
        return rows
    wrong = [misfit(f"n{i}", f"v{i}", each.type, emit, how(each)) for i, each in fields]
    bad = " OR ".join(["doc IS NULL", *(f"({each})" for each in wrong)])
    return judged(rows, bad, options, data, error=MALFORMED if of_file else IN_TEXT)


def _documents(name: str, whole: bool) -> str:
    """Lines that are not blank, each with the object that it is, or NULL."""
    doc = f"CAST({strict('line', words=True, last=True)} AS JSON)"
    found = f"SELECT *, {doc} AS doc FROM {name} WHERE regexp_matches(line, '\\S')"
    if whole:
        each = "CASE json_type(doc) WHEN 'ARRAY' THEN CAST(doc AS JSON[]) ELSE [doc] END"
        found = f"SELECT * REPLACE (unnest({each}) AS doc) FROM ({found})"
        array = "NULL"
    else:
        array = f"error({_ROWS})"
    chosen = f"CASE json_type(doc) WHEN 'OBJECT' THEN doc WHEN 'ARRAY' THEN {array} END"
    return f"SELECT * REPLACE ({chosen} AS doc) FROM ({found})"
