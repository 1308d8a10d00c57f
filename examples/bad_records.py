"""Skip records that cannot be read, count them, and stop a job that would cost too much."""

from __future__ import annotations

import asyncio

import aflint

LINES = ["1.5", "2.5", "n/a", "", "4"]


async def main() -> tuple[float, int]:
    """Run the example and return its answer."""
    async with aflint.connect(budget_usd=1.0, deadline_s=300) as session:
        skipped = session.accumulator(0)

        def number(line: str) -> list[float]:
            try:
                return [float(line)]
            except ValueError:
                skipped.add(1)
                return []

        total = await session.parallelize(LINES).flat_map(number).sum()
        return total, skipped.value


if __name__ == "__main__":
    print(asyncio.run(main()))
