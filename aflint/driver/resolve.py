"""From lineage as the user wrote it to lineage that can be planned.

Files are listed, sort orders sampled, partition counts filled in, and what is cached already takes
the place of its lineage. The I/O is that of the `Unresolved` nodes; the rest is pure.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any

from aflint.driver.deep import deep_recursion
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
    Shuffled,
    Source,
    Union,
    Unresolved,
    Zipped,
)
from aflint.plan.planner import partition_count

RunNeed = Callable[[Node, Any], Awaitable[list[Any]]]
"""Runs a job that an unresolved node needs: (node, sink) to the values of all partitions."""


@dataclass(slots=True)
class Resolver:
    """Resolves lineage for one session.

    `answers` keeps what unresolved nodes resolved to; `stored` takes the place of nodes all of
    whose partitions are cached. `answering` keeps jobs that run at once from answering the same
    node twice: a sort's sampled bounds may differ, and partitions cached by one job would not fit
    those cached by the other.
    """

    run: RunNeed
    default_parallelism: int | None
    stored: Mapping[int, Source]
    answers: MutableMapping[Lifetime, Node]
    answering: MutableMapping[Lifetime, asyncio.Lock] = field(default_factory=dict)

    async def resolve(self, root: Node) -> Node:
        """Return the lineage to plan for `root`.

        Raises what listing and sampling raise, and InvalidArgumentError for RDDs that do not fit
        together.
        """
        done: dict[int, Node] = {}
        for node in _parents_first(root, self.stored):
            if node.id in self.stored:
                done[node.id] = self.stored[node.id]
            elif isinstance(node, Unresolved):
                done[node.id] = await self.resolve(await self._answer(node))
            else:
                with deep_recursion():
                    done[node.id] = _with_parents(node, done, self.default_parallelism)
        return done[root.id]

    async def _answer(self, node: Unresolved) -> Node:
        async with self.answering.setdefault(node.lifetime, asyncio.Lock()):
            if node.lifetime not in self.answers:
                answers = [await self.run(needed, sink) for needed, sink in node.needs]
                found = node.resolve(*answers)
                self.answers[node.lifetime] = await found if inspect.isawaitable(found) else found
        answer = self.answers[node.lifetime]
        answer.persisted, answer.checkpointed = node.persisted, node.checkpointed
        return answer


def _parents_first(root: Node, stored: Mapping[int, Any]) -> Iterator[Node]:
    """Yield all nodes that `root` needs, parents before children; not past those that are stored,
    or have needs of their own to be met first.
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
            if not isinstance(node, Unresolved) and node.id not in stored:
                waiting.extend((parent, False) for parent in node.parents)


def _with_parents(node: Node, done: Mapping[int, Node], parallelism: int | None) -> Node:
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
            target = with_count(target, [parent], parallelism)
            return replace(node, parent=parent, target=target)
        case CoGrouped(members=members, target=target):
            placed = tuple(done[member.id] for member in members)
            return replace(node, members=placed, target=with_count(target, placed, parallelism))
        case _:
            return node


def with_count(
    target: Partitioner, parents: list[Node] | tuple[Node, ...], parallelism: int | None
) -> Partitioner:
    """Return a partitioner that says how many partitions it makes.

    Where none were asked for, the hash partitioner that a parent is already placed by saves a
    shuffle; else there are `parallelism` partitions, or as many as the largest parent has.
    """
    if target.partitions:
        return target
    if target == HashPartitioner(0):
        known = [p for node in parents if (p := node.partitioner) is not None]
        plain = [p for p in known if p == HashPartitioner(p.partitions)]
        if plain:
            return max(plain, key=lambda partitioner: partitioner.partitions)
    largest = max((partition_count(parent) for parent in parents), default=1)
    return replace(target, partitions=parallelism or max(1, largest))


def _zipped(node: Zipped) -> Zipped:
    left, right = partition_count(node.left), partition_count(node.right)
    if left != right:
        raise InvalidArgumentError(
            f"zip: the RDDs have {left} and {right} partitions; they must have equally many, with "
            "equally many records in each. Use repartition or coalesce first."
        )
    return node
