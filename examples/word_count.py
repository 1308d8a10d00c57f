"""Count words, and show the most frequent ones."""

from __future__ import annotations

import asyncio

import aflint


async def main(path: str = "README.md") -> list[tuple[str, int]]:
    """Run the example and return its answer."""
    async with aflint.connect() as session:
        words = session.text_file(path).flat_map(str.split).map(str.lower)
        counts = words.map(lambda word: (word, 1)).reduce_by_key(lambda a, b: a + b)
        return await counts.take_ordered(5, key=lambda pair: (-pair[1], pair[0]))


if __name__ == "__main__":
    print(asyncio.run(main()))
