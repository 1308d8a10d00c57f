"""How much a stage reads, as far as a listing says: pure."""

from __future__ import annotations

from typing import Any, Final

from aflint.plan.planner import ManifestOf, Stage
from aflint.task import BlocksSplit, FilesSplit, RangeSplit, TextSplit

FILES: Final = (TextSplit, FilesSplit, BlocksSplit)
"""The splits whose weights are bytes."""


def weight(stage: Stage, kinds: type | tuple[type, ...] = object) -> float:
    """Return the weights of what a stage reads from splits of some kinds together."""
    splits = (each.split for inputs in stage.inputs for each in inputs)
    return float(sum(size_of(split) for split in splits if isinstance(split, kinds)))


def size_of(split: Any) -> int:
    """Return a split's weight: bytes where they are known, else one as good as another."""
    match split:
        case TextSplit(start=start, end=end):
            return end - start
        case FilesSplit(sizes=sizes):
            return sum(sizes)
        case BlocksSplit(size=size):
            return size
        case RangeSplit(start, stop, step):
            return len(range(start, stop, step))
        case ManifestOf():
            return 0
    return 1
