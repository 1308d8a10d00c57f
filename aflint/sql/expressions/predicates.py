"""Comparisons and logic."""

from __future__ import annotations

from aflint.sql.expressions.emitter import Emitter, Rule
from aflint.sql.expressions.orders import comparable
from aflint.sql.plan import Expression
from aflint.sql.types import literal


def _in_set(expression: Expression, emit: Emitter) -> str:
    (child,) = expression.children
    members = [literal(each, child.type) for each in expression.fields["members"]]
    return f"({emit(child)} IN ({', '.join(members)}))" if members else _nothing(emit(child))


def _in(expression: Expression, emit: Emitter) -> str:
    value, *members = emit.all(list(expression.children))
    return f"({value} IN ({', '.join(members)}))" if members else _nothing(value)


def _enough(expression: Expression, emit: Emitter) -> str:
    """Whether so many values are there; NaN is not."""
    present = (
        f"CASE WHEN {sql} IS NOT NULL{f' AND NOT isnan({sql})' if kind.is_fractional else ''} "
        "THEN 1 ELSE 0 END"
        for sql, kind in ((emit(each), each.type) for each in expression.children)
    )
    return f"({' + '.join(present) or '0'} >= {expression.fields['n']})"


def _nothing(value: str) -> str:
    """Return what `value IN ()` is: false, or NULL for NULL."""
    return f"CASE WHEN {value} IS NULL THEN NULL ELSE false END"


def _compared(sign: str) -> Rule:
    def rule(expression: Expression, emit: Emitter) -> str:
        left, right = (comparable(emit(each), each.type) for each in expression.children)
        return f"({left} {sign} {right})"

    return rule


RULES: dict[str, Rule] = {
    "And": "({0} AND {1})",
    "Or": "({0} OR {1})",
    "Not": "(NOT {0})",
    "EqualTo": "({0} = {1})",
    "EqualNullSafe": "({0} IS NOT DISTINCT FROM {1})",
    "LessThan": _compared("<"),
    "LessThanOrEqual": _compared("<="),
    "GreaterThan": _compared(">"),
    "GreaterThanOrEqual": _compared(">="),
    "IsNull": "({0} IS NULL)",
    "IsNotNull": "({0} IS NOT NULL)",
    "IsNaN": "coalesce(isnan({0}), false)",
    "In": _in,
    "AtLeastNNonNulls": _enough,
    "InSet": _in_set,
}
