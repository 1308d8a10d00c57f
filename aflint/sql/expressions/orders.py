"""The orders that rows and items are sorted in."""

from __future__ import annotations

from collections.abc import Iterable

from aflint.sql.expressions.emitter import Emitter
from aflint.sql.plan import Expression
from aflint.sql.types import Type, quoted


def ordered(orders: Iterable[Expression], emit: Emitter) -> str:
    """Return the list of an ORDER BY."""
    return ", ".join(f"{sort_key(order, emit)} {direction(order)}" for order in orders)


def sort_key(order: Expression, emit: Emitter) -> str:
    """Return the SQL of what a SortOrder sorts by."""
    (child,) = order.children
    return comparable(emit(child), child.type)


def direction(order: Expression) -> str:
    """Return how a SortOrder sorts: ASC NULLS FIRST and its like."""
    ascending = "ASC" if order.fields["direction"] == "Ascending" else "DESC"
    nulls = "FIRST" if order.fields["nullOrdering"] == "NullsFirst" else "LAST"
    return f"{ascending} NULLS {nulls}"


def comparable(value: str, kind: Type, depth: int = 0) -> str:
    """Return the SQL of a value that DuckDB compares as Spark does the one given: within nested
    ones NULL is the least. Before each part of these stands whether it is there.
    """
    name = f"part{depth}"
    match kind.name:
        case "struct":
            parts = ", ".join(
                f"is{i} := {name}.{quoted(field)} IS NOT NULL, "
                f"of{i} := {comparable(f'{name}.{quoted(field)}', part, depth + 1)}"
                for i, (field, part) in enumerate(kind.parts)
            )
            made = f"CASE WHEN {name} IS NOT NULL THEN struct_pack({parts}) END"
            return f"list_transform([{value}], lambda {name}: {made})[1]"
        case "array":
            item = comparable(name, kind.part("element"), depth + 1)
            made = f"struct_pack(is0 := {name} IS NOT NULL, of0 := {item})"
            return f"list_transform({value}, lambda {name}: {made})"
    return value


def with_keys(items: str, kind: Type) -> str:
    """Return the SQL of nested items as structs that DuckDB compares as Spark does the items, which
    are their `value`.
    """
    made = f"struct_pack(key := {comparable('whole', kind)}, value := whole)"
    return f"list_transform({items}, lambda whole: CASE WHEN whole IS NOT NULL THEN {made} END)"
