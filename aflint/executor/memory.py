"""How much memory this process holds, and whether it is time to spill."""

from __future__ import annotations

import gc
import os
import resource
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TypeVar

T = TypeVar("T")

SPILL_SHARE = 0.55
"""Share of the limit above which tables are spilled; the rest is for decoding, sorting and I/O."""

HARD_SHARE = 0.75
"""Share above which a table is spilled however small it is."""

_MOST_RECORDS = 8192
_MOST_GROWTH = 4 * 1024 * 1024

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Return the resident memory of this process (its peak, where the system says no more)."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as statm:
            return int(statm.read().split()[1]) * _PAGE
    except OSError:
        return peak_bytes()


def peak_bytes() -> int:
    """Return the largest resident memory that this process has had.

    Not by getrusage where the kernel says it better: there a process begins with what its parent
    held when it was forked.
    """
    try:
        with open("/proc/self/status", "rb") as status:
            for line in status:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def collect_seldom() -> None:
    """Have the cyclic collector spare what a process has loaded, and walk its tables less often.

    By its own thresholds it looks at all objects for each 70,000 more, and a task that aggregates
    keeps them all: that takes a tenth of a join's CPU. What user code leaves in cycles is found
    among the young, after 2,000; all else at the latest where memory runs short, see `give_back`.
    """
    gc.freeze()
    gc.set_threshold(2000, 10, 100)


def give_back() -> None:
    """Hand freed memory back to the system, where the C library can."""
    import ctypes  # only where something was spilled: loading it costs a cold start

    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return


class MemoryWatch:
    """Says when a table must be spilled for the process to stay under its limit.

    Freed memory does not always go back to the system, so that resident memory alone would ask for
    a spill of every tiny table after the first one. A table is therefore let grow to half of what
    it held at the first spill, unless the process comes near its limit.
    """

    def __init__(self, limit_mb: int, release: Callable[[], bool] | None = None) -> None:
        """`release` frees what need not be held, and says whether there was something."""
        self._release = release
        limit = limit_mb * 1024 * 1024
        self._soft = limit * SPILL_SHARE
        self._hard = limit * HARD_SHARE
        self._unlimited = limit_mb <= 0
        self._enough = 0

    def pressed(self) -> bool:
        """Say whether the process holds more than its share."""
        return not self._unlimited and self._resident() > self._soft

    def over(self, held: int) -> bool:
        """Say whether to spill a table, given its number of entries, or any other measure of it."""
        if self._unlimited or not held:
            return False
        resident = self._resident()
        # Above the soft share a table must be worth spilling; above the hard one it need not be.
        if resident <= self._soft or (held < self._enough and resident <= self._hard):
            return False
        if not self._enough:
            self._enough = held // 2
        return True

    def _resident(self) -> int:
        resident = resident_bytes()
        if resident > self._soft and self._release is not None and self._release():
            give_back()
            resident = resident_bytes()
        return resident


def chunks(records: Iterator[T]) -> Iterator[Iterator[T]]:
    """Cut records into iterators between which memory can be looked at; each must be used up.

    They hold as many records as grow the process by about 4 MiB, at most 8,192: records of a
    megabyte each are looked after one by one, small ones at next to no cost.
    """
    size, before = 8, resident_bytes()
    # Each chunk is begun with a record in hand, so that none is empty.
    for first in records:
        yield chain((first,), islice(records, size - 1))
        size, before = _next_size(size, before)


def slices(blocks: Iterable[Sequence[T]]) -> Iterator[Sequence[T]]:
    """Cut blocks of records into smaller ones, as `chunks` cuts records."""
    size, before = 64, resident_bytes()
    for block in blocks:
        start = 0
        while start < len(block):
            whole = not start and len(block) <= size
            yield block if whole else block[start : start + size]
            start += size
            size, before = _next_size(size, before)


def _next_size(size: int, before: int) -> tuple[int, int]:
    now = resident_bytes()
    if now - before > _MOST_GROWTH:
        return max(1, size // 4), now
    return min(size * 2, _MOST_RECORDS), now
