"""Lineage to a Job of Stages: pure.

Narrow steps are fused into the stage that needs them; a stage ends where records must be
moved to other partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, Final, overload

from aflint.errors import InternalError
from aflint.events import Predicted, RddInfo, StageInfo
from aflint.plan.adaptive import DECIDED
from aflint.plan.lineage import (
    Aggregator,
    AlignedUnion,
    Cartesian,
    Coalesced,
    CoGrouped,
    Grouping,
    GroupPartitioner,
    HashPartitioner,
    Lifetime,
    Mapped,
    Node,
    Ordering,
    Partitioner,
    RangePartitioner,
    Regrouped,
    Shuffled,
    Source,
    Union,
    Zipped,
    parents_first,
)
from aflint.plan.program import (
    Aggregate,
    CoGroup,
    Concatenate,
    Merge,
    Product,
    Program,
    ReadShuffle,
    ReadSplit,
    SavePickle,
    SaveText,
    Sink,
    Step,
    Store,
    Transform,
    WriteShuffle,
    Zip,
)
from aflint.task import AwsEndpoints, Blob, BlocksSplit, FilesSplit, Input, TextSplit


@dataclass(frozen=True, slots=True)
class ManifestOf:
    """In an Input, in place of a split: the manifest of its partition of a shuffle.

    The scheduler puts the manifest here when it launches the task, as only then the map tasks have
    said what they wrote.
    """

    shuffle: int
    # Where that is not the partition that the Input is for: the one of the shuffle, and the map
    # partitions [start, stop) of which alone it is read.
    partition: int | None = None
    maps: tuple[int, int] | None = None

    def of(self, input_partition: int) -> int:
        """Return which partition of the shuffle an Input for this one reads."""
        return input_partition if self.partition is None else self.partition


@dataclass(frozen=True, slots=True)
class ShuffleContent:
    """What a shuffle holds: the records of the node `parent`, as `sink` places them.

    Shuffles of the same content can stand in for each other, within a job and between jobs.
    """

    parent: int
    sink: WriteShuffle

    def same_as(self, other: ShuffleContent) -> bool:
        """Whether the other one holds the same records, placed and combined the same way."""
        if self.parent != other.parent:
            return False
        try:
            return self.sink is other.sink or bool(self.sink == other.sink)
        except Exception:  # a user's key or function may refuse to be compared: then it differs
            return False


@dataclass(frozen=True, slots=True)
class PlannedShuffle:
    """The shuffle that a map stage writes: its number in the job, and its reduce partitions.

    One that is `passing` is of no use to later jobs: it is the first level of an exchange of two,
    and what the second level wrote stands for both. So many partitions each map task writes for.
    `combined`: the tasks that write it combine values, and so can combine again what they wrote.
    """

    shuffle: int
    partitions: int
    content: ShuffleContent | None = None
    passing: int = 0
    combined: bool = False


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """What every TaskDescription of a job has in common."""

    transport: tuple[Any, ...] = ()
    storage: str = ""
    memory_mb: int = 0
    max_result_bytes: int = 0
    fetch_timeout_s: float = 60.0
    logs: bool = False
    keep: bool = False
    debug: bool = False
    aws: AwsEndpoints | None = None


class LeafInputs(Sequence[tuple[Input, ...]]):
    """The inputs of partitions of which each reads one split of one leaf.

    They are made as they are asked for: a stage of a million tasks has nothing but its splits.
    """

    __slots__ = ("_leaf", "_splits")

    def __init__(self, leaf: int, splits: Sequence[Any]) -> None:
        self._leaf = leaf
        self._splits = splits

    def __len__(self) -> int:
        return len(self._splits)

    @overload
    def __getitem__(self, index: int) -> tuple[Input, ...]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[Input, ...]]: ...
    def __getitem__(self, index: int | slice) -> tuple[Input, ...] | list[tuple[Input, ...]]:
        if isinstance(index, slice):
            partitions = range(len(self._splits))[index]
            return [(Input(self._leaf, p, self._splits[p]),) for p in partitions]
        partition = index if index >= 0 else index + len(self._splits)
        return (Input(self._leaf, partition, self._splits[index]),)

    def __iter__(self) -> Iterator[tuple[Input, ...]]:
        return ((Input(self._leaf, p, split),) for p, split in enumerate(self._splits))


@dataclass(frozen=True, slots=True)
class Stage:
    """Tasks that run the same program, one for each partition.

    `parents` are the ids of the stages whose shuffles its inputs read. `inputs[p]` is what task p
    reads. `writes` is None for the result stage. `rdds` and `target` are for listeners.
    """

    id: int
    name: str
    program: Blob
    inputs: Sequence[tuple[Input, ...]]
    parents: tuple[int, ...] = ()
    writes: PlannedShuffle | None = None
    rdds: tuple[RddInfo, ...] = ()
    target: str = ""

    @property
    def steps(self) -> list[str]:
        """The last of the program's calls that make up the stage, each with its line."""
        return [*(rdd.name for rdd in self.rdds[-_NAMED_STEPS:]), self.name]

    @property
    def tasks(self) -> int:
        """How many tasks there are."""
        return len(self.inputs)

    @property
    def info(self) -> StageInfo:
        """What listeners are told of it."""
        writes = self.writes is not None
        # What was decided as the query ran is part of the name, wherever that is shown.
        decided = (rdd.name for rdd in self.rdds if rdd.name.startswith(DECIDED))
        name = ", ".join(dict.fromkeys((self.name, *decided)))
        return StageInfo(self.id, name, self.tasks, self.parents, writes, self.rdds, self.target)


