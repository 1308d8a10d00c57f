"""Tell for each word in which documents it stands."""

from __future__ import annotations

import asyncio

import aflint

DOCUMENTS = [("one.txt", "to be or not to be"), ("two.txt", "not now")]


async def main() -> dict[str, list[str]]:
    """Run the example and return its answer."""
    async with aflint.connect() as session:
        documents = session.parallelize(DOCUMENTS)
        places = documents.flat_map(lambda pair: [(word, pair[0]) for word in pair[1].split()])
        found = await places.distinct().group_by_key().map_values(sorted).collect()
        return dict(sorted(found))


if __name__ == "__main__":
    print(asyncio.run(main()))
