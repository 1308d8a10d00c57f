"""Values as text, and text as values: Spark's casts from and to strings.

Each reader returns SQL that is NULL where the text is no value of its type; `casts` makes an error
of that under ANSI.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.datetime_patterns import read, shifted, zoned
from aflint.sql.expressions.emitter import Emitter, failing
from aflint.sql.python_functions import ZONE
from aflint.sql.types import Type, text

_BLANK = r"[\x00-\x20]*"


def written(sql: str, kind: Type, emit: Emitter, plain: bool = True) -> str:
    """Return a value as Spark writes it; small decimals with an exponent where not `plain`, as
    without ANSI. Raises UnsupportedPlanError for a type that it does not know.
    """
    match kind.name:
        case "string":
            return sql
        case "decimal" if kind.scale > 6 and not plain:
            return emit.once([sql], lambda value: _exponential(value, kind))
        case "byte" | "short" | "integer" | "long" | "boolean" | "decimal" | "void":
            return f"CAST({sql} AS VARCHAR)"
        case "date":
            return emit.once([sql], lambda value: _year_first(value, "%m-%d"))
        case "float" | "double":
            return emit.once([sql], _floating)
        case "timestamp":
            return emit.once([f"timezone({text(emit.time_zone)}, {sql})"], _local)
        case "timestamp_ntz":
            return emit.once([sql], _local)
        case "binary":
            return f"decode({sql})"
        case "array":
            return emit.once([sql], lambda items: _listed(items, kind.part("element"), emit, plain))
        case "map":
            return emit.once([sql], lambda value: _mapped(value, kind, emit, plain))
        case "struct":
            return emit.once([sql], lambda value: _structured(value, kind, emit, plain))
    raise UnsupportedPlanError(f"a cast from {kind} to string")


def _floating(value: str) -> str:
    """As Java writes it: with an exponent below 0.001 and from 10,000,000."""
    plain = f"CAST(abs({value}) AS VARCHAR)"
    sign = f"CASE WHEN signbit({value}) THEN '-' ELSE '' END"
    whole, fraction = f"split_part({plain}, '.', 1)", f"split_part({plain}, '.', 2)"
    mantissa = f"split_part({plain}, 'e', 1)"
    given = (
        f"{mantissa} || CASE WHEN contains({mantissa}, '.') THEN '' ELSE '.0' END || 'E' || "
        f"CAST(split_part({plain}, 'e', 2) AS INTEGER)"
    )
    digits = f"rtrim({whole}[2:] || rtrim({fraction}, '0'), '0')"
    large = (
        f"{whole}[1] || '.' || coalesce(nullif({digits}, ''), '0') || 'E' || (length({whole}) - 1)"
    )
    few = f"ltrim({fraction}, '0')"
    small = (
        f"{few}[1] || '.' || coalesce(nullif({few}[2:], ''), '0') || 'E-' || "
        f"(length({fraction}) - length({few}) + 1)"
    )
    return (
        f"CASE WHEN isnan({value}) THEN 'NaN' WHEN isinf({value}) "
        f"THEN {sign} || 'Infinity' WHEN {value} = 0 THEN {sign} || '0.0' "
        f"WHEN contains({plain}, 'e') THEN {sign} || {given} "
        f"WHEN abs({value}) >= 1e7 THEN {sign} || {large} "
        f"WHEN abs({value}) < 0.001 THEN {sign} || {small} ELSE {sign} || {plain} END"
    )


def _local(value: str) -> str:
    """A time without its zone; a fraction has no zeros at its end."""
    whole = _year_first(value, "%m-%d %H:%M:%S")
    micros = f"microsecond({value}) % 1000000"
    fraction = f"rtrim('.' || lpad(({micros})::VARCHAR, 6, '0'), '0')"
    return f"({whole} || CASE WHEN {micros} = 0 THEN '' ELSE {fraction} END)"


def _year_first(value: str, rest: str) -> str:
    """A date or time: a year of more than four digits has a sign, and so has one before 0."""
    year = f"year({value})"
    sign = f"CASE WHEN {year} < 0 THEN '-' ELSE '+' END"
    digits = f"abs({year})::VARCHAR"
    named = f"{sign} || lpad({digits}, greatest(4, length({digits}))::INTEGER, '0')"
    return (
        f"CASE WHEN {year} BETWEEN 0 AND 9999 THEN lpad({year}::VARCHAR, 4, '0') ELSE {named} END "
        f"|| strftime({value}, '-{rest}')"
    )


def _exponential(value: str, kind: Type) -> str:
    """A decimal as Java writes it: with an exponent where six zeros follow the point."""
    unsigned = f"CAST(abs({value}) AS VARCHAR)"
    digits = f"ltrim(replace({unsigned}, '.', ''), '0')"
    digits = f"(CASE WHEN {value} = 0 THEN '0' ELSE {digits} END)"
    mantissa = f"{digits}[1] || CASE WHEN length({digits}) > 1 THEN '.' || {digits}[2:] ELSE '' END"
    sign = f"CASE WHEN {value} < 0 THEN '-' ELSE '' END"
    exponent = f"({kind.scale} + 1 - length({digits}))"
    return (
        f"CASE WHEN {exponent} > 6 THEN {sign} || {mantissa} || 'E-' || {exponent} "
        f"ELSE CAST({value} AS VARCHAR) END"
    )


def _listed(items: str, kind: Type, emit: Emitter, plain: bool) -> str:
    name = emit.name("item")
    each = f"coalesce({written(name, kind, emit, plain)}, 'null')"
    return f"('[' || array_to_string(list_transform({items}, lambda {name}: {each}), ', ') || ']')"


def _mapped(value: str, kind: Type, emit: Emitter, plain: bool) -> str:
    name = emit.name("entry")
    key = written(f"{name}.key", kind.part("key"), emit, plain)
    item = f"coalesce({written(f'{name}.value', kind.part('value'), emit, plain)}, 'null')"
    pairs = f"list_transform(map_entries({value}), lambda {name}: {key} || ' -> ' || {item})"
    return f"('{{' || array_to_string({pairs}, ', ') || '}}')"


def _structured(value: str, kind: Type, emit: Emitter, plain: bool) -> str:
    parts = (
        f"coalesce({written(f'struct_extract_at({value}, {i})', part, emit, plain)}, 'null')"
        for i, (_, part) in enumerate(kind.parts, 1)
    )
    inner = " || ', ' || ".join(parts) or "''"
    return f"CASE WHEN {value} IS NOT NULL THEN '{{' || {inner} || '}}' END"


# ---- reading


def _matching(value: str, pattern: str, then: str) -> str:
    good = f"regexp_full_match({value}, {text(_BLANK + pattern + _BLANK)})"
    return f"CASE WHEN {good} THEN {then} END"


def _trimmed(value: str) -> str:
    return f"regexp_replace({value}, {text('^' + _BLANK + '|' + _BLANK + '$')}, '', 'g')"


def _integer(value: str, kind: Type, emit: Emitter) -> str:
    pattern = r"[+-]?[0-9]+"
    return _matching(value, pattern, f"TRY_CAST({_trimmed(value)} AS {kind.duckdb})")


def legacy_integer(value: str, kind: Type) -> str:
    """Without ANSI a text may have digits behind a point, which do not count."""
    pattern = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]*)"
    whole = f"regexp_replace({_trimmed(value)}, '\\..*$', '')"
    digits = f"CASE WHEN {whole} IN ('', '+', '-') THEN '0' ELSE {whole} END"
    return _matching(value, pattern, f"TRY_CAST({digits} AS {kind.duckdb})")


def _fraction(value: str, kind: Type, emit: Emitter) -> str:
    pattern = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
    bare = f"regexp_replace({_trimmed(value)}, '[dDfF]$', '')"
    number = _matching(value, pattern + "[dDfF]?", f"TRY_CAST({bare} AS {kind.duckdb})")
    named = (
        f"CASE lower({_trimmed(value)}) "
        + " ".join(f"WHEN '{sign}{word}' THEN CAST('{sign.replace('+', '')}inf' AS {kind.duckdb})"
                   for sign in ("", "+", "-") for word in ("inf", "infinity"))
        + f" WHEN 'nan' THEN CAST('nan' AS {kind.duckdb}) ELSE {number} END"
    )  # fmt: skip
    return named


_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"


def _decimal_read(value: str, kind: Type, emit: Emitter) -> str:
    return _matching(value, _NUMBER, f"TRY_CAST({_trimmed(value)} AS {kind.duckdb})")


def is_number(value: str) -> str:
    """Return whether a text is a number, of however many digits."""
    return f"regexp_full_match({value}, {text(_BLANK + _NUMBER + _BLANK)})"


def _boolean(value: str, kind: Type, emit: Emitter) -> str:
    return (
        f"CASE WHEN lower({_trimmed(value)}) IN ('t', 'true', 'y', 'yes', '1') THEN true "
        f"WHEN lower({_trimmed(value)}) IN ('f', 'false', 'n', 'no', '0') THEN false END"
    )


_DATE = r"([+-]?[0-9]{4,7})(?:-([0-9]{1,2})(?:-([0-9]{1,2}))?)?"


def _part(value: str, pattern: str, group: int, otherwise: str) -> str:
    found = f"regexp_extract({value}, {text('^' + _BLANK + pattern)}, {group})"
    return f"TRY_CAST(coalesce(nullif({found}, ''), '{otherwise}') AS BIGINT)"


def _date(value: str, kind: Type, emit: Emitter) -> str:
    year, month, day = (_part(value, _DATE, i, "1") for i in (1, 2, 3))
    whole = r"[+-]?[0-9]{4,7}(-[0-9]{1,2})?"
    tail = r"[+-]?[0-9]{4,7}-[0-9]{1,2}-[0-9]{1,2}([ T].*)?"
    made = f"TRY(make_date({year}, {month}, {day}))"
    return _matching(value, f"(?:{whole}|{tail})", made)


_OFFSET = r"(?:UTC|GMT|UT)?[+-](?:[0-9]{1,2}(?::[0-9]{1,2}(?::[0-9]{2})?)?|[0-9]{4}|[0-9]{6})"
_ZONE = rf" *({_OFFSET}|[A-Za-z][A-Za-z0-9_/+-]*)?"
_SECONDS = r"([0-9]{1,2})(?:\.([0-9]{0,9}))?"
_TIME = rf"[ T]([0-9]{{1,2}})(?::([0-9]{{1,2}})(?::{_SECONDS})?)?"
_ZONED = rf"[ T]([0-9]{{1,2}})(?::([0-9]{{1,2}})(?::{_SECONDS}{_ZONE})?)?"  # behind seconds only


def _timestamp(value: str, kind: Type, emit: Emitter) -> str:
    pattern = _DATE + "(?:" + _ZONED + ")?"
    year, month, day = (_part(value, pattern, i, "1") for i in (1, 2, 3))
    hour, minute, second = (_part(value, pattern, i, "0") for i in (4, 5, 6))
    micros = (
        f"TRY_CAST(rpad(regexp_extract({value}, {text('^' + _BLANK + pattern)}, 7), 6, '0')[1:6] "
        "AS BIGINT)"
    )
    zone = f"regexp_extract({value}, {text('^' + _BLANK + pattern + _BLANK + '$')}, 8)"
    hour = f"CASE WHEN {hour} < 24 THEN {hour} END"  # midnight is 0, and not 24 as in DuckDB
    local = (
        f"(TRY(make_timestamp({year}, {month}, {day}, {hour}, {minute}, {second}::DOUBLE)) "
        f"+ to_microseconds(coalesce({micros}, 0)))"
    )
    whole = r"[+-]?[0-9]{4,7}(-[0-9]{1,2}(-[0-9]{1,2}(" + _ZONED + r")?)?)?"
    made = emit.once([zone], lambda name: _in_zone(local, name, emit))
    if kind.name != "timestamp":  # a zone does not count, but there must be one by that name
        made = f"CASE WHEN {zone} = '' OR ({made}) IS NOT NULL THEN {local} END"
    day_only = _matching(value, r"T?[0-9]{1,2}:[0-9]{1,2}.*", "true")
    today = "aflint does not read a time without a date, which would be today's."
    return failing(day_only, "UNSUPPORTED_FEATURE", today, _matching(value, whole, made))


def _in_zone(local: str, zone: str, emit: Emitter) -> str:
    offset = r"^(UTC|GMT|UT)?([+-])([0-9]{1,2})(?::?([0-9]{1,2}))?(?::?([0-9]{2}))?$"
    hours, minutes, seconds = (
        f"coalesce(TRY_CAST(nullif(regexp_extract({zone}, '{offset}', {i}), '') AS BIGINT), 0)"
        for i in (3, 4, 5)
    )
    sign = f"CASE regexp_extract({zone}, '{offset}', 2) WHEN '-' THEN 1 ELSE -1 END"
    distance = f"({hours} * 3600 + {minutes} * 60 + {seconds})"
    within = f"{distance} <= 64800 AND {minutes} < 60 AND {seconds} < 60"  # of Java's offsets
    moved = f"CASE WHEN {within} THEN {local} + to_seconds({sign} * {distance}) END"
    return (
        f"CASE WHEN {zone} = '' THEN {zoned(local, text(emit.time_zone), emit)} "
        f"WHEN {zone} IN ('Z', 'UTC', 'GMT') THEN timezone('UTC', {local}) "
        f"WHEN regexp_matches({zone}, '{offset}') THEN timezone('UTC', {moved}) "
        f"ELSE timezone({ZONE}({zone}), {local}) END"
    )


READERS: dict[str, Callable[[str, Type, Emitter], str]] = {
    "byte": _integer,
    "short": _integer,
    "integer": _integer,
    "long": _integer,
    "float": _fraction,
    "double": _fraction,
    "decimal": _decimal_read,
    "boolean": _boolean,
    "date": _date,
    "timestamp": _timestamp,
    "timestamp_ntz": _timestamp,
}


def moment(value: str, kind: Type, options: Mapping[str, str], emit: Emitter) -> str:
    """Return a text of a file as a date or time, by the options of files for them, NULL where it is
    none.
    """
    zone = options.get("timezone", emit.time_zone)
    option = {"date": "dateformat", "timestamp": "timestampformat"}
    pattern = options.get(option.get(kind.name, "timestampntzformat"), "")
    if not pattern:
        if zone != emit.time_zone and kind.name == "timestamp":
            raise UnsupportedPlanError("the option timeZone without timestampFormat")
        found = READERS[kind.name](value, kind, emit)
        if kind.name != "timestamp_ntz":
            return found
        whole = rf"[+-]?[0-9]{{4,7}}(-[0-9]{{1,2}}(-[0-9]{{1,2}}({_TIME}|[ T])?)?)?"
        return _matching(value, whole, found)  # with no zone
    local, offset = read(value, pattern)
    if kind.name != "timestamp":
        if offset:
            raise UnsupportedPlanError(f"reading {kind} with a zone, by {pattern!r}")
        return local
    return shifted(local, offset) if offset else zoned(local, text(zone), emit)
