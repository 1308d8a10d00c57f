"""What several tests of the emulator share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_TURNS = 200_000
_LOOK_SECONDS = 0.002
_LOOKS = 10_000


async def settled(condition: Callable[[], bool]) -> None:
    """Let other tasks run until `condition` holds; the emulator is on this very loop."""
    for _ in range(_TURNS):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("the condition never came to hold")


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what another process does; raises TimeoutError after 20 s of looking."""
    for _ in range(_LOOKS):
        if condition():
            return
        await asyncio.sleep(_LOOK_SECONDS)
    raise TimeoutError("the condition never came to hold")
