"""Join orders with customers; those without a customer are kept."""

from __future__ import annotations

import asyncio
from typing import Any

import aflint


async def main() -> list[Any]:
    """Run the example and return its answer."""
    async with aflint.connect() as session:
        customers = session.parallelize([(1, "Ada"), (2, "Bo")])
        orders = session.parallelize([(1, 30), (2, 12), (1, 5), (3, 99)])
        joined = orders.left_outer_join(customers)
        totals = joined.map(lambda row: (row[1][1] or "unknown", row[1][0]))
        return sorted(await totals.reduce_by_key(lambda a, b: a + b).collect())


if __name__ == "__main__":
    print(asyncio.run(main()))
