"""Scans of CSV: the SQL that makes rows of records, each of which is one text."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aflint.sql.csv_records import CsvStyle
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.emitter import Emitter
from aflint.sql.expressions.text_casts import READERS, moment
from aflint.sql.modes import MALFORMED, judged
from aflint.sql.plan import Expression
from aflint.sql.python_functions import CSV_FIELDS
from aflint.sql.types import Type, text

OPTIONS = {
    "header", "sep", "delimiter", "quote", "escape", "nullvalue", "emptyvalue", "mode", "linesep",
    "encoding", "charset", "columnnameofcorruptrecord", "comment", "ignoreleadingwhitespace",
    "ignoretrailingwhitespace", "dateformat", "timestampformat", "timestampntzformat", "multiline",
    "samplingratio", "preferdate", "columnpruning", "nanvalue", "positiveinf", "negativeinf",
    "timezone", "maxcolumns", "maxcharspercolumn", "escapequotes", "quoteall",
}  # fmt: skip
ONE_WAY = {
    "unescapedquotehandling": ("stop_at_delimiter",),
    "locale": ("en-us",),
    "enforceschema": ("true",),
    "enabledatetimeparsingfallback": (),
    "chartoescapequoteescaping": (),
    "inputbuffersize": (),
}
"""Options that change rows, with the values by which they do not."""
_JAVA = {"\\t": "\t", "\\r": "\r", "\\b": "\b", "\\f": "\f", '\\"': '"', "\\'": "'", "\\\\": "\\"}


def check(options: Mapping[str, str]) -> None:
    """Raise UnsupportedPlanError for an option by which Spark would read other rows."""
    for name, harmless in ONE_WAY.items():
        if name in options and options[name].lower() not in harmless:
            raise UnsupportedPlanError(f"the option {name}={options[name]} of CSV files")
    for name in ("quote", "escape", "comment"):
        if len(options.get(name, "")) > 1:
            raise UnsupportedPlanError(f"the option {name}={options[name]} of CSV files")


def style_of(options: Mapping[str, str]) -> CsvStyle:
    """Return how records are cut."""
    given = options.get("sep", options.get("delimiter", ","))
    return CsvStyle(
        separator=re.sub(r"\\.", lambda found: _JAVA.get(found[0], found[0]), given),
        quote=options.get("quote", '"'),
        escape=options.get("escape", "\\"),
        trims_left=options.get("ignoreleadingwhitespace", "").lower() == "true",
        trims_right=options.get("ignoretrailingwhitespace", "").lower() == "true",
    )


def rows(
    data: list[Expression],
    schema: list[str],
    records: str,
    options: Mapping[str, str],
    emit: Emitter,
    error: str = MALFORMED,
) -> str:
    """Return the rows v0, v1 ... of records, the texts `line` of a relation, whose fields are those
    of a schema. What does not fit its type is NULL; a record with such, or with too many or too few
    fields, goes by the mode.
    """
    corrupt = options["columnnameofcorruptrecord"]
    schema = [each for each in schema if each != corrupt]
    fields = [(i, each) for i, each in enumerate(data) if each.name != corrupt]
    told = len(fields) < len(data)
    cut = Cut(style_of(options), options, len(schema))
    given = f"SELECT *, {cut.fields('line')} AS f FROM {records}"
    texts = "".join(f", {cut.field(schema.index(e.name) + 1)} AS t{i}" for i, e in fields)
    values = "".join(
        f", CAST({value(f't{i}', each.type, options, emit)} AS {each.type.duckdb}) AS v{i}"
        for i, each in fields
    )
    made = f"SELECT *{values} FROM (SELECT *{texts} FROM ({given}))"
    wrong = [f"(t{i} IS NOT NULL AND v{i} IS NULL)" for i, _ in fields]
    pruned = options.get("columnpruning", "true").lower() != "false"
    if told or len(fields) == len(schema) or not pruned:  # else Spark looks at no other fields
        wrong.append(f"len(f) <> {len(schema)}")
    shown = r"regexp_replace(line, '\n$', '')"  # one that ends within quotes ends with a newline
    return judged(made, " OR ".join(wrong) or "false", options, data, shown, error)


def worth_reading(options: Mapping[str, str], whole: bool) -> str:
    """Return the condition for records that are no comment and not blank."""
    # In a file that is read as a whole a line of blanks is a record, unless they are left out.
    trims = options.get("ignoreleadingwhitespace", "").lower() == "true"
    good = "line <> ''" if whole and not trims else r"regexp_matches(line, '[^\x00-\x20]')"
    comment = options.get("comment", "")
    return f"{good} AND NOT starts_with(line, {text(comment)})" if comment else good


class Cut:
    """The SQL that cuts a record into fields."""

    def __init__(self, style: CsvStyle, options: Mapping[str, str], width: int) -> None:
        self._style = style
        self._null = options.get("nullvalue", "")
        self._empty = options.get("emptyvalue", "")
        self._columns = int(options.get("maxcolumns", "20480"))
        self._letters = int(options.get("maxcharspercolumn", "-1"))
        self._width = width
        self._ends = options.get("linesep", "")

    def fields(self, line: str) -> str:
        """Return the SQL of a record's fields, quotes included."""
        style = self._style
        separator = text(style.separator)
        split = f"string_split({line}, {separator})"
        if style.quote:
            split = (
                f"CASE WHEN NOT contains({line}, {text(style.quote)}) THEN {split} "
                f"{self._regular(line)} ELSE {CSV_FIELDS}({line}, {separator}, "
                f"{text(style.quote)}, {text(style.escape)}, "
                f"{style.trims_left}, {style.trims_right}) END"
            )
        if self._ends not in ("", "\n"):
            message = "[UNSUPPORTED_FEATURE] aflint does not read a record with a newline in it "
            message += "where lineSep is another."
            failed = f"WHEN contains({line}, chr(10)) THEN error({text(message)})"
            split = f"CASE {failed} ELSE {split} END"
        if self._columns < 20480 or self._letters >= 0:
            split = f"list_transform([{split}], lambda f: {self._checked()})[1]"
        return split

    def _regular(self, line: str) -> str:
        field = self._style.regular
        if not field:
            return ""
        separator = re.escape(self._style.separator)
        whole = text(f"(?:{field})(?:{separator}(?:{field}))*")
        each = text(f"(?:{field}){separator}")
        found = f"regexp_extract_all({line} || {text(self._style.separator)}, {each})"
        return (
            f"WHEN regexp_full_match({line}, {whole}) "
            f"THEN list_transform({found}, lambda x: x[:-2]) "
        )

    def _checked(self) -> str:
        """Return the SQL of fields, or of Spark's error for too many or too long ones."""
        wrong = f"len(f) > {self._columns}"
        if self._letters >= 0:
            quoted = f"starts_with(x, {text(self._style.quote)})" if self._style.quote else "false"
            long = f"length(x) - CASE WHEN {quoted} THEN 2 ELSE 0 END > {self._letters}"
            wrong += f" OR list_bool_or(list_transform(f, lambda x: {long}))"
        message = "[FAILED_READ_FILE.NO_HINT] Encountered error while reading a file: a record of "
        message += "CSV has more columns than maxColumns, or more letters than maxCharsPerColumn."
        return f"CASE WHEN {wrong} THEN error({text(message)}) ELSE f END"

    def field(self, place: int, fields: str = "f") -> str:
        """Return the SQL of the text of one of the fields, NULL where it has none."""
        raw, quote, style = f"{fields}[{place}]", text(self._style.quote), self._style
        value = raw
        blanks = r"[\x00-\x20]+"
        if style.trims_left:
            value = rf"regexp_replace({value}, '^{blanks}', '')"
        if style.trims_right:
            value = rf"regexp_replace({value}, '{blanks}$', '')"
        nothing = "NULL"
        if style.trims_left and self._empty != self._null:  # of blanks at the end of its text
            last = f"{raw} <> '' AND len({fields}) = {place}"
            nothing = f"CASE WHEN {last} THEN {text(self._empty)} END"
        made = f"WHEN {value} = '' THEN {nothing}"
        if style.quote:
            inner = f"nullif({self._plain(f'{value}[2:-2]')}, '')"
            made += (
                f" WHEN starts_with({value}, {quote}) THEN coalesce({inner}, {text(self._empty)})"
            )
        return f"nullif(CASE {made} ELSE {value} END, {text(self._null)})"

    def _plain(self, value: str) -> str:
        """Return the SQL of what stands between quotes, without its escapes."""
        quote, escape, again = self._style.marks
        if again == "\0":
            return f"replace({value}, {text(quote * 2)}, {text(quote)})"
        marks = "[" + re.escape(quote) + re.escape(escape) + "]"
        return f"regexp_replace({value}, {text(re.escape(escape) + f'({marks})')}, '\\1', 'g')"