@dataclass(frozen=True, slots=True)
class Job:
    """Stages in dependency order; the last is the result stage."""

    id: str
    name: str
    stages: tuple[Stage, ...]
    settings: TaskSettings
    predicted: Predicted | None = None
    query: int | None = None
    """Of the run's queries, the one that it runs for."""

    @property
    def result_stage(self) -> Stage:
        """The stage whose tasks return values."""
        return self.stages[-1]


def shuffled_side(root: Node) -> Node | None:
    """Return a side of a product in this lineage that is read from a shuffle, innermost first."""
    found: Node | None = None
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if node.id in seen:
            continue
        seen.add(node.id)
        if isinstance(node, Cartesian):
            # Parents come after their children: an inner side takes the place of an outer one.
            found = next(filter(_reads_shuffle, node.parents), found)
        waiting.extend(node.parents)
    return found


def _reads_shuffle(node: Node) -> bool:
    waiting, seen = [node], set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, Shuffled | CoGrouped):
            return True
        if node.id not in seen:
            seen.add(node.id)
            waiting.extend(node.parents)
    return False


def shared_cached(root: Node, but: Container[int] = ()) -> Node | None:
    """Return a node that is to be cached and that more than one stage would compute, innermost
    first, and none of those whose ids are in `but`; None if there is none.
    """
    computing: dict[int, int] = {}  # by cached node, how many stages compute it
    tops: list[tuple[Node, bool]] = [(root, True)]
    stages = set[tuple[int, bool]]()
    while tops:
        top, is_result = tops.pop()
        if (top.id, is_result) in stages:
            continue
        stages.add((top.id, is_result))
        waiting, seen = [top], set[int]()
        while waiting:
            node = waiting.pop()
            if node.id in seen:
                continue
            seen.add(node.id)
            if node.persisted or node.checkpointed:
                computing[node.id] = computing.get(node.id, 0) + 1
            for parent in node.parents:
                if _moves(node, parent):
                    tops.append((parent, False))
                else:
                    waiting.append(parent)
    shared = {id for id, count in computing.items() if count > 1 and id not in but}
    if not shared:
        return None
    return next(node for node in parents_first(root) if node.id in shared)


def _moves(node: Node, parent: Node) -> bool:
    """Tell whether a node reads a parent by a shuffle, as `_StageBuilder` plans it."""
    return isinstance(node, Shuffled | CoGrouped) and not _is_placed(parent, node.target)


