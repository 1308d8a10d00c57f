"""The lineage of an RDD as plain data: what is to be computed, not how.

`rdd` builds these nodes, `plan` cuts them into stages, and the executor evaluates the tree of one
stage for one partition. Functions in them are the user's own, or those of
`aflint.executor.operators` with the user's bound in.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from operator import attrgetter
from typing import Any

from aflint.plan.adaptive import Adaptive, Reading

_ids = itertools.count(1)

_DEEP = 50_000
"""Frames of Python code: these live on the heap since Python 3.11, not on the C stack."""


class RecordStep(Enum):
    """What is done to one record at a time; the value is the step as Python, see `PerRecord`.

    A name that ends in `_` is the step's own: it is read again after later steps have run.
    """

    MAP = "x = f(x)"
    FILTER = "if not f(x): continue"
    FILTER_TRUE = "if not x: continue"
    FLAT_MAP = "for x in f(x):"
    MAP_VALUES = "k, v = x; x = (k, f(v))"
    FLAT_MAP_VALUES = "k, v = x\nfor x in zip(repeat(k), f(v)):"
    KEY_BY = "x = (f(x), x)"
    KEYS = "x = x[0]"
    VALUES = "x = x[1]"
    WITH_NONE = "x = (x, None)"
    PAIR = "k, v = x; x = (k, v)"  # a list of two becomes a tuple; anything else is an error
    # Joins, of what a cogroup of two gives: the values of the key on either side.
    JOIN = "k_, (a_, b_) = x\nfor v_ in a_:\nfor w_ in b_:\nx = (k_, (v_, w_))"
    LEFT_OUTER_JOIN = (
        "k_, (a_, b_) = x\nfor v_ in a_:\nfor w_ in b_ or (None,):\nx = (k_, (v_, w_))"
    )
    RIGHT_OUTER_JOIN = (
        "k_, (a_, b_) = x\nfor v_ in a_ or (None,):\nfor w_ in b_:\nx = (k_, (v_, w_))"
    )
    FULL_OUTER_JOIN = (
        "k_, (a_, b_) = x\nfor v_ in a_ or (None,):\nfor w_ in b_ or (None,):\nx = (k_, (v_, w_))"
    )
    SUBTRACT_BY_KEY = "k_, (a_, b_) = x\nif b_: continue\nfor v_ in a_:\nx = (k_, v_)"

    @property
    def loops(self) -> int:
        """How many loops the step opens, each within the one before."""
        return sum(line.endswith(":") for line in self.value.splitlines())


JOINS = frozenset(
    {
        RecordStep.JOIN,
        RecordStep.LEFT_OUTER_JOIN,
        RecordStep.RIGHT_OUTER_JOIN,
        RecordStep.FULL_OUTER_JOIN,
        RecordStep.SUBTRACT_BY_KEY,
    }
)


@dataclass(frozen=True, slots=True)
class PerRecord:
    """A step with the user's function: neighbouring ones run fused, as one loop."""

    step: RecordStep
    function: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class PerPartition:
    """`function(partition index, records)` gives the records.

    `splittable` says that cutting the partition in two and running each part gives the same
    records.
    """

    function: Callable[[int, Iterator[Any]], Iterable[Any]]
    splittable: bool = False


Operator = PerRecord | PerPartition


# Partitioners compare by value: pairs that two of them place alike need not be shuffled to be
# joined.


@dataclass(frozen=True)
class Partitioner:
    """Which of `partitions` a key belongs to. Equal partitioners place equal keys alike."""

    partitions: int


@dataclass(frozen=True)
class HashPartitioner(Partitioner):
    """By `function(key) % partitions`; None is the portable hash."""

    function: Callable[[Any], int] | None = None


