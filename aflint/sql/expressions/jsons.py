"""JSON: texts of it read by a path or by a schema, and values written as it.

Spark also reads texts that are no strict JSON, which DuckDB does not: see `lenient_json`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.datetime_patterns import formatted
from aflint.sql.expressions.emitter import Emitter, Rule, cast
from aflint.sql.expressions.text_casts import READERS, moment, written
from aflint.sql.modes import IN_TEXT, mode_of
from aflint.sql.plan import Expression
from aflint.sql.python_functions import JAVA_JSON, RAW_JSON, STRICT_JSON
from aflint.sql.types import Type, parse_type, quoted, text

_STEP = re.compile(r"\.([A-Za-z_][A-Za-z_0-9]*)|\['([^'\]\"]+)'\]|\[(\d+)\]")


def strict(value: str, words: bool = False, last: bool = False) -> str:
    """Return the JSON that a text is to Spark, NULL where it is none. With `words` it may have NaN
    and infinite numbers, as in files; with `last`, of an object's values of one name the last
    counts.
    """
    good = f"json_valid({value}) AND NOT regexp_matches({value}, {text(_LENIENT)})"
    if last:
        good += f" AND NOT {_repeats(value)}"
    called = f"{STRICT_JSON}({value}, {str(words).lower()}, {str(last).lower()})"
    return f"CASE WHEN {good} THEN {value} ELSE {called} END"


def _repeats(value: str) -> str:
    """Return the condition that an object has several values of one name."""
    return f"list_transform([json_keys({value})], lambda names: len(names) > list_unique(names))[1]"


_LENIENT = r"(?i),\s*[}\]]|(^|[:\[,])\s*[+-]?(nan|inf)"
"""What DuckDB takes for JSON and Spark may not."""
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
        found = as_text(f"json_extract({value}, {place})")
        null = f"json_type({value}) = 'NULL'"
        return found if steps else f"CASE WHEN {null} THEN 'null' ELSE {found} END"

    return emit.once([emit.once([emit(value)], strict)], write)


def as_text(node: str) -> str:
    """Return a part of a JSON text as a text itself: a string as it is, all else as JSON."""
    shown = f"{node}::VARCHAR"
    javas = r"[0-9][.eE][0-9+-]|[\x{10000}-\x{10FFFF}]"
    return (
        f"CASE json_type({node}) WHEN 'NULL' THEN NULL WHEN 'VARCHAR' THEN {node} ->> '$' "
        f"ELSE CASE WHEN regexp_matches({shown}, '{javas}') THEN {JAVA_JSON}({shown}) "
        f"ELSE {shown} END END"
    )


def _read(expression: Expression, emit: Emitter) -> str:
    """`from_json`: what does not fit its type is NULL."""
    options = {name.lower(): value for name, value in expression.fields["options"].items()}
    if unknown := sorted(options.keys() - _OPTIONS):
        raise UnsupportedPlanError(f"the option {unknown[0]} of from_json")
    kind, mode = parse_type(expression.fields["schema"]), mode_of(options)
    corrupt = options.get("columnnameofcorruptrecord", "_corrupt_record")
    told = kind.name == "struct" and any(name == corrupt for name, _ in kind.parts)
    if told or mode != "PERMISSIVE":
        return cast(_judged(expression, kind, options, emit), kind.duckdb)

    def write(value: str) -> str:
        node = f"CAST({emit.once([value], lambda v: strict(v, words=True, last=True))} AS JSON)"
        how = Reading(value, exact=False, options=options)
        made = emit.once([node], lambda name: _root(name, kind, emit, how))
        if kind.name == "struct":  # a text that is no object has a row of NULLs
            nothing = cast(
                f"struct_pack({', '.join(f'{quoted(n)} := NULL' for n, _ in kind.parts)})",
                kind.duckdb,
            )
            made = f"coalesce({made}, {nothing})"
        begun = rf"regexp_matches({value}, '\S')"
        return f"CASE WHEN {begun} THEN {made} END"

    return cast(emit.once([emit(expression.children[0])], write), kind.duckdb)


_OPTIONS = {
    "mode", "columnnameofcorruptrecord", "dateformat", "timestampformat", "timestampntzformat",
    "timezone",
}  # fmt: skip


def _judged(expression: Expression, kind: Type, options: Mapping[str, str], emit: Emitter) -> str:
    """Return the row of a text by a mode, or with the text itself where it is no good."""
    mode = mode_of(options)
    corrupt = options.get("columnnameofcorruptrecord", "_corrupt_record")
    parts = [(name, part) for name, part in kind.parts if name != corrupt]
    if kind.name != "struct" or mode == "DROPMALFORMED":
        raise UnsupportedPlanError(f"from_json of {kind} with the mode {mode} or {corrupt}")

    def write(value: str) -> str:
        doc = emit.name("doc")
        how = Reading(value, exact=False, options=options)
        read, wrong = {}, [f"coalesce(json_type({doc}), '') <> 'OBJECT'"]
        for name, part in parts:
            node = f"json_extract({doc}, {text('$.' + quoted(name))})"
            read[name] = typed(node, part, emit, how)
            wrong.append(f"({misfit(node, read[name], part, emit, how)})")
        bad = " OR ".join(wrong)
        if len(parts) < len(kind.parts):
            read[corrupt] = f"CASE WHEN {bad} THEN {value} END"
        made = f"struct_pack({', '.join(f'{quoted(n)} := {read[n]}' for n, _ in kind.parts)})"
        if mode == "FAILFAST":
            made = f"CASE WHEN {bad} THEN error({text(IN_TEXT)}) ELSE {made} END"
        strictly = emit.once([value], lambda v: strict(v, words=True, last=True))
        found = f"list_transform([CAST({strictly} AS JSON)], lambda {doc}: {made})[1]"
        return f"CASE WHEN regexp_matches({value}, '\\S') THEN {found} END"

    return emit.once([emit(expression.children[0])], write)


def _root(node: str, kind: Type, emit: Emitter, how: Reading) -> str:
    """Return a text's value. One object is an array of it, where it is to be an array of structs;
    an array with an item that is no object is none.
    """
    made = typed(node, kind, emit, how)
    if kind.name != "array" or kind.part("element").name != "struct":
        return made
    item = emit.name("item")
    alone = f"[{typed(node, kind.part('element'), emit, how)}]"
    none = f"list_filter({made}, lambda {item}: {item} IS NULL)"
    return (
        f"CASE json_type({node}) WHEN 'OBJECT' THEN {alone} "
        f"WHEN 'ARRAY' THEN CASE WHEN len({none}) = 0 THEN {made} END END"
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """How values are read: `whole` is the text that they are parts of. If `exact`, what is no
    string is read as a string as it stands there; else as Java writes it.
    """

    whole: str
    exact: bool
    options: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    """The member of the text's object that is read, where the text is one object."""


