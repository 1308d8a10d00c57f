from __future__ import annotations

import operator
from typing import Any

import pytest

from aflint.errors import InternalError
from aflint.executor import operators
from aflint.plan.lineage import (
    Aggregator,
    Cartesian,
    Coalesced,
    CoGrouped,
    Grouping,
    HashPartitioner,
    Mapped,
    Node,
    PerPartition,
    PerRecord,
    RecordStep,
    RoundRobinPartitioner,
    Shuffled,
    Source,
    Union,
    Unresolved,
    Zipped,
    deep_recursion,
)
from aflint.plan.planner import LeafInputs, ManifestOf, Stage, partition_count, plan, shared_cached
from aflint.plan.program import (
    Aggregate,
    CoGroup,
    Concatenate,
    Count,
    Merge,
    Product,
    Program,
    ReadShuffle,
    ReadSplit,
    Store,
    Transform,
    WriteShuffle,
    Zip,
)
from aflint.task import Blob, Input, RangeSplit

SUM = Aggregator(max, operator.add, operator.add)


def source(partitions: int) -> Source:
    return Source(name="source", splits=tuple(RangeSplit(p, p + 1, 1) for p in range(partitions)))


def mapped(parent: Node, *, keeps: bool = False) -> Mapped:
    step = PerRecord(RecordStep.MAP, abs)
    return Mapped(name="map", parent=parent, operator=step, preserves_partitioning=keeps)


def summed(parent: Node, partitions: int) -> Shuffled:
    return Shuffled(name="sum", parent=parent, target=HashPartitioner(partitions), aggregator=SUM)


def planned(root: Node) -> tuple[tuple[Stage, ...], list[Program]]:
    programs: list[Program] = []

    def pack(program: Program, name: str, tasks: int) -> Blob:
        programs.append(program)
        return Blob(str(len(programs)), 0, b"")

    made = plan(
        root,
        Count(),
        "job",
        pack=pack,
        store_folder="kept",
        checkpoint_folder="checkpoints",
    )
    return made.stages, programs


def splits(stage: Stage) -> list[list[Any]]:
    return [[item.split for item in inputs] for inputs in stage.inputs]


def test_narrow_steps_are_one_stage() -> None:
    (stage,), (program,) = planned(mapped(mapped(source(3))))
    assert (stage.id, stage.name, stage.tasks, stage.parents, stage.writes) == (
        0,
        "job",
        3,
        (),
        None,
    )
    assert isinstance(program.root, Transform)
    assert program.root.parent == ReadSplit(0)
    assert len(program.root.operators) == 2
    assert splits(stage) == [[RangeSplit(p, p + 1, 1)] for p in range(3)]


def test_inputs_that_are_made_as_they_are_asked_for_are_those_of_a_list() -> None:
    inputs = LeafInputs(7, "abc")
    whole = [(Input(7, p, split),) for p, split in enumerate("abc")]
    assert list(inputs) == [inputs[p] for p in range(3)] == whole
    assert (len(inputs), inputs[-1], inputs[1:]) == (3, whole[-1], whole[1:])
    with pytest.raises(IndexError):
        inputs[3]


def test_a_shuffle_ends_a_stage() -> None:
    (maps, result), (map_program, program) = planned(summed(mapped(source(3)), 4))
    assert (maps.tasks, result.tasks) == (3, 4)
    assert maps.writes is not None
    assert (maps.writes.shuffle, maps.writes.partitions) == (0, 4)
    assert result.parents == (0,)
    assert map_program.sink == WriteShuffle(HashPartitioner(4), SUM)
    assert program.root == ReadShuffle(0, SUM, None, combined=True)
    assert splits(result) == [[ManifestOf(0)]] * 4


def test_a_stage_names_the_last_of_its_steps() -> None:
    union = Union(name="union", members=(source(1), mapped(source(2))))
    (maps, result), _ = planned(mapped(summed(union, 4)))
    assert maps.steps == ["source", "source", "map", "union", "sum"]
    assert result.steps == ["sum", "map", "job"], "what the shuffle is made of ran before"
    long: Node = source(3)
    for _ in range(100):
        long = mapped(long)
    assert planned(long)[0][0].steps == [*["map"] * 8, "job"]


