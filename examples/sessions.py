"""Cut each user's clicks into visits: a pause of half an hour begins another one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import aflint

PAUSE_S = 1800
CLICKS = [("ada", 0), ("bo", 10), ("ada", 60), ("ada", 4000), ("bo", 1810), ("ada", 4100)]


def visits(times: Iterable[int]) -> list[int]:
    """Return how many clicks each visit has."""
    counts: list[int] = []
    last = None
    for time in sorted(times):
        if last is None or time - last > PAUSE_S:
            counts.append(0)
        counts[-1] += 1
        last = time
    return counts


async def main() -> list[tuple[str, list[int]]]:
    """Run the example and return its answer."""
    async with aflint.connect() as session:
        return sorted(await session.parallelize(CLICKS).group_by_key().map_values(visits).collect())


if __name__ == "__main__":
    print(asyncio.run(main()))