def typed(node: str, kind: Type, emit: Emitter, how: Reading) -> str:
    """Return a part of a JSON text as a value of a type, NULL where it is none."""
    return emit.once([_with_last(node, kind, emit)], lambda name: _value(name, kind, emit, how))


def _with_last(node: str, kind: Type, emit: Emitter) -> str:
    """Return a part of a JSON text; where it is an object of which values are read by their names,
    it has the last of those that have one name.
    """
    if kind.name not in ("struct", "map"):
        return node

    def write(node: str) -> str:
        again = f"CAST({STRICT_JSON}({node}::VARCHAR, true, true) AS JSON)"
        return f"CASE WHEN {_repeats(node)} THEN {again} ELSE {node} END"

    return emit.once([node], write)


def _value(node: str, kind: Type, emit: Emitter, how: Reading) -> str:
    whole, inner = how.whole, replace(how, name="")
    is_a = f"json_type({node})"
    match kind.name:
        case "string":
            if not how.exact:
                return as_text(node)
            plain = (
                f"{is_a} IN ('BOOLEAN', 'BIGINT', 'UBIGINT') OR {node}::VARCHAR IN ('[]', '{{}}')"
            )
            # All else DuckDB would write anew
            other = f"{RAW_JSON}({whole}, {text(how.name)})" if how.name else f"error({_ANEW})"
            return (
                f"CASE WHEN {is_a} = 'NULL' THEN NULL WHEN {is_a} = 'VARCHAR' THEN {node} ->> '$' "
                f"WHEN {plain} THEN {node}::VARCHAR WHEN {node} IS NOT NULL THEN {other} END"
            )
        case "date" | "timestamp" | "timestamp_ntz":
            found = moment(f"({node} ->> '$')", kind, how.options, emit)
            return f"CASE WHEN {is_a} = 'VARCHAR' THEN {found} END"
        case "decimal":
            shown = f"({node} ->> '$')"
            number = f"TRY_CAST({shown} AS {kind.duckdb})"
            # What has fewer digits is exact as DuckDB keeps it, though perhaps written otherwise
            digits = f"length(regexp_replace({shown}, '[eE].*|[^0-9]', '', 'g')) > 15"
            long = f"{is_a} = 'DOUBLE' AND {digits} AND NOT contains({whole}, {shown})"
            read = READERS["decimal"](f"replace({shown}, ',', '')", kind, emit)
            return (
                f"CASE WHEN {long} THEN error({_ANEW}) WHEN {is_a} = 'VARCHAR' THEN {read} "
                f"WHEN {is_a} IN ('BIGINT', 'UBIGINT', 'DOUBLE') THEN {number} END"
            )
        case "boolean":
            return f"CASE WHEN {is_a} = 'BOOLEAN' THEN ({node} ->> '$') = 'true' END"
        case "byte" | "short" | "integer" | "long":
            number = f"TRY_CAST({node} ->> '$' AS {kind.duckdb})"
            return f"CASE WHEN {is_a} IN ('BIGINT', 'UBIGINT') THEN {number} END"
        case "float" | "double":
            number = f"TRY_CAST(trim({node} ->> '$', '\"') AS {kind.duckdb})"
            named = f"regexp_matches({node} ->> '$', '^\"?([+-]?INF|[+-]?Infinity|NaN)\"?$')"
            return (
                f"CASE WHEN {is_a} IN ('BIGINT', 'UBIGINT', 'DOUBLE') OR ({is_a} = 'VARCHAR' AND "
                f"{named}) THEN {number} END"
            )
        case "array":
            item = emit.name("item")
            items = f"CAST({node} AS JSON[])"
            made = typed(item, kind.part("element"), emit, inner)
            listed = f"list_transform({items}, lambda {item}: {made})"
            return f"CASE WHEN {is_a} = 'ARRAY' THEN {_all_good(items, listed, emit)} END"
        case "struct":
            members = ", ".join(
                f"{quoted(name)} := "
                + typed(f"json_extract({node}, {text('$.' + quoted(name))})", part, emit, inner)
                for name, part in kind.parts
            )
            made = cast(f"struct_pack({members})", kind.duckdb)
            return f"CASE WHEN {is_a} = 'OBJECT' THEN {made} END"
        case "map" if kind.part("key").name == "string":
            key = emit.name("key")
            keys = f"json_keys({node})"
            item = f"json_extract({node}, '$.\"' || {key} || '\"')"
            made = typed(item, kind.part("value"), emit, inner)
            values = f"list_transform({keys}, lambda {key}: {made})"
            given = f"list_transform({keys}, lambda {key}: {item})"
            good = _all_good(given, values, emit)
            mapped = emit.once(
                [good], lambda v: f"CASE WHEN {v} IS NOT NULL THEN map({keys}, {v}) END"
            )
            return f"CASE WHEN {is_a} = 'OBJECT' THEN {mapped} END"
    raise UnsupportedPlanError(f"reading JSON as {kind}")