@dataclass(frozen=True)
class RangePartitioner(Partitioner):
    """By bisection of `bounds`, sorted ascending: partitions - 1 of them, or fewer."""

    bounds: tuple[Any, ...] = ()
    ascending: bool = True
    key: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class GroupPartitioner(Partitioner):
    """By groups of `width` partitions of another partitioner, next to each other.

    Each `span` map tasks, one after the other, write for `groups` of their own: so a partition has
    a single reader, which a queue must have, and reads of a span alone.
    """

    of: Partitioner
    width: int
    groups: int
    span: int

    def first_of(self, map: int) -> int:
        """Return the first of the partitions that a map task writes for."""
        return map // self.span * self.groups


@dataclass(frozen=True)
class RoundRobinPartitioner(Partitioner):
    """Record by record in turn; the records need no key."""


@dataclass(frozen=True)
class Aggregator:
    """How values of one key become one combiner."""

    create: Callable[[Any], Any]
    merge_value: Callable[[Any, Any], Any]
    merge_combiners: Callable[[Any, Any], Any]
    map_side: bool = True


@dataclass(frozen=True)
class Grouping:
    """In place of an Aggregator: all values of one key as one iterable, which may lie on disk."""


@dataclass(frozen=True)
class Ordering:
    """Sort (key, value) pairs within a partition by `key(pair[0])`."""

    ascending: bool = True
    key: Callable[[Any], Any] | None = None


class Lifetime:
    """Lives as long as any copy of one node: what is kept for the node goes when this does."""

    __slots__ = ("__weakref__",)


# Nodes compare by identity: two RDDs of equal steps are two RDDs.


@dataclass(eq=False, kw_only=True)
class Node:
    """One RDD's worth of lineage; `id` is unique within the process.

    Resolving copies nodes: all copies of one share its `id` and its `lifetime`.
    """

    id: int = field(default_factory=lambda: next(_ids))
    lifetime: Lifetime = field(default_factory=Lifetime, repr=False)
    # "method at file.py:12", for stages, errors and events.
    name: str = ""
    # Asked for by `cache` and `checkpoint`, and changed after the node was made.
    persisted: bool = False
    checkpointed: bool = False
    # Whether what is cached may be held in memory, too.
    in_memory: bool = True

    @property
    def parents(self) -> tuple[Node, ...]:
        """The nodes this one reads from."""
        return ()

    @property
    def partitioner(self) -> Partitioner | None:
        """How the records of this node are known to be placed, if they are."""
        return None


@dataclass(eq=False, kw_only=True)
class Source(Node):
    """Input that is read split by split: one partition each.

    A split is a wire type of `aflint.task`, and travels only with the task that reads it.
    """

    splits: tuple[Any, ...]
    placed_by: Partitioner | None = None

    @property
    def partitioner(self) -> Partitioner | None:
        return self.placed_by


@dataclass(eq=False, kw_only=True)
class Unresolved(Node):
    """Input or step that needs I/O before it can be planned.

    `needs` names the jobs whose answers are wanted first: (node, sink) pairs. `resolve` is then
    given the answers and returns the node that takes this one's place; it may be a coroutine
    function. Resolved once per session.
    """

    resolve: Callable[..., Any]
    needs: tuple[tuple[Node, Any], ...] = ()

    @property
    def parents(self) -> tuple[Node, ...]:
        return tuple(node for node, _ in self.needs)


@dataclass(eq=False, kw_only=True)
class Mapped(Node):
    """A narrow transformation."""

    parent: Node
    operator: Operator
    preserves_partitioning: bool = False

    @property
    def parents(self) -> tuple[Node, ...]:
        return (self.parent,)

    @property
    def partitioner(self) -> Partitioner | None:
        # A loop and not recursion: programs chain thousands of narrow steps.
        node: Node = self
        while isinstance(node, Mapped):
            if not node.preserves_partitioning:
                return None
            node = node.parent
        return node.partitioner


@dataclass(eq=False, kw_only=True)
class Union(Node):
    """The partitions of all parents, one after the other."""

    members: tuple[Node, ...]

    @property
    def parents(self) -> tuple[Node, ...]:
        return self.members