def value(value: str, kind: Type, options: Mapping[str, str], emit: Emitter) -> str:
    """Return the SQL of a field's value, NULL where its text is none."""
    match kind.name:
        case "string":
            return value
        case "boolean":
            return f"CASE lower({value}) WHEN 'true' THEN true WHEN 'false' THEN false END"
        case "byte" | "short" | "integer" | "long":
            whole = f"regexp_full_match({value}, '[+-]?[0-9]+')"
            return f"CASE WHEN {whole} THEN TRY_CAST({value} AS {kind.duckdb}) END"
        case "float" | "double":
            named = {
                options.get("nanvalue", "NaN"): "nan",
                options.get("negativeinf", "-Inf"): "-inf",
                options.get("positiveinf", "Inf"): "inf",
            }
            java = {"NaN": "nan", "Infinity": "inf", "+Infinity": "inf", "-Infinity": "-inf"}
            cases = " ".join(
                f"WHEN {text(name)} THEN '{number}'::{kind.duckdb}"
                for name, number in {**java, **named}.items()
            )
            number = READERS[kind.name](value, kind, emit)
            plain = f"CASE WHEN NOT regexp_matches({value}, '[g-zG-Z]|[aA]') THEN {number} END"
            return f"CASE {value} {cases} ELSE {plain} END"
        case "decimal":
            found = READERS[kind.name](f"replace({value}, ',', '')", kind, emit)
            return f"CASE WHEN NOT regexp_matches({value}, '\\s') THEN {found} END"
        case "date" | "timestamp" | "timestamp_ntz":
            return moment(value, kind, options, emit)
    raise UnsupportedPlanError(f"reading {kind} from CSV")
