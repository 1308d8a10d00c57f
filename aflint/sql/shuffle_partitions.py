"""How many partitions the shuffles of a query have, where its program asks for no number.

Spark's 200 is for clusters, and most of them would be merged again. A few for each worker do, until
what falls to a task no longer fits its memory: then there are as many more as it takes.
"""

from __future__ import annotations

from math import ceil

from aflint.sql.one_task import bytes_of, parts
from aflint.sql.plan import Expression, PlanNode

_MOST = 2000
"""Past that, the pairs of map tasks and partitions cost more than spilling does."""

_TASK_SHARE = 8
"""A task's memory over the files' bytes that fall to it: these are compressed, and a join holds two
sides.
"""


def widened(plan: PlanNode, default: int, memory_mb: int) -> int | None:
    """Return how many partitions each shuffle of a query is to have in place of the `default`.

    None, where that is enough, or where a number was asked for: what was placed by that number
    may be joined with what Spark places by its own, so that none may change.
    """
    steps = [part for part in parts(plan) if isinstance(part, PlanNode)]
    if any(step.kind == "InMemoryTableScanExec" for step in steps):
        return None  # which is placed already
    if not all(_is_default(step, default) for step in steps):
        return None
    size = sum(bytes_of(step) for step in steps if step.kind == "FileSourceScanExec")
    wide = min(_MOST, ceil(size * _TASK_SHARE / (memory_mb << 20)))
    return wide if wide > default else None


def _is_default(step: PlanNode, default: int) -> bool:
    if step.kind != "ShuffleExchangeExec":
        return True
    target = step.fields["outputPartitioning"]
    if isinstance(target, str):  # a single partition
        return True
    fields = target.fields if isinstance(target, Expression) else target
    own = step.fields["shuffleOrigin"] == {"opaque": "ENSURE_REQUIREMENTS"}
    return own and int(fields["numPartitions"]) == default
