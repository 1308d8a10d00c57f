"""Random programs over RDDs, beside a plain in-memory model of what each must give.

A program makes a few RDDs of (int, int) pairs and goes on from them, step by step: each step takes
its inputs from all RDDs so far, so that most are used several times and their branches meet again.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

Pair = tuple[int, int]
Rows = list[Pair]
MOST_ROWS = 200
"""An RDD with more of them is thinned out before it is used again."""
MOST_PARTITIONS = 6


def _grouped(*sides: Rows) -> dict[int, list[list[int]]]:
    groups: dict[int, list[list[int]]] = defaultdict(lambda: [[] for _ in sides])
    for place, rows in enumerate(sides):
        for key, value in rows:
            groups[key][place].append(value)
    return groups


def _mixed(pair: tuple[Any, Any]) -> int:
    left, right = (-1 if value is None else value for value in pair)
    return int(left * 7 + right) % 101


def _weighed(groups: Iterable[Iterable[int]]) -> int:
    return sum((place + 1) * sum(group) for place, group in enumerate(map(list, groups))) % 101


def _outer(groups: list[list[int]], left: bool, right: bool) -> list[int]:
    nothing: list[Any] = [None]
    a, b = groups
    return [_mixed((x, y)) for x in (a or nothing * right) for y in (b or nothing * left)]


def _joined(left: bool, right: bool) -> Callable[[Rows, Rows], Rows]:
    def join(a: Rows, b: Rows) -> Rows:
        groups = _grouped(a, b).items()
        return [(k, v) for k, each in groups for v in _outer(each, left, right)]

    return join


def _per_key(function: Callable[[list[int]], int]) -> Callable[[Rows], Rows]:
    return lambda rows: [(k, function(g)) for k, (g,) in _grouped(rows).items()]


def _add(a: int, b: int) -> int:
    return (a + b) % 101


def _total(values: Iterable[int]) -> int:
    return sum(values) % 101


def _shift(pair: Pair) -> Pair:
    return ((pair[0] * 3 + pair[1]) % 7, pair[1])


def _twice(pair: Pair) -> list[Pair]:
    return [pair, (pair[0], pair[1] + 1)]


def _is_kept(pair: Pair) -> bool:
    return (pair[0] + pair[1]) % 3 != 0


def _next(value: int) -> int:
    return (value * 5 + 1) % 101


def _same(rows: Rows) -> Rows:
    return rows


ONE: dict[str, tuple[Callable[[Any, int], Any], Callable[[Rows], Rows]]] = {
    "map": (lambda r, n: r.map(_shift), lambda rows: list(map(_shift, rows))),
    "mapValues": (lambda r, n: r.mapValues(_next), lambda rows: [(k, _next(v)) for k, v in rows]),
    "filter": (lambda r, n: r.filter(_is_kept), lambda rows: list(filter(_is_kept, rows))),
    "flatMap": (lambda r, n: r.flatMap(_twice), lambda rows: [p for r in rows for p in _twice(r)]),
    "reduceByKey": (lambda r, n: r.reduceByKey(_add, n), _per_key(_total)),
    "foldByKey": (lambda r, n: r.foldByKey(0, _add, n), _per_key(_total)),
    "groupByKey": (lambda r, n: r.groupByKey(n).mapValues(_total), _per_key(_total)),
    "distinct": (lambda r, n: r.distinct(n), lambda rows: list(set(rows))),
    "sortByKey": (lambda r, n: r.sortByKey(n % 2 == 0, n), _same),
    "partitionBy": (lambda r, n: r.partitionBy(n), _same),
    "repartition": (lambda r, n: r.repartition(n), _same),
    "coalesce": (lambda r, n: r.coalesce(n), _same),
    "cache": (lambda r, n: r.map(_shift).cache(), lambda rows: list(map(_shift, rows))),
    "zip": (
        lambda r, n: r.zip(r.mapValues(_next)).map(lambda both: (both[0][0], both[1][1])),
        lambda rows: [(k, _next(v)) for k, v in rows],
    ),
    "zipWithIndex": (lambda r, n: r.zipWithIndex().keys(), _same),
}
TWO: dict[str, tuple[Callable[[Any, Any, int], Any], Callable[[Rows, Rows], Rows]]] = {
    "union": (lambda a, b, n: a.union(b), lambda a, b: a + b),
    "join": (lambda a, b, n: a.join(b, n).mapValues(_mixed), _joined(False, False)),
    "leftOuterJoin": (
        lambda a, b, n: a.leftOuterJoin(b, n).mapValues(_mixed),
        _joined(True, False),
    ),
    "fullOuterJoin": (
        lambda a, b, n: a.fullOuterJoin(b, n).mapValues(_mixed),
        _joined(True, True),
    ),
    "cogroup": (
        lambda a, b, n: a.cogroup(b, n).mapValues(_weighed),
        lambda a, b: [(k, _weighed(each)) for k, each in _grouped(a, b).items()],
    ),
    "intersection": (lambda a, b, n: a.intersection(b), lambda a, b: list(set(a) & set(b))),
    "subtract": (
        lambda a, b, n: a.subtract(b, n),
        lambda a, b: [row for row in a if row not in set(b)],
    ),
    "subtractByKey": (
        lambda a, b, n: a.subtractByKey(b, n),
        lambda a, b: [row for row in a if row[0] not in dict(b)],
    ),
    "cartesian": (
        lambda a, b, n: a.cartesian(b).map(lambda both: (both[0][0], both[1][1])),
        lambda a, b: [(k, v) for k, _ in a for _, v in b],
    ),
}


ORDERED = {"map", "mapValues", "filter", "flatMap", "coalesce", "zip", "union", "cartesian"}
"""Steps that keep a given order: what comes out of a shuffle may come in another one each time, and
cannot be zipped with itself, here or in Spark.
"""


def _is_thin(pair: Pair) -> bool:
    return pair[1] % 4 == 0


def check(sc: Any, seed: int, steps: int = 6) -> None:
    """Run the program of a seed. Raises AssertionError, with the program, where an action gives
    something else than the model.
    """
    chance = random.Random(seed)
    program: list[str] = []
    known: list[tuple[Any, Rows]] = []
    ordered: list[bool] = []

    def keep(rdd: Any, rows: Rows, text: str, in_order: bool) -> None:
        while len(rows) > MOST_ROWS:
            rdd, rows = rdd.filter(_is_thin).distinct(2), list(set(filter(_is_thin, rows)))
            text, in_order = f"{text} thinned", False
        if rdd.getNumPartitions() > MOST_PARTITIONS:
            rdd = rdd.coalesce(MOST_PARTITIONS)
        program.append(f"r{len(known)} = {text}")
        known.append((rdd, rows))
        ordered.append(in_order)

    def agree(place: int) -> None:
        rdd, rows = known[place]
        try:
            found = rdd.collect()
        except Exception as error:
            lines = "\n".join(program)
            raise AssertionError(f"seed {seed}, r{place} of\n{lines}\n{error!r}") from error
        assert Counter(found) == Counter(rows), (seed, place, "\n".join(program))

    for _ in range(2):
        rows = [(chance.randrange(7), chance.randrange(101)) for _ in range(chance.randrange(25))]
        slices = chance.randint(1, 3)
        keep(sc.parallelize(rows, slices), rows, f"parallelize({rows}, {slices})", True)
    for _ in range(steps):
        a, b = (chance.choice(range(max(0, len(known) - 3), len(known))) for _ in range(2))
        n = chance.randint(1, 3)
        name = chance.choice([*ONE, *TWO])
        if name == "zip" and not ordered[a]:
            name = "cogroup"
        in_order = name in ORDERED and ordered[a] and ordered[b]
        if name in ONE:
            act, model = ONE[name]
            keep(act(known[a][0], n), model(known[a][1]), f"r{a}.{name}({n})", in_order)
        else:
            both, of_both = TWO[name]
            keep(
                both(known[a][0], known[b][0], n),
                of_both(known[a][1], known[b][1]),
                f"r{a}.{name}(r{b}, {n})",
                in_order,
            )
        if chance.random() < 0.15:
            agree(chance.randrange(len(known)))
    agree(len(known) - 1)
