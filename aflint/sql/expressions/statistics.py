"""Aggregate functions of statistics: moments, regressions, percentiles, and the most of a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.arithmetic import wrapped
from aflint.sql.expressions.orders import comparable
from aflint.sql.expressions.parts import Aggregate, Part, own
from aflint.sql.expressions.strings import joined
from aflint.sql.plan import Expression
from aflint.sql.python_functions import TEXTS
from aflint.sql.types import text

# ---- moments: the count, the means, and the sums of squares and products around them (`vx`, `vy`,
# `c`) of each part of a group are merged by Spark's own steps, which lose no digits where means are
# large

_ONE = ("n", "ax", "vx")
_TWO = ("n", "ax", "ay", "vx", "vy", "c")
_FINITE = "CASE WHEN isfinite({0}) THEN {0} END"


def _moments(names: tuple[str, ...]) -> tuple[Part, ...]:
    some = " AND ".join(f"{{{i}}} IS NOT NULL" for i in range(1 if names is _ONE else 2))
    x, y = _FINITE, _FINITE.replace("{0}", "{1}")
    updates = {
        "n": "count({0})",
        "ax": f"avg({x})",
        "ay": f"avg({y})",
        "vx": f"regr_sxx({x}, {x})",
        "vy": f"regr_sxx({y}, {y})",
        "c": f"regr_sxy({y}, {x})",
    }
    infinite = "NOT isfinite({0})" if names is _ONE else "NOT (isfinite({0}) AND isfinite({1}))"
    held = ", ".join(f"{name} := {{{i}}}" for i, name in enumerate(names))
    folded = f"list_reduce(list(struct_pack({held})), lambda a, b: {_chan(names)})"
    kinds = dict.fromkeys(names, "DOUBLE") | {"n": "BIGINT"}
    parts = [Part(updates[n], f"({folded}).{n}", kinds[n], where=some) for n in names]
    mixed = Part(f"bool_or({infinite})", f"bool_or({{{len(names)}}})", "BOOLEAN", where=some)
    return (*parts, mixed)


def _chan(names: tuple[str, ...]) -> str:
    """Return the moments of `a` and `b` together."""
    merged = {"n": "a.n + b.n"}
    for axis in "xy":
        merged[f"a{axis}"] = f"a.a{axis} + {_share(axis)} * b.n"
        merged[f"v{axis}"] = _pooled(f"v{axis}", axis, axis)
    merged["c"] = _pooled("c", "x", "y")
    packed = ", ".join(f"{name} := {merged[name]}" for name in names)
    both = f"struct_pack({packed})"
    return f"CASE WHEN coalesce(a.n, 0) = 0 THEN b WHEN coalesce(b.n, 0) = 0 THEN a ELSE {both} END"


def _share(axis: str) -> str:
    return f"((b.a{axis} - a.a{axis}) / (a.n + b.n)::DOUBLE)"


def _pooled(name: str, one: str, other: str) -> str:
    return f"a.{name} + b.{name} + (b.a{one} - a.a{one}) * {_share(other)} * a.n * b.n"


def _of_moments(names: tuple[str, ...], value: str, least: int = 1) -> Aggregate:
    """A value of the moments; NULL for fewer rows than `least`, NaN where one is not finite."""

    def finish(function: Expression, parts: list[str]) -> str:
        given = dict(zip((*names, "infinite"), parts, strict=True))
        sql = value.format(**given)
        return (
            f"CASE WHEN coalesce({given['n']}, 0) < {least} THEN NULL "
            f"WHEN {given['infinite']} THEN CAST('nan' AS DOUBLE) ELSE {sql} END"
        )

    return Aggregate(_moments(names), finish)


def _swapped(function: Expression, given: list[str]) -> list[str]:
    """A regression has y first."""
    return [given[1], given[0]]


def _regression(value: str) -> Aggregate:
    made = _of_moments(_TWO, f"CASE WHEN {{vx}} = 0 THEN NULL ELSE {value} END")
    return Aggregate(made.parts, made.finish, _swapped)


# ---- what needs all values of a group

_LISTED = Part("list({0})", "flatten(list({0}))", "", "{0} IS NOT NULL", nothing="[]")


def _listed(kind: Callable[[Expression], str]) -> Part:
    return Part(_LISTED.update, _LISTED.merge, kind, _LISTED.where, nothing="[]")


def _items(function: Expression) -> str:
    return f"{function.children[0].type.duckdb}[]"


def _percentages(function: Expression) -> list[str]:
    """Return the percentages that a function asks for."""
    asked: Expression = function.fields["percentageExpression"]
    if asked.kind != "Literal":
        raise UnsupportedPlanError(f"{function.kind} of {asked}")
    value = asked.fields["value"]
    return list(value) if isinstance(value, list) else [value]


def _per_percentage(function: Expression, at: Callable[[str], str], values: str) -> str:
    found = [at(each) for each in _percentages(function)]
    made = f"[{', '.join(found)}]" if function.type.name == "array" else found[0]
    return f"CASE WHEN len({values}) > 0 THEN {made} END"


def _percentile(function: Expression, parts: list[str]) -> str:
    """Between the two nearest values, as far as the place lies between theirs."""
    frequency = function.fields["frequencyExpression"]
    if frequency.fields.get("value") != "1":
        raise UnsupportedPlanError("percentile with frequencies")
    how = "'DESC'" if function.fields.get("reverse") else "'ASC'"
    values = f"list_sort({parts[0]}, {how})"

    def at(percentage: str) -> str:
        place = f"({percentage}::DOUBLE * (len({values}) - 1))"
        low, high = (
            f"({values}[{each}({place})::BIGINT + 1])::DOUBLE" for each in ("floor", "ceil")
        )
        between = f"(ceil({place}) - {place}) * {low} + ({place} - floor({place})) * {high}"
        same = f"floor({place}) = ceil({place}) OR {low} = {high}"
        return f"CASE WHEN {same} THEN {low} ELSE {between} END"

    return _per_percentage(function, at, values)


def _nearest(function: Expression, parts: list[str]) -> str:
    """The exact value at a percentage's rank, which Spark's sketch is near to."""
    values = f"list_sort({parts[0]})"

    def at(percentage: str) -> str:
        return f"{values}[greatest(ceil({percentage}::DOUBLE * len({values})), 1)::BIGINT]"

    return _per_percentage(function, at, values)


def _skewness(function: Expression, parts: list[str]) -> str:
    mean = f"list_avg({parts[0]})"
    m2, m3 = (_power(parts[0], mean, i) for i in (2, 3))
    return _central(parts[0], m2, f"sqrt(len({parts[0]})) * {m3} / sqrt({m2} * {m2} * {m2})")


def _kurtosis(function: Expression, parts: list[str]) -> str:
    mean = f"list_avg({parts[0]})"
    m2, m4 = (_power(parts[0], mean, i) for i in (2, 4))
    return _central(parts[0], m2, f"len({parts[0]}) * {m4} / ({m2} * {m2}) - 3.0")


def _power(values: str, mean: str, power: int) -> str:
    product = " * ".join(["(x - m)"] * power)
    summed = f"list_sum(list_transform({values}, lambda x: {product}))"
    return f"list_transform([{mean}], lambda m: {summed})[1]"


def _central(values: str, m2: str, value: str) -> str:
    infinite = f"list_bool_or(list_transform({values}, lambda x: NOT isfinite(x)))"
    return (
        f"CASE WHEN len({values}) = 0 THEN NULL WHEN {infinite} THEN CAST('nan' AS DOUBLE) "
        f"WHEN {m2} = 0 THEN NULL ELSE {value} END"
    )


def _counted_items(items: str, item: str, count: str, size: int) -> str:
    """The items of a list that come up most, with counts, as Spark's sketch of them has them."""
    keys = f"list_transform({items}, lambda x: create_sort_key({item}, 'ASC NULLS FIRST'))"
    counts = f"list_transform({items}, lambda x: {count})"
    found = f"{TEXTS}frequent({keys}, {counts}, {size})"
    place = item.replace("x", f"{items}[s.place]", 1)
    return f"list_transform({found}, lambda s: struct_pack(item := {place}, count := s.count))"


