"""Aggregate functions, in the parts that travel between a partial and a final aggregation.

`AGGREGATES` is a table from the name of a function's class in Catalyst to an Aggregate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aflint.sql.expressions.arithmetic import divided
from aflint.sql.expressions.emitter import cast, filled
from aflint.sql.plan import Expression
from aflint.sql.types import LONG, Type, decimal

TypeOf = Callable[[Expression], str]


@dataclass(frozen=True, slots=True)
class Part:
    """One column that an aggregate keeps for a group.

    `update` is a call over the function's arguments, `{0}`, `{1}` ..., and `merge` one over all of
    its parts as they lie in several rows of one group; rows count only where `where` or
    `merge_where` holds. `type` is the column's type of DuckDB's, `nothing` its value where no row
    counts, by default NULL.
    """

    update: str
    merge: str
    type: str | TypeOf
    where: str = ""
    merge_where: str = ""
    nothing: str = ""

    def kind(self, function: Expression) -> str:
        return self.type if isinstance(self.type, str) else self.type(function)

    def updated(
        self, function: Expression, arguments: list[str], condition: str, over: str = ""
    ) -> str:
        """Return the call over rows that meet a condition, of the input or of a window."""
        update = self.update.replace("{type}", self.kind(function))
        where = filled(self.where, arguments)
        return self._call(
            function,
            filled(update, arguments),
            " AND ".join(filter(None, (condition, where))),
            over,
        )

    def merged(self, function: Expression, parts: list[str]) -> str:
        """Return the call over the parts of a group."""
        return self._call(function, filled(self.merge, parts), filled(self.merge_where, parts))

    def _call(self, function: Expression, call: str, where: str, over: str = "") -> str:
        sql = call + (f" FILTER (WHERE {where})" if where else "") + over
        return cast(
            f"coalesce({sql}, {self.nothing})" if self.nothing else sql, self.kind(function)
        )


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate function: its parts, its value out of these, by default the first part, and what
    the parts are made of, by default the function's arguments.
    """

    parts: tuple[Part, ...]
    finish: Callable[[Expression, list[str]], str] = lambda function, parts: parts[0]
    arguments: Callable[[Expression, list[str]], list[str]] = lambda function, given: given


def _counted(function: Expression, given: list[str]) -> list[str]:
    """Several arguments count in rows in which none is NULL."""
    if len(given) < 2:
        return given
    return [f"CASE WHEN {' AND '.join(f'{each} IS NOT NULL' for each in given)} THEN 1 END"]


def rule_of(function: Expression) -> Aggregate | None:
    """Return the rule of a function, where there is one."""
    nulls = "IgnoringNulls" if function.fields.get("ignoreNulls") else ""
    return AGGREGATES.get(function.kind + nulls)


def _own(function: Expression) -> str:
    return function.type.duckdb


def _total(function: Expression) -> Type:
    """The type of an average's sum."""
    kind = function.children[0].type
    if kind.name == "decimal":
        return decimal(min(kind.precision + 10, 38), kind.scale)
    return Type("double")


def _average(function: Expression, parts: list[str]) -> str:
    total, count = parts
    if function.type.name != "decimal":
        return f"CASE WHEN {count} > 0 THEN {total} / {count} END"
    quotient = divided(total, _total(function), count, LONG, function.type)
    return f"CASE WHEN {count} > 0 THEN {quotient} END"


_COUNT = Part("count({0})", "sum({0})", "BIGINT", nothing="0")


def _simple(call: str) -> Aggregate:
    """An aggregate that is merged as it is made, such as a maximum."""
    return Aggregate((Part(call, call, _own),))


def _choosing(call: str) -> Aggregate:
    """The first or last value; the second part says whether there was any row."""
    chosen = Part(call, call, _own, merge_where="{1}")
    return Aggregate((chosen, Part("bool_or(true)", "bool_or({1})", "BOOLEAN")))


def _choosing_not_null(call: str) -> Aggregate:
    chosen = Part(call, call, _own, where="{0} IS NOT NULL", merge_where="{0} IS NOT NULL")
    some = Part("bool_or(true)", "bool_or({1})", "BOOLEAN", where="{0} IS NOT NULL")
    return Aggregate((chosen, some))


AGGREGATES: Mapping[str, Aggregate] = {
    "Sum": Aggregate((Part("sum(CAST({0} AS {type}))", "sum({0})", _own),)),
    "Count": Aggregate((_COUNT,), arguments=_counted),
    "Average": Aggregate(
        (
            Part("sum(CAST({0} AS {type}))", "sum({0})", lambda f: _total(f).duckdb),
            Part("count({0})", "sum({1})", "BIGINT", nothing="0"),
        ),
        _average,
    ),
    "Max": _simple("max({0})"),
    "Min": _simple("min({0})"),
    "First": _choosing("first({0})"),
    "Last": _choosing("last({0})"),
    "FirstIgnoringNulls": _choosing_not_null("first({0})"),
    "LastIgnoringNulls": _choosing_not_null("last({0})"),
    "BitAndAgg": _simple("bit_and({0})"),
    "BitOrAgg": _simple("bit_or({0})"),
    "BitXorAgg": _simple("bit_xor({0})"),
    "CollectList": Aggregate(
        (Part("list({0})", "flatten(list({0}))", _own, "{0} IS NOT NULL", nothing="[]"),)
    ),
}
