"""What is left of a cloud that was killed, removed: a script in a process of its own, stdlib only.

    python -s -S sweeper.py FOLDER

Reads `+PID` and `-PID` lines: process groups that live. When its standard input ends, because the
cloud closed or died in whatever way, it kills those that are left and removes FOLDER.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time

_TRIES = 40
_PAUSE_S = 0.05


def remove_tree(folder: str) -> None:
    """Remove a folder and all in it, read-only folders included; harmless when it is gone.

    What was just killed may write to it for a moment more.
    """
    for _ in range(_TRIES):
        for parent, _, _ in os.walk(folder):
            with contextlib.suppress(OSError):
                os.chmod(parent, 0o700)
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            return
        time.sleep(_PAUSE_S)


def bytes_below(folder: str | os.PathLike[str]) -> int:
    """The size of all files in a folder; those that vanish meanwhile count nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def kill_group(group: int) -> None:
    """SIGKILL a process group, stopped or not; nothing happens when it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def main() -> None:
    """Keep book until standard input ends, then sweep."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    living: set[int] = set()
    for line in sys.stdin:
        number = int(line[1:])
        if line[0] == "+":
            living.add(number)
        else:
            living.discard(number)
    for group in living:
        kill_group(group)
    remove_tree(sys.argv[1])


if __name__ == "__main__":
    main()
