"""Conversions between types, as ANSI has them."""

from __future__ import annotations

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.arithmetic import scaled, unscaled
from aflint.sql.expressions.emitter import Emitter, Rule, cast
from aflint.sql.plan import Expression
from aflint.sql.types import Type

_BITS = {"byte": 8, "short": 16, "integer": 32, "long": 64}


def _cast(expression: Expression, emit: Emitter) -> str:
    (child,) = expression.children
    sql = converted(expression, emit(child), child.type, expression.type)
    return f"TRY({sql})" if expression.mode == "TRY" else sql


def converted(expression: Expression, sql: str, source: Type, target: Type) -> str:
    """Return a value of one type as one of another. Raises UnsupportedPlanError where none is
    known.
    """
    kind = target.duckdb
    if source == target or source.name == "void":
        return cast(sql, kind)
    match source.name, target.name:
        case (name, other) if name in _BITS and (other in _BITS or other in ("float", "double")):
            return cast(sql, kind)
        case ("float" | "double", name) if (
            name in _BITS
        ):  # towards zero; NaN and infinity do not fit
            return cast(f"trunc({sql})", kind)
        case ("float", "double") | ("double", "float"):
            return cast(sql, kind)
        case ("decimal", name) if name in _BITS:
            return cast(f"({unscaled(sql, source)} // {10**source.scale}::HUGEINT)", kind)
        case (name, "decimal") if name in (*_BITS, "decimal"):
            return cast(sql, kind)
        case ("float" | "double", "decimal"):  # by its shortest text, which then is rounded
            return cast(cast(sql, "VARCHAR"), kind)
        case ("decimal", "float" | "double"):
            return cast(sql, kind)
        case ("boolean", name) if name in _BITS or name in ("float", "double"):
            return cast(sql, kind)
        case (name, "boolean") if name in _BITS or name in ("float", "double"):
            return f"({sql} <> 0)"
        case (name, "string") if name in (*_BITS, "boolean", "decimal", "date"):
            return cast(sql, kind)
        case ("date", "timestamp") | ("timestamp", "date") | ("date", "timestamp_ntz"):
            return cast(sql, kind)
        case ("timestamp_ntz", "date"):
            return cast(sql, kind)
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
