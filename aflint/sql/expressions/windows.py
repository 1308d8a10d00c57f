"""Window functions: values of a row made from the rows around it, within its partition's order."""

from __future__ import annotations

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.aggregates import rule_of
from aflint.sql.expressions.emitter import Emitter, Rule, cast
from aflint.sql.expressions.orders import ordered
from aflint.sql.plan import Expression
from aflint.sql.types import Type

_RANKS = {
    "RowNumber": "row_number()",
    "Rank": "rank()",
    "DenseRank": "dense_rank()",
    "PercentRank": "percent_rank()",
    "CumeDist": "cume_dist()",
}
_TIMES = ("date", "timestamp", "timestamp_ntz")
_ENDS = {
    "UnboundedPreceding": "UNBOUNDED PRECEDING",
    "UnboundedFollowing": "UNBOUNDED FOLLOWING",
    "CurrentRow": "CURRENT ROW",
}


def _written(expression: Expression, emit: Emitter) -> str:
    function, spec = expression.children
    over = f" OVER ({_over(function, spec, emit)})"
    kind = expression.type.duckdb
    if function.kind == "AggregateExpression":
        return cast(_aggregated(function, over, emit), kind)
    return cast(_ranked(function, emit) + over, kind)


def _aggregated(call: Expression, over: str, emit: Emitter) -> str:
    function: Expression = call.fields["aggregateFunction"]
    arguments = emit.all(list(function.children))
    chosen = call.fields["filter"]
    condition = emit(chosen) if chosen is not None else ""
    if function.kind in ("First", "Last") and not condition:
        nulls = " IGNORE NULLS" if function.fields["ignoreNulls"] else ""
        return f"{function.kind.lower()}_value({arguments[0]}{nulls}){over}"
    rule = rule_of(function)
    if rule is None:
        raise UnsupportedPlanError(f"the aggregate function {function} ({function.kind})")
    arguments = rule.arguments(function, arguments)
    parts = [part.updated(function, arguments, condition, over) for part in rule.parts]
    return rule.finish(function, parts)


def _ranked(function: Expression, emit: Emitter) -> str:
    nulls = " IGNORE NULLS" if function.fields.get("ignoreNulls") else ""
    match function.kind:
        case "Lag" | "Lead":
            fields = function.fields
            offset = fields["inputOffset" if function.kind == "Lag" else "offset"]
            value, default = emit(fields["input"]), emit(fields["default"])
            return f"{function.kind.lower()}({value}, {emit(offset)}, {default}{nulls})"
        case "NthValue":
            value, offset = emit(function.fields["input"]), emit(function.fields["offset"])
            return f"nth_value({value}, {offset}{nulls})"
        case "NTile":
            return f"ntile({emit(function.children[0])})"
    if function.kind not in _RANKS:
        raise UnsupportedPlanError(f"the window function {function.kind}")
    return _RANKS[function.kind]


def _over(function: Expression, spec: Expression, emit: Emitter) -> str:
    orders: list[Expression] = spec.fields["orderSpec"]
    parts = []
    if spec.fields["partitionSpec"]:
        parts.append(f"PARTITION BY {', '.join(emit.all(spec.fields['partitionSpec']))}")
    if orders:
        parts.append(f"ORDER BY {ordered(orders, emit)}")
    if function.kind in ("AggregateExpression", "NthValue"):  # the others have no choice
        parts.append(frame_of(spec.fields["frameSpecification"], orders, emit))
    return " ".join(parts)


def frame_of(frame: Expression, orders: list[Expression], emit: Emitter) -> str:
    """Return a frame, given the orders of its window."""
    lower, upper = frame.children
    if frame.fields["frameType"] == "RowFrame":
        ends = [_end(each, emit, None) for each in (lower, upper)]
        return f"ROWS BETWEEN {ends[0]} AND {ends[1]}"
    kind = orders[0].children[0].type if orders else None
    ends = [_end(each, emit, kind) for each in (lower, upper)]
    return f"RANGE BETWEEN {ends[0]} AND {ends[1]}"


def _end(bound: Expression, emit: Emitter, kind: Type | None) -> str:
    """An end of a frame; one by value is a negative distance where it precedes."""
    if bound.kind in _ENDS:
        return _ENDS[bound.kind]
    distance = bound.fields["value"] if bound.kind == "Literal" else None
    if distance is None or (kind is not None and not kind.is_numeric and kind.name not in _TIMES):
        raise UnsupportedPlanError(f"a window frame that ends at {bound}")
    behind = distance.startswith("-")
    size = distance.removeprefix("-")
    if kind is not None and kind.name in _TIMES:
        size = _span(bound, size)
    return f"{size} {'PRECEDING' if behind else 'FOLLOWING'}"


def _span(bound: Expression, size: str) -> str:
    """Return a distance between dates or times, which is days, months or microseconds."""
    unit = str(bound.json_type)
    if unit.startswith(("interval month", "interval year")):
        return f"to_months({size})"
    if unit.startswith("interval"):
        return f"to_microseconds({size})"
    return f"to_days({size})"


RULES: dict[str, Rule] = {"WindowExpression": _written}