def frequent_items(function: Expression) -> Aggregate:
    """`freqItems`."""
    size, kind = int(function.fields["size"]), function.children[0].type.duckdb
    part = Part(
        f"coalesce({_counted_items('list({0})', 'x', '1', size)}, [])",
        _counted_items("flatten(list({0}))", "x.item", "x.count", size),
        f"STRUCT(item {kind}, count BIGINT)[]",
    )
    return Aggregate(
        (part,), lambda function, parts: f"list_transform({parts[0]}, lambda s: s.item)"
    )


def _most_frequent(function: Expression, parts: list[str]) -> str:
    lowest = function.fields.get("reverseOpt")
    if lowest is None:
        return f"list_aggregate({parts[0]}, 'mode')"
    if function.children[0].type.parts:
        raise UnsupportedPlanError(f"mode of {function.children[0].type} in an order")
    order = "ASC" if lowest else "DESC"
    return f"list_aggregate(list_sort({parts[0]}, '{order}'), 'mode')"  # the first of those alike


def _at_rank(function: Expression, parts: list[str]) -> str:
    """The first value that so many percent of all do not exceed, in the order asked for."""
    how = "'DESC'" if function.fields.get("reverse") else "'ASC'"
    values = f"list_sort({parts[0]}, {how})"

    def at(percentage: str) -> str:
        place = f"greatest(ceil({percentage}::DOUBLE * len({values})), 1)::BIGINT"
        return f"({values}[{place}])::DOUBLE"

    return _per_percentage(function, at, values)


