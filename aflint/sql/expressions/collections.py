"""Arrays, maps and structs."""

from __future__ import annotations

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.emitter import Emitter, Rule, cast, failing
from aflint.sql.expressions.orders import comparable, with_keys
from aflint.sql.expressions.strings import joined
from aflint.sql.plan import Expression
from aflint.sql.types import quoted, text

_DAY = 86_400_000_000
_MONTHS = ("interval month", "interval year")


def _field(expression: Expression, emit: Emitter) -> str:
    (child,) = expression.children
    name = child.type.parts[expression.fields["ordinal"]][0]
    return f"struct_extract({emit(child)}, {text(name)})"


def _field_of_each(expression: Expression, emit: Emitter) -> str:
    """One field of every struct of an array."""
    child = expression.children[0]
    name = child.type.part("element").parts[expression.fields["ordinal"]][0]
    item = emit.name("item")
    return f"list_transform({emit(child)}, lambda {item}: struct_extract({item}, {text(name)}))"


def _struct(expression: Expression, emit: Emitter) -> str:
    """Children are name, value, name, value ..."""
    values = emit.all(list(expression.children[1::2]))
    members = zip(expression.type.parts, values, strict=True)
    return f"struct_pack({', '.join(f'{quoted(name)} := {sql}' for (name, _), sql in members)})"


def _size(expression: Expression, emit: Emitter) -> str:
    (child,) = expression.children
    size = f"{'cardinality' if child.type.name == 'map' else 'len'}({emit(child)})"
    if expression.fields["legacySizeOfNull"]:
        size = f"coalesce({size}, -1)"
    return f"CAST({size} AS INTEGER)"


def absent(*values: str) -> str:
    """Return SQL that holds where a value is NULL."""
    return " OR ".join(f"{each} IS NULL" for each in values)


# ---- items of one array


def _item(expression: Expression, emit: Emitter) -> str:
    """`a[i]`, from 0."""

    def write(items: str, place: str) -> str:
        inside = f"{place} >= 0 AND {place} < len({items})"
        found = f"CASE WHEN {inside} THEN {items}[{place} + 1] END"
        if not expression.fields["failOnError"]:
            return found
        outside = f"NOT ({inside})"
        return failing(outside, "INVALID_ARRAY_INDEX", "The index is out of bounds.", found)

    return cast(emit.once(emit.all(expression.children), write), expression.type.duckdb)


def _element(expression: Expression, emit: Emitter) -> str:
    """From 1, or from the end where negative; or the value of a map's key."""
    container, place = expression.children[:2]
    if container.type.name == "map":
        return _of_key(expression, emit)
    otherwise = expression.fields.get("defaultValueOutOfBound")
    default = emit(otherwise) if otherwise is not None else "NULL"

    def write(items: str, place: str) -> str:
        outside = f"abs({place}) > len({items})"
        missing = f"CASE WHEN {outside} THEN {default} ELSE {items}[{place}] END"
        if expression.fields["failOnError"] and otherwise is None:
            name = "INVALID_ARRAY_INDEX_IN_ELEMENT_AT"
            missing = failing(outside, name, "The index is out of bounds.", f"{items}[{place}]")
        zero = "The index 0 is invalid. An index shall be either < 0 or > 0."
        return failing(f"{place} = 0", "INVALID_INDEX_OF_ZERO", zero, missing)

    return cast(emit.once(emit.all([container, place]), write), expression.type.duckdb)


def _of_key(expression: Expression, emit: Emitter) -> str:
    pairs, key = emit.all(expression.children[:2])
    return cast(f"map_extract_value({pairs}, {key})", expression.type.duckdb)


def _contains(expression: Expression, emit: Emitter) -> str:
    """NULL where it is not there and an item is NULL."""

    def write(items: str, value: str) -> str:
        unknown = f"len({items}) <> list_count({items})"
        return (
            f"CASE WHEN {absent(items, value)} THEN NULL "
            f"WHEN list_contains({items}, {value}) THEN true "
            f"WHEN {unknown} THEN NULL ELSE false END"
        )

    return emit.once(emit.all(expression.children), write)


def _position(expression: Expression, emit: Emitter) -> str:
    def write(items: str, value: str) -> str:
        place = f"coalesce(list_position({items}, {value}), 0)::BIGINT"
        return f"CASE WHEN {absent(items, value)} THEN NULL ELSE {place} END"

    return emit.once(emit.all(expression.children), write)