def test_groups_are_not_combined_before_the_shuffle() -> None:
    node = Shuffled(name="g", parent=source(2), target=HashPartitioner(2), aggregator=Grouping())
    _, (map_program, program) = planned(node)
    assert map_program.sink == WriteShuffle(HashPartitioner(2), None)
    assert program.root == ReadShuffle(0, Grouping(), None, combined=False)


def test_what_is_placed_already_is_not_shuffled() -> None:
    once = summed(source(3), 4)
    (_, result), (_, program) = planned(summed(mapped(once, keeps=True), 4))
    assert isinstance(program.root, Aggregate)
    assert result.tasks == 4
    assert len(planned(summed(mapped(once), 4))[0]) == 3
    assert len(planned(summed(once, 5))[0]) == 3
    same = Shuffled(name="p", parent=once, target=HashPartitioner(4))
    assert len(planned(same)[0]) == 2


def test_cogroup_shuffles_only_the_members_that_need_it() -> None:
    node = CoGrouped(name="c", members=(summed(source(2), 3), source(5)), target=HashPartitioner(3))
    stages, programs = planned(node)
    assert [stage.tasks for stage in stages] == [2, 5, 3]
    assert stages[2].parents == (0, 1)
    root = programs[2].root
    assert isinstance(root, CoGroup)
    assert root.members == (
        ReadShuffle(0, SUM, None, combined=True),
        ReadShuffle(1, None, None, combined=False),
    )
    assert splits(stages[2]) == [[ManifestOf(0), ManifestOf(1)]] * 3


def test_a_shuffle_with_two_readers_is_written_once() -> None:
    once = summed(source(2), 3)
    (_, result), _ = planned(Union(name="u", members=(once, once)))
    assert splits(result) == [[ManifestOf(0)]] * 6


def test_shuffles_of_the_same_records_placed_otherwise_are_told_apart() -> None:
    parent = source(2)
    stages, _ = planned(Union(name="u", members=(summed(parent, 3), summed(parent, 4))))
    assert [stage.writes and stage.writes.partitions for stage in stages] == [3, 4, None]


class Incomparable:
    """A key function that cannot be compared, as an array cannot."""

    def __call__(self, key: object) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        raise ValueError("the truth value is ambiguous")

    __hash__ = None  # type: ignore[assignment]


def test_a_function_that_cannot_be_compared_is_another_shuffle() -> None:
    parent = source(2)
    two = [
        Shuffled(name="s", parent=parent, target=HashPartitioner(3, Incomparable())) for _ in "ab"
    ]
    assert len(planned(Union(name="u", members=tuple(two)))[0]) == 3


def test_lineage_that_uses_each_rdd_twice_has_as_many_stages_as_shuffles() -> None:
    node: Node = source(2)
    for _ in range(12):
        node = summed(Union(name="u", members=(node, mapped(node))), 2)
    stages, _ = planned(node)
    assert len(stages) == 13


def test_shapes_of_narrow_nodes() -> None:
    a, b = source(2), source(3)
    (stage,), (program,) = planned(Union(name="u", members=(a, source(0), b)))
    assert program.root == Concatenate((ReadSplit(0), ReadSplit(2)), (0, 2))
    assert stage.tasks == 5
    (stage,), (program,) = planned(Coalesced(name="c", parent=source(5), partitions=2))
    assert program.root == Merge(ReadSplit(0), ((0, 1), (2, 3, 4)))
    assert [len(inputs) for inputs in stage.inputs] == [2, 3]
    uneven = Coalesced(name="c", parent=source(5), partitions=3, sizes=(1, 3, 1))
    (stage,), (program,) = planned(uneven)
    assert program.root == Merge(ReadSplit(0), ((0,), (1, 2, 3), (4,)))
    assert partition_count(uneven) == stage.tasks == 3
    (stage,), (program,) = planned(Coalesced(name="c", parent=source(0), partitions=2))
    assert (program.root, stage.tasks) == (Merge(ReadSplit(0), ()), 0)
    (stage,), (program,) = planned(Cartesian(name="x", left=a, right=b))
    assert program.root == Product(ReadSplit(0), ReadSplit(1), 3)
    assert (stage.tasks, len(stage.inputs[0])) == (6, 2)
    (stage,), (program,) = planned(Zipped(name="z", left=a, right=a))
    assert program.root == Zip(ReadSplit(0), ReadSplit(1))
    assert stage.tasks == 2


