"""Arithmetic as ANSI has it: what overflows or divides by zero is an error, or NULL with `try_`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from aflint.sql.expressions import decimals
from aflint.sql.expressions.emitter import Emitter, Rule, cast, failing, tolerant
from aflint.sql.plan import Expression
from aflint.sql.types import Type

_ZERO = (
    "DIVIDE_BY_ZERO",
    "Division by zero. Use `try_divide` to tolerate divisor being 0 and return NULL instead. If "
    'necessary set "spark.sql.ansi.enabled" to "false" to bypass this error. SQLSTATE: 22012',
)
_ZERO_REMAINDER = (
    "REMAINDER_BY_ZERO",
    "Remainder by zero. Use `try_mod` to tolerate divisor being 0 and return NULL instead. If "
    'necessary set "spark.sql.ansi.enabled" to "false" to bypass this error. SQLSTATE: 22012',
)
BITS = {"byte": 8, "short": 16, "integer": 32, "long": 64}


def wrapped(sql: str, kind: Type) -> str:
    """Return the lowest bits of an integer of 128 as one of a type, as Java's arithmetic has it."""
    bits = BITS[kind.name]
    low = f"(({sql}) & {2**bits - 1}::HUGEINT)"
    return cast(
        f"({low} - ({low} // {2 ** (bits - 1)}::HUGEINT) * {2**bits}::HUGEINT)", kind.duckdb
    )


def _wraps(expression: Expression) -> bool:
    """Say whether an expression is of integers that wrap around, as they do without ANSI."""
    return expression.mode == "LEGACY" and expression.type.is_integral


def _apart(write: Callable[[Expression, str, str], str]) -> Rule:
    """A rule whose operands are outside of its TRY: what fails in them is an error still."""

    def rule(expression: Expression, emit: Emitter) -> str:
        sides = emit.all(expression.children)
        if expression.mode == "ANSI":
            return write(expression, *sides)
        return emit.once(sides, partial(write, expression), apart=True)

    return rule


def _sum(operator: str) -> Rule:
    def rule(expression: Expression, left: str, right: str) -> str:
        kind = expression.type.duckdb
        if _wraps(expression):
            return wrapped(f"{left}::HUGEINT {operator} {right}::HUGEINT", expression.type)
        if expression.type.name == "decimal":  # in the result's digits, so that nothing is rounded
            left, right = cast(left, kind), cast(right, kind)
        return _tolerant(expression, cast(f"({left} {operator} {right})", kind))

    return _apart(rule)


def _product(expression: Expression, left: str, right: str) -> str:
    kind = expression.type
    if _wraps(expression):
        return wrapped(f"{left}::HUGEINT * {right}::HUGEINT", kind)
    if kind.name == "decimal":
        a, b = (child.type for child in expression.children)
        return _tolerant(expression, decimals.product(left, a, right, b, kind))
    return _tolerant(expression, cast(f"({left} * {right})", kind.duckdb))


def _guarded(expression: Expression, left: str, right: str, value: str) -> str:
    """Return a quotient or remainder whose divisor may be zero."""
    remainder = expression.kind in ("Remainder", "Pmod")
    zero = f"{right} = 0 AND {left} IS NOT NULL"
    if expression.mode == "ANSI":
        return failing(zero, *(_ZERO_REMAINDER if remainder else _ZERO), value)
    return f"CASE WHEN {zero} THEN NULL ELSE {tolerant(expression, value)} END"


def _quotient(expression: Expression, left: str, right: str) -> str:
    kind = expression.type
    if kind.name == "decimal":
        dividend, divisor = (child.type for child in expression.children)
        value = decimals.divided(left, dividend, right, divisor, kind)
    else:
        value = f"({left} / {right})"
    return cast(_guarded(expression, left, right, value), kind.duckdb)


def _integral_quotient(expression: Expression, left: str, right: str) -> str:
    dividend, divisor = (child.type for child in expression.children)
    if dividend.name == "decimal":
        value = decimals.whole_quotient(left, dividend, right, divisor)
    elif _wraps(expression):
        value = wrapped(f"{left}::HUGEINT // {right}::HUGEINT", expression.type)
    else:
        value = f"({left} // {right})"
    return cast(_guarded(expression, left, right, value), expression.type.duckdb)


def _remainder(expression: Expression, left: str, right: str) -> str:
    kind = expression.type.duckdb
    value = _modulo(expression, left, right)
    return cast(_guarded(expression, left, right, value), kind)


def _modulo(expression: Expression, left: str, right: str) -> str:
    dividend, divisor = (child.type for child in expression.children)
    if dividend.name != "decimal":
        return f"({left} % {right})"
    return decimals.remainder(left, dividend, right, divisor, expression.type)


def _positive_modulo(expression: Expression, left: str, right: str) -> str:
    kind = expression.type.duckdb
    first = f"CAST({_modulo(expression, left, right)} AS {kind})"
    again = f"(({first} + {right}) % {right})"
    if expression.type.name == "decimal":  # of which DuckDB takes remainders as floats
        again = f"CASE WHEN {right} > 0 THEN {first} + {right} ELSE {first} END"
    value = f"CASE WHEN {first} < 0 THEN {again} ELSE {first} END"
    return cast(_guarded(expression, left, right, value), kind)


def _negated(expression: Expression, emit: Emitter) -> str:
    (child,) = expression.children
    if _wraps(expression):
        return wrapped(f"- {emit(child)}::HUGEINT", expression.type)
    return cast(f"(- {emit(child)})", expression.type.duckdb)


def _absolute(expression: Expression, emit: Emitter) -> str:
    (child,) = expression.children
    if _wraps(expression):
        return wrapped(f"abs({emit(child)}::HUGEINT)", expression.type)
    return cast(f"abs({emit(child)})", expression.type.duckdb)


def _tolerant(expression: Expression, sql: str) -> str:
    """A decimal that overflows is NULL without ANSI, too."""
    if expression.mode == "LEGACY" and expression.type.name == "decimal":
        return f"TRY({sql})"
    return tolerant(expression, sql)


def _shifted_right(expression: Expression, emit: Emitter) -> str:
    """By the lowest bits of the distance, as Java does."""
    value, distance = (emit(child) for child in expression.children)
    bits = 63 if expression.type.name == "long" else 31
    return cast(f"({value} >> ({distance} & {bits}))", expression.type.duckdb)


RULES: dict[str, Rule] = {
    "Add": _sum("+"),
    "Subtract": _sum("-"),
    "Multiply": _apart(_product),
    "Divide": _apart(_quotient),
    "IntegralDivide": _apart(_integral_quotient),
    "Remainder": _apart(_remainder),
    "Pmod": _apart(_positive_modulo),
    "UnaryMinus": _negated,
    "UnaryPositive": "{0}",
    "Abs": _absolute,
    "BitwiseAnd": "({0} & {1})",
    "BitwiseOr": "({0} | {1})",
    "BitwiseXor": "xor({0}, {1})",
    "BitwiseNot": "(~ {0})",
    "ShiftRight": _shifted_right,
}
