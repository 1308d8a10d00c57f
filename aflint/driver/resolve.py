"""What a session knows of its lineage: what nodes resolve to, and what is cached of them.

Lineage as the user wrote it becomes lineage that can be planned: files are listed, sort orders
sampled, partition counts filled in, and what is cached already takes the place of its lineage. The
I/O is that of the `Unresolved` nodes; the rest is pure.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

from aflint.errors import InvalidArgumentError
from aflint.plan.lineage import (
    AlignedUnion,
    Cartesian,
    Coalesced,
    CoGrouped,
    HashPartitioner,
    Lifetime,
    Mapped,
    Node,
    Partitioner,
    Regrouped,
    Shuffled,
    Source,
    Union,
    Unresolved,
    Zipped,
    deep_recursion,
    parents_first,
)
from aflint.plan.planner import partition_count
from aflint.plan.program import Sink
from aflint.task import BlocksSplit, TaskResult

RunNeed = Callable[[Node, Sink], Awaitable[list[Any]]]
"""Runs a job that an unresolved node needs: (node, sink) to the values of all partitions."""


Choose = Callable[[Sequence[Node]], int]
"""Given the parents of a shuffle, resolved, returns how many partitions it gets."""


@dataclass(slots=True)
class Resolver:
    """Resolves the lineage of one session, and remembers what cannot be found out twice.

    `default_parallelism` is for shuffles that name no number of partitions; `choose`, where it is
    given, for those that it has no number for: given the parents, it returns one.
    """

    run: RunNeed
    default_parallelism: int | None
    choose: Choose | None = None
    # Nodes all of whose partitions are cached or checkpointed, as sources that read those.
    stored: dict[int, Source] = field(default_factory=dict)
    # Of nodes that are to be cached, the splits of the partitions that are.
    _collecting: dict[int, dict[int, Any]] = field(default_factory=dict)
    # What unresolved nodes resolved to, for as long as those live.
    _answers: WeakKeyDictionary[Lifetime, Node] = field(default_factory=WeakKeyDictionary)
    # Held while a node is answered. Of two jobs that need it at once, the second must take the
    # answer of the first: the bounds of a sort are sampled, and partitions that one job cached by
    # its bounds would not fit those of the other.
    _answering: WeakKeyDictionary[Lifetime, asyncio.Lock] = field(default_factory=WeakKeyDictionary)

    def know(self, other: Resolver) -> None:
        """Take over what another has found out."""
        self._answers.update(other._answers)
        self.stored.update(other.stored)

    async def resolve(self, root: Node) -> Node:
        """Return the lineage to plan for `root`.

        Raises what listing and sampling raise, and InvalidArgumentError for RDDs that do not fit
        together.
        """
        done: dict[int, Node] = {}
        for node in parents_first(root, self._needs):
            if node.id in self.stored:
                done[node.id] = self.stored[node.id]
            elif isinstance(node, Unresolved):
                # The answer may be lineage that is to be resolved itself, as after a sort.
                done[node.id] = await self.resolve(await self._answer(node))
            else:
                with deep_recursion():
                    done[node.id] = _with_parents(node, done, self._count_for)
        return done[root.id]

    def _needs(self, node: Node) -> tuple[Node, ...]:
        # Nothing is needed below what is stored; what is unresolved has its own needs met first.
        return () if isinstance(node, Unresolved) or node.id in self.stored else node.parents

    async def _answer(self, node: Unresolved) -> Node:
        async with self._answering.setdefault(node.lifetime, asyncio.Lock()):
            if node.lifetime not in self._answers:
                answers = [await self.run(needed, sink) for needed, sink in node.needs]
                found = node.resolve(*answers)
                self._answers[node.lifetime] = await found if inspect.isawaitable(found) else found
        answer = self._answers[node.lifetime]
        # cache() and unpersist() may have been called after the node was answered.
        answer.persisted, answer.checkpointed = node.persisted, node.checkpointed
        answer.in_memory = node.in_memory
        return answer

    async def partition_count(self, node: Node) -> int:
        """Return how many partitions a node has."""
        return partition_count(await self.resolve(node))

    async def default_partitions(self, node: Node) -> int:
        """Return how many partitions a shuffle of a node gets by default."""
        resolved = await self.resolve(node)
        return self._count_for([resolved])

    def _count_for(self, parents: Sequence[Node]) -> int:
        """Return how many partitions a shuffle of these gets where it names no number."""
        if self.default_parallelism:
            return self.default_parallelism
        if self.choose is not None and parents:
            return max(1, self.choose(parents))
        return max(1, max(map(partition_count, parents), default=1))

    # ---- cached partitions

    def take_in(self, result: TaskResult, cached: Mapping[int, Node]) -> None:
        """Note the partitions that an accepted task cached; `cached` are its job's cached nodes."""
        for id, partition, split in result.stored:
            parts = self._collecting.setdefault(id, {})
            parts[partition] = split
            node = cached.get(id)
            # A part of the partitions is of no use to a plan: it reads all of them, or none.
            if node is not None and len(parts) == partition_count(node):
                splits = tuple(parts[place] for place in range(len(parts)))
                self.stored[id] = Source(
                    id=id, name=node.name, splits=splits, placed_by=node.partitioner
                )
                del self._collecting[id]

    def forget(self, node: Node) -> Iterator[tuple[Lifetime, list[str]]]:
        """Drop the cached partitions of a node; yields the lifetimes under which it is known, each
        with the files.
        """
        for each in filter(None, (node, self._answers.get(node.lifetime))):
            source = self.stored.pop(each.id, None)
            splits = [*(source.splits if source else ())]
            splits += self._collecting.pop(each.id, {}).values()
            yield each.lifetime, [s.path for s in splits if isinstance(s, BlocksSplit)]

    def is_checkpointed(self, node: Node) -> bool:
        """Say whether the checkpoint of a node has been written."""
        if isinstance(node, Unresolved) and node.lifetime in self._answers:
            node = self._answers[node.lifetime]
        return node.checkpointed and node.id in self.stored


