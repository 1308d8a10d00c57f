"""The hand-written program behind the benchmark's seam."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.peers.handwritten import Handwritten


class HandwrittenTaxi:
    """Runs the program's two processes, and waits for them off the event loop."""

    name = "hand-written"

    def __init__(self, trips: list[str], weather: str) -> None:
        self._program = Handwritten(trips, weather)

    async def __aenter__(self) -> HandwrittenTaxi:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._program.__exit__(*exc)

    async def answer(self, case: str) -> Any:
        """Answer one query."""
        return await asyncio.to_thread(self._program.answer, case)
