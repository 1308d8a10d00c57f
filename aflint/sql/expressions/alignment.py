"""Values of one type to Spark, whose structs may have fields of other names: Spark takes fields by
their places, and DuckDB by their names.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aflint.sql.plan import Expression

_COMPARED = (
    *("EqualTo", "EqualNullSafe", "LessThan", "LessThanOrEqual"),
    *("GreaterThan", "GreaterThanOrEqual", "In"),
)


def aligned(expression: Expression) -> Expression:
    """Return an expression, of which those that compare have children of exactly one type."""
    if expression.kind not in _COMPARED:
        return expression
    first, *others = expression.children
    if not isinstance(first.json_type, dict):
        return expression
    others = [as_type_of(each, first.json_type) for each in others]
    return replace(expression, children=(first, *others))


def as_type_of(value: Expression, wanted: Any) -> Expression:
    """Return a value as one of a type of Spark's that differs from its own in names at most."""
    if not isinstance(wanted, dict) or value.json_type == wanted:
        return value
    return Expression("Cast", (value,), {}, wanted, name=value.name, id=value.id)
