"""Random programs: a lineage over random records, and the actions run on it.

A program is plain data, so that it can be printed, made smaller and run again. What its steps mean
is written down twice: in `programs`, over RDDs, and in `interpreter`, over lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from aflint.testing.simulation.interpreter import evaluate
from aflint.testing.simulation.queries import ADAPTIVE, QUERIES

MOST_RECORDS = 1000
"""A step that would give more is not taken."""

DEALT = 0.35
"""How many programs only deal their records twice: where a driver is killed, it is mostly between
two shuffles, and what their tasks write depends on the order of what they read.
"""
ANY, MANY = (0, 1, 7, 40, 120, 300, 700), (40, 120, 300)
"""How many records a source has."""

NUMBERS, PAIRS = "numbers", "pairs"

_SOURCES = ("parallelize", "range", "text_file")
_STEPS: dict[str, dict[str, str]] = {
    NUMBERS: {
        "add": NUMBERS,
        "keep_odd": NUMBERS,
        "repeat": NUMBERS,
        "distinct": NUMBERS,
        "repartition": NUMBERS,
        "coalesce": NUMBERS,
        "sort_numbers": NUMBERS,
        "map_partitions": NUMBERS,
        "glom": NUMBERS,
        "cache": NUMBERS,
        "broadcast": NUMBERS,
        "zip_numbered": NUMBERS,
        "coalesce_first": NUMBERS,
        "zip_with_index": NUMBERS,
        "zip_with_unique_id": NUMBERS,
        "checkpoint": NUMBERS,
        "zip_self": PAIRS,
        "key_by": PAIRS,
        "key_text": PAIRS,
        "key_tuple": PAIRS,
        "key_mixed": PAIRS,
    },
    PAIRS: {
        "map_values": PAIRS,
        "flat_map_values": PAIRS,
        "reduce_by_key": PAIRS,
        "fold_by_key": PAIRS,
        "aggregate_by_key": PAIRS,
        "combine_by_key": PAIRS,
        "group_by_key": PAIRS,
        "partition_by": PAIRS,
        "partition_twice": PAIRS,
        "sort_by_key": PAIRS,
        "sort_within": PAIRS,
        "cache": PAIRS,
        "coalesce": PAIRS,
        "repartition": PAIRS,
        "values": NUMBERS,
        "flatten": NUMBERS,
    },
}
_TWO: dict[str, dict[str, str]] = {
    NUMBERS: {
        "union": NUMBERS,
        "intersection": NUMBERS,
        "subtract": NUMBERS,
        "cartesian": PAIRS,
    },
    PAIRS: {
        "union": PAIRS,
        "join": PAIRS,
        "left_outer_join": PAIRS,
        "right_outer_join": PAIRS,
        "full_outer_join": PAIRS,
        "cogroup": PAIRS,
        "subtract_by_key": PAIRS,
    },
}
_ACTIONS: dict[str, tuple[str, ...]] = {
    NUMBERS: (
        "collect",
        "collect",
        "count",
        "sum",
        "reduce",
        "fold",
        "take",
        "top",
        "take_ordered",
        "count_by_value",
        "accumulate",
        "accumulate_before",
        "accumulate_between",
        "iterate",
        "save",
        "max",
        "stats",
        "unpersist_midway",
        "first",
        "iterate_in_order",
        "tree_reduce",
        "save_records",
        "fail",
    ),
    PAIRS: (
        "collect",
        "collect",
        "accumulate_before",
        "accumulate_between",
        "count",
        "unpersist_midway",
        "take",
        "count_by_key",
        "iterate",
        "lookup",
        "save",
    ),
}


_NARROW = {*_SOURCES, "add", "keep_odd", "repeat", "coalesce", "map_partitions", "union", "values"}


@dataclass(frozen=True, slots=True)
class Step:
    """One transformation (or a source) with its arguments, and what it is applied to."""

    name: str
    gives: str
    args: tuple[Any, ...] = ()
    parents: tuple[Step, ...] = ()

    def __str__(self) -> str:
        parents = ", ".join(map(str, self.parents))
        args = ", ".join(_short(arg) for arg in self.args)
        return f"{self.name}({', '.join(filter(None, (parents, args)))})"

    @property
    def is_query(self) -> bool:
        """Whether this is a query of DataFrames, or reads one."""
        return self.name == "query" or any(parent.is_query for parent in self.parents)

    @property
    def size(self) -> int:
        """How many steps and records there are, to tell which of two programs is smaller."""
        own = sum(len(arg) if isinstance(arg, tuple) else 1 for arg in self.args)
        return 10 + own + sum(parent.size for parent in self.parents)


@dataclass(frozen=True, slots=True)
class Workload:
    """A lineage, and the actions run on it in one session: one after the other, or `together`."""

    root: Step
    actions: tuple[tuple[str, int], ...]
    together: bool = False

    def __str__(self) -> str:
        actions = ", ".join(f"{name}({arg})" for name, arg in self.actions)
        return f"{self.root} -> {actions}{' at once' if self.together else ''}"

    @property
    def size(self) -> int:
        """See `Step.size`."""
        return self.root.size + 5 * len(self.actions) + self.together


def generate(random: Random) -> Workload:
    """Make a program at random: mostly one of any shape, else one that deals its records twice and
    counts them on the way.
    """
    if random.random() < DEALT:
        root = _lineage(random, random.choice((NUMBERS, PAIRS)), 1, MANY)
        action = random.choice(("accumulate_between", "accumulate_kept"))
        return Workload(root, ((action, random.randrange(12)),))
    root = _lineage(random, random.choice((NUMBERS, PAIRS)), random.randint(1, 6))
    names = _ACTIONS[root.gives]
    actions = tuple(
        (random.choice(names), random.randrange(12))
        for _ in range(random.choice((1, 1, 1, 2, 2, 4)))
    )
    return Workload(root, actions, together=random.random() < 0.5)


def generate_skewed(random: Random) -> Workload:
    """Make a program at random in which many maps have values of one key, which are aggregated."""
    numbers = tuple(random.randrange(10_000) for _ in range(random.choice(MANY)))
    step = Step("parallelize", NUMBERS, (numbers, random.choice((12, 16, 24))))
    step = Step("key_unevenly", PAIRS, (random.choice((1, 6, 40)),), (step,))
    partitions = random.randint(3, 6)
    step = Step(random.choice(_COMBINING), PAIRS, (partitions,), (step,))
    if random.random() < 0.3:
        step = Step("values", NUMBERS, (1,), (step,))
    names = _ACTIONS[step.gives]
    actions = tuple((random.choice(names), random.randrange(12)) for _ in range(2))
    return Workload(step, actions, together=random.random() < 0.5)


_COMBINING = ("reduce_by_key", "fold_by_key", "aggregate_by_key", "combine_by_key")


def generate_queries(random: Random) -> Workload:
    """Make a program of DataFrames at random: RDDs of pairs, one to three queries over them, and
    steps of RDDs between and after these.
    """
    root = _query(random, (_keyed(random), _keyed(random)))
    for _ in range(random.choice((0, 0, 1, 2))):
        name = random.choice(_AFTER_QUERIES)
        root = (
            _query(random, (root, _keyed(random)))
            if name == "query"
            else Step(name, PAIRS, (random.randint(1, 6),), (root,))
        )
    names = _ACTIONS[PAIRS]
    actions = tuple(
        (random.choice(names), random.randrange(12)) for _ in range(random.choice((1, 1, 2, 3)))
    )
    return Workload(root, actions, together=random.random() < 0.5)


_QUERIES = (*QUERIES, "joined", "left", "anti")
_AFTER_QUERIES = ("query", "query", "map_values", "reduce_by_key", "cache", "sort_by_key")


def _keyed(random: Random) -> Step:
    """Return pairs of integers, of few keys or many, or most of one key."""
    source = _source(random, (0, 7, 40, 120, 300))
    key = random.choice(("key_by", "key_unevenly"))
    pairs = Step(key, PAIRS, (random.choice((1, 2, 6, 40)),), (source,))
    return Step("reduce_by_key", PAIRS, (2,), (pairs,)) if random.random() < 0.2 else pairs


def _query(random: Random, tables: tuple[Step, ...]) -> Step:
    for _ in range(20):
        name = random.choice(_QUERIES)
        args = (
            name,
            random.randint(1, 6),
            random.choice((*range(len(ADAPTIVE)), len(ADAPTIVE) - 1)),
        )
        step = Step("query", PAIRS, args, tables[: QUERIES[name].tables])
        if len(evaluate(step).records) <= MOST_RECORDS:
            return step
    return tables[0]


def smaller(workload: Workload) -> Iterator[Workload]:
    """Yield programs that do less, those that do much less first."""
    if len(workload.actions) > 1:
        for action in workload.actions:
            yield replace(workload, actions=(action,))
    if workload.together:
        yield replace(workload, together=False)
    for root in _smaller_steps(workload.root):
        if root.gives == workload.root.gives:
            yield replace(workload, root=root)
        else:
            yield Workload(root, (("collect", 0),))
    if workload.actions != (("collect", 0),):
        yield replace(workload, actions=(("collect", 0),))


def _smaller_steps(step: Step) -> Iterator[Step]:
    yield from step.parents
    for index, parent in enumerate(step.parents):
        for less in _smaller_steps(parent):
            if less.gives == parent.gives:
                parents = (*step.parents[:index], less, *step.parents[index + 1 :])
                yield replace(step, parents=parents)
    for index, arg in enumerate(step.args):
        for value in _smaller_args(arg):
            yield replace(step, args=(*step.args[:index], value, *step.args[index + 1 :]))


def _smaller_args(arg: Any) -> Iterator[Any]:
    if isinstance(arg, tuple) and arg:
        yield arg[: len(arg) // 2]
        yield arg[len(arg) // 2 :]
        if len(arg) < 12:
            yield from (arg[:place] + arg[place + 1 :] for place in range(len(arg)))
    elif isinstance(arg, int) and arg > 1:
        yield arg // 2


def _lineage(random: Random, gives: str, depth: int, sizes: Sequence[int] = ANY) -> Step:
    step = _source(random, sizes)
    for left in range(depth, 0, -1):
        step = _next(random, step, left)
    if step.gives != gives:
        narrow = _is_narrow(step)
        convert = [
            name
            for name, made in _STEPS[step.gives].items()
            if made == gives and (narrow or name != "zip_self")
        ]
        step = Step(random.choice(convert), gives, (random.randint(1, 6),), (step,))
    return step


def _source(random: Random, sizes: Sequence[int]) -> Step:
    name = random.choice(_SOURCES)
    size = random.choice(sizes)
    slices = random.choice((1, 2, 3, 4, 6))
    if name == "range":
        return Step(name, NUMBERS, (size, slices))
    numbers = tuple(random.choice((random.randrange(20), random.randrange(10_000)))
                    for _ in range(size))  # fmt: skip
    return Step(name, NUMBERS, (numbers, slices))


def _next(random: Random, step: Step, left: int) -> Step:
    for _ in range(20):
        found = _maybe_next(random, step, left)
        if len(evaluate(found).records) <= MOST_RECORDS:
            return found
    return step


def _maybe_next(random: Random, step: Step, left: int) -> Step:
    number = random.randint(1, 6)
    if left > 1 and random.random() < 0.25:
        name, gives = random.choice(list(_TWO[step.gives].items()))
        same = random.random() < 0.2
        other = step if same else _lineage(random, step.gives, random.randint(0, left - 1))
        return Step(name, gives, (number,), (step, other))
    name, gives = random.choice(list(_STEPS[step.gives].items()))
    if name == "zip_self" and not _is_narrow(step):
        name = "key_by"
    return Step(name, gives, (number,), (step,))


def _is_narrow(step: Step) -> bool:
    """Say whether the records of a step always come in the same order."""
    return step.name in _NARROW and all(map(_is_narrow, step.parents))


def _short(arg: Any) -> str:
    if isinstance(arg, tuple) and len(arg) > 12:
        return f"<{len(arg)} numbers>"
    return repr(arg)
