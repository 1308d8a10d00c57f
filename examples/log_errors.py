"""Find which service logs the most errors, by the hour."""

from __future__ import annotations

import asyncio

import aflint

LINES = [
    "2026-11-28T10:01:07 web ERROR no route to host",
    "2026-11-28T10:02:44 web INFO started",
    "2026-11-28T10:59:59 db ERROR disk full",
    "2026-11-28T11:00:01 web ERROR time-out",
    "2026-11-28T10:30:00 web ERROR time-out",
]


def hour_and_service(line: str) -> tuple[str, str]:
    """Return what errors are counted by."""
    time, service, *_ = line.split()
    return time[:13], service


async def main() -> list[tuple[tuple[str, str], int]]:
    """Run the example and return its answer."""
    async with aflint.connect() as session:
        lines = session.parallelize(LINES)
        errors = lines.filter(lambda line: " ERROR " in line).map(hour_and_service)
        counts = errors.map(lambda key: (key, 1)).reduce_by_key(lambda a, b: a + b)
        return await counts.sort_by(lambda pair: pair[0]).collect()


if __name__ == "__main__":
    print(asyncio.run(main()))
