"""Scans of text, JSON and CSV: which lines each task reads, and the SQL that makes rows of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aflint.sql import scans
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.datetime_patterns import read, zoned
from aflint.sql.expressions.emitter import Emitter
from aflint.sql.expressions.jsons import LENIENT, typed
from aflint.sql.expressions.text_casts import READERS
from aflint.sql.lines import LineFiles
from aflint.sql.plan import Expression, PlanNode
from aflint.sql.stages import Relation
from aflint.sql.types import quoted, text
from aflint.storage.formats import check_readable, compression_of
from aflint.task import TextSplit

FORMATS = ("TextFileFormat", "JsonFileFormat", "CSVFileFormat")
_STRICT = ("DROPMALFORMED", "FAILFAST")
"""Modes other than PERMISSIVE, which is every other word."""
_LISTING = {
    "path", "basepath", "recursivefilelookup", "pathglobfilter", "modifiedbefore", "modifiedafter",
    "mergeschema", "inferschema", "__partition_columns",
}  # fmt: skip
"""What Spark's own listing of files has heeded."""

_TEXT = {"wholetext", "linesep", "encoding"}
_JSON = {
    "multiline", "mode", "columnnameofcorruptrecord", "linesep", "encoding", "charset",
    "primitivesasstring", "samplingratio", "dropfieldifallnull", "prefersdecimal", "infertimestamp",
}  # fmt: skip
_CSV = {
    "header", "sep", "delimiter", "quote", "escape", "nullvalue", "mode", "linesep", "encoding",
    "charset", "columnnameofcorruptrecord", "comment", "ignoreleadingwhitespace", "enforceschema",
    "ignoretrailingwhitespace", "dateformat", "timestampformat", "timestampntzformat",
    "samplingratio", "preferdate", "columnpruning",
}  # fmt: skip
_KNOWN = {"TextFileFormat": _TEXT, "JsonFileFormat": _JSON, "CSVFileFormat": _CSV}
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
    elif node.fields["format"] == "CSVFileFormat":
        source = _csv(node, data, name, emit)
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
    known = _KNOWN[node.fields["format"]]
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
    options, placed = _options(node), scans.folder_variables(node, name)
    whole = _whole(options)
    header = "header" in options and options["header"].lower() == "true"
    found: scans.Splits = []
    for directory in node.fields["directories"]:
        values = dict(zip(placed.values(), directory["values"] or [], strict=True))
        pieces = [piece for file in directory["files"] for piece in _pieces(file, most, whole)]
        group: list[TextSplit] = []
        room = most
        for piece in sorted(pieces, key=lambda piece: piece.start - piece.end):
            size = piece.end - piece.start + scans.OPENING
            if group and size > room:
                found.append([{name: LineFiles(tuple(group), whole, header), **values}])
                group, room = [], most
            group.append(piece)
            room -= size
        if group:
            found.append([{name: LineFiles(tuple(group), whole, header), **values}])
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
    judged = mode in _STRICT or len(fields) < len(data)
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
    return _judged(rows, bad, mode, data, corrupt)


def _judged(rows: str, bad: str, mode: str, data: list[Expression], corrupt: str) -> str:
    """Return rows less those that are bad, or failing over them, or with the lines of these."""
    told = [i for i, each in enumerate(data) if each.name == corrupt]
    line = "NULL" if mode in _STRICT else f"CASE WHEN {bad} THEN line END"
    items = "".join(f", {line} AS v{place}" for place in told)
    good = "true"
    if mode == "DROPMALFORMED":
        good = f"NOT ({bad})"
    elif mode == "FAILFAST":
        good = f"CASE WHEN {bad} THEN error({text(_MALFORMED)}) ELSE true END"
    return f"SELECT *{items} FROM ({rows}) WHERE {good}"


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


# ---- CSV


def _csv(node: PlanNode, data: list[Expression], name: str, emit: Emitter) -> str:
    """Rows of CSV, line by line. What does not fit its type is NULL; a line with such, or with too
    many or too few fields, goes by the mode.
    """
    options = _options(node)
    corrupt = options.get("columnnameofcorruptrecord", "_corrupt_record")
    mode = options.get("mode", "PERMISSIVE").upper()
    schema = [field["name"] for field in node.fields["dataSchema"]["fields"]]
    schema = [each for each in schema if each != corrupt]
    fields = [(i, each) for i, each in enumerate(data) if each.name != corrupt]
    told = len(fields) < len(data)
    separator = options.get("sep", options.get("delimiter", ","))
    quote = options.get("quote", '"') or "\0"
    escape = options.get("escape", "\\") or "\0"
    style = _CsvStyle(separator, quote, escape, options)
    given = f"SELECT line, {style.fields()} AS f FROM {name} WHERE trim(line, ' \t') <> ''"
    comment = options.get("comment", "")
    if comment:
        given += f" AND NOT starts_with(line, {text(comment)})"
    texts = "".join(f", {style.field(schema.index(e.name) + 1)} AS t{i}" for i, e in fields)
    values = "".join(
        f", CAST({_csv_value(f't{i}', each, options, emit)} AS {each.type.duckdb}) AS v{i}"
        for i, each in fields
    )
    rows = f"SELECT *{values} FROM (SELECT *{texts} FROM ({given}))"
    if mode not in _STRICT and not told:
        return rows
    wrong = [f"(t{i} IS NOT NULL AND v{i} IS NULL)" for i, _ in fields]
    if told or len(fields) == len(schema):  # else Spark looks at no other fields
        wrong.append(f"len(f) <> {len(schema)}")
    return _judged(rows, " OR ".join(wrong) or "false", mode, data, corrupt)