def _ordered(function: Expression, given: list[str]) -> list[str]:
    """The text and the key that it is ordered by; a SortOrder is written as its key."""
    text, _, *keys = given
    made = ", ".join(f"k{i} := {key}" for i, key in enumerate(keys))
    return [text, f"struct_pack({made or 'none := 0'})"]


def _keyed(function: Expression) -> str:
    keys = ", ".join(f"k{i} BLOB" for i in range(len(function.fields["orderExpressions"])))
    kind = function.children[0].type.duckdb
    return f"STRUCT(key STRUCT({keys or 'none INTEGER'}), value {kind})[]"


def _joined(function: Expression, parts: list[str]) -> str:
    delimiter = function.fields["delimiter"]
    if delimiter.kind != "Literal":
        raise UnsupportedPlanError("listagg by what differs from row to row")
    items = f"list_sort({parts[0]})" if function.fields["orderExpressions"] else parts[0]
    texts = f"list_transform({items}, lambda each: each.value)"
    between = text(str(delimiter.fields["value"] or ""))
    return joined(texts, f"unhex({between})" if function.type.name == "binary" else between)


def _ordered_pairs(function: Expression) -> str:
    value, by, *_ = function.children
    if by.type.parts:
        raise UnsupportedPlanError(f"{function.kind} by {by.type}")
    return f"STRUCT(key {by.type.duckdb}, value {value.type.duckdb})[]"


def _several_by(function: Expression, parts: list[str]) -> str:
    """The values of the rows with the most or the least of another."""
    many = function.children[2].fields["value"]
    order = "ASC" if function.fields["reverse"] else "DESC"
    sorted_ = f"list_sort({parts[0]}, '{order}')[1:{many}]"
    values = f"list_transform({sorted_}, lambda pair: pair.value)"
    return f"CASE WHEN len({parts[0]}) > 0 THEN {values} END"


def _by(call: str) -> Aggregate:
    """The value of the row with the most or least of another; of those alike, any."""
    return Aggregate(
        (
            Part(f"arg_{call}_null({{0}}, {{1}})", f"arg_{call}_null({{0}}, {{1}})", own,
                 "{1} IS NOT NULL", "{1} IS NOT NULL"),
            Part(f"{call}({{1}})", f"{call}({{1}})",
                 lambda f: "BLOB" if f.children[1].type.parts else f.children[1].type.duckdb),
        ),
        arguments=_with_key,
    )  # fmt: skip


