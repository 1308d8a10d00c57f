"""What several tests of the emulator share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_TURNS = 200_000


async def settled(condition: Callable[[], bool]) -> None:
    """Let other tasks run until `condition` holds; the emulator is on this very loop."""
    for _ in range(_TURNS):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("the condition never came to hold")
