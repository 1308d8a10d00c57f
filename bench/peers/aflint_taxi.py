"""aflint's local backend with two workers."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import aflint
from aflint.rdd import RDD
from examples.taxi.queries import QUERIES

WORKERS = 2


class AflintTaxi:
    """A warm session that answers the queries as its users would ask them."""

    name = "aflint"

    def __init__(self, trips: list[str], weather: str) -> None:
        self._files = trips, weather
        self._stack = AsyncExitStack()
        self._rdds: tuple[RDD[str], RDD[str]] | None = None

    async def __aenter__(self) -> AflintTaxi:
        connection = aflint.connect(workers=WORKERS, progress=False)
        session = await self._stack.enter_async_context(connection)
        trips, weather = self._files
        self._rdds = session.text_file(trips), session.text_file(weather)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def answer(self, case: str) -> Any:
        """Answer one query."""
        if self._rdds is None:
            raise RuntimeError("the session is not open: use `async with`")
        query = next(query for query in QUERIES if query.name == case)
        return await query.answer(*self._rdds)