def test_unions_of_unions_are_one_step() -> None:
    node: Node = source(1)
    for _ in range(1500):
        node = Union(name="u", members=(node, source(1)))
    with deep_recursion():
        (stage,), (program,) = planned(Coalesced(name="c", parent=node, partitions=1500))
    assert stage.tasks == 1500
    assert isinstance(program.root, Merge)
    assert isinstance(program.root.parent, Concatenate)
    assert program.root.parent.offsets == tuple(range(1501))


def test_what_is_kept_goes_to_its_folder() -> None:
    cached, checkpointed = mapped(source(1)), mapped(source(1))
    cached.persisted = checkpointed.checkpointed = True
    _, (program,) = planned(cached)
    assert isinstance(program.root, Store)
    assert (program.root.node, program.root.folder) == (cached.id, "kept")
    _, (program,) = planned(checkpointed)
    assert isinstance(program.root, Store)
    assert program.root.folder == "checkpoints"


def test_counts_of_partitions() -> None:
    assert partition_count(Coalesced(name="c", parent=source(2), partitions=9)) == 2
    assert partition_count(summed(source(2), 7)) == 7
    deep: Node = source(3)
    for _ in range(5000):
        deep = mapped(deep)
    assert partition_count(deep) == 3
    assert deep.partitioner is None
    with pytest.raises(InternalError, match="resolved"):
        partition_count(Unresolved(name="?", resolve=list))


def test_partitioners_of_nodes() -> None:
    placed = summed(source(1), 2)
    deep: Node = placed
    for _ in range(5000):
        deep = mapped(deep, keeps=True)
    assert deep.partitioner == HashPartitioner(2)
    assert mapped(placed).partitioner is None
    assert Union(name="u", members=(placed, placed)).partitioner is None
    dealt = Shuffled(name="r", parent=placed, target=RoundRobinPartitioner(2))
    assert dealt.partitioner is None
    glommed = Mapped(name="g", parent=placed, operator=PerPartition(operators.glom))
    assert glommed.partitioner is None


def test_what_several_stages_would_compute_is_to_be_cached_first() -> None:
    def shuffled(parent: Node, partitions: int = 2) -> Shuffled:
        return Shuffled(parent=parent, target=HashPartitioner(partitions))

    def mapped(parent: Node) -> Mapped:
        return Mapped(parent=parent, operator=PerRecord(RecordStep.MAP, abs))

    base = Source(splits=(RangeSplit(0, 1, 1),), persisted=True)
    inner = mapped(base)
    inner.persisted = True
    assert shared_cached(inner) is None, "one stage computes it"
    assert shared_cached(mapped(shuffled(mapped(inner)))) is None, "one map stage does"
    twice = Union(members=(shuffled(mapped(inner)), shuffled(mapped(inner), 3)))
    assert shared_cached(twice) is base, "the innermost first"
    assert shared_cached(twice, {base.id}) is inner
    assert shared_cached(twice, {base.id, inner.id}) is None
    assert shared_cached(Union(members=(inner, shuffled(inner)))) is base, (
        "a map stage and the last"
    )
    inner.persisted = base.persisted = False
    assert shared_cached(twice) is None
    # What lies where a cogroup wants it is read in its own stage, and what does not, in one more.
    target = HashPartitioner(2)
    placed = shuffled(base)
    placed.persisted = True
    both = CoGrouped(members=(placed, mapped(placed)), target=target)
    assert shared_cached(both) is placed
    assert shared_cached(CoGrouped(members=(placed, placed), target=target)) is None
