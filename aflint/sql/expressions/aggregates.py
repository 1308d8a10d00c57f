"""Aggregate functions, in the parts that travel between a partial and a final aggregation.

`AGGREGATES` is a table from the name of a function's class in Catalyst to an Aggregate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aflint.sql.expressions.decimals import divided
from aflint.sql.expressions.orders import comparable
from aflint.sql.expressions.parts import Aggregate, Part, own
from aflint.sql.expressions.pivots import pivot_first
from aflint.sql.expressions.statistics import STATISTICS, frequent_items
from aflint.sql.plan import Expression
from aflint.sql.types import LONG, Type, decimal


def _counted(function: Expression, given: list[str]) -> list[str]:
    """Several arguments count in rows in which none is NULL."""
    if len(given) < 2:
        return given
    return [f"CASE WHEN {' AND '.join(f'{each} IS NOT NULL' for each in given)} THEN 1 END"]


def rule_of(function: Expression) -> Aggregate | None:
    """Return the rule of a function, where there is one."""
    name = function.kind
    if name == "PivotFirst":
        return pivot_first(function)
    if name == "CollectFrequentItems":
        return frequent_items(function)
    if name in ("Max", "Min") and function.children[0].type.parts:
        return _nested_extreme(f"arg_{name.lower()}", function.children[0].type)
    if name in ("First", "Last") and function.fields["ignoreNulls"]:
        name += "IgnoringNulls"
    if name == "Sum" and function.mode in ("TRY", "LEGACY"):
        name += function.mode.title()
    if name in ("Sum", "Average") and _is_short_decimal(function.children[0].type):
        return _uncast(AGGREGATES[name])
    return AGGREGATES.get(name)


def _is_short_decimal(kind: Type) -> bool:
    return kind.name == "decimal" and kind.precision <= _SHORT


def _uncast(rule: Aggregate) -> Aggregate:
    """Have DuckDB add decimals as they are: its sum has 38 digits, and is cast once for a group."""
    total, *others = rule.parts
    return replace(rule, parts=(replace(total, update="sum({0})"), *others))


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


_SHORT = 18
"""Digits that DuckDB keeps in 64 bits: adding those takes less than adding wider ones."""

_COUNT = Part("count({0})", "sum({0})", "BIGINT", nothing="0")


def _simple(call: str) -> Aggregate:
    """An aggregate that is merged as it is made, such as a maximum."""
    return Aggregate((Part(call, call, own),))


def _nested_extreme(call: str, kind: Type) -> Aggregate:
    return _simple(f"{call}({{0}}, {comparable('{0}', kind)})")


def _choosing(call: str) -> Aggregate:
    """The first or last value; the second part says whether there was any row."""
    chosen = Part(call, call, own, merge_where="{1}")
    return Aggregate((chosen, Part("bool_or(true)", "bool_or({1})", "BOOLEAN")))


def _choosing_not_null(call: str) -> Aggregate:
    chosen = Part(call, call, own, where="{0} IS NOT NULL", merge_where="{0} IS NOT NULL")
    some = Part("bool_or(true)", "bool_or({1})", "BOOLEAN", where="{0} IS NOT NULL")
    return Aggregate((chosen, some))


AGGREGATES: Mapping[str, Aggregate] = {
    **STATISTICS,
    "Sum": Aggregate((Part("sum(CAST({0} AS {type}))", "sum({0})", own),)),
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
        (Part("list({0})", "flatten(list({0}))", own, "{0} IS NOT NULL", nothing="[]"),)
    ),
}
