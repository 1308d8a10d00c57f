"""Columns, literals, and expressions that only name or mark another one."""

from __future__ import annotations

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.emitter import Emitter, Rule
from aflint.sql.expressions.orders import direction, sort_key
from aflint.sql.plan import Expression
from aflint.sql.types import literal


def _column(expression: Expression, emit: Emitter) -> str:
    return emit.columns.get(expression.id, expression.column)


def _literal(expression: Expression, emit: Emitter) -> str:
    return literal(expression.fields["value"], expression.type)


def _child(expression: Expression, emit: Emitter) -> str:
    return emit(expression.children[0])


def _subquery(expression: Expression, emit: Emitter) -> str:
    """The value is put into a variable before the task's query runs."""
    name = f"scalar{expression.fields['exprId']}"
    emit.scalars[name] = (expression.fields["plan"], expression)
    return f"CAST(getvariable('{name}') AS {expression.type.duckdb})"


def _normalized(expression: Expression, emit: Emitter) -> str:
    """All NaNs are one, and so are 0.0 and -0.0, where values are grouped or joined."""
    (child,) = expression.children
    sql, kind = emit(child), expression.type.duckdb
    return f"CASE WHEN {sql} = 0 THEN CAST(0 AS {kind}) ELSE {sql} END"


def _file(expression: Expression, emit: Emitter) -> str:
    if not emit.file:
        raise UnsupportedPlanError(
            "input_file_name() there", instead="Take it as a column right after reading the files."
        )
    return emit.file


def _sort_key(expression: Expression, emit: Emitter) -> str:
    """What values are ordered by, as bytes, for a function that orders what it is given."""
    # Beside a text any key is of bytes; a number's alone would be a number
    key, how = sort_key(expression, emit), direction(expression)
    return f"create_sort_key({key}, '{how}', '', 'ASC NULLS FIRST')"


RULES: dict[str, Rule] = {
    "SortOrder": _sort_key,
    "AttributeReference": _column,
    "Literal": _literal,
    "Alias": _child,
    "InputFileName": _file,
    "ScalarSubquery": _subquery,
    "KnownFloatingPointNormalized": _child,
    "KnownNotNull": _child,
    "KnownNotContainsNull": _child,
    "KnownNullable": _child,
    "TaggingExpression": _child,
    "NormalizeNaNAndZero": _normalized,
    "Empty2Null": "nullif({0}, '')",  # of what folders are named by
}