def _extreme(call: str) -> Rule:
    def rule(expression: Expression, emit: Emitter) -> str:
        (child,) = expression.children
        kind = child.type.part("element")
        if not kind.parts:
            return f"{call}({emit(child)})"
        return f"{call}({with_keys(emit(child), kind)}).value"

    return rule


# ---- arrays from arrays


def distinct(items: str, emit: Emitter) -> str:
    """Return the items of a list, each where it comes first."""
    item, place = emit.name("item"), emit.name("place")
    first = f"list_position({items}, {item}) = {place}"
    return f"list_filter({items}, lambda {item}, {place}: {first})"


def _distinct(expression: Expression, emit: Emitter) -> str:
    return emit.once(emit.all(expression.children), lambda items: distinct(items, emit))


def _joined_sets(expression: Expression, emit: Emitter) -> str:
    item, kind = emit.name("item"), expression.type.duckdb

    def write(left: str, right: str) -> str:
        match expression.kind:
            case "ArrayUnion":
                both = f"list_concat({left}, {right})"
                made = emit.once([f"({both})"], lambda items: distinct(items, emit))
            case "ArrayIntersect":
                shared = f"list_position({right}, {item}) > 0"
                kept = f"list_filter({left}, lambda {item}: {shared})"
                made = emit.once([f"({kept})"], lambda items: distinct(items, emit))
            case _:
                other = f"coalesce(list_position({right}, {item}), 0) = 0"
                kept = f"list_filter({left}, lambda {item}: {other})"
                made = emit.once([f"({kept})"], lambda items: distinct(items, emit))
        return f"CAST(CASE WHEN {absent(left, right)} THEN NULL ELSE {made} END AS {kind})"

    return emit.once(emit.all(expression.children), write)


def _overlap(expression: Expression, emit: Emitter) -> str:
    def write(left: str, right: str) -> str:
        unknown = " OR ".join(f"len({each}) <> list_count({each})" for each in (left, right))
        return (
            f"CASE WHEN {absent(left, right)} THEN NULL "
            f"WHEN list_has_any({left}, {right}) THEN true "
            f"WHEN len({left}) > 0 AND len({right}) > 0 AND ({unknown}) THEN NULL ELSE false END"
        )

    return emit.once(emit.all(expression.children), write)


def _removed(expression: Expression, emit: Emitter) -> str:
    item = emit.name("item")

    def write(items: str, value: str) -> str:
        kept = f"list_filter({items}, lambda {item}: {item} IS DISTINCT FROM {value})"
        return f"CASE WHEN {value} IS NOT NULL THEN {kept} END"

    return emit.once(emit.all(expression.children), write)


def _inserted(expression: Expression, emit: Emitter) -> str:
    """At a place from 1, or from the end where negative; NULLs fill what lies between."""
    if expression.fields["legacyNegativeIndex"]:
        raise UnsupportedPlanError("array_insert with legacy negative places")
    kind = expression.type.duckdb

    def write(items: str, place: str, item: str) -> str:
        at = f"CASE WHEN {place} > 0 THEN {place} ELSE len({items}) + {place} + 2 END"
        before = f"list_resize({items}[1:({at}) - 1], ({at}) - 1)"
        after = f"CASE WHEN ({at}) > len({items}) THEN [] ELSE {items}[{at}:] END"
        within = f"list_concat({before}, [{item}], {after})"
        gap = f"list_resize([{item}], (-{place} - len({items}))::BIGINT)"
        front = f"list_concat({gap}, {items})"
        made = (
            f"CASE WHEN {place} < 0 AND -{place} > len({items}) + 1 THEN {front} ELSE {within} END"
        )
        zero = "The index 0 is invalid. An index shall be either < 0 or > 0."
        checked = failing(f"{place} = 0", "INVALID_INDEX_OF_ZERO", zero, made)
        return f"CAST(CASE WHEN {absent(items, place)} THEN NULL ELSE {checked} END AS {kind})"

    return emit.once(emit.all(expression.children), write)


def _repeated(expression: Expression, emit: Emitter) -> str:
    value, count = emit.all(expression.children)
    places = f"range(CASE WHEN {count} > 0 THEN {count} ELSE {count} * 0 END)"
    listed = f"list_transform({places}, lambda {emit.name('i')}: {value})"
    return cast(listed, expression.type.duckdb)