class _CsvStyle:
    """How a line of CSV is cut into fields."""

    def __init__(self, separator: str, quote: str, escape: str, options: Mapping[str, str]) -> None:
        if len(separator) != 1 or len(quote) != 1 or len(escape) != 1:
            raise UnsupportedPlanError("a separator, quote or escape of several characters")
        self._separator, self._quote, self._escape = separator, quote, escape
        self._null = options.get("nullvalue", "")
        self._trims = [
            options.get(f"ignore{side}whitespace", "false").lower() == "true"
            for side in ("leading", "trailing")
        ]

    def fields(self) -> str:
        """Return the SQL of a line's fields, quotes included. One that begins with a quote and has
        none at its end ends at the next separator, as in Spark.
        """
        s, q = re.escape(self._separator), re.escape(self._quote)
        within = self._within()
        pattern = text(f"{q}{within}{q}{s}|{q}{within}$|[^{s}]*{s}")
        line = f"line || {text(self._separator)}"
        return (
            f"CASE WHEN contains(line, {text(self._quote)}) "
            f"THEN list_transform(regexp_extract_all({line}, {pattern}), lambda x: x[:-2]) "
            f"ELSE string_split(line, {text(self._separator)}) END"
        )

    def _within(self) -> str:
        """Return the regular expression of what may stand between quotes."""
        q, e = re.escape(self._quote), re.escape(self._escape)
        if self._escape == self._quote:
            return rf"(?:[^{q}]|{q}{q})*"
        return rf"(?:[^{q}{e}]|{e}.)*"

    def field(self, place: int) -> str:
        """Return the SQL of a field's text, NULL where it has none."""
        value, quote = f"f[{place}]", text(self._quote)
        leading, trailing = self._trims
        if leading:
            value = f"ltrim({value}, ' \t')"
        if trailing:
            value = f"rtrim({value}, ' \t')"
        ends = f"length({value}) > 1 AND ends_with({value}, {quote})"
        opened = text(re.escape(self._quote) + self._within())
        return f"""nullif(CASE WHEN {value} = '' THEN NULL
            WHEN NOT starts_with({value}, {quote}) THEN {value}
            WHEN {ends} THEN {self._plain(f"{value}[2:-2]")}
            WHEN regexp_full_match({value}, {opened}) THEN {self._plain(f"{value}[2:]")}
            ELSE {value} END, {text(self._null)})"""

    def _plain(self, value: str) -> str:
        """Return the SQL of what stands between quotes, without its escapes."""
        if self._escape == self._quote:
            return f"replace({value}, {text(self._quote * 2)}, {text(self._quote)})"
        marks = "[" + re.escape(self._quote) + re.escape(self._escape) + "]"
        pattern = text(re.escape(self._escape) + f"({marks})")
        return f"regexp_replace({value}, {pattern}, '\\1', 'g')"


def _csv_value(value: str, column: Expression, options: Mapping[str, str], emit: Emitter) -> str:
    """Return the SQL of a field's value, NULL where its text is none."""
    kind = column.type
    match kind.name:
        case "string":
            return value
        case "boolean":
            return f"CASE lower({value}) WHEN 'true' THEN true WHEN 'false' THEN false END"
        case "byte" | "short" | "integer" | "long":
            whole = f"regexp_full_match({value}, '[+-]?[0-9]+')"
            return f"CASE WHEN {whole} THEN TRY_CAST({value} AS {kind.duckdb}) END"
        case "float" | "double":
            named = " ".join(
                f"WHEN '{name}' THEN '{number}'::{kind.duckdb}"
                for name, number in (
                    ("NaN", "nan"), ("Inf", "inf"), ("-Inf", "-inf"), ("Infinity", "inf"),
                    ("+Infinity", "inf"), ("-Infinity", "-inf"),
                )
            )  # fmt: skip
            number = READERS[kind.name](value, kind, emit)
            plain = f"CASE WHEN NOT regexp_matches({value}, '[g-zG-Z]|[aA]') THEN {number} END"
            return f"CASE {value} {named} ELSE {plain} END"
        case "decimal":
            found = READERS[kind.name](f"replace({value}, ',', '')", kind, emit)
            return f"CASE WHEN NOT regexp_matches({value}, '\\s') THEN {found} END"
        case "date" | "timestamp" | "timestamp_ntz":
            option = {"date": "dateformat", "timestamp": "timestampformat"}.get(kind.name, "")
            pattern = options.get(option, "") if option else options.get("timestampntzformat", "")
            if not pattern:
                return READERS[kind.name](value, kind, emit)
            local, offset = read(value, pattern)
            if offset:
                raise UnsupportedPlanError(f"reading times with their zone, by {pattern!r}")
            return zoned(local, emit.time_zone, emit) if kind.name == "timestamp" else local
    raise UnsupportedPlanError(f"reading {kind} from CSV")
