"""The history in a deployment's bucket: what each run on aws wrote, wherever its driver was.

Logs are called by the time at which their runs began, so that the latest come last in a listing.
Commands and the page read them in the user's state folder, where the latest are copied to.
"""

from __future__ import annotations

import asyncio
import calendar
import logging
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aflint.aio import together
from aflint.errors import AflintError, PathNotFoundError
from aflint.observe.history import MOST_RUNS, logs, prune, size_and_time
from aflint.observe.logfile import IN_PROGRESS
from aflint.observe.rolling import ROLLING
from aflint.storage.base import FileInfo, Storage

_log = logging.getLogger("aflint.observe")

_STAMP: Final = "%Y%m%dT%H%M%S"
_EVERY_S: Final = 30.0


def stamped(name: str, now: float) -> str:
    """Return what a log of a run that begins now is called in the bucket."""
    return f"{time.strftime(_STAMP, time.gmtime(now))}_{name}"


@dataclass(frozen=True, slots=True)
class RemoteLog:
    """A log in the bucket: the name of its folder, its files, and when its run began."""

    name: str
    files: tuple[FileInfo, ...]
    began: float

    @property
    def size(self) -> int:
        """Its bytes."""
        return sum(file.size for file in self.files)

    @property
    def run(self) -> str:
        """What the log would be called in the state folder of its driver."""
        return self.name.removeprefix(ROLLING).partition("_")[2]


async def remote_logs(storage: Storage, folder: str) -> list[RemoteLog]:
    """Return the logs in a bucket, the latest first."""
    try:
        files = await storage.list(f"{folder}/", subfolders="read")
    except PathNotFoundError:
        return []
    by_log: dict[str, list[FileInfo]] = defaultdict(list)
    for file in files:
        log, _, within = file.path.removeprefix(f"{folder}/").partition("/")
        if within and "/" not in within:
            by_log[log].append(file)
    found = [
        RemoteLog(name, tuple(files), began)
        for name, files in by_log.items()
        if (began := _began(name)) is not None
    ]
    return sorted(found, key=lambda log: log.began, reverse=True)


async def prune_remote(storage: Storage, folder: str, most_bytes: int) -> None:
    """Remove the oldest logs beyond the bound; the latest stays, whatever its size."""
    found = await remote_logs(storage, folder)
    _, beyond = within_bound([(log.began, log.size) for log in found], most_bytes)
    for place in beyond:
        await storage.delete(f"{folder}/{found[place].name}")


async def mirror(storage: Storage, remote: str, folder: Path, most_bytes: int) -> None:
    """Copy the latest logs of a bucket to a folder of this machine, as far as both of them together
    stay within the bound: parts that are there are not read again.
    """
    found = await remote_logs(storage, remote)
    here = await asyncio.to_thread(_here, folder)
    # A run of this machine's has left the whole of its log here.
    foreign = [log for log in found if not here.keys() & {log.run, log.run + IN_PROGRESS}]
    names = {log.name for log in foreign}
    sizes = [(log.began, log.size) for log in foreign]
    sizes += [place for name, place in here.items() if name not in names]
    kept, _ = within_bound(sizes, most_bytes)
    wanted = [foreign[place] for place in kept if place < len(foreign)]

    async def copy(log: RemoteLog, file: FileInfo) -> None:
        target = folder / log.name / file.path.rpartition("/")[2]
        if not await asyncio.to_thread(target.exists):
            data = await storage.read(file.path)
            await asyncio.to_thread(_put, target, data, log.began)

    try:
        await together(copy(log, file) for log in wanted for file in log.files)
    except PathNotFoundError:
        _log.info("a run of the bucket was removed while it was read")
    await asyncio.to_thread(_tidy, folder, wanted)
    await asyncio.to_thread(prune, folder, most_bytes, time.time())


async def follow(storage: Storage, remote: str, folder: Path, most_bytes: int) -> None:
    """Mirror the bucket again and again, until cancelled; what is in the way is warned of once."""
    warned = False
    while True:
        try:
            await mirror(storage, remote, folder, most_bytes)
        except (AflintError, OSError) as error:
            if not warned:
                warned = True
                _log.warning("runs of the bucket are not shown: %s", error)
        await asyncio.sleep(_EVERY_S)


def within_bound(logs: Sequence[tuple[float, int]], most_bytes: int) -> tuple[list[int], list[int]]:
    """Return the places of the logs, as (when, bytes), that are within a bound, and of the others;
    the latest first. Pure.
    """
    order = sorted(range(len(logs)), key=lambda place: logs[place][0], reverse=True)
    total, kept = 0, 0
    for kept, place in enumerate(order):
        total += logs[place][1]
        if (total > most_bytes and kept) or kept >= MOST_RUNS:
            return order[:kept], order[kept:]
    return order, []


def _began(name: str) -> float | None:
    """Return when the run of a log began, by its folder's name; None for what is no log."""
    stamp = name.removeprefix(ROLLING).partition("_")[0]
    try:
        return float(calendar.timegm(time.strptime(stamp, _STAMP)))
    except ValueError:
        return None


def _here(folder: Path) -> dict[str, tuple[float, int]]:
    """Return when each log of this machine was written last, and its size."""
    found = {}
    for path in logs(folder):
        size, written = size_and_time(path)
        found[path.name] = _began(path.name) or written, size
    return found


def _put(target: Path, data: bytes, began: float) -> None:
    """Write a part, whole, and as old as its run: the oldest are the first to be removed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{os.getpid()}")
    new.write_bytes(data)
    os.utime(new, (began, began))
    new.replace(target)


def _tidy(folder: Path, logs: Iterable[RemoteLog]) -> None:
    """Remove what is here and no longer there: the mark of a run that goes on."""
    for log in logs:
        names = {file.path.rpartition("/")[2] for file in log.files}
        for path in (folder / log.name).iterdir():
            if path.name not in names:
                path.unlink(missing_ok=True)
