"""What a random program means: each step over plain lists, with nothing of aflint in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aflint.testing.simulation.queries import QUERIES

if TYPE_CHECKING:
    from aflint.testing.simulation.workloads import Step

Order = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a step. `order`, where there is one, is what they are sorted by."""

    records: list[Any]
    order: Order | None = None


def evaluate(step: Step) -> Records:
    """Return what a step gives."""
    return _evaluate(step, {})


def _evaluate(step: Step, known: dict[int, Records]) -> Records:
    if id(step) not in known:
        inputs = [_evaluate(parent, known) for parent in step.parents]
        known[id(step)] = _apply(step.name, step.args, inputs)
    return known[id(step)]


def answer(action: str, arg: int, found: Records) -> Any:
    """Return what an action gives, where there is only one right answer."""
    records = found.records
    match action:
        case "collect" | "iterate" | "iterate_in_order" | "save" | "save_records":
            return records
        case "unpersist_midway":
            return records
        case "fail":
            return bool(records)
        case "count" | "accumulate_before":
            return len(records)
        case "sum" | "fold" | "accumulate":
            return sum(records)
        case "reduce" | "tree_reduce":
            return sum(records) if records else None
        case "max":
            return max(records, default=None)
        case "top":
            return sorted(records, reverse=True)[:arg]
        case "take_ordered":
            return sorted(records)[:arg]
        case "count_by_value":
            return dict(Counter(records))
        case "count_by_key":
            return dict(Counter(key for key, _ in records))
        case "lookup":
            return sorted(value for key, value in records if key == arg)
        case "stats":
            return len(records), sum(records)
        case "accumulate_kept":
            return sorted(map(repr, records)), sorted(map(repr, records)), 2 * len(records)
        case "accumulate_between":
            return sorted(map(repr, records)), 3 * len(records)
        case "take" | "first":
            return None
    raise AssertionError(action)


def _apply(name: str, args: tuple[Any, ...], inputs: list[Records]) -> Records:
    if name == "query":
        query = QUERIES[args[0]]
        pairs = query.meaning(*(given.records for given in inputs))
        return Records(pairs, _itself if query.ordered else None)
    if name == "sort_numbers":
        return Records(sorted(inputs[0].records), _itself)
    if name == "sort_by_key":
        return Records(sorted(inputs[0].records, key=_repr_of_key), _repr_of_key)
    if name in ("cache", "checkpoint", "coalesce"):
        return inputs[0]
    if name == "keep_odd":
        return Records([x for x in inputs[0].records if x % 2], inputs[0].order)
    return Records(_plain(name, args, [each.records for each in inputs]))


def _itself(record: Any) -> Any:
    return record


def _repr_of_key(pair: Any) -> Any:
    return repr(pair[0])


def _plain(name: str, args: tuple[Any, ...], inputs: list[list[Any]]) -> list[Any]:
    one = inputs[0] if inputs else []
    number = args[0]
    match name:
        case "parallelize" | "text_file":
            return list(number)
        case "range":
            return list(range(number))
        case "add" | "broadcast":
            return [x + number for x in one]
        case "repeat":
            return [y for x in one for y in range(x % (number + 1))]
        case "distinct":
            return list(set(one))
        case "repartition" | "partition_by" | "sort_within" | "glom" | "zip_with_unique_id":
            return list(one)
        case "zip_numbered" | "coalesce_first":  # each branch numbers its records by itself
            return list(one)
        case "partition_twice":
            return one + one
        case "map_partitions":
            return [x * 2 for x in one]
        case "zip_with_index":
            return list(range(len(one)))
        case "key_unevenly":
            return [(x % number if x % 8 == 0 else 1, x) for x in one]
        case "key_by":
            return [(x % (number * 3), x) for x in one]
        case "key_text":
            return [(f"k{x % (number * 5)}", x) for x in one]
        case "key_tuple":
            return [((x % number, "t"), x) for x in one]
        case "key_mixed":
            return [(None if x % 3 == 0 else x % number + 0.5, x) for x in one]
        case "zip_self":
            return [(x, x + number) for x in one]
        case "values":
            return [value for _, value in one]
        case "flatten":
            return [len(repr(key)) + value for key, value in one]
        case "map_values":
            return [(key, value + number) for key, value in one]
        case "flat_map_values":
            return [(key, v) for key, value in one for v in (value, -value)[: value % 3]]
        case "union":
            return one + inputs[1]
        case "intersection":
            return list(set(one) & set(inputs[1]))
        case "subtract":
            gone = set(inputs[1])
            return [x for x in one if x not in gone]
        case "cartesian":
            few = [x for x in inputs[1] if x % 7 == 0]
            return [(a % 5, b) for a in one for b in few]
    return _by_key(name, number, *map(_grouped, inputs))


def _grouped(pairs: list[Any]) -> dict[Hashable, list[Any]]:
    groups: defaultdict[Hashable, list[Any]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups


def _by_key(
    name: str,
    number: int,
    left: dict[Hashable, list[Any]],
    right: dict[Hashable, list[Any]] | None = None,
) -> list[Any]:
    match name:
        case "reduce_by_key" | "combine_by_key":
            return [(key, sum(values)) for key, values in left.items()]
        case "fold_by_key":
            return [(key, max(0, *values)) for key, values in left.items()]
        case "aggregate_by_key":
            return [(key, sum(values) * 1000 + len(values)) for key, values in left.items()]
        case "group_by_key":
            return [(key, digest(sorted(values))) for key, values in left.items()]
    assert right is not None
    both = {**left, **right}
    match name:
        case "cogroup":
            return [
                (key, digest([*sorted(left.get(key, [])), -1, *sorted(right.get(key, []))]))
                for key in both
            ]
        case "subtract_by_key":
            return [(k, v) for k, values in left.items() if k not in right for v in values]
        case "join":
            return _joined(left, right, both, [], [])
        case "left_outer_join":
            return _joined(left, right, both, [], [0])
        case "right_outer_join":
            return _joined(left, right, both, [0], [])
        case "full_outer_join":
            return _joined(left, right, both, [0], [0])
    raise AssertionError(name)


def _joined(
    left: dict[Hashable, list[Any]],
    right: dict[Hashable, list[Any]],
    keys: dict[Hashable, Any],
    no_left: list[Any],
    no_right: list[Any],
) -> list[Any]:
    return [
        (key, a * 3 + b)
        for key in keys
        for a in left.get(key, no_left)
        for b in right.get(key, no_right)
    ]


def digest(values: list[int]) -> int:
    """Make one number of many, so that what comes after is still arithmetic."""
    made = 7
    for value in values:
        made = (made * 31 + value) % 1_000_003
    return made