def _sorted(expression: Expression, emit: Emitter) -> str:
    """`sort_array`: NULLs first, or last where descending."""
    items, order = expression.children
    ascending = emit.literal(order, "an order") == "true"
    how = "'ASC', 'NULLS FIRST'" if ascending else "'DESC', 'NULLS LAST'"
    return _in_order(items, how, emit)


def _in_order(items: Expression, how: str, emit: Emitter) -> str:
    kind = items.type.part("element")
    if not kind.parts:
        return f"list_sort({emit(items)}, {how})"
    found = f"list_sort({with_keys(emit(items), kind)}, {how})"
    return f"list_transform({found}, lambda pair: pair.value)"


def _sorted_by(expression: Expression, emit: Emitter) -> str:
    """`array_sort` in its own order, which has NULLs last."""
    items, order = expression.fields["argument"], expression.fields["function"]
    if not str(order).startswith(_OWN_ORDERS):
        raise UnsupportedPlanError("array_sort by a function of the user's")
    return _in_order(items, "'ASC', 'NULLS LAST'", emit)


_LESS = "If(LessThan(left, right), -1, If(GreaterThan(left, right), 1, 0))"
_OWN_ORDERS = (
    "LambdaFunction(If(And(IsNull(left), IsNull(right)), 0, If(IsNull(left), 1, "
    f"If(IsNull(right), -1, {_LESS})))",
    f"LambdaFunction({_LESS}",  # of items that are never NULL
)


def _flat(expression: Expression, emit: Emitter) -> str:
    def write(lists: str) -> str:
        whole = f"len({lists}) = list_count({lists})"
        return f"CASE WHEN {whole} THEN flatten({lists}) END"

    return cast(emit.once(emit.all(expression.children), write), expression.type.duckdb)


def _slice(expression: Expression, emit: Emitter) -> str:
    def write(items: str, start: str, size: str) -> str:
        first = f"CASE WHEN {start} > 0 THEN {start} ELSE len({items}) + {start} + 1 END"
        part = (
            f"CASE WHEN ({first}) < 1 OR ({first}) > len({items}) OR {size} = 0 THEN {items}[1:0] "
            f"ELSE {items}[{first}:({first}) + {size} - 1] END"
        )
        name = "INVALID_PARAMETER_VALUE"
        wrong = failing(f"{start} = 0", name + ".START", "Expects a start other than 0.", part)
        wrong = failing(f"{size} < 0", name + ".LENGTH", "Expects a length of 0 or more.", wrong)
        return f"CASE WHEN {absent(items, start, size)} THEN NULL ELSE {wrong} END"

    return emit.once(emit.all(expression.children), write)


def _zipped(expression: Expression, emit: Emitter) -> str:
    """Structs of the items at one place; NULL where an array has ended."""
    lists, fields = emit.all(expression.children), expression.type.part("element").parts
    place, kind = emit.name("place"), expression.type.duckdb

    def write(*items: str) -> str:
        longest = f"greatest({', '.join(f'len({each})' for each in items)})"
        members = ", ".join(
            f"{quoted(name)} := {each}[{place}]"
            for (name, _), each in zip(fields, items, strict=True)
        )
        made = f"list_transform(range(1, {longest} + 1), lambda {place}: struct_pack({members}))"
        return f"CAST(CASE WHEN {absent(*items)} THEN NULL ELSE {made} END AS {kind})"

    return emit.once(lists, write)


def _joined_items(expression: Expression, emit: Emitter) -> str:
    """`array_join`: NULLs are left out, or another text stands for them."""
    items, separator, *others = emit.all(expression.children)

    def write(items: str, separator: str) -> str:
        listed = items
        if others:
            name = emit.name("item")
            listed = f"list_transform({items}, lambda {name}: coalesce({name}, {others[0]}))"
        every = f"coalesce({joined(listed, separator)}, '')"
        return f"CASE WHEN {absent(items, separator, *others)} THEN NULL ELSE {every} END"

    return emit.once([items, separator], write)


