"""Conversions between types, as ANSI has them."""

from __future__ import annotations

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.arithmetic import BITS, scaled, unscaled, wrapped
from aflint.sql.expressions.datetime_patterns import zoned
from aflint.sql.expressions.emitter import Emitter, Rule, cast, failing
from aflint.sql.expressions.text_casts import READERS, legacy_integer, written
from aflint.sql.plan import Expression
from aflint.sql.types import Type, quoted, text


def _cast(expression: Expression, emit: Emitter) -> str:
    (child,) = expression.children
    return converted(expression, emit, emit(child), child.type, expression.type)


def converted(expression: Expression, emit: Emitter, sql: str, source: Type, target: Type) -> str:
    """Return a value of one type as one of another. Raises UnsupportedPlanError where none is
    known.
    """
    if source == target or source.name == "void":
        return cast(sql, target.duckdb)
    if source.name == "string" and target.name in READERS:
        return _read(expression, emit, sql, target)
    if target.name == "string":
        return written(sql, source, emit)
    if source.name == target.name and source.parts:
        return cast(_nested(expression, emit, sql, source, target), target.duckdb)
    simple = _simple(expression, emit, sql, source, target)

    def tried(value: str) -> str:
        return f"TRY({_simple(expression, emit, value, source, target)})"

    if expression.mode == "TRY":
        return emit.once([sql], tried, apart=True)
    if expression.mode == "LEGACY" and _may_fail(source, target):
        if target.name != "decimal":
            return _java(emit, sql, source, target)
        return emit.once([sql], tried, apart=True)
    return simple


def _java(emit: Emitter, sql: str, source: Type, target: Type) -> str:
    """A number as a shorter integer, as Java casts: the lowest bits of an integer, and of a float
    the nearest integer that there is, by way of `int` for the short ones.
    """
    if source.is_integral:
        return wrapped(f"CAST({sql} AS HUGEINT)", target)
    if not source.is_fractional:
        raise UnsupportedPlanError(
            f"a cast from {source} to {target} with spark.sql.ansi.enabled=false",
            instead="Leave ANSI mode on, as Spark 4 does.",
        )
    bits = 64 if target.name == "long" else 32
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def write(value: str) -> str:
        nearest = (
            f"CASE WHEN isnan({value}) THEN 0 WHEN {value} >= {high}::DOUBLE THEN {high}::HUGEINT "
            f"WHEN {value} <= {low}::DOUBLE THEN {low}::HUGEINT "
            f"ELSE CAST(trunc({value}) AS HUGEINT) END"
        )
        return wrapped(nearest, target)

    return emit.once([sql], write)


def _may_fail(source: Type, target: Type) -> bool:
    if target.name == "decimal":
        return True
    return target.name in BITS and BITS[target.name] < BITS.get(source.name, 65)


def _read(expression: Expression, emit: Emitter, sql: str, target: Type) -> str:
    """Text as a value: what is none is an error under ANSI, and NULL otherwise."""

    def write(value: str) -> str:
        if expression.mode == "LEGACY" and target.is_integral:
            return legacy_integer(value, target)
        found = READERS[target.name](value, target, emit)
        if expression.mode != "ANSI":
            return found
        message = (
            f'The value of the type "STRING" cannot be cast to "{str(target).upper()}" because it '
            "is malformed. Use `try_cast` to tolerate malformed input and return NULL instead. "
            "SQLSTATE: 22018"
        )
        return emit.once(
            [found],
            lambda made: failing(
                f"{value} IS NOT NULL AND {made} IS NULL", "CAST_INVALID_INPUT", message, made
            ),
        )

    return cast(emit.once([sql], write, apart=True), target.duckdb)


