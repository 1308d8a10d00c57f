"""When a shuffle is cheaper by way of a stage in between: pure."""

from __future__ import annotations

import math
from typing import Final

from aflint import limits
from aflint.cost.load import TASK_BYTES, groups_of
from aflint.cost.prices import US_EAST_1, PriceTable
from aflint.cost.rates import RATES, Rates
from aflint.cost.requests import Requests, TransportName, reading, writing
from aflint.cost.simulator import PARALLEL_GETS, SENDS
from aflint.cost.workloads import MERGE_S

_GB_PER_VCPU: Final = limits.LAMBDA_MEMORY_PER_VCPU_MB / 1024


def cheaper_groups(
    maps: int,
    partitions: int,
    transport: TransportName,
    message_bytes: int = limits.SQS_OLD_MESSAGE_BYTES,
    prices: PriceTable = US_EAST_1,
    rates: Rates = RATES,
) -> int:
    """Return into how many groups partitions go where that is cheaper, else 1.

    What a map task will write is not known: it is taken for a full task's bytes. The requests for
    these, with the time that a function waits for them, are dearer the more blocks there are. The
    stage in between costs an invocation and some seconds for each of its tasks.
    """
    groups = groups_of(partitions)
    gb_second = prices.lambda_gb_second_x86 * _GB_PER_VCPU

    def dollars(asked: Requests) -> float:
        waits = asked.gets * rates.s3_get_s.likely / PARALLEL_GETS
        waits += asked.sqs * rates.sqs_receive_s.likely / SENDS
        bill = asked.gets * prices.s3_get + asked.puts * prices.s3_put
        return bill + asked.sqs_billed * prices.sqs_request + waits * gb_second

    def exchanged(writers: int, blocks: int, readers: int, sources: int) -> float:
        wrote = writing(TASK_BYTES, blocks, transport, prices, message_bytes)
        read = reading(TASK_BYTES, blocks, sources, transport, prices, message_bytes)
        return writers * dollars(wrote) + readers * dollars(read)

    width, spans = math.ceil(partitions / groups), math.ceil(maps / groups)
    between = spans * groups
    moving = 2 * TASK_BYTES / rates.s3_bytes_per_s.likely
    passing = (MERGE_S * TASK_BYTES + moving) * gb_second + prices.lambda_request
    at_once = exchanged(maps, partitions, partitions, maps)
    by_two = exchanged(maps, groups, between, groups) + between * passing
    by_two += exchanged(between, width, partitions, spans)
    return groups if by_two < at_once else 1
