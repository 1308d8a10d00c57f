"""What the driver and the things it started hold at one moment, as the system counts it."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import aflint
from aflint.localcloud import LocalCloud

_PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def of_the_driver(folder: Path) -> dict[str, float]:
    """Return what this process holds, after a collection of garbage, and after the allocator of
    glibc has given back what is free: so that what grows is what is in use.

    `driver MB` and `workers MB` are resident memory, that of the largest child for the workers;
    `objects` are those that Python's collector knows; `files` is what is in the folder that holds
    all scratch folders.
    """
    gc.collect()
    if _trim is not None:
        _trim(0)
    children = list(descendants(os.getpid()))
    return {
        "driver MB": resident_mb(os.getpid()),
        "workers MB": max(map(resident_mb, children), default=0.0),
        "objects": len(gc.get_objects()),
        "file descriptors": len(os.listdir("/proc/self/fd")) - 1,  # one is that of the listing
        "processes": len(children),
        "threads": threading.active_count(),
        "asyncio tasks": len(asyncio.all_tasks()),
        # Folders may go meanwhile: os.walk passes over those.
        "files": sum(len(folders) + len(files) for _, folders, files in os.walk(folder)),
    }


def of_the_session(session: aflint.Session) -> dict[str, float]:
    """Return what a session holds: in its scratch folder, or in its emulator."""
    if session.config.backend == "localcloud":
        return of_the_emulator(session.localcloud)
    folder = Path(session._opened().backend.folder) / "shuffle"
    return {"shuffles": len(os.listdir(folder)) if folder.exists() else 0}


def of_the_emulator(cloud: LocalCloud) -> dict[str, float]:
    """Return what is in an emulator."""
    found = cloud.snapshot()
    keys = [key for keys in found.buckets.values() for key in keys]
    return {
        "queues": len(found.queues),
        "uploads": sum(map(len, found.uploads.values())),
        "shuffle objects": sum("/shuffles/" in key for key in keys),
        "other objects": sum("/shuffles/" not in key for key in keys),
        "environments": len(found.environments),
        "busy environments": sum(each.busy for each in found.environments),
    }


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB, 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / MIB
    except (OSError, IndexError):
        return 0.0


def descendants(root: int) -> Iterator[int]:
    """Yield the processes below one, those that have ended and were not waited for included."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (parent := _parent(entry)) is not None:
            children[parent].append(int(entry))
    queue = [root]
    while queue:
        found = children[queue.pop()]
        yield from found
        queue += found


def _parent(pid: str) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[1])
