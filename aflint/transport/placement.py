"""Where a block of a map attempt is cheapest: in a queue, or in the attempt's object. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from aflint.cost import (
    US_EAST_1,
    PriceTable,
    s3_break_even_bytes,
    s3_shuffle_cost,
    sqs_shuffle_cost,
)


def range_break_even(prices: PriceTable = US_EAST_1) -> int:
    """Return the compressed size from which a block is cheaper as a range of an object.

    The object is paid for already: only the GET counts. About 25 KB.
    """
    return s3_break_even_bytes(prices, puts=0, gets=1)


def choose_for_object(
    sizes: Mapping[int, int],
    forced: Collection[int],
    *,
    object_exists: bool,
    prices: PriceTable = US_EAST_1,
) -> set[int]:
    """Return the partitions whose blocks go into the object; all others go to queues.

    `sizes` are the compressed bytes of each block, `forced` those that no queue can carry. Where
    the object would be made for this alone, its PUT has to be saved by all of its blocks together.
    """
    break_even = range_break_even(prices)
    cheaper = {partition for partition, size in sizes.items() if size >= break_even}
    if object_exists or forced:
        return cheaper | set(forced)
    saved = sum(
        sqs_shuffle_cost(sizes[partition], prices) - s3_shuffle_cost(0, 1, prices)
        for partition in cheaper
    )
    return cheaper if saved > s3_shuffle_cost(1, 0, prices) else set()
