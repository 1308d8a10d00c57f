"""Reads shuffles in portions that fit what they hold: made first, looked at, then planned on.

Shuffles that are marked `adaptive` are made before the stages that read them are planned. What a
task reads of them is decided for a region of lineage at a time: the narrow steps between shuffles,
whose leaves are read partition by partition together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

from aflint.plan.adaptive import Reading, Sizes, read_together
from aflint.plan.lineage import (
    AlignedUnion,
    Coalesced,
    Lifetime,
    Mapped,
    Node,
    Regrouped,
    Shuffled,
    Union,
    parents_first,
)

Make = Callable[[Sequence[Shuffled]], Awaitable[list[Sizes]]]
"""Runs the map stages of shuffles, which are kept, and returns what they hold."""


@dataclass(slots=True)
class Adapting:
    """Adapts resolved lineage. `splits`: several tasks may read one partition at once."""

    make: Make
    splits: bool
    # What was once decided of a shuffle stays, though it may be made again of other sizes: the
    # output of a map stage is kept by its partitions.
    _sizes: WeakKeyDictionary[Lifetime, Sizes] = field(default_factory=WeakKeyDictionary)

    async def adapted(self, root: Node) -> Node:
        """Make the adaptive shuffles of a lineage, innermost first, and return the lineage that
        reads them in portions that fit.
        """
        while True:
            rewriting = _Rewriting(self._sizes, self.splits)
            adapted = rewriting.rewritten(root)
            missing = list(rewriting.missing.values())
            if not missing:
                return adapted
            for node, sizes in zip(missing, await self.make(missing), strict=True):
                self._sizes[node.lifetime] = sizes

    def sizes(self, node: Shuffled) -> Sizes | None:
        """Return what a shuffle was found to hold when it was made."""
        return self._sizes.get(node.lifetime)


@dataclass(slots=True)
class _Rewriting:
    """One pass over a lineage: what can be decided is, and the shuffles to make next are found."""

    sizes: WeakKeyDictionary[Lifetime, Sizes]
    splits: bool
    # Shuffles whose own map side is decided, and that are to be made before more can be.
    missing: dict[int, Shuffled] = field(default_factory=dict)
    _done: dict[int, Node] = field(default_factory=dict)
    # Nodes that wait for the sizes of a shuffle somewhere below them.
    _waiting: set[int] = field(default_factory=set)

    def rewritten(self, root: Node) -> Node:
        for node in parents_first(root):
            if any(parent.id in self._waiting for parent in node.parents):
                self._waiting.add(node.id)
            self._done[node.id] = self._with_parents(node)
        return self._region(self._done[root.id], root.id)

    def _with_parents(self, node: Node) -> Node:
        """Return a node over what became of its parents, each adapted where a region ends."""
        match node:
            case Mapped(parent=parent):
                return _over(node, "parent", parent, self._done[parent.id])
            case Shuffled(parent=parent) | Coalesced(parent=parent):
                return _over(node, "parent", parent, self._adapted(parent, node))
            case AlignedUnion(members=members):
                return replace(node, members=tuple(self._done[member.id] for member in members))
            case Union(members=members):
                return replace(node, members=tuple(self._adapted(each, node) for each in members))
        return node  # zipped, multiplied and grouped partitions are to stay what they are

    def _adapted(self, parent: Node, reader: Node) -> Node:
        return self._region(self._done[parent.id], reader.id)

    def _region(self, top: Node, reader: int) -> Node:
        leaves = list(_leaves(top))
        reads = [leaf for leaf in leaves if isinstance(leaf, Shuffled) and leaf.adaptive]
        counts = {leaf.target.partitions for leaf in reads}
        if not reads or len(reads) < len(leaves) or len(counts) > 1 or max(counts) == 1:
            return top
        unmade = [leaf for leaf in reads if leaf.lifetime not in self.sizes]
        ready = [leaf for leaf in unmade if leaf.id not in self._waiting]
        if unmade or any(leaf.id in self._waiting for leaf in reads):
            self.missing.update((leaf.id, leaf) for leaf in ready)
            self._waiting.add(reader)
            return top
        settings = reads[0].adaptive
        assert settings is not None
        splittable = _splittable(top) if self.splits else frozenset[int]()
        sizes = [self.sizes[leaf.lifetime] for leaf in reads]
        readings = read_together(sizes, settings, splittable)
        return top if readings is None else _regrouped(top, iter(readings))


def _leaves(node: Node) -> Iterator[Node]:
    """Yield what the partitions of a region are made of, from left to right."""
    while isinstance(node, Mapped) and not _is_kept(node):
        node = node.parent
    if isinstance(node, AlignedUnion) and not _is_kept(node):
        for member in node.members:
            yield from _leaves(member)
    else:
        yield node


def _is_kept(node: Node) -> bool:
    """Say whether partitions of a node are stored: these are to be the same in every job."""
    return node.persisted or node.checkpointed


def _splittable(top: Node) -> frozenset[int]:
    """Return the places of the leaves that may be cut: those of one union, next to it."""
    while isinstance(top, Mapped):
        top = top.parent
    if not isinstance(top, AlignedUnion):
        return frozenset()
    alone = all(len(list(_leaves(member))) == 1 for member in top.members)
    return top.splittable if alone else frozenset()


def _regrouped(node: Node, readings: Iterator[Reading]) -> Node:
    match node:
        case Mapped(parent=parent):
            return replace(node, parent=_regrouped(parent, readings))
        case AlignedUnion(members=members):
            return replace(node, members=tuple(_regrouped(each, readings) for each in members))
        case Shuffled():
            reading = next(readings)
            return Regrouped(name=described(node, reading), parent=node, reading=reading)
    raise AssertionError(f"{type(node).__name__} in a region")


def described(node: Shuffled, reading: Reading) -> str:
    """Return what was decided in Spark's words, for stages and events."""
    coalesced = any(piece.last - piece.first > 1 for piece in reading)
    skewed = len({piece.first for piece in reading}) < len(reading)
    kinds = [word for word, fits in (("coalesced", coalesced), ("skewed", skewed)) if fits]
    how = " and ".join(kinds) or "without empty ones"
    tasks = "1 task" if len(reading) == 1 else f"{len(reading)} tasks"
    return f"AQEShuffleRead {how}: {node.target.partitions} partitions by {tasks}"


def _over(node: Node, name: str, before: Node, after: Node) -> Node:
    return node if after is before else replace(node, **{name: after})  # type: ignore[arg-type]
