"""Choosing between values."""

from __future__ import annotations

from aflint.sql.expressions.emitter import Emitter, Rule
from aflint.sql.plan import Expression


def _case(expression: Expression, emit: Emitter) -> str:
    """Catalyst's children are condition, value, condition, value ..., and perhaps the last else."""
    sql = emit.all(list(expression.children))
    branches = [f"WHEN {sql[i]} THEN {sql[i + 1]}" for i in range(0, len(sql) - 1, 2)]
    otherwise = f" ELSE {sql[-1]}" if len(sql) % 2 else ""
    return f"CAST(CASE {' '.join(branches)}{otherwise} END AS {expression.type.duckdb})"


RULES: dict[str, Rule] = {
    "If": "CASE WHEN {0} THEN {1} ELSE {2} END",
    "CaseWhen": _case,
    "Coalesce": "coalesce({*})",
    "Least": "least({*})",
    "Greatest": "greatest({*})",
    "NaNvl": "CASE WHEN isnan({0}) THEN {1} ELSE {0} END",
}
