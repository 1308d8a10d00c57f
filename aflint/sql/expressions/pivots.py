"""PivotFirst: of a group's rows, which have been grouped by a pivot's values, too, one for each of
these values.
"""

from __future__ import annotations

from aflint.sql.expressions.parts import Aggregate, Part
from aflint.sql.plan import Expression
from aflint.sql.types import literal


def pivot_first(function: Expression) -> Aggregate:
    """Return the rule of a PivotFirst."""
    column, value = function.children
    kind = value.type.duckdb
    parts = tuple(
        Part(
            "first({1})",
            f"first({{{place}}})",
            kind,
            where=f"{{0}} IS NOT DISTINCT FROM {_literal(member, column)} AND {{1}} IS NOT NULL",
            merge_where=f"{{{place}}} IS NOT NULL",
        )
        for place, member in enumerate(function.fields["members"])
    )
    return Aggregate(parts, lambda call, made: f"CAST([{', '.join(made)}] AS {kind}[])")


def _literal(member: object, column: Expression) -> str:
    """Return a value as a part of a template, in which braces mean places."""
    return literal(member, column.type).replace("{", "' || chr(123) || '")
