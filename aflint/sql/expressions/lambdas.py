"""Higher-order functions: a function of the user's over the items of arrays and maps.

Its parameters are lambda parameters of DuckDB's, or what stands for them there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aflint.sql.expressions.collections import absent, distinct, unique
from aflint.sql.expressions.emitter import Emitter, Rule, cast
from aflint.sql.plan import Expression


@contextmanager
def _given(emit: Emitter, function: Expression, *values: str) -> Iterator[None]:
    """Let values stand for the parameters of a function."""
    parameters = function.fields["arguments"]
    before = dict(emit.columns)
    for parameter, value in zip(parameters, values, strict=False):
        emit.columns[parameter.id] = value
    try:
        yield
    finally:
        emit.columns.clear()
        emit.columns.update(before)


def _body(emit: Emitter, function: Expression, *values: str) -> str:
    """Return the value of a function for values of its parameters."""
    with _given(emit, function, *values):
        return emit(function.fields["function"])


def _over(expression: Expression, emit: Emitter) -> tuple[str, str, str]:
    """Return an array, the parameters of a lambda over it, and the function's value."""
    function = expression.fields["function"]
    item, place = emit.name("x"), emit.name("i")
    value = _body(emit, function, item, f"CAST({place} - 1 AS INTEGER)")
    parameters = f"{item}, {place}" if len(function.fields["arguments"]) > 1 else item
    return emit(expression.fields["argument"]), parameters, value


def _transformed(expression: Expression, emit: Emitter) -> str:
    items, parameters, value = _over(expression, emit)
    return cast(f"list_transform({items}, lambda {parameters}: {value})", expression.type.duckdb)


def _filtered(expression: Expression, emit: Emitter) -> str:
    items, parameters, value = _over(expression, emit)
    return f"list_filter({items}, lambda {parameters}: coalesce({value}, false))"


def _any(expression: Expression, emit: Emitter) -> str:
    """True where one item is, or else NULL where one is NULL."""
    items, parameters, value = _over(expression, emit)

    def write(found: str) -> str:
        unknown = f"len({found}) <> list_count({found})"
        if not expression.fields.get("followThreeValuedLogic", True):
            unknown = "false"
        return (
            f"CASE WHEN {found} IS NULL THEN NULL WHEN list_contains({found}, true) THEN true "
            f"WHEN {unknown} THEN NULL ELSE false END"
        )

    return emit.once([f"list_transform({items}, lambda {parameters}: {value})"], write)


def _all(expression: Expression, emit: Emitter) -> str:
    items, parameters, value = _over(expression, emit)

    def write(found: str) -> str:
        return (
            f"CASE WHEN {found} IS NULL THEN NULL WHEN list_contains({found}, false) THEN false "
            f"WHEN len({found}) <> list_count({found}) THEN NULL ELSE true END"
        )

    return emit.once([f"list_transform({items}, lambda {parameters}: {value})"], write)


def _aggregated(expression: Expression, emit: Emitter) -> str:
    """A fold. Its values travel as structs, as they may be of another type than the items."""
    merge, finish = expression.fields["merge"], expression.fields["finish"]
    zero, items = expression.fields["zero"], expression.fields["argument"]
    kind, item_kind = zero.type.duckdb, items.type.part("element").duckdb
    total, item, wrapped = emit.name("a"), emit.name("x"), emit.name("w")
    next_value = cast(_body(emit, merge, f"{total}.a", f"{item}.x"), kind)
    pair = f"STRUCT(a {kind}, x {item_kind})"
    start = f"CAST(struct_pack(a := {emit(zero)}, x := NULL) AS {pair})"
    listed = (
        f"list_transform({emit(items)}, lambda {wrapped}: "
        f"CAST(struct_pack(a := NULL, x := {wrapped}) AS {pair}))"
    )
    step = f"CAST(struct_pack(a := {next_value}, x := NULL) AS {pair})"
    folded = f"list_reduce({listed}, lambda {total}, {item}: {step}, {start}).a"

    def write(array: str, value: str) -> str:
        # an array that is NULL has no value, whatever the last function makes of NULL
        return f"CASE WHEN {array} IS NOT NULL THEN {_body(emit, finish, value)} END"

    return cast(emit.once([emit(items), folded], write), expression.type.duckdb)


