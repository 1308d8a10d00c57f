"""When a shuffle through objects is cheaper by way of a stage in between: pure."""

from __future__ import annotations

import math
from typing import Final

from aflint import limits
from aflint.cost.load import TASK_BYTES, groups_of
from aflint.cost.prices import US_EAST_1, PriceTable
from aflint.cost.rates import RATES, Rates
from aflint.cost.simulator import PARALLEL_GETS
from aflint.cost.workloads import MERGE_S

_GB_PER_VCPU: Final = limits.LAMBDA_MEMORY_PER_VCPU_MB / 1024


def cheaper_groups(
    maps: int, partitions: int, prices: PriceTable = US_EAST_1, rates: Rates = RATES
) -> int:
    """Return into how many groups partitions go where that is cheaper in objects, else 1.

    A block costs its GET and the time in which a function waits for it. The stage in between costs
    an invocation, an object and some seconds for each map task: as if that had written a full
    task's bytes, as what it will write is not known.
    """
    groups = groups_of(partitions)
    gb_second = prices.lambda_gb_second_x86 * _GB_PER_VCPU
    block = prices.s3_get + rates.s3_get_s.likely / PARALLEL_GETS * gb_second
    moving = 2 * TASK_BYTES / rates.s3_bytes_per_s.likely
    passing = (MERGE_S * TASK_BYTES + moving) * gb_second + prices.s3_put + prices.lambda_request
    between = math.ceil(maps / groups) * groups
    at_once = maps * partitions * block
    by_two = (maps * groups + partitions * math.ceil(maps / groups)) * block + between * passing
    return groups if by_two < at_once else 1
