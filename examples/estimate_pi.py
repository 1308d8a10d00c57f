"""Estimate pi: a plain function, once for each item, with nothing to shuffle."""

from __future__ import annotations

import asyncio
import random

import aflint

POINTS = 20_000


def inside(seed: int) -> int:
    """Return how many of some random points of a square lie in its circle."""
    generator = random.Random(seed)
    return sum(generator.random() ** 2 + generator.random() ** 2 <= 1 for _ in range(POINTS))


async def main(tasks: int = 4) -> float:
    """Run the example and return its answer."""
    async with aflint.connect() as session:
        return 4 * sum(await session.map(inside, range(tasks))) / (tasks * POINTS)


if __name__ == "__main__":
    print(asyncio.run(main()))