@dataclass(eq=False, kw_only=True)
class AlignedUnion(Node):
    """Partition p is the partitions p of all members, which are all placed by one partitioner.

    `splittable` are the members whose partitions may be cut, as long as every cut meets the whole
    partition of the others.
    """

    members: tuple[Node, ...]
    splittable: frozenset[int] = frozenset()

    @property
    def parents(self) -> tuple[Node, ...]:
        return self.members

    @property
    def partitioner(self) -> Partitioner | None:
        return self.members[0].partitioner


@dataclass(eq=False, kw_only=True)
class Coalesced(Node):
    """Neighbouring partitions of the parent joined into at most `partitions`, without a shuffle.

    `sizes` says how many each takes, where they are not to be even.
    """

    parent: Node
    partitions: int
    sizes: tuple[int, ...] = ()

    @property
    def parents(self) -> tuple[Node, ...]:
        return (self.parent,)


@dataclass(eq=False, kw_only=True)
class Zipped(Node):
    """Pairs of the records at the same place in the same partition of two parents."""

    left: Node
    right: Node

    @property
    def parents(self) -> tuple[Node, ...]:
        return (self.left, self.right)


@dataclass(eq=False, kw_only=True)
class Cartesian(Node):
    """All pairs; partition i * n + j holds left partition i with right partition j."""

    left: Node
    right: Node

    @property
    def parents(self) -> tuple[Node, ...]:
        return (self.left, self.right)


@dataclass(eq=False, kw_only=True)
class Shuffled(Node):
    """Records of the parent moved to where a partitioner places them, then aggregated or sorted.

    A `target` of 0 partitions gets as many as `default_parallelism` says, or as the parent has.
    With `adaptive`, its readers may read the partitions in other portions: see `driver.adapting`.
    """

    parent: Node
    target: Partitioner
    aggregator: Aggregator | Grouping | None = None
    ordering: Ordering | None = None
    adaptive: Adaptive | None = None

    @property
    def parents(self) -> tuple[Node, ...]:
        return (self.parent,)

    @property
    def partitioner(self) -> Partitioner | None:
        # Dealt out by turns, equal keys lie anywhere.
        return None if isinstance(self.target, RoundRobinPartitioner) else self.target


@dataclass(eq=False, kw_only=True)
class CoGrouped(Node):
    """(key, (values of parent 0, values of parent 1, ...)) for every key of any parent."""

    members: tuple[Node, ...]
    target: Partitioner

    @property
    def parents(self) -> tuple[Node, ...]:
        return self.members

    @property
    def partitioner(self) -> Partitioner | None:
        return self.target


@dataclass(eq=False, kw_only=True)
class Regrouped(Node):
    """The partitions of a shuffle in other portions: each piece of the reading is a partition."""

    parent: Shuffled
    reading: Reading

    @property
    def parents(self) -> tuple[Node, ...]:
        return (self.parent,)


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Make room for lineages of thousands of steps, which loops over their last result make.

    The recursion limit is the interpreter's: only for code that does not await.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEEP))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def parents_first(
    root: Node, needs: Callable[[Node], Iterable[Node]] = attrgetter("parents")
) -> Iterator[Node]:
    """Yield all nodes that `root` needs, once each, parents before children; `needs` returns those
    that a node does.
    """
    seen: set[int] = set()
    waiting: list[tuple[Node, bool]] = [(root, False)]
    while waiting:
        node, expanded = waiting.pop()
        if expanded:
            yield node
        elif node.id not in seen:
            seen.add(node.id)
            waiting.append((node, True))
            waiting.extend((each, False) for each in needs(node))


def draw_lineage(root: Node) -> str:
    """Return a lineage as text: a node a line, indented once more at each shuffle and branch."""
    lines: list[str] = []
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        mark = "+-" if depth else ""
        kept = " [cached]" if node.persisted else ""
        lines.append(f"{'  ' * depth}{mark}({node.id}) {node.name}{kept}")
        deeper = depth + 1 if isinstance(node, Shuffled) or len(node.parents) > 1 else depth
        waiting.extend((parent, deeper) for parent in reversed(node.parents))
    return "\n".join(lines)