def _sequence(expression: Expression, emit: Emitter) -> str:
    start, stop, step = (expression.fields[name] for name in ("start", "stop", "stepOpt"))
    kind = start.type
    if kind.is_integral:
        return _numbers(expression, emit, start, stop, step)
    if kind.name != "date":
        raise UnsupportedPlanError(f"sequence of {kind}")
    if step is None:
        by = "to_days(CASE WHEN {0} <= {1} THEN 1 ELSE -1 END)"
    elif step.kind == "Literal" and str(step.json_type).startswith(_MONTHS):
        by = f"to_months({step.fields['value']})"
    elif step.kind == "Literal" and int(step.fields["value"]) % _DAY == 0:
        by = f"to_days({int(step.fields['value']) // _DAY})"
    else:
        raise UnsupportedPlanError(f"a sequence of dates by {step}")
    months = by.startswith("to_months")

    def write(first: str, last: str) -> str:
        if months:  # each from the first: from a last day, one by one would lose days
            size = int(step.fields["value"])
            if size <= 0:
                raise UnsupportedPlanError("a sequence of dates that goes back by months")
            place = emit.name("place")
            spans = f"range(0, (date_diff('month', {first}, {last}) // {size}) + 2)"
            later = f"({first} + to_months(({place} * {size})::INTEGER))::DATE"
            dates = f"list_transform({spans}, lambda {place}: {later})"
            item = emit.name("item")
            return f"list_filter({dates}, lambda {item}: {item} <= {last})"
        step_sql = by.replace("{0}", first).replace("{1}", last)
        return f"CAST(generate_series({first}, {last}, {step_sql}) AS DATE[])"

    return emit.once(emit.all([start, stop]), write)


def _numbers(
    expression: Expression,
    emit: Emitter,
    start: Expression,
    stop: Expression,
    step: Expression | None,
) -> str:
    def write(first: str, last: str, by: str = "") -> str:
        up = f"generate_series({first}, {last})"
        if not by:
            down = f"generate_series({first}, {last}, -1)"
            series = f"CASE WHEN {first} <= {last} THEN {up} ELSE {down} END"
        else:
            wrong = (
                f"({by} = 0 AND {first} <> {last}) OR ({by} > 0 AND {first} > {last}) "
                f"OR ({by} < 0 AND {first} < {last})"
            )
            steps = f"generate_series({first}, {last}, CASE {by} WHEN 0 THEN 1 ELSE {by} END)"
            one = f"CASE {by} WHEN 0 THEN [{first}] ELSE {steps} END"
            series = failing(wrong, "INVALID_PARAMETER_VALUE", "Illegal sequence boundaries.", one)
        return f"CASE WHEN {absent(first, last, *([by] if by else []))} THEN NULL ELSE {series} END"

    given = [start, stop] if step is None else [start, stop, step]
    values = [f"CAST({sql} AS BIGINT)" for sql in emit.all(given)]
    return cast(emit.once(values, write), expression.type.duckdb)


# ---- maps


def _map(expression: Expression, emit: Emitter) -> str:
    """Children are key, value, key, value ..."""
    sql, kind = emit.all(expression.children), expression.type
    keys, values = ", ".join(sql[::2]), ", ".join(sql[1::2])
    return unique(
        f"CAST([{keys}] AS {kind.part('key').duckdb}[])",
        f"CAST([{values}] AS {kind.part('value').duckdb}[])",
        emit,
    )


def unique(keys: str, values: str, emit: Emitter) -> str:
    """Return a map of keys and values; a key that comes twice is an error, and so is NULL."""

    def write(names: str, items: str) -> str:
        made = f"map({names}, {items})"
        twice = f"len({names}) <> list_unique({names})"
        null = f"len({names}) <> list_count({names})"
        message = "Duplicate map key was found, please check the input data."
        checked = failing(twice, "DUPLICATED_MAP_KEY", message, made)
        return failing(null, "NULL_MAP_KEY", "Cannot use null as map key.", checked)

    return emit.once([keys, values], write)


def _map_of_arrays(expression: Expression, emit: Emitter) -> str:
    def write(keys: str, values: str) -> str:
        made = unique(keys, values, emit)
        return f"CASE WHEN {absent(keys, values)} THEN NULL ELSE {made} END"

    return emit.once(emit.all(expression.children), write)


