"""Writes one expression tree as SQL, by the rules of the families."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.alignment import aligned
from aflint.sql.plan import Expression, PlanNode
from aflint.sql.types import text


@dataclass(slots=True)
class Emitter:
    """Writes expressions; calling it with one returns its SQL, of exactly the expression's type.

    `scalars` collects the subqueries whose values are to be known before the SQL can run, by the
    name of the variable that is to hold each. `columns` says what stands for a named expression
    where that is not its own column; `file` for the path of a row's file.
    """

    rules: Mapping[str, Any]
    time_zone: str = "UTC"
    scalars: dict[str, tuple[PlanNode, Expression]] = field(default_factory=dict)
    columns: dict[int, str] = field(default_factory=dict)
    file: str = ""
    _names: int = 0

    def name(self, prefix: str) -> str:
        """Return a name that nothing else in the emitter's SQL has."""
        self._names += 1
        return f"{prefix}_{self._names}"

    def once(self, values: Sequence[str], write: Callable[..., str], *, apart: bool = False) -> str:
        """Return what `write` makes of values that it uses several times: each that is more than a
        column is computed once, as the parameter of a lambda over a list of it alone. Without
        this, the SQL of nested calls would double with each of them. Values that are to be kept
        `apart` are outside of a TRY in what is written: their own errors are none of its.
        """
        names, wrapped = [], []
        for value in values:
            if value.isidentifier() or (len(value) <= _SHORT and not apart):
                names.append(value)
            else:
                names.append(self.name("once"))
                wrapped.append((names[-1], value))
        sql = write(*names)
        for name, value in wrapped:
            sql = f"list_transform([{value}], lambda {name}: {sql})[1]"
        return sql

    def __call__(self, expression: Expression) -> str:
        """Return the SQL of an expression. Raises UnsupportedPlanError where there is no rule."""
        rule = self.rules.get(expression.kind)
        if rule is None:
            raise UnsupportedPlanError(f"the expression {expression} ({expression.kind})")
        expression = aligned(expression)
        if callable(rule):
            written: str = rule(expression, self)
            return written
        return cast(filled(rule, self.all(expression.children)), expression.type.duckdb)

    def literal(self, expression: Expression, what: str) -> Any:
        """Return the value of an expression that must be known before the query runs.

        Raises UnsupportedPlanError where it is not.
        """
        if expression.kind != "Literal":
            raise UnsupportedPlanError(f"{what} that differs from row to row ({expression})")
        return expression.fields["value"]

    def all(self, expressions: Iterable[Expression]) -> list[str]:
        """Return the SQL of several expressions."""
        return [self(each) for each in expressions]


Rule = str | Callable[[Expression, Emitter], str]

_SHORT = 48
"""SQL of so many characters is cheaper to repeat than to bind to a name."""

_PLACE = re.compile(r"\{(\*|\d+)\}")


def filled(template: str, arguments: Sequence[str]) -> str:
    """Return a template with arguments in the places of `{0}`, `{1}` ..., and all in that of
    `{*}`.
    """

    def argument(place: re.Match[str]) -> str:
        return ", ".join(arguments) if place[1] == "*" else arguments[int(place[1])]

    # In one pass: what looks like a place in an argument, as in the text '{1}', is none.
    return _PLACE.sub(argument, template)


def cast(sql: str, kind: str) -> str:
    """Return SQL whose type is `kind`; a cast to the type that it has already costs nothing."""
    return f"CAST({sql} AS {kind})"


def failing(condition: str, error: str, message: str, otherwise: str) -> str:
    """Return SQL that fails with one of Spark's errors, by its class, where a condition holds."""
    return f"CASE WHEN {condition} THEN error({text(f'[{error}] {message}')}) ELSE {otherwise} END"


def tolerant(expression: Expression, sql: str) -> str:
    """Return SQL that gives NULL where it fails, for an expression of the `try_` functions."""
    return f"TRY({sql})" if expression.mode == "TRY" else sql
