"""The temporary folders of this user's drivers on this machine, recognised by their lock files."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

PREFIX: Final = "aflint-"
LOCK: Final = "owner.lock"


def own_folders(parent: Path) -> list[Path]:
    """Return the drivers' folders in `parent` that are this user's, by path.

    What is a link, or has no lock file of this user's, was not made by a driver: anyone may put
    things of any name where temporary files are.
    """
    try:
        found = sorted(parent.glob(f"{PREFIX}*"))
    except OSError:
        return []
    return [p for p in found if _is_own(p, stat.S_ISDIR) and _is_own(p / LOCK, stat.S_ISREG)]


def open_lock(lock: Path) -> int:
    """Return a handle of a lock file itself, never of what a link leads to. Raises OSError."""
    return os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)


def _is_own(path: Path, is_kind: Callable[[int], bool]) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return is_kind(status.st_mode) and status.st_uid == os.getuid()