def _is_placed(node: Node, target: Partitioner) -> bool:
    return node.partitioner is not None and node.partitioner == target


def skipped_stages(stages: Sequence[Stage], kept: Container[int]) -> set[int]:
    """Return the stages that need not run if these shuffles are there already.

    Those are the stages that write them, and those that nothing else reads.
    """
    # From the result stage upwards, and not past a stage whose shuffle is there.
    runs, waiting = set[int](), [stages[-1].id]
    while waiting:
        # A stage's id is its place.
        stage = stages[waiting.pop()]
        if stage.id not in runs and not (stage.writes and stage.writes.shuffle in kept):
            runs.add(stage.id)
            waiting.extend(stage.parents)
    return {stage.id for stage in stages} - runs


Exchange = Callable[[int, int], int]
"""Into how many groups the reduce partitions of a shuffle are put for an exchange of two levels,
given its map tasks and its partitions; 1 or less: it is exchanged at once.
"""

PackProgram = Callable[[Program, str, int], Blob]
"""Makes the blob of a stage's program, given the stage's name, for errors, and its tasks."""

Inputs = Sequence[tuple[Input, ...]]

_NAMED_STEPS: Final = 8
"""How many steps of a stage an error names, at most."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages of a job, in dependency order, and for each shuffle the nodes that read it."""

    stages: tuple[Stage, ...]
    readers: Mapping[int, Sequence[Lifetime]]

    @property
    def writers(self) -> dict[int, Stage]:
        """The stages that write shuffles, by the number of the shuffle."""
        return {stage.writes.shuffle: stage for stage in self.stages if stage.writes}

    def without_result(self) -> Plan:
        """Return the plan of a job that makes the shuffles that its result stage would read."""
        *maps, result = self.stages
        return replace(self, stages=(*maps, replace(result, inputs=(), rdds=())))


def plan(
    root: Node,
    sink: Sink,
    name: str,
    *,
    pack: PackProgram,
    store_folder: str,
    checkpoint_folder: str = "",
    exchange: Exchange = lambda maps, partitions: 1,
) -> Plan:
    """Return the stages that compute `sink` over every partition of `root`.

    The whole lineage is planned, whatever shuffles are kept from earlier jobs: which stages run is
    decided when they are needed, so that the same program has the same plan in every run. All
    counts of partitions must be known: see `aflint.driver.resolve`. `store_folder` and
    `checkpoint_folder` are where cached and checkpointed partitions go.
    """
    planner = _Planner(pack, store_folder, checkpoint_folder, exchange)
    planner.add_stage(root, sink, name, None)
    return Plan(tuple(planner.stages), planner.readers)


def partition_count(node: Node) -> int:
    """Return the number of partitions of a resolved node."""
    # A loop and not recursion: programs chain thousands of narrow steps.
    while isinstance(node, Mapped):
        node = node.parent
    match node:
        case Source(splits=splits):
            return len(splits)
        case Union(members=members):
            return sum(map(partition_count, members))
        case AlignedUnion(members=members):
            return partition_count(members[0])
        case Coalesced(parent=parent, partitions=partitions):
            return min(partitions, partition_count(parent))
        case Regrouped(reading=reading):
            return len(reading)
        case Zipped(left=left):
            return partition_count(left)
        case Cartesian(left=left, right=right):
            return partition_count(left) * partition_count(right)
        case Shuffled(target=target) | CoGrouped(target=target):
            return target.partitions
    raise InternalError(f"{type(node).__name__} was not resolved before planning")


