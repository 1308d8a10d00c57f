"""Text."""

from __future__ import annotations

from aflint.sql.expressions.emitter import Emitter, Rule
from aflint.sql.plan import Expression
from aflint.sql.types import text


def _like(expression: Expression, emit: Emitter) -> str:
    value, pattern = (emit(child) for child in expression.children)
    escape = text(str(expression.fields.get("escapeChar", "\\")))
    return f"({value} LIKE {pattern} ESCAPE {escape})"


def _substring(expression: Expression, emit: Emitter) -> str:
    """From 1, or from the end where negative; 0 is as 1. A part before the start counts."""
    value, start, size = (emit(child) for child in expression.children)
    whole = f"length({value})"
    begin = (
        f"(CASE WHEN {start} > 0 THEN {start} - 1 WHEN {start} < 0 THEN {whole} + {start} "
        f"ELSE 0 END)::BIGINT"
    )
    end = f"({begin} + {size})"
    return (
        f"(CASE WHEN {size} <= 0 OR {end} <= 0 THEN {value}[1:0] "
        f"ELSE {value}[greatest({begin}, 0) + 1 : {end}] END)"
    )


RULES: dict[str, Rule] = {
    "Upper": "upper({0})",
    "Lower": "lower({0})",
    "Length": "length({0})",
    "StartsWith": "starts_with({0}, {1})",
    "EndsWith": "ends_with({0}, {1})",
    "Contains": "contains({0}, {1})",
    "Like": _like,
    "Substring": _substring,
}
