"""Rank pages by their links: a job that goes over the same data again and again."""

from __future__ import annotations

import asyncio

import aflint

LINKS = [("a", ["b", "c"]), ("b", ["c"]), ("c", ["a"]), ("d", ["c"])]
ROUNDS, DAMPING = 5, 0.85


async def main() -> list[tuple[str, float]]:
    """Run the example and return its answer."""
    async with aflint.connect() as session:
        links = session.parallelize(LINKS).partition_by(2).persist()
        ranks = links.map_values(lambda _: 1.0)
        for _ in range(ROUNDS):
            given = links.join(ranks).flat_map(
                lambda row: [(page, row[1][1] / len(row[1][0])) for page in row[1][0]]
            )
            sums = given.reduce_by_key(lambda a, b: a + b, 2)
            ranks = sums.map_values(lambda rank: 1 - DAMPING + DAMPING * rank)
        return await ranks.take_ordered(3, key=lambda pair: -pair[1])


if __name__ == "__main__":
    print(asyncio.run(main()))