def _with_key(function: Expression, given: list[str]) -> list[str]:
    """What is nested is compared by its key."""
    value, by = given
    kind = function.children[1].type
    if not kind.parts:
        return given
    key = f"create_sort_key({comparable(by, kind)}, 'ASC NULLS FIRST')"
    return [value, f"CASE WHEN {by} IS NOT NULL THEN {key} END"]


def _tried(function: Expression, parts: list[str]) -> str:
    return f"TRY_CAST({parts[0]} AS {function.type.duckdb})"


def _wrapped(function: Expression, parts: list[str]) -> str:
    return (
        wrapped(parts[0], function.type) if function.type.is_integral else _tried(function, parts)
    )


def _wide(function: Expression) -> str:
    """A type in which no sum of the function's overflows, or as wide as there is."""
    kind = function.type
    if kind.name == "decimal":
        return f"DECIMAL(38, {kind.scale})"
    return "HUGEINT" if kind.is_integral else kind.duckdb


STATISTICS: Mapping[str, Aggregate] = {
    "StddevPop": _of_moments(_ONE, "sqrt({vx} / {n})"),
    "StddevSamp": _of_moments(_ONE, "sqrt({vx} / ({n} - 1))", 2),
    "VariancePop": _of_moments(_ONE, "{vx} / {n}"),
    "VarianceSamp": _of_moments(_ONE, "{vx} / ({n} - 1)", 2),
    "RegrReplacement": _of_moments(_ONE, "{vx}"),
    "CovPopulation": _of_moments(_TWO, "{c} / {n}"),
    "CovSample": _of_moments(_TWO, "{c} / ({n} - 1)", 2),
    "RegrSXY": _of_moments(_TWO, "{c}"),
    "Corr": _of_moments(
        _TWO, "CASE WHEN {vx} * {vy} = 0 THEN NULL ELSE {c} / sqrt({vx} * {vy}) END", 2
    ),
    "RegrSlope": _regression("{c} / {vx}"),
    "RegrIntercept": _regression("{ay} - {c} / {vx} * {ax}"),
    "RegrR2": _regression("CASE WHEN {vy} = 0 THEN 1 ELSE {c} * {c} / {vx} / {vy} END"),
    "Skewness": Aggregate((_listed(_items),), _skewness),
    "Kurtosis": Aggregate((_listed(_items),), _kurtosis),
    "Percentile": Aggregate((_listed(_items),), _percentile),
    "ApproximatePercentile": Aggregate((_listed(_items),), _nearest),
    "Mode": Aggregate((_listed(_items),), _most_frequent),
    "PercentileDisc": Aggregate((_listed(_items),), _at_rank),
    "ListAgg": Aggregate(
        (
            Part(
                "list(struct_pack(key := {1}, value := {0}))",
                _LISTED.merge,
                _keyed,
                _LISTED.where,
                nothing="[]",
            ),
        ),
        _joined,
        _ordered,
    ),
    "CollectSet": Aggregate(
        (
            Part(
                "list(DISTINCT {0})",
                "list_distinct(flatten(list({0})))",
                own,
                "{0} IS NOT NULL",
                nothing="[]",
            ),
        )
    ),
    "HyperLogLogPlusPlus": Aggregate(
        (
            Part(
                "list(DISTINCT {0})",
                "list_distinct(flatten(list({0})))",
                _items,
                "{0} IS NOT NULL",
                nothing="[]",
            ),
        ),
        lambda function, parts: f"len({parts[0]})",
    ),
    "MaxMinByK": Aggregate(
        (
            Part(
                "list(struct_pack(key := {1}, value := {0}))",
                "flatten(list({0}))",
                _ordered_pairs,
                "{1} IS NOT NULL",
                nothing="[]",
            ),
        ),
        _several_by,
    ),
    "Product": Aggregate((Part("product({0})", "product({0})", own),)),
    "MaxBy": _by("max"),
    "MinBy": _by("min"),
    "SumTry": Aggregate((Part("sum(CAST({0} AS {type}))", "sum({0})", _wide),), _tried),
    "SumLegacy": Aggregate((Part("sum(CAST({0} AS {type}))", "sum({0})", _wide),), _wrapped),
}
