"""The orders that rows are sorted in."""

from __future__ import annotations

from collections.abc import Iterable

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.emitter import Emitter
from aflint.sql.plan import Expression


def ordered(orders: Iterable[Expression], emit: Emitter) -> str:
    """Return the list of an ORDER BY."""
    return ", ".join(f"{emit(order.children[0])} {direction(order)}" for order in orders)


def direction(order: Expression) -> str:
    """Return how a SortOrder sorts: ASC NULLS FIRST and its like.

    Raises UnsupportedPlanError for nested values, within which DuckDB sorts NULL differently.
    """
    if order.children[0].type.parts:
        raise UnsupportedPlanError(
            f"sorting by {order.children[0]}", instead="Sort by its fields or items."
        )
    ascending = "ASC" if order.fields["direction"] == "Ascending" else "DESC"
    nulls = "FIRST" if order.fields["nullOrdering"] == "NullsFirst" else "LAST"
    return f"{ascending} NULLS {nulls}"