def _nested(expression: Expression, emit: Emitter, sql: str, source: Type, target: Type) -> str:
    match target.name:
        case "array":
            name = emit.name("item")
            part = converted(expression, emit, name, source.part("element"), target.part("element"))
            return f"list_transform({sql}, lambda {name}: {part})"
        case "map":
            name = emit.name("entry")
            key, value = (
                converted(expression, emit, f"{name}.{part}", source.part(part), target.part(part))
                for part in ("key", "value")
            )
            pair = f"struct_pack(key := {key}, value := {value})"
            return f"map_from_entries(list_transform(map_entries({sql}), lambda {name}: {pair}))"
    if len(source.parts) != len(target.parts):
        raise UnsupportedPlanError(f"a cast from {source} to {target} ({expression})")

    def write(value: str) -> str:
        members = (
            f"{quoted(name)} := "
            + converted(expression, emit, f"struct_extract_at({value}, {i})", before, after)
            for i, ((_, before), (name, after)) in enumerate(
                zip(source.parts, target.parts, strict=True), 1
            )
        )
        return f"CASE WHEN {value} IS NOT NULL THEN struct_pack({', '.join(members)}) END"

    return emit.once([sql], write)


def _simple(expression: Expression, emit: Emitter, sql: str, source: Type, target: Type) -> str:
    kind = target.duckdb
    match source.name, target.name:
        case (name, other) if name in BITS and (other in BITS or other in ("float", "double")):
            return cast(sql, kind)
        case ("float" | "double", name) if (
            name in BITS
        ):  # towards zero; NaN and infinity do not fit
            return cast(f"trunc({sql})", kind)
        case ("float", "double") | ("double", "float"):
            return cast(sql, kind)
        case ("decimal", name) if name in BITS:
            return cast(f"({unscaled(sql, source)} // {10**source.scale}::HUGEINT)", kind)
        case (name, "decimal") if name in (*BITS, "decimal", "boolean"):
            return cast(cast(sql, "INTEGER") if name == "boolean" else sql, kind)
        case ("float" | "double", "decimal"):  # by its shortest text, which then is rounded
            return cast(cast(sql, "VARCHAR"), kind)
        case ("decimal", "float" | "double"):
            return cast(sql, kind)
        case ("boolean", name) if name in BITS or name in ("float", "double"):
            return cast(sql, kind)
        case (name, "boolean") if name in BITS or name in ("float", "double", "decimal"):
            return f"({sql} <> 0)"
        case ("timestamp", "date") | ("date", "timestamp_ntz"):
            return cast(sql, kind)
        case ("date" | "timestamp_ntz", "timestamp"):
            return zoned(cast(sql, "TIMESTAMP"), text(emit.time_zone), emit)
        case ("timestamp_ntz", "date"):
            return cast(sql, kind)
        case ("timestamp", "timestamp_ntz"):
            return cast(sql, kind)
        case ("timestamp", name) if name in BITS:  # whole seconds, downwards
            return cast(f"floor(epoch_us({sql}) / 1000000)", kind)
        case ("timestamp", "float" | "double"):
            return cast(f"(epoch_us({sql}) / 1000000)", kind)
        case (name, "timestamp") if name in BITS:
            return f"make_timestamptz(CAST({sql} AS BIGINT) * 1000000)"
        case ("string", "binary"):
            return f"encode({sql})"
    raise UnsupportedPlanError(f"a cast from {source} to {target} ({expression})")


def _unscaled(expression: Expression, emit: Emitter) -> str:
    (child,) = expression.children
    return cast(unscaled(emit(child), child.type), "BIGINT")


def _decimal_of_digits(expression: Expression, emit: Emitter) -> str:
    (child,) = expression.children
    return scaled(emit(child), expression.type)


RULES: dict[str, Rule] = {
    "Cast": _cast,
    "UnscaledValue": _unscaled,
    "MakeDecimal": _decimal_of_digits,
    "CheckOverflow": "{0}",
    "CheckOverflowInSum": "{0}",
    "CheckOverflowInTableInsert": "{0}",
    "PromotePrecision": "{0}",
}
