"""The driver's side of saving: nothing is in place before all of it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from aflint.aio import together
from aflint.errors import OutputExistsError, PathNotFoundError
from aflint.storage.base import Storage
from aflint.task import StagedPart

MOVES = 256
"""Parts moved at the same time. S3 copies an object at some 60 MB/s, and others beside it as fast:
what a job waits for that saves a terabyte.
"""

Mode = Literal["new", "append", "overwrite", "overwrite_partitions"]
"""What a save does about what is there: refuses to run, adds to it, replaces all of it, or replaces
that in the folders of the target that it writes to.
"""


async def prepare(storage: Storage, target: str) -> None:
    """Check that a save of a new target may go there, before any task runs.

    Raises OutputExistsError if anything is there, as Spark does.
    """
    if await storage.exists(target):
        raise OutputExistsError(
            f"{target} is already there; remove it, or save to another path (nothing was written)",
            target,
        )


async def commit(
    storage: Storage,
    target: str,
    parts: Iterable[StagedPart],
    mode: Mode = "new",
    job: str = "",
    within: str = "",
) -> None:
    """Move the parts of the accepted attempts into place, drop all others, and write _SUCCESS. An
    overwrite replaces what is `within` a folder of the target, by default all.

    Parts that a driver before this one had moved are in place already: of other modes than "new",
    no other save's parts have their names.
    """
    folder = target.rstrip("/")
    parts = list(parts)

    async def move(part: StagedPart) -> None:
        target = f"{folder}/{part.name}"
        try:
            await storage.move(part.staged, target)
        except PathNotFoundError:  # moved by a driver before this one, if it is in its place
            if not await storage.exists(target):
                raise

    await _make_room(storage, folder, [part.name for part in parts], mode, within)
    # In this order: readers take a folder with _SUCCESS for whole.
    await together(map(move, parts), MOVES)
    await _drop_staged(storage, folder, mode, job)
    await storage.write(f"{folder}/_SUCCESS", b"")


async def _make_room(
    storage: Storage, folder: str, names: list[str], mode: Mode, replaced: str
) -> None:
    """Remove what the parts replace, which stays until all of them are written."""
    if mode == "overwrite" and replaced:
        keep = {name.removeprefix(f"{replaced}/") for name in names}
        await storage.clear(f"{folder}/{replaced}", keep)
    elif mode == "overwrite":
        await storage.clear(folder, {"_temporary", *names})
    elif mode == "overwrite_partitions":
        kept: dict[str, set[str]] = {}
        for name in names:
            within, _, file = name.rpartition("/")
            kept.setdefault(within, {"_temporary"}).add(file)
        for within, files in kept.items():
            await storage.clear(f"{folder}/{within}", files)


async def _drop_staged(storage: Storage, folder: str, mode: Mode, job: str) -> None:
    if mode == "new":
        await storage.delete(f"{folder}/_temporary")
        return
    # Others may append to the same folder at the same time.
    await storage.delete(f"{folder}/_temporary/{job}")
    if not await _has_files(storage, f"{folder}/_temporary"):
        await storage.delete(f"{folder}/_temporary")


async def _has_files(storage: Storage, folder: str) -> bool:
    try:
        return bool(await storage.list(folder, "read"))
    except PathNotFoundError:
        return False


async def abort(
    storage: Storage,
    target: str,
    mode: Mode = "new",
    job: str = "",
    parts: Iterable[StagedPart] = (),
) -> None:
    """Remove all that a save left, unless it was committed: a new target whole, to be called only
    after `prepare`; elsewhere what the job has staged, and those of its `parts` that were moved.
    """
    folder = target.rstrip("/")
    if mode != "new":
        await storage.delete_files([f"{folder}/{part.name}" for part in parts])
        await _drop_staged(storage, folder, mode, job)
        kept = [await storage.exists(f"{folder}/{name}") for name in ("_temporary", "_SUCCESS")]
        if not any(kept) and not await _has_files(storage, folder):
            await storage.delete(folder)  # which the save had made
    elif not await storage.exists(f"{folder}/_SUCCESS"):
        await storage.delete(folder)