def nodes_to_cache(root: Node) -> dict[int, Node]:
    """Return the nodes of a resolved lineage whose partitions are to be cached, by id."""
    found: dict[int, Node] = {}
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.id not in seen:
            seen.add(node.id)
            if node.persisted or node.checkpointed:
                found[node.id] = node
            waiting.extend(node.parents)
    return found


def _with_parents(node: Node, done: Mapping[int, Node], count_for: Choose) -> Node:
    match node:
        case Mapped(parent=parent) | Coalesced(parent=parent):
            return replace(node, parent=done[parent.id])
        case Union(members=members) | AlignedUnion(members=members):
            return replace(node, members=tuple(done[member.id] for member in members))
        case Zipped(left=left, right=right):
            return _zipped(replace(node, left=done[left.id], right=done[right.id]))
        case Cartesian(left=left, right=right):
            return replace(node, left=done[left.id], right=done[right.id])
        case Shuffled(parent=parent, target=target):
            parent = done[parent.id]
            target = with_count(target, [parent], count_for)
            return replace(node, parent=parent, target=target)
        case Regrouped(parent=parent):
            shuffled = done[parent.id]
            assert isinstance(shuffled, Shuffled)
            return replace(node, parent=shuffled)
        case CoGrouped(members=members, target=target):
            placed = tuple(done[member.id] for member in members)
            return replace(node, members=placed, target=with_count(target, placed, count_for))
        case _:
            return node


def with_count(target: Partitioner, parents: Sequence[Node], count_for: Choose) -> Partitioner:
    """Return a partitioner that says how many partitions it makes.

    By default, the hash partitioner that already places a parent is taken over, which saves a
    shuffle; else there are as many partitions as `count_for` the parents returns.
    """
    if target.partitions:
        return target
    if target == HashPartitioner(0):  # by the portable hash, and not by a function of the user's
        known = [p for node in parents if (p := node.partitioner) is not None]
        plain = [p for p in known if p == HashPartitioner(p.partitions)]
        if plain:
            return max(plain, key=lambda partitioner: partitioner.partitions)
    return replace(target, partitions=count_for(parents))


def _zipped(node: Zipped) -> Zipped:
    left, right = partition_count(node.left), partition_count(node.right)
    if left != right:
        raise InvalidArgumentError(
            f"zip: the RDDs have {left} and {right} partitions; they must have equally many, with "
            "equally many records in each. Use repartition or coalesce first."
        )
    return node
