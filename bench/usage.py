"""CPU seconds and memory of a process and all of its descendants, also of those that ended.

A process that ended is in `/proc` no more. Its time stands with its parent, if that waited for it,
and nowhere if nobody did. So a total of what is there now may be less than it was: here each time
that a process was seen is kept until a parent's own count shows it.
"""

from __future__ import annotations

import asyncio
import ctypes
import math
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

_SUBREAPER = 36  # prctl's PR_SET_CHILD_SUBREAPER


@dataclass(frozen=True)
class Seen:
    """A process at one time: clock ticks of its own, and those of the children it waited for."""

    parent: int
    own: int
    waited: int
    started: int = 0


Snapshot = Mapping[int, Seen]
"""By process id."""


class Usage:
    """The CPU time of a tree of processes, which only grows; NaN where there is no /proc."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._before: Snapshot = {}
        self._ticks = 0

    def cpu(self) -> float:
        """Return the CPU seconds of the tree since this object first looked, and before that."""
        try:
            now = tree(self._root, snapshot())
        except OSError:
            return math.nan
        self._ticks += growth(self._before, now)
        self._before = now
        return self._ticks / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Return the bytes that the tree holds now, pages that processes share counted once."""
        return sum(map(_resident, self._before))


def growth(before: Snapshot, now: Snapshot) -> int:
    """Return the ticks that were used between two snapshots of one tree."""
    kept = {pid for pid, seen in now.items() if _same(before.get(pid), seen)}
    # What the processes that ended had used, by the nearest ancestor that is still there: it is in
    # what that has waited for, unless nobody waited.
    gone: dict[int, int] = defaultdict(int)
    for pid, seen in before.items():
        if pid not in kept:
            gone[_survivor(pid, before, kept)] += seen.own + seen.waited
    used = 0
    for pid, seen in now.items():
        was = before[pid] if pid in kept else Seen(seen.parent, 0, 0)
        used += seen.own - was.own + max(seen.waited - was.waited - gone[pid], 0)
    return used


def _same(one: Seen | None, other: Seen) -> bool:
    return one is not None and one.started == other.started  # ids of processes are used again


def _survivor(pid: int, before: Snapshot, kept: set[int]) -> int:
    # A snapshot is not taken at one time, so that parents could even form a ring.
    for _ in range(len(before)):
        pid = before[pid].parent
        if pid in kept or pid not in before:
            return pid
    return 0


def tree(root: int, all_: Snapshot) -> dict[int, Seen]:
    """Return those that descend from `root`, and itself."""
    children: dict[int, list[int]] = defaultdict(list)
    for pid, seen in all_.items():
        children[seen.parent].append(pid)
    found: dict[int, Seen] = {}
    queue = [root]
    while queue:
        pid = queue.pop()
        if pid in all_ and pid not in found:
            found[pid] = all_[pid]
            queue += children[pid]
    return found


def descendants(root: int) -> Snapshot:
    """Return the processes that descend from `root`, without itself; none without a /proc."""
    try:
        found = tree(root, snapshot())
    except OSError:
        return {}
    return {pid: seen for pid, seen in found.items() if pid != root}


def snapshot() -> dict[int, Seen]:
    """Return all processes of this machine. Raises OSError where there is no /proc."""
    return dict(_stats(os.listdir("/proc")))


def _stats(names: Iterable[str]) -> Iterator[tuple[int, Seen]]:
    for name in names:
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
                ticks = [int(field) for field in fields[11:15]]
                seen = Seen(int(fields[1]), sum(ticks[:2]), sum(ticks[2:]), int(fields[19]))
                yield int(name), seen


def _resident(pid: int) -> int:
    # The proportional set: a forked worker shares most pages with its parent.
    with suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        for line in file:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def adopt_orphans() -> None:
    """Have this process become the parent of descendants whose own parent ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


async def end(processes: Snapshot, seconds: float = 5.0) -> None:
    """End those of these that still run: asked by SIGTERM, and after a while by SIGKILL.

    For what a daemon of an engine left behind, which is no child of this process.
    """
    left = _running(processes)
    for how in (signal.SIGTERM, signal.SIGKILL):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, how)
        end = time.monotonic() + seconds
        while left and time.monotonic() < end:
            await asyncio.sleep(0.05)
            left = _running(left)


def _running(processes: Snapshot) -> Snapshot:
    """Return those that did not end; one that only waits to be waited for did."""
    now = dict(_stats(map(str, processes)))
    return {pid: seen for pid, seen in processes.items() if _same(now.get(pid), seen)}
