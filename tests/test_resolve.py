from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from aflint.driver.resolve import Resolver, with_count
from aflint.errors import InvalidArgumentError
from aflint.plan.lineage import (
    CoGrouped,
    HashPartitioner,
    Mapped,
    Node,
    PerRecord,
    RecordStep,
    RoundRobinPartitioner,
    Shuffled,
    Source,
    Unresolved,
    Zipped,
)
from aflint.plan.planner import partition_count
from aflint.plan.program import Count
from aflint.task import RangeSplit


def source(partitions: int, **known: Any) -> Source:
    return Source(splits=(RangeSplit(0, 1, 1),) * partitions, **known)


def resolver(
    parallelism: int | None = None,
    stored: dict[int, Source] | None = None,
    runs: list[Any] | None = None,
) -> Resolver:
    async def run(node: Node, sink: Any) -> list[Any]:
        if runs is not None:
            runs.append((node, sink))
        return [1, 2, 3]

    return Resolver(run, parallelism, stored=stored or {})


async def test_partition_counts_are_filled_in() -> None:
    by_parent = Shuffled(parent=source(5), target=HashPartitioner(0))
    assert partition_count(await resolver().resolve(by_parent)) == 5
    assert partition_count(await resolver(3).resolve(by_parent)) == 3
    asked = Shuffled(parent=source(5), target=HashPartitioner(7))
    assert partition_count(await resolver(3).resolve(asked)) == 7
    empty = Shuffled(parent=source(0), target=HashPartitioner(0))
    assert partition_count(await resolver().resolve(empty)) == 1
    widest = CoGrouped(members=(source(2), source(6)), target=HashPartitioner(0))
    assert partition_count(await resolver().resolve(widest)) == 6


def test_the_placing_of_a_parent_is_taken_over() -> None:
    plain = source(2, placed_by=HashPartitioner(4))
    custom = source(9, placed_by=HashPartitioner(9, hash))

    def six(parents: Sequence[Node]) -> int:
        return 6

    assert with_count(HashPartitioner(0), [source(8), plain], six) == HashPartitioner(4)
    assert with_count(HashPartitioner(0), [custom], six) == HashPartitioner(6)
    assert with_count(HashPartitioner(0, hash), [plain], six) == HashPartitioner(6, hash)
    assert with_count(RoundRobinPartitioner(0), [plain], six) == RoundRobinPartitioner(6)


async def test_the_partitions_that_nobody_asked_for_are_chosen_by_the_parents() -> None:
    chosen = resolver()
    chosen.choose = lambda parents: 10 * partition_count(parents[0])
    by_parent = Shuffled(parent=source(5), target=HashPartitioner(0))
    assert partition_count(await chosen.resolve(by_parent)) == 50
    assert await chosen.default_partitions(source(2)) == 20
    asked = Shuffled(parent=source(5), target=HashPartitioner(7))
    assert partition_count(await chosen.resolve(asked)) == 7


async def test_what_is_unresolved_is_asked_once() -> None:
    runs: list[Any] = []
    needed = source(3)
    asked: list[list[int]] = []

    async def answer(counts: list[int]) -> Node:
        asked.append(counts)
        return source(sum(counts))

    node = Unresolved(resolve=answer, needs=((needed, Count()),))
    resolving = resolver(runs=runs)
    mapped = Mapped(parent=node, operator=PerRecord(RecordStep.MAP, abs))
    first = await resolving.resolve(mapped)
    second = await resolving.resolve(mapped)
    assert partition_count(first) == partition_count(second) == 6
    assert runs == [(needed, Count())]
    assert asked == [[1, 2, 3]]


async def test_what_is_stored_takes_the_place_of_its_lineage() -> None:
    def never() -> Node:
        raise AssertionError("its lineage is not needed")

    cached = Mapped(
        parent=Unresolved(resolve=never), operator=PerRecord(RecordStep.MAP, abs), persisted=True
    )
    stored = source(4, id=cached.id)
    rest = Mapped(parent=cached, operator=PerRecord(RecordStep.MAP, abs))
    resolved = await resolver(stored={cached.id: stored}).resolve(rest)
    assert resolved.parents == (stored,)


async def test_keeping_what_is_unresolved() -> None:
    node = Unresolved(resolve=lambda: source(2))
    node.persisted = True
    resolving = resolver()
    assert (await resolving.resolve(node)).persisted
    node.persisted = False
    assert not (await resolving.resolve(node)).persisted


async def test_rdds_that_do_not_fit_together() -> None:
    with pytest.raises(InvalidArgumentError, match="2 and 3 partitions"):
        await resolver().resolve(Zipped(left=source(2), right=source(3)))


async def test_deep_lineage() -> None:
    node: Node = source(2)
    for _ in range(3000):
        node = Mapped(parent=node, operator=PerRecord(RecordStep.MAP, abs))
    for _ in range(30):
        node = Shuffled(parent=node, target=HashPartitioner(0))
    assert partition_count(await resolver().resolve(node)) == 2