@dataclass(slots=True)
class _Planner:
    """Makes stages, parents first."""

    pack: PackProgram
    store_folder: str
    checkpoint_folder: str
    exchange: Exchange
    # In dependency order, as each is added after those that it reads.
    stages: list[Stage] = field(default_factory=list)
    # By shuffle, the nodes that read it.
    readers: dict[int, list[Lifetime]] = field(default_factory=dict)
    # By shuffle that is the second level of an exchange, the one that is its first.
    _first_levels: dict[int, int] = field(default_factory=dict)
    _writers: dict[int, list[int]] = field(default_factory=dict)
    """For each node, the stages that write a shuffle of it."""

    def add_stage(self, root: Node, sink: Sink, name: str, writes: PlannedShuffle | None) -> int:
        """Plan a stage and all that it needs; return its id."""
        builder = _StageBuilder(self)
        step, inputs = builder.build(root)
        program = Program(step, sink)
        blob = self.pack(program, name, len(inputs))
        parents = tuple(sorted(builder.parents))
        # `build` has added the parents' stages by now, so that this one comes after them.
        target = sink.target if isinstance(sink, SaveText | SavePickle) else ""
        rdds = tuple(builder.rdds.values())
        stage = Stage(len(self.stages), name, blob, inputs, parents, writes, rdds, target)
        self.stages.append(stage)
        return stage.id

    def shuffle(self, parent: Node, sink: WriteShuffle, reader: Node) -> Stage:
        """Return the stage that writes a shuffle: one for all its readers."""
        stage = self._writer(parent, sink, reader.name)
        assert stage.writes is not None
        shuffle = stage.writes.shuffle
        self.readers[shuffle].append(reader.lifetime)
        if shuffle in self._first_levels:
            self.readers[self._first_levels[shuffle]].append(reader.lifetime)
        return stage

    def _writer(self, parent: Node, sink: WriteShuffle, name: str) -> Stage:
        content = ShuffleContent(parent.id, sink)
        # Two readers of one node share its shuffle, if they want it placed and combined alike.
        writers = self._writers.setdefault(parent.id, [])
        for each in writers:
            stage = self.stages[each]
            assert stage.writes is not None
            assert stage.writes.content is not None
            if content.same_as(stage.writes.content):
                return stage
        writes = PlannedShuffle(len(self.readers), sink.partitioner.partitions, content)
        self.readers[writes.shuffle] = []  # also takes the number, before the parent's shuffles
        partitioner, groups = sink.partitioner, 1
        # A round robin places by turns, which a second level would not find again.
        if isinstance(partitioner, HashPartitioner | RangePartitioner):
            groups = self.exchange(partition_count(parent), partitioner.partitions)
        if groups > 1:
            writers.append(self._two_levels(parent, sink, name, writes, groups))
        else:
            writes = replace(writes, combined=sink.aggregator is not None)
            writers.append(self.add_stage(parent, sink, name, writes))
        return self.stages[writers[-1]]

    def _two_levels(
        self, parent: Node, sink: WriteShuffle, name: str, writes: PlannedShuffle, groups: int
    ) -> int:
        """Plan a shuffle that goes by groups of reduce partitions; return the stage that writes it.

        The map tasks write for each group. A task of the second level reads what is for one group
        from some map tasks, as many as there are groups, and writes it for each partition of the
        group. So each block stands for the square root of the partitions, and is read twice.
        """
        width = -(-sink.partitioner.partitions // groups)
        groups = -(-sink.partitioner.partitions // width)
        spans = max(1, -(-partition_count(parent) // groups))
        place = GroupPartitioner(spans * groups, sink.partitioner, width, groups, span=groups)
        first = WriteShuffle(place, sink.aggregator)
        content = ShuffleContent(parent.id, first)
        passing = PlannedShuffle(len(self.readers), place.partitions, content, passing=groups)
        self.readers[passing.shuffle] = []
        self._first_levels[writes.shuffle] = passing.shuffle
        below = self.add_stage(parent, first, name, passing)
        inputs = second_level(passing)
        # What was combined on the map side is passed on as it is.
        step = ReadShuffle(0, None, None, combined=False)
        program = Program(step, WriteShuffle(sink.partitioner, None))
        blob = self.pack(program, name, len(inputs))
        stage = Stage(len(self.stages), f"{name} (second level)", blob, inputs, (below,), writes)
        self.stages.append(stage)
        return stage.id


def second_level(passing: PlannedShuffle) -> Inputs:
    """Return what the tasks of the second level read: each a partition of what passes."""
    read = ManifestOf(passing.shuffle)
    return [(Input(0, partition, read),) for partition in range(passing.partitions)]


@dataclass(slots=True)
class _StageBuilder:
    """Turns the lineage of one stage into its tree, and into what each of its tasks reads."""

    planner: _Planner
    parents: set[int] = field(default_factory=set)
    # By id, each after those that it is made of.
    rdds: dict[int, RddInfo] = field(default_factory=dict)
    _leaves: int = 0

    def build(self, node: Node) -> tuple[Step, Inputs]:
        """Return the step that computes a node, and the inputs of each of its partitions."""
        step, inputs = self._build(node)
        self.rdds[node.id] = RddInfo(
            node.id,
            node.name,
            tuple(parent.id for parent in node.parents),
            len(inputs),
            node.persisted,
            _paths(node),
            node.persisted and node.in_memory,
        )
        if node.persisted or node.checkpointed:
            planner = self.planner
            # A checkpoint outlives the session, so it takes the place of the cache.
            folder = planner.checkpoint_folder if node.checkpointed else planner.store_folder
            held = node.persisted and node.in_memory and not node.checkpointed
            step = Store(step, node.id, folder, held)
        return step, inputs

    def _build(self, node: Node) -> tuple[Step, Inputs]:
        match node:
            case Source(splits=splits):
                stored = (split for split in splits if isinstance(split, BlocksSplit))
                any_order = any(split.any_order for split in stored)
                return self._leaf(partial(ReadSplit, any_order=any_order), splits)
            case Mapped(parent=parent, operator=operator):
                step, inputs = self.build(parent)
                # Fused: neighbouring narrow steps become one.
                if isinstance(step, Transform):
                    return Transform(step.parent, (*step.operators, operator)), inputs
                return Transform(step, (operator,)), inputs
            case Union(members=members):
                return self._union(members)
            case AlignedUnion(members=members):
                return self._aligned(members)
            case Coalesced():
                return self._coalesced(node)
            case Regrouped():
                return self._regrouped(node)
            case Zipped(left=left, right=right):
                (a, of_left), (b, of_right) = self.build(left), self.build(right)
                # A task reads what both sides read; their leaves have different numbers.
                return Zip(a, b), [x + y for x, y in zip(of_left, of_right, strict=True)]
            case Cartesian(left=left, right=right):
                (a, of_left), (b, of_right) = self.build(left), self.build(right)
                return Product(a, b, len(of_right)), [x + y for x in of_left for y in of_right]
            case Shuffled():
                return self._shuffled(node)
            case CoGrouped(members=members, target=target):
                built = [self._placed(member, target, node) for member in members]
                inputs = [sum(parts, ()) for parts in zip(*(i for _, i in built), strict=True)]
                return CoGroup(tuple(step for step, _ in built)), inputs
        raise InternalError(f"{type(node).__name__} was not resolved before planning")

    def _leaf(self, step: Callable[[int], Step], splits: Sequence[Any]) -> tuple[Step, Inputs]:
        leaf = self._leaves
        self._leaves += 1
        return step(leaf), LeafInputs(leaf, splits)

    def _union(self, members: tuple[Node, ...]) -> tuple[Step, Inputs]:
        steps: list[Step] = []
        offsets: list[int] = []
        inputs: list[tuple[Input, ...]] = []
        for member in members:
            step, of_member = self.build(member)
            if isinstance(step, Concatenate):  # a union of unions, as loops make them
                steps += step.members
                offsets += [len(inputs) + offset for offset in step.offsets]
            # A member of no partitions would share its offset with the next one.
            elif of_member:
                steps.append(step)
                offsets.append(len(inputs))
            inputs += of_member
        return Concatenate(tuple(steps), tuple(offsets)), inputs

    def _aligned(self, members: tuple[Node, ...]) -> tuple[Step, Inputs]:
        built = [self.build(member) for member in members]
        count = len(built[0][1])
        offsets = tuple(range(0, count * len(built), count))
        together = Concatenate(tuple(step for step, _ in built), offsets)
        # Partition p takes the partitions p of all members, which lie `count` apart in the union.
        groups = tuple(tuple(offset + p for offset in offsets) for p in range(count))
        inputs = [sum(parts, ()) for parts in zip(*(i for _, i in built), strict=True)]
        return Merge(together, groups), inputs

    def _coalesced(self, node: Coalesced) -> tuple[Step, Inputs]:
        step, inputs = self.build(node.parent)
        count = min(node.partitions, len(inputs))
        # As even as can be, as in Spark: groups differ by one partition at most.
        ends = [len(inputs) * i // count for i in range(count + 1)] if count else [0]
        if node.sizes:
            ends = list(accumulate(node.sizes, initial=0))
        groups = tuple(tuple(range(start, end)) for start, end in pairwise(ends))
        return Merge(step, groups), [sum((inputs[p] for p in group), ()) for group in groups]

    def _regrouped(self, node: Regrouped) -> tuple[Step, Inputs]:
        step, whole_inputs = self.build(node.parent)
        inputs = list(whole_inputs)
        groups: list[tuple[int, ...]] = []
        for piece in node.reading:
            if piece.maps is None:
                groups.append(tuple(range(piece.first, piece.last)))
                continue
            # A part of a partition is one more partition of the leaf, with a number of its own.
            ((whole,),) = inputs[piece.first : piece.last]
            part = replace(whole.split, partition=piece.first, maps=piece.maps)
            groups.append((len(inputs),))
            inputs.append((replace(whole, partition=len(inputs), split=part),))
        return Merge(step, tuple(groups)), [sum((inputs[p] for p in group), ()) for group in groups]

    def _shuffled(self, node: Shuffled) -> tuple[Step, Inputs]:
        if _is_placed(node.parent, node.target):
            # The pairs are where they belong: nothing is moved, only aggregated or sorted.
            step, inputs = self.build(node.parent)
            if node.aggregator is None and node.ordering is None:
                return step, inputs
            return Aggregate(step, node.aggregator, node.ordering), inputs
        return self._read(node.parent, node.target, node, node.aggregator, node.ordering)

    def _placed(self, node: Node, target: Partitioner, reader: Node) -> tuple[Step, Inputs]:
        """Return the pairs of a node placed by `target`, shuffled only where they are not yet."""
        if _is_placed(node, target):
            return self.build(node)
        return self._read(node, target, reader)

    def _read(
        self,
        parent: Node,
        target: Partitioner,
        reader: Node,
        aggregator: Aggregator | Grouping | None = None,
        ordering: Ordering | None = None,
    ) -> tuple[Step, Inputs]:
        # Combiners made on the map side are merged on the reduce side; else values come as they
        # are.
        combined = isinstance(aggregator, Aggregator) and aggregator.map_side
        sink = WriteShuffle(target, aggregator if combined else None)  # type: ignore[arg-type]
        stage = self.planner.shuffle(parent, sink, reader)
        self.parents.add(stage.id)
        assert stage.writes is not None
        read = ManifestOf(stage.writes.shuffle)
        # Takes a leaf's number and inputs as for a split; the step that reads it is another.
        leaf, inputs = self._leaf(ReadSplit, [read] * target.partitions)
        assert isinstance(leaf, ReadSplit)
        return ReadShuffle(leaf.leaf, aggregator, ordering, combined), inputs


def _paths(node: Node) -> tuple[str, ...]:
    """Return the files that a source reads, each once."""
    if not isinstance(node, Source):
        return ()
    found: dict[str, None] = {}
    for split in node.splits:
        if isinstance(split, TextSplit):
            found[split.path] = None
        elif isinstance(split, FilesSplit):
            found.update(dict.fromkeys(split.paths))
    return tuple(found)
