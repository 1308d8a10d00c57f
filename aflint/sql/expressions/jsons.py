"""JSON: texts of it read by a path or by a schema, and values written as it.

Spark also reads texts that are no strict JSON, with single quotes or cut short; DuckDB does not,
and such a text is an error where Spark may find something in it.
"""

from __future__ import annotations

import re

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.datetime_patterns import formatted
from aflint.sql.expressions.emitter import Emitter, Rule, cast
from aflint.sql.expressions.text_casts import READERS, written
from aflint.sql.plan import Expression
from aflint.sql.types import Type, parse_type, quoted, text

_STEP = re.compile(r"\.([A-Za-z_][A-Za-z_0-9]*)|\['([^'\]\"]+)'\]|\[(\d+)\]")
LENIENT = "'[UNSUPPORTED_FEATURE] aflint reads strict JSON only, which a text is not.'"


def _valid(value: str, then: str) -> str:
    """Return `then` for strict JSON, and NULL for a text in which Spark finds nothing either."""
    begun = rf"regexp_matches({value}, '^\s*[{{\[]')"
    return f"CASE WHEN json_valid({value}) THEN {then} WHEN {begun} THEN error({LENIENT}) END"


_ANEW = "'[UNSUPPORTED_FEATURE] aflint does not read this number or object of JSON as it stands.'"


def _object(expression: Expression, emit: Emitter) -> str:
    value, path = expression.children
    java = str(emit.literal(path, "a path into JSON"))
    steps, at = [], 1
    while java.startswith("$") and at < len(java):
        step = _STEP.match(java, at)
        if step is None:
            break
        at = step.end()
        steps.append(f"[{step[3]}]" if step[3] else f'."{step[1] or step[2]}"')
    if not java.startswith("$") or at < len(java):
        raise UnsupportedPlanError(f"the path {java!r} into JSON")
    place = text("$" + "".join(steps))

    def write(value: str) -> str:
        node = f"json_extract({value}, {place})"
        fractions = f"regexp_matches({node}::VARCHAR, '[0-9][.eE][0-9+-]')"
        found = (
            f"CASE WHEN json_type({node}) = 'NULL' THEN NULL WHEN json_type({node}) = 'VARCHAR' "
            f"THEN {node} ->> '$' WHEN {fractions} THEN error({_FRACTION}) "
            f"ELSE {node}::VARCHAR END"
        )
        return _valid(value, found)

    return emit.once([emit(value)], write)


_FRACTION = "'[UNSUPPORTED_FEATURE] aflint does not give fractions within JSON as text.'"


def _read(expression: Expression, emit: Emitter) -> str:
    """`from_json`: what does not fit its type is NULL."""
    if expression.fields["options"]:
        raise UnsupportedPlanError("from_json with options")
    kind = parse_type(expression.fields["schema"])
    if kind.name == "struct" and any(name == "_corrupt_record" for name, _ in kind.parts):
        raise UnsupportedPlanError("from_json with _corrupt_record")

    def write(value: str) -> str:
        node = f"CAST({value} AS JSON)"
        made = typed(node, kind, emit)
        if kind.name == "struct":  # a text that is no object has a row of NULLs
            nothing = cast(
                f"struct_pack({', '.join(f'{quoted(n)} := NULL' for n, _ in kind.parts)})",
                kind.duckdb,
            )
            made = f"coalesce({made}, {nothing})"
        begun = rf"regexp_matches({value}, '\S')"
        return f"CASE WHEN json_valid({value}) THEN {made} WHEN {begun} THEN error({LENIENT}) END"

    return cast(emit.once([emit(expression.children[0])], write), kind.duckdb)


def typed(node: str, kind: Type, emit: Emitter, whole: str = "") -> str:
    """Return a part of a JSON text as a value of a type, NULL where it is none. `whole` is the text
    that it is a part of, where what is no string is to be a string as it stands there.
    """
    return emit.once([node], lambda name: _value(name, kind, emit, whole))