def _zipped(expression: Expression, emit: Emitter) -> str:
    """Items at the same place; NULL where an array has ended."""
    function = expression.fields["function"]
    place = emit.name("i")

    def write(left: str, right: str) -> str:
        value = _body(emit, function, f"{left}[{place}]", f"{right}[{place}]")
        longest = f"greatest(len({left}), len({right}))"
        made = f"list_transform(range(1, {longest} + 1), lambda {place}: {value})"
        return f"CASE WHEN {absent(left, right)} THEN NULL ELSE {made} END"

    sides = emit.all([expression.fields["left"], expression.fields["right"]])
    return cast(emit.once(sides, write), expression.type.duckdb)


def _entry_values(expression: Expression, emit: Emitter) -> tuple[str, str, str]:
    function = expression.fields["function"]
    entry = emit.name("e")
    return (
        emit(expression.fields["argument"]),
        entry,
        _body(emit, function, f"{entry}.key", f"{entry}.value"),
    )


def _map_filtered(expression: Expression, emit: Emitter) -> str:
    pairs, entry, value = _entry_values(expression, emit)
    kept = f"list_filter(map_entries({pairs}), lambda {entry}: coalesce({value}, false))"
    return cast(f"map_from_entries({kept})", expression.type.duckdb)


def _map_values(expression: Expression, emit: Emitter) -> str:
    pairs, entry, value = _entry_values(expression, emit)

    def write(held: str) -> str:
        made = f"list_transform(map_entries({held}), lambda {entry}: {value})"
        return f"CASE WHEN {held} IS NOT NULL THEN map(map_keys({held}), {made}) END"

    return cast(emit.once([pairs], write), expression.type.duckdb)


def _map_keys(expression: Expression, emit: Emitter) -> str:
    pairs, entry, value = _entry_values(expression, emit)

    def write(held: str) -> str:
        keys = f"list_transform(map_entries({held}), lambda {entry}: {value})"
        made = unique(keys, f"map_values({held})", emit)
        return f"CASE WHEN {held} IS NOT NULL THEN {made} END"

    return cast(emit.once([pairs], write), expression.type.duckdb)


def _maps_zipped(expression: Expression, emit: Emitter) -> str:
    """The values of two maps at each key of either, the first map's keys first."""
    function = expression.fields["function"]
    key = emit.name("k")

    def write(left: str, right: str) -> str:
        both = f"list_concat(map_keys({left}), map_keys({right}))"
        values = (f"map_extract_value({each}, {key})" for each in (left, right))
        value = _body(emit, function, key, *values)

        def of_keys(keys: str) -> str:
            return f"map({keys}, list_transform({keys}, lambda {key}: {value}))"

        made = emit.once(
            [f"({both})"], lambda all: emit.once([f"({distinct(all, emit)})"], of_keys)
        )
        return f"CASE WHEN {absent(left, right)} THEN NULL ELSE {made} END"

    sides = emit.all([expression.fields["left"], expression.fields["right"]])
    return cast(emit.once(sides, write), expression.type.duckdb)


def _parameter(expression: Expression, emit: Emitter) -> str:
    return emit.columns[expression.id]


RULES: dict[str, Rule] = {
    "NamedLambdaVariable": _parameter,
    "ArrayTransform": _transformed,
    "ArrayFilter": _filtered,
    "ArrayExists": _any,
    "ArrayForAll": _all,
    "ArrayAggregate": _aggregated,
    "ZipWith": _zipped,
    "MapFilter": _map_filtered,
    "TransformValues": _map_values,
    "TransformKeys": _map_keys,
    "MapZipWith": _maps_zipped,
}