def _map_of_entries(expression: Expression, emit: Emitter) -> str:
    key, value = (name for name, _ in expression.children[0].type.part("element").parts)
    item = emit.name("item")

    def write(items: str) -> str:
        keys, values = (
            f"list_transform({items}, lambda {item}: struct_extract({item}, {text(name)}))"
            for name in (key, value)
        )
        made = unique(keys, values, emit)
        whole = f"len({items}) = list_count({items})"
        return f"CASE WHEN {whole} THEN {made} END"

    return emit.once(emit.all(expression.children), write)


def _maps_joined(expression: Expression, emit: Emitter) -> str:
    def write(*maps: str) -> str:
        keys, values = (
            f"flatten([{', '.join(f'map_{part}({each})' for each in maps)}])"
            for part in ("keys", "values")
        )
        return f"CASE WHEN {absent(*maps)} THEN NULL ELSE {unique(keys, values, emit)} END"

    return emit.once(emit.all(expression.children), write)


def _entries(expression: Expression, emit: Emitter) -> str:
    return cast(f"map_entries({emit(expression.children[0])})", expression.type.duckdb)


def _map_of_text(expression: Expression, emit: Emitter) -> str:
    """`str_to_map`, by separators that are plain texts."""
    value, *separators = expression.children
    pair, between = (_plain_separator(each, emit) for each in separators)
    item = emit.name("item")

    def write(pairs: str) -> str:
        place = f"strpos({item}, {between})"
        key = f"CASE WHEN {place} > 0 THEN {item}[1:{place} - 1] ELSE {item} END"
        rest = f"CASE WHEN {place} > 0 THEN {item}[{place} + length({between}):] END"
        keys, values = (f"list_transform({pairs}, lambda {item}: {part})" for part in (key, rest))
        return f"CASE WHEN {pairs} IS NOT NULL THEN {unique(keys, values, emit)} END"

    return emit.once([f"string_split({emit(value)}, {pair})"], write)


def _plain_separator(given: Expression, emit: Emitter) -> str:
    """Return the SQL of a separator, which is no regular expression."""
    if given.kind == "Literal":
        known = str(given.fields["value"])
        if not known or any(letter in ".^$|?*+()[]{}\\" for letter in known):
            raise UnsupportedPlanError(f"str_to_map by {known!r}")
        return text(known)
    special = text(r"[.^$|?*+()\[\]{}\\]")
    message = "aflint does not split by a regular expression that differs from row to row."
    return emit.once(
        [emit(given)],
        lambda by: failing(
            f"{by} = '' OR regexp_matches({by}, {special})", "UNSUPPORTED_FEATURE", message, by
        ),
    )


def _map_sorted(expression: Expression, emit: Emitter) -> str:
    """By its keys, as Spark groups maps."""
    key = comparable("entry.key", expression.type.part("key"))
    made = f"struct_pack(key := {key}, value := entry)"
    entries = f"list_transform(map_entries({emit(expression.children[0])}), lambda entry: {made})"
    return f"map_from_entries(list_transform(list_sort({entries}), lambda entry: entry.value))"


RULES: dict[str, Rule] = {
    "MapSort": _map_sorted,
    "GetStructField": _field,
    "GetArrayStructFields": _field_of_each,
    "CreateNamedStruct": _struct,
    "CreateArray": "[{*}]",
    "Size": _size,
    "GetArrayItem": _item,
    "GetMapValue": _of_key,
    "ElementAt": _element,
    "ArrayContains": _contains,
    "ArrayPosition": _position,
    "ArrayMax": _extreme("list_max"),
    "ArrayMin": _extreme("list_min"),
    "ArrayDistinct": _distinct,
    "ArrayUnion": _joined_sets,
    "ArrayIntersect": _joined_sets,
    "ArrayExcept": _joined_sets,
    "ArraysOverlap": _overlap,
    "ArrayRemove": _removed,
    "ArrayInsert": _inserted,
    "ArrayRepeat": _repeated,
    "ArrayJoin": _joined_items,
    "ArraySort": _sorted_by,
    "SortArray": _sorted,
    "Flatten": _flat,
    "Slice": _slice,
    "ArraysZip": _zipped,
    "Sequence": _sequence,
    "CreateMap": _map,
    "MapKeys": "map_keys({0})",
    "MapValues": "map_values({0})",
    "MapEntries": _entries,
    "MapFromArrays": _map_of_arrays,
    "MapFromEntries": _map_of_entries,
    "MapConcat": _maps_joined,
    "StringToMap": _map_of_text,
}