def _value(node: str, kind: Type, emit: Emitter, whole: str) -> str:
    is_a = f"json_type({node})"
    match kind.name:
        case "string":
            other = f"{node}::VARCHAR"
            if whole:  # DuckDB writes it anew, in most cases as it was
                anew = f"NOT contains({whole}, {other}) AND {is_a} <> 'BOOLEAN'"
                other = f"CASE WHEN {anew} THEN error({_ANEW}) ELSE {other} END"
            return (
                f"CASE {is_a} WHEN 'NULL' THEN NULL WHEN 'VARCHAR' THEN {node} ->> '$' "
                f"ELSE {other} END"
            )
        case "date" | "timestamp" | "timestamp_ntz" if whole:
            found = READERS[kind.name](f"({node} ->> '$')", kind, emit)
            return f"CASE WHEN {is_a} = 'VARCHAR' THEN {found} END"
        case "decimal" if whole:
            number = f"TRY_CAST({node} ->> '$' AS {kind.duckdb})"
            long = f"{is_a} = 'DOUBLE' AND NOT contains({whole}, {node} ->> '$')"
            return (
                f"CASE WHEN {long} THEN error({_ANEW}) "
                f"WHEN {is_a} IN ('BIGINT', 'UBIGINT', 'DOUBLE') THEN {number} END"
            )
        case "boolean":
            return f"CASE WHEN {is_a} = 'BOOLEAN' THEN ({node} ->> '$') = 'true' END"
        case "byte" | "short" | "integer" | "long":
            number = f"TRY_CAST({node} ->> '$' AS {kind.duckdb})"
            return f"CASE WHEN {is_a} IN ('BIGINT', 'UBIGINT') THEN {number} END"
        case "float" | "double":
            number = f"TRY_CAST({node} ->> '$' AS {kind.duckdb})"
            named = f"regexp_matches({node} ->> '$', '^([+-]?INF|[+-]?Infinity|NaN)$')"
            return (
                f"CASE WHEN {is_a} IN ('BIGINT', 'UBIGINT', 'DOUBLE') OR ({is_a} = 'VARCHAR' AND "
                f"{named}) THEN {number} END"
            )
        case "array":
            item = emit.name("item")
            items = f"CAST({node} AS JSON[])"
            made = typed(item, kind.part("element"), emit, whole)
            listed = f"list_transform({items}, lambda {item}: {made})"
            return f"CASE WHEN {is_a} = 'ARRAY' THEN {listed} END"
        case "struct":
            members = ", ".join(
                f"{quoted(name)} := "
                + typed(f"json_extract({node}, {text('$.' + quoted(name))})", part, emit, whole)
                for name, part in kind.parts
            )
            made = cast(f"struct_pack({members})", kind.duckdb)
            return f"CASE WHEN {is_a} = 'OBJECT' THEN {made} END"
        case "map" if kind.part("key").name == "string":
            key = emit.name("key")
            keys = f"json_keys({node})"
            item = f"json_extract({node}, '$.\"' || {key} || '\"')"
            made = typed(item, kind.part("value"), emit, whole)
            values = f"list_transform({keys}, lambda {key}: {made})"
            return f"CASE WHEN {is_a} = 'OBJECT' THEN map({keys}, {values}) END"
    raise UnsupportedPlanError(f"reading JSON as {kind}")


# ---- writing


def to_json(sql: str, kind: Type, emit: Emitter) -> str:
    """Return a value as JSON; a field that is NULL is left out. NULL for NULL."""
    return emit.once([sql], lambda value: _written(value, kind, emit))


def _written(value: str, kind: Type, emit: Emitter) -> str:
    match kind.name:
        case "void":
            return "CAST(NULL AS VARCHAR)"
        case "string":
            return f"json_quote({value})::VARCHAR"
        case "byte" | "short" | "integer" | "long" | "boolean":
            return f"CAST({value} AS VARCHAR)"
        case "float" | "double":
            number = written(value, kind, emit)
            return f"CASE WHEN isfinite({value}) THEN {number} ELSE '\"' || {number} || '\"' END"
        case "decimal" if kind.scale <= 6:
            return f"CAST({value} AS VARCHAR)"
        case "date":
            return f"('\"' || CAST({value} AS VARCHAR) || '\"')"
        case "timestamp":
            local = f"timezone({text(emit.time_zone)}, {value})"
            pattern = "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"
            return f"('\"' || {formatted(local, pattern, emit.time_zone, value)} || '\"')"
        case "timestamp_ntz":
            moment = formatted(value, "yyyy-MM-dd'T'HH:mm:ss.SSS", emit.time_zone)
            return f"('\"' || {moment} || '\"')"
        case "binary":
            return f"('\"' || to_base64({value}) || '\"')"
        case "array":
            item = emit.name("item")
            each = f"coalesce({to_json(item, kind.part('element'), emit)}, 'null')"
            items = f"list_transform({value}, lambda {item}: {each})"
            return f"('[' || array_to_string({items}, ',') || ']')"
        case "map" if kind.part("key").name in ("string", "integer", "long"):
            entry = emit.name("entry")
            key = f"json_quote({entry}.key::VARCHAR)::VARCHAR"
            item = f"coalesce({to_json(f'{entry}.value', kind.part('value'), emit)}, 'null')"
            pairs = f"list_transform(map_entries({value}), lambda {entry}: {key} || ':' || {item})"
            return f"('{{' || array_to_string({pairs}, ',') || '}}')"
        case "struct":
            members = []
            for name, part in kind.parts:
                item = to_json(f"struct_extract({value}, {text(name)})", part, emit)
                named = text('"' + name.replace("\\", "\\\\").replace('"', '\\"') + '":')
                members.append(f"{named} || {item}")
            inner = f"concat_ws(',', {', '.join(members)})"
            return f"CASE WHEN {value} IS NOT NULL THEN '{{' || {inner} || '}}' END"
    raise UnsupportedPlanError(f"writing {kind} as JSON")


RULES: dict[str, Rule] = {"GetJsonObject": _object, "JsonToStructs": _read}
