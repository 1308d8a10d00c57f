"""Conversions between types, as ANSI has them."""

from __future__ import annotations

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.arithmetic import BITS, wrapped
from aflint.sql.expressions.datetime_patterns import zoned
from aflint.sql.expressions.decimals import scaled, unscaled
from aflint.sql.expressions.emitter import Emitter, Rule, cast, failing
from aflint.sql.expressions.text_casts import READERS, is_number, legacy_integer, written
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
        return written(sql, source, emit, plain=expression.mode != "LEGACY")
    if source.name == target.name and source.parts:
        return cast(_nested(expression, emit, sql, source, target), target.duckdb)

    def tried(value: str) -> str:
        return f"TRY({_simple(expression, emit, value, source, target)})"

    if expression.mode == "TRY":
        return emit.once([sql], tried, apart=True)
    if expression.mode == "LEGACY" and _may_fail(source, target):
        if target.name != "decimal":
            return _java(emit, sql, source, target)
        return emit.once([sql], tried, apart=True)
    if expression.mode == "ANSI" and source.name == "decimal" and target.name in BITS:
        return emit.once([sql], lambda value: _whole_fitting(value, source, target))
    return _simple(expression, emit, sql, source, target)


def _whole_fitting(value: str, source: Type, target: Type) -> str:
    """A decimal as an integer, whose overflow is not that of a sum, which has 128 bits, too."""
    most, whole = 2 ** (BITS[target.name] - 1), _whole(value, source)
    if source.precision - source.scale < len(str(most)):
        return cast(whole, target.duckdb)
    message = (
        f'The value of the type "{str(source).upper()}" cannot be cast to '
        f'"{str(target).upper()}" due to an overflow. Use `try_cast` to tolerate overflow and '
        "return NULL instead. SQLSTATE: 22003"
    )
    fits = f"{whole} BETWEEN {-most}::HUGEINT AND {most - 1}::HUGEINT"
    return cast(failing(f"NOT ({fits})", "CAST_OVERFLOW", message, whole), target.duckdb)


_MOST_FLOAT = "340282356779733661637539395458142568448::DOUBLE"
"""From here on a double is rounded to a float that is infinite."""


def _shorter_float(value: str) -> str:
    """A double as a float, which is infinite where DuckDB would fail."""
    large = f"abs({value}) >= {_MOST_FLOAT} AND NOT isnan({value})"
    small = f"CASE WHEN {large} THEN 0 ELSE {value} END"
    infinite = f"CASE WHEN {value} > 0 THEN CAST('inf' AS FLOAT) ELSE CAST('-inf' AS FLOAT) END"
    return f"CASE WHEN {large} THEN {infinite} ELSE CAST({small} AS FLOAT) END"


def _of_seconds(expression: Expression, emit: Emitter, sql: str, source: Type) -> str:
    """A time from its seconds, in whole microseconds."""
    if source.name == "decimal":
        digits = unscaled(sql, source)
        shift = 10 ** abs(6 - source.scale)
        micros = f"{digits} {'*' if source.scale <= 6 else '//'} {shift}::HUGEINT"
        return f"make_timestamptz(CAST({micros} AS BIGINT))"

    def write(value: str) -> str:
        good = f"isfinite({value}::DOUBLE)"
        safe = f"CASE WHEN {good} THEN {value}::DOUBLE END"
        made = f"make_timestamptz(CAST(trunc({safe} * 1000000) AS BIGINT))"
        if expression.mode != "ANSI":
            return made
        message = (
            f'The value of the type "{source.name.upper()}" cannot be cast to "TIMESTAMP" because '
            "it is malformed. SQLSTATE: 22018"
        )
        return failing(f"NOT {good}", "CAST_INVALID_INPUT", message, made)

    return emit.once([sql], write)


def _java(emit: Emitter, sql: str, source: Type, target: Type) -> str:
    """A number as a shorter integer, as Java casts: the lowest bits of an integer, and of a float
    the nearest integer that there is, by way of `int` for the short ones.
    """
    if source.is_integral:
        return wrapped(f"CAST({sql} AS HUGEINT)", target)
    if source.name == "boolean":
        return cast(sql, target.duckdb)
    if source.name == "decimal":
        return wrapped(_whole(sql, source), target)
    if source.name == "timestamp":
        return wrapped(f"CAST({_SECONDS.format(sql)} AS HUGEINT)", target)
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


_SECONDS = "floor(epoch_us({}) / 1000000)"  # whole ones, downwards


def _whole(sql: str, source: Type) -> str:
    """Return a decimal without its fraction, as an integer of 128 bits."""
    return f"({unscaled(sql, source)} // {10**source.scale}::HUGEINT)"


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

        def judged(made: str) -> str:
            bad = f"{value} IS NOT NULL AND {made} IS NULL"
            if target.name != "decimal":
                return failing(bad, "CAST_INVALID_INPUT", message, made)
            large = f"{value} cannot be represented as {target}. SQLSTATE: 22003"
            otherwise = failing(bad, "NUMERIC_VALUE_OUT_OF_RANGE", large, made)
            return failing(
                f"{bad} AND NOT {is_number(value)}", "CAST_INVALID_INPUT", message, otherwise
            )

        return emit.once([found], judged)

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
        case ("float", "double"):
            return cast(sql, kind)
        case ("double", "float"):
            return emit.once([sql], _shorter_float)
        case ("decimal", name) if name in BITS:
            return cast(_whole(sql, source), kind)
        case (name, "decimal") if name in (*BITS, "decimal", "boolean"):
            return cast(cast(sql, "INTEGER") if name == "boolean" else sql, kind)
        case ("float" | "double", "decimal"):  # by its shortest text, which then is rounded
            return emit.once(
                [sql],
                lambda value: cast(
                    f"CASE WHEN isfinite({value}) THEN CAST({value} AS VARCHAR) END", kind
                ),
            )
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
        case ("timestamp", name) if name in BITS:
            return cast(_SECONDS.format(sql), kind)
        case ("timestamp", "decimal"):
            return cast(f"CAST(epoch_us({sql}) / 1000000 AS VARCHAR)", kind)
        case ("decimal" | "float" | "double", "timestamp"):
            return _of_seconds(expression, emit, sql, source)
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
