"""Whether what is shuffled goes from map to reduce tasks at once, or by way of a stage in between.

With one level, each of R reduce tasks reads a block of each of M map tasks. With two, a stage
between them brings together what is for a group of reduce tasks from a group of map tasks, and
about 2 M √R blocks are read.
"""

from __future__ import annotations

from typing import Literal

from aflint.cost.load import groups_of
from aflint.plan.planner import Exchange
from aflint.transport.base import Transport


def exchange_of(levels: Literal["auto", "one", "two"], transport: Transport) -> Exchange:
    """Return what says how each shuffle is exchanged."""
    if levels == "one":
        return lambda maps, partitions: 1
    if levels == "two":
        return lambda maps, partitions: groups_of(partitions)
    return transport.exchange_groups
