"""The driver's side of saving: nothing is in place before all of it is."""

from __future__ import annotations

from collections.abc import Iterable

from aflint.aio import together
from aflint.errors import OutputExistsError, PathNotFoundError
from aflint.storage.base import Storage
from aflint.task import StagedPart

MOVES = 32
"""Parts moved at the same time: enough to hide the latency of an object store."""


async def prepare(storage: Storage, target: str) -> None:
    """Check that a save may go to `target`, before any task runs.

    Raises OutputExistsError if anything is there, as Spark does.
    """
    if await storage.exists(target):
        raise OutputExistsError(
            f"{target} is already there; remove it, or save to another path (nothing was written)",
            target,
        )


async def commit(storage: Storage, target: str, parts: Iterable[StagedPart]) -> None:
    """Move the parts of the accepted attempts into place, drop all others, and write _SUCCESS.

    Parts that a driver before this one had moved are in place already.
    """
    folder = target.rstrip("/")

    async def move(part: StagedPart) -> None:
        target = f"{folder}/{part.name}"
        try:
            await storage.move(part.staged, target)
        except PathNotFoundError:  # moved by a driver before this one, if it is in its place
            if not await storage.exists(target):
                raise

    # In this order: readers take a folder with _SUCCESS for whole.
    await together(map(move, parts), MOVES)
    await storage.delete(f"{folder}/_temporary")
    await storage.write(f"{folder}/_SUCCESS", b"")


async def abort(storage: Storage, target: str) -> None:
    """Remove all that a save left, unless it was committed. To be called only after `prepare`."""
    folder = target.rstrip("/")
    if not await storage.exists(f"{folder}/_SUCCESS"):
        await storage.delete(folder)
