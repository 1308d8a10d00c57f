"""What the tasks of one stage run: a tree of steps, and what becomes of the records at its root.

`plan` makes a Program from lineage by naming each read with a leaf number; it travels once per
stage. What a leaf reads for one partition travels with the task, as an `Input`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aflint.plan.lineage import Aggregator, Grouping, Operator, Ordering, Partitioner


@dataclass(frozen=True, slots=True)
class ReadSplit:
    """The records of the split that the task has for this leaf.

    `any_order`: they were stored in an order that another attempt might not have come by.
    """

    leaf: int
    any_order: bool = False


@dataclass(frozen=True, slots=True)
class ReadShuffle:
    """The pairs of one reduce partition, aggregated, grouped or sorted.

    `combined` says that the values are combiners already, made on the map side.
    """

    leaf: int
    aggregator: Aggregator | Grouping | None
    ordering: Ordering | None
    combined: bool


@dataclass(frozen=True, slots=True)
class Aggregate:
    """As ReadShuffle, for pairs that lie in the right partition already: no shuffle was needed."""

    parent: Step
    aggregator: Aggregator | Grouping | None
    ordering: Ordering | None


@dataclass(frozen=True, slots=True)
class CoGroup:
    """(key, one iterable of values for each member)."""

    members: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Transform:
    """Operators run over the parent's records, one after the other."""

    parent: Step
    operators: tuple[Operator, ...]


@dataclass(frozen=True, slots=True)
class Concatenate:
    """Partition p is partition p - offsets[m] of the member m that it falls into."""

    members: tuple[Step, ...]
    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Merge:
    """Partition p is the parent's partitions groups[p], one after the other."""

    parent: Step
    groups: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Zip:
    """Pairs of the records at the same place."""

    left: Step
    right: Step


@dataclass(frozen=True, slots=True)
class Product:
    """All pairs of left partition p // n with right partition p % n."""

    left: Step
    right: Step
    right_partitions: int


@dataclass(frozen=True, slots=True)
class Store:
    """The parent's records, kept on their way for later jobs under the node's id.

    `held` says that memory may keep them, too.
    """

    parent: Step
    node: int
    folder: str
    held: bool = False


@dataclass(frozen=True, slots=True)
class Anew:
    """A step below a branch, unpickled for each evaluation, so that its functions share no state.

    `pickled` is the step without its parent, which is kept beside it; a read has none.
    """

    parent: Step | None
    pickled: bytes


Step = (
    ReadSplit
    | ReadShuffle
    | Aggregate
    | CoGroup
    | Transform
    | Concatenate
    | Merge
    | Zip
    | Product
    | Store
    | Anew
)


@dataclass(frozen=True, slots=True)
class WriteShuffle:
    """The sink of a shuffle-map stage: records go to the reduce partition of their key."""

    partitioner: Partitioner
    aggregator: Aggregator | None


@dataclass(frozen=True, slots=True)
class Return:
    """The sink of a result stage: `function(partition, records)` is the task's value.

    `merge`, where there is one, joins the values of two parts of one partition: a task with it can
    be continued elsewhere when time runs out.
    """

    function: Callable[[int, Iterator[Any]], Any]
    merge: Callable[[Any, Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """The sink of `count`: a source that can count without making records does so."""


@dataclass(frozen=True, slots=True)
class SaveText:
    """The sink of `save_as_text_file`; the task's value is a StagedPart."""

    target: str
    compression: str | None


@dataclass(frozen=True, slots=True)
class SavePickle:
    """The sink of `save_as_pickle_file`; the task's value is a StagedPart."""

    target: str
    batch: int


# What becomes of the records at the root: the first is of map stages, the others of result stages.
Sink = WriteShuffle | Return | Count | SaveText | SavePickle


@dataclass(frozen=True, slots=True)
class Program:
    """One stage: its tree and its sink."""

    root: Step
    sink: Sink
