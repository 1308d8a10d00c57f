"""Shuffles made first and read in portions that fit, on workers."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from aflint import RDD, Session
from aflint.events import Event, JobStarted, StageStarted
from aflint.plan.adaptive import Adaptive
from aflint.plan.lineage import AlignedUnion, Mapped, Node, PerPartition, Regrouped, Shuffled

pytestmark = pytest.mark.asyncio(loop_scope="module")

SMALL = Adaptive(advisory_bytes=64 << 20, least_bytes=1 << 20)
SKEWED = Adaptive(advisory_bytes=400, least_bytes=10, skew_bytes=300, skew_factor=1.1)


def shuffled(rdd: RDD[Any], adaptive: Adaptive) -> Shuffled:
    node: Node = rdd.partition_by(8)._node
    while not isinstance(node, Shuffled):
        (node,) = node.parents
    return dataclasses.replace(node, adaptive=adaptive)


def counted(partition: int, pairs: Any) -> Any:
    yield len(list(pairs))


def joined(partition: int, tagged: Any) -> Any:
    """Join what is tagged 0 with what is tagged 1, within a partition."""
    sides: list[dict[Any, list[Any]]] = [{}, {}]
    for tag, (key, value) in tagged:
        sides[tag].setdefault(key, []).append(value)
    for key, values in sides[0].items():
        yield from ((key, a, b) for a in values for b in sides[1].get(key, ()))


def tagged(tag: int) -> Any:
    return lambda partition, pairs: ((tag, pair) for pair in pairs)


def join(left: Node, right: Node, splittable: frozenset[int] = frozenset()) -> Node:
    members = tuple(
        Mapped(name="tag", parent=side, operator=PerPartition(tagged(tag)))
        for tag, side in enumerate((left, right))
    )
    union = AlignedUnion(name="sides", members=members, splittable=splittable)
    return Mapped(name="join", parent=union, operator=PerPartition(joined))


async def test_small_partitions_are_read_by_one_task_and_maps_run_once(session: Session) -> None:
    runs = session.accumulator(0)

    def pair(number: int) -> tuple[int, int]:
        runs.add(1)
        return number % 10, number

    node = shuffled(session.parallelize(range(100), 4).map(pair), SMALL)
    runner = session._opened().jobs
    root = Mapped(name="counts", parent=node, operator=PerPartition(counted))
    adapted = RDD[int](await runner.adapted(root), runner)
    events: list[Event] = []
    session.add_listener(events.append)
    assert await adapted.collect() == [100]
    session._listeners.remove(events.append)
    assert runs.value == 100
    (started,) = (event for event in events if isinstance(event, JobStarted))
    assert "AQEShuffleRead coalesced: 8 partitions by 1 task" in started.stages[-1].name
    assert [event.stage for event in events if isinstance(event, StageStarted)] == [1]
    assert "AQEShuffleRead coalesced" in await adapted.explain()


async def test_a_skewed_join_is_cut_and_gives_every_pair_once(session: Session) -> None:
    many = session.parallelize(range(2000), 4).map(lambda n: (3 if n > 100 else n % 10, n))
    few = session.parallelize(range(20), 3).map(lambda n: (n % 10, -n))
    left, right = shuffled(many, SKEWED), shuffled(few, SKEWED)
    runner = session._opened().jobs
    root = join(left, right, frozenset({0}))
    adapted = await runner.adapted(root)
    reads = [member.parents[0] for member in adapted.parents[0].parents]
    assert any(
        piece.maps for each in reads if isinstance(each, Regrouped) for piece in each.reading
    )
    expected = sorted(await RDD[Any](root, runner).collect())
    assert sorted(await RDD[Any](adapted, runner).collect()) == expected
    assert len(expected) > 2000


async def test_a_side_that_is_not_adaptive_keeps_the_other_as_it_is(session: Session) -> None:
    pairs = session.parallelize(range(50), 2).map(lambda n: (n % 5, n))
    left = shuffled(pairs, SMALL)
    right = dataclasses.replace(shuffled(pairs, SMALL), adaptive=None)
    runner = session._opened().jobs
    adapted = await runner.adapted(join(left, right))
    assert not any(isinstance(each.parents[0], Regrouped) for each in adapted.parents[0].parents)
    assert len(await RDD[Any](adapted, runner).collect()) == 500


async def test_partitions_that_are_to_be_cached_stay_as_they_are(session: Session) -> None:
    pairs = session.parallelize(range(50), 2).map(lambda n: (n % 5, n))
    kept = Mapped(name="kept", parent=shuffled(pairs, SMALL), operator=PerPartition(counted))
    kept.persisted = True
    root = Mapped(name="over", parent=kept, operator=PerPartition(lambda p, counts: counts))
    runner = session._opened().jobs
    adapted = RDD[int](await runner.adapted(root), runner)
    assert len(await adapted.collect()) == 8
    assert len(await adapted.collect()) == 8


async def test_shuffles_of_shuffles_are_adapted_from_the_inside(session: Session) -> None:
    pairs = session.parallelize(range(100), 4).map(lambda n: (n % 10, n))
    inner = shuffled(pairs, SMALL)
    over = RDD[Any](
        Mapped(name="f", parent=inner, operator=PerPartition(lambda p, r: r)),
        session._opened().jobs,
    )
    outer = shuffled(over, SMALL)
    runner = session._opened().jobs
    adapted = RDD[Any](await runner.adapted(outer), runner)
    assert sorted(await adapted.collect()) == sorted((n % 10, n) for n in range(100))
    assert (await adapted.explain()).count("AQEShuffleRead coalesced") == 2
