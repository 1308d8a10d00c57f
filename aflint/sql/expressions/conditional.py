"""Choosing between values."""

from __future__ import annotations

from dataclasses import replace

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.emitter import Emitter, Rule
from aflint.sql.plan import Expression
from aflint.sql.types import text


def _case(expression: Expression, emit: Emitter) -> str:
    """Catalyst's children are condition, value, condition, value ..., and perhaps the last else."""
    sql = emit.all(list(expression.children))
    branches = [f"WHEN {sql[i]} THEN {sql[i + 1]}" for i in range(0, len(sql) - 1, 2)]
    otherwise = f" ELSE {sql[-1]}" if len(sql) % 2 else ""
    return f"CAST(CASE {' '.join(branches)}{otherwise} END AS {expression.type.duckdb})"


def _raised(expression: Expression, emit: Emitter) -> str:
    """One of Spark's errors, with the user's message."""
    name = str(emit.literal(expression.children[0], "a class of errors"))
    given = expression.children[1]
    if given.kind == "Literal":
        message = text(", ".join(map(str, given.fields["value"][1])))
    elif given.kind == "CreateMap" and len(given.children) == 2:
        message = emit(given.children[1])
    else:
        raise UnsupportedPlanError(f"the error {name}")
    failure = f"error({text(f'[{name}] ')} || coalesce({message}, 'null'))"
    return f"CAST({failure} AS {expression.type.duckdb})"


def _tried(expression: Expression, emit: Emitter) -> str:
    (child,) = expression.children
    if child.fields.get("failOnError") is True:
        child = replace(child, fields={**child.fields, "failOnError": False})
    sql = emit(child)
    if "error(" in sql:  # DuckDB does not try what raises errors of its own
        raise UnsupportedPlanError(f"trying {child}")
    return f"TRY({sql})"


def _extreme(expression: Expression, emit: Emitter) -> str:
    if expression.type.parts:
        raise UnsupportedPlanError(f"{expression.kind.lower()} of {expression.type}")
    return f"{expression.kind.lower()}({', '.join(emit.all(expression.children))})"


RULES: dict[str, Rule] = {
    "RaiseError": _raised,
    "TryEval": _tried,
    "If": "CASE WHEN {0} THEN {1} ELSE {2} END",
    "CaseWhen": _case,
    "Coalesce": "coalesce({*})",
    "Least": _extreme,
    "Greatest": _extreme,
    "NaNvl": "CASE WHEN isnan({0}) THEN {1} ELSE {0} END",
}
