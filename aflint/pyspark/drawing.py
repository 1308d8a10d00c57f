"""RDDs as text, by the names that Spark gives them."""

from __future__ import annotations

from typing import Any

from aflint.plan.lineage import CoGrouped, Node, Shuffled, Source
from aflint.task import RangeSplit

_NAMES = {
    "Source": "ParallelCollectionRDD",
    "Unresolved": "HadoopRDD",
    "Mapped": "PythonRDD",
    "Union": "UnionRDD",
    "AlignedUnion": "PartitionerAwareUnionRDD",
    "Coalesced": "CoalescedRDD",
    "Zipped": "ZippedPartitionsRDD2",
    "Cartesian": "CartesianRDD",
    "Shuffled": "ShuffledRDD",
    "CoGrouped": "CoGroupedRDD",
}


def described(node: Node) -> str:
    """Return one RDD as text."""
    kind = _NAMES.get(type(node).__name__, "RDD")
    if isinstance(node, Source) and not node.splits:
        kind = "EmptyRDD"
    return f"{kind}[{node.id}] {node.name}"


def draw(root: Node, level: Any) -> list[str]:
    """Return a lineage, one RDD a line, those before a shuffle further to the right."""
    lines: list[str] = []
    waiting = [(root, 0, False)]
    while waiting:
        node, depth, first = waiting.pop()
        mark = " +-" if first else " | " if lines else ""
        kept = f"[{level}]" if node is root and level else "[cached]" if node.persisted else "[]"
        lines.append(f"{'   ' * depth}{mark}{described(node)} {kept}")
        # On Spark a range is a collection of the JVM's, made into Python's by another RDD.
        if isinstance(node, Source) and any(isinstance(s, RangeSplit) for s in node.splits):
            lines[-1] = lines[-1].replace("ParallelCollectionRDD", "PythonRDD", 1)
            lines.append(f"{'   ' * depth} | {described(node)} []")
        # A new level where Spark draws one: behind a shuffle, and for each of several parents.
        further = isinstance(node, Shuffled | CoGrouped) or len(node.parents) > 1
        waiting.extend((parent, depth + further, further) for parent in reversed(node.parents))
    return lines