def misfit(node: str, value: str, kind: Type, emit: Emitter, how: Reading) -> str:
    """Return the condition that a part of a JSON text, or a part of it, does not fit a type, given
    what was read of it.
    """
    wrong = f"coalesce(json_type({node}), 'NULL') <> 'NULL' AND {value} IS NULL"
    if not kind.parts:
        return wrong
    inner = replace(how, name="")

    def any_of(items: str, part: Type) -> str:
        item = emit.name("item")
        each = misfit(item, typed(item, part, emit, inner), part, emit, inner)
        return f"list_bool_or(list_transform({items}, lambda {item}: {each}))"

    def within(node: str) -> str:
        if kind.name == "array":
            return any_of(f"CAST({node} AS JSON[])", kind.part("element"))
        if kind.name == "map":
            key = emit.name("key")
            item = f"json_extract({node}, '$.\"' || {key} || '\"')"
            items = f"list_transform(json_keys({node}), lambda {key}: {item})"
            return any_of(items, kind.part("value"))
        parts = (
            (f"json_extract({node}, {text('$.' + quoted(n))})", part) for n, part in kind.parts
        )
        return " OR ".join(
            f"({misfit(item, typed(item, part, emit, inner), part, emit, inner)})"
            for item, part in parts
        )

    deeper = emit.once([_with_last(node, kind, emit)], within)
    is_one = f"json_type({node}) = '{'ARRAY' if kind.name == 'array' else 'OBJECT'}'"
    return f"({wrong}) OR CASE WHEN {is_one} THEN coalesce({deeper}, false) ELSE false END"


def _all_good(items: str, values: str, emit: Emitter) -> str:
    """Return the values of items of JSON, NULL where one of them does not fit its type."""
    item = emit.name("item")
    given = f"len(list_filter({items}, lambda {item}: json_type({item}) <> 'NULL'))"
    return emit.once([values], lambda v: f"CASE WHEN list_count({v}) = {given} THEN {v} END")


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
