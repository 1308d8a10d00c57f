"""The shuffles that a local session holds on disk."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

from aflint import Session


def shuffles(session: Session) -> list[Path]:
    folder = Path(session._backend.folder) / "shuffle"
    return sorted(path for path in folder.iterdir() if "-closed" not in path.name)


async def removed(session: Session, count: int) -> None:
    """Wait until so many shuffles are left, for as long as a test may take."""
    gc.collect()
    async with asyncio.timeout(30):
        while len(shuffles(session)) > count:  # noqa: ASYNC110 - a folder tells nobody
            await asyncio.sleep(0.01)
