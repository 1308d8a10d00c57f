"""Whether a task closed descriptors that its process cannot do without.

User code may close more than it opened, as `os.closerange(3, 256)` does on the way to a daemon. The
runtime client of a function can then neither report a result nor ask for the next task: it would
wait until its time is up.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from typing import Final, NoReturn

_STANDARD: Final = frozenset({0, 1, 2})
"""Standard input, output and error, which a program may replace."""


def open_descriptors() -> frozenset[int]:
    """Return what this process has open now, but for the standard streams."""
    listed = frozenset(int(name) for name in os.listdir("/dev/fd"))
    return frozenset(what_lies_behind(listed - _STANDARD))


def what_lies_behind(descriptors: Collection[int]) -> dict[int, tuple[int, int]]:
    """Return device and inode for each of these descriptors that is open."""
    found: dict[int, tuple[int, int]] = {}
    for descriptor in descriptors:
        with suppress(OSError):
            status = os.fstat(descriptor)
            found[descriptor] = (status.st_dev, status.st_ino)
    return found


def closed_since(before: dict[int, tuple[int, int]]) -> list[int]:
    """Return which of these were closed, or replaced by something else."""
    now = what_lies_behind(before)
    return sorted(each for each, behind in before.items() if now.get(each) != behind)


def end_process(reason: str) -> NoReturn:
    """End this process at once; its log says why, and the driver finds that it has died."""
    with suppress(OSError):
        os.write(2, f"aflint: {reason}\n".encode())
    os._exit(1)
