"""Random lineages over random records, against lists that mean the same."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import aflint
from aflint import RDD, Session

Part = list[Any]
Plain = list[Part]
"""What an RDD is in these tests: its partitions."""

keys = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from(["a", "b", "é"]),
    st.just((1, None)),
)
values = st.one_of(st.integers(-5, 5), st.integers(2**62, 2**70), st.text(max_size=2), st.none())
pairs = st.lists(st.tuples(keys, values), max_size=12)


@pytest.fixture(scope="module")
def runner() -> Iterator[tuple[asyncio.Runner, Session]]:
    with asyncio.Runner() as loop:
        session = aflint.connect(workers=2, progress=False)
        loop.run(session.__aenter__())
        yield loop, session
        loop.run(session.__aexit__(None, None, None))


class Step:
    """One transformation of pairs: by aflint, and on plain partitions."""

    def __init__(
        self,
        name: str,
        ours: Callable[[RDD[Any]], RDD[Any]],
        plain: Callable[[Part], Part],
        *,
        ordered: bool,
    ) -> None:
        self.name = name
        self.ours = ours
        self.plain = plain
        self.ordered = ordered

    def __repr__(self) -> str:
        return self.name


def grouped(records: Part) -> dict[Any, list[Any]]:
    groups: defaultdict[Any, list[Any]] = defaultdict(list)
    for key, value in records:
        groups[key].append(value)
    return groups


def joined(records: Part) -> Part:
    groups = grouped(records)
    return [(key, (a, b)) for key, found in groups.items() for a in found for b in found]


def shown(value: Any) -> Any:
    """Turn a value into one that can be sorted, and groups into what they hold."""
    if isinstance(value, list | tuple | aflint.Group):
        return "(" + ",".join(shown(part) for part in value) + ")"
    return f"{type(value).__name__}:{value!r}"


def bag(value: Any) -> str:
    return "[" + ",".join(sorted(map(shown, value))) + "]"


def same(key: Any) -> Any:
    """1 and True are one key; which of them is kept is not said."""
    return int(key) if isinstance(key, bool) else key


def counted(records: Part) -> Part:
    return [(key, len(group)) for key, group in grouped(records).items()]


STEPS = [
    Step(
        "map",
        lambda r: r.map(lambda p: (p[0], (p[1], 1))),
        lambda part: [(k, (v, 1)) for k, v in part],
        ordered=True,
    ),
    Step(
        "filter",
        lambda r: r.filter(lambda p: p[0]),
        lambda part: [p for p in part if p[0]],
        ordered=True,
    ),
    Step(
        "flat_map",
        lambda r: r.flat_map(lambda p: [p, p]),
        lambda part: [p for p in part for _ in "xx"],
        ordered=True,
    ),
    Step(
        "map_values",
        lambda r: r.map_values(str),
        lambda part: [(k, str(v)) for k, v in part],
        ordered=False,
    ),
    Step("union", lambda r: r.union(r), lambda part: part + part, ordered=True),
    Step("coalesce", lambda r: r.coalesce(2), lambda part: part, ordered=True),
    Step("repartition", lambda r: r.repartition(3), lambda part: part, ordered=False),
    Step("partition_by", lambda r: r.partition_by(3), lambda part: part, ordered=False),
    Step("cache", lambda r: r.cache(), lambda part: part, ordered=True),
    Step(
        "count_by",
        lambda r: r.map_values(lambda v: 1).reduce_by_key(lambda a, b: a + b),
        counted,
        ordered=False,
    ),
    Step(
        "group",
        lambda r: r.group_by_key(2).map_values(bag),
        lambda part: [(k, bag(g)) for k, g in grouped(part).items()],
        ordered=False,
    ),
    Step("join", lambda r: r.join(r, 2), joined, ordered=False),
    Step(
        "sort",
        lambda r: r.sort_by(lambda p: shown(same(p[0])), num_partitions=3),
        lambda part: sorted(part, key=lambda p: str(shown(same(p[0])))),
        ordered=True,
    ),
    Step(
        "sort_down",
        lambda r: r.sort_by(lambda p: shown(same(p[0])), ascending=False),
        lambda part: sorted(part, key=lambda p: str(shown(same(p[0]))), reverse=True),
        ordered=True,
    ),
    Step(
        "subtract",
        lambda r: r.subtract_by_key(r.filter(lambda p: p[0] is None)),
        lambda part: [p for p in part if p[0] is not None],
        ordered=False,
    ),
]


def normal(records: Part) -> list[str]:
    return [shown((same(key), value)) for key, value in records]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=pairs,
    slices=st.integers(1, 5),
    steps=st.lists(st.sampled_from(STEPS), max_size=4),
)
def test_any_lineage_gives_what_lists_give(
    runner: tuple[asyncio.Runner, Session], records: Part, slices: int, steps: list[Step]
) -> None:
    loop, session = runner
    rdd, expected, ordered = session.parallelize(records, slices), records, True
    for step in steps:
        if len(expected) > 500:
            break
        rdd, expected = step.ours(rdd), step.plain(expected)
        ordered = ordered and step.ordered
    found = loop.run(rdd.collect())
    if ordered:
        assert normal(found) == normal(expected)
    else:
        assert Counter(normal(found)) == Counter(normal(expected))
    assert loop.run(rdd.count()) == len(expected)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    left=pairs,
    right=pairs,
    slices=st.integers(1, 4),
    partitions=st.one_of(st.none(), st.integers(1, 4)),
)
def test_any_two_rdds_join_as_lists_do(
    runner: tuple[asyncio.Runner, Session],
    left: Part,
    right: Part,
    slices: int,
    partitions: int | None,
) -> None:
    loop, session = runner
    a, b = session.parallelize(left, slices), session.parallelize(right, 3)
    one, other = grouped(left), grouped(right)
    every = {**one, **other}
    none: list[Any] = [None]
    for method, mine, theirs in [
        (a.join, [], []),
        (a.left_outer_join, [], none),
        (a.right_outer_join, none, []),
        (a.full_outer_join, none, none),
    ]:
        expected = [
            (key, (x, y))
            for key in every
            for x in one.get(key) or mine
            for y in other.get(key) or theirs
        ]
        rdd: Any = method(b, partitions)
        assert Counter(normal(loop.run(rdd.collect()))) == Counter(normal(expected))


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    numbers=st.lists(st.integers(-1000, 1000), max_size=40),
    slices=st.integers(1, 6),
    partitions=st.integers(1, 6),
    count=st.integers(0, 50),
)
def test_any_numbers_are_ordered_and_taken(
    runner: tuple[asyncio.Runner, Session],
    numbers: list[int],
    slices: int,
    partitions: int,
    count: int,
) -> None:
    loop, session = runner
    rdd = session.parallelize(numbers, slices)
    ordered = rdd.sort_by(lambda x: x, num_partitions=partitions)
    assert loop.run(ordered.collect()) == sorted(numbers)
    assert loop.run(rdd.take(count)) == numbers[:count]
    assert loop.run(rdd.top(count)) == sorted(numbers, reverse=True)[:count]
    assert loop.run(rdd.take_ordered(count)) == sorted(numbers)[:count]
    assert loop.run(rdd.zip_with_index().values().collect()) == list(range(len(numbers)))
