"""Lineage as text."""

from __future__ import annotations

from aflint.plan.lineage import Node, Shuffled


def draw_lineage(root: Node) -> str:
    """Draw a lineage as text."""
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
