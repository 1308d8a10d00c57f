"""Temporary folders that killed drivers left on this machine, told by a lock that nobody holds."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aflint.errors import ConfigError
from aflint.journal.locks import LOCK, open_lock, own_folders


@dataclass(frozen=True)
class Folder:
    """One driver's folder. `session` is what its lock file names as its owner, if anything."""

    path: Path
    alive: bool
    session: str
    age_s: float
    size: int


def default_scratch(scratch_dir: str | None) -> Path:
    """Return the folder that temporary folders are made in. Raises ConfigError if there is none."""
    try:
        return Path(scratch_dir or tempfile.gettempdir())
    except FileNotFoundError as error:  # each place that Python looks at is full, or read-only
        raise ConfigError(f"{error.strerror}. Set `scratch_dir`") from error


def find_folders(parent: Path, now: float | None = None) -> list[Folder]:
    """Return the drivers' folders in `parent` that are this user's, by path.

    What no driver of this user made is not looked at.
    """
    return [
        Folder(
            path,
            alive=_is_held(path / LOCK),
            session=_owner(path / LOCK),
            age_s=max(0.0, (now or time.time()) - _modified(path)),
            size=_size(path),
        )
        for path in own_folders(parent)
    ]


def remove_folder(path: Path) -> bool:
    """Remove a folder whose driver is dead; return False, and leave it, if it is not.

    The lock is held meanwhile, so that two who clean at once do not meet.
    """
    with _locked(path / LOCK) as taken:
        if taken:
            shutil.rmtree(path, ignore_errors=True)
        return taken


@contextlib.contextmanager
def _locked(lock: Path) -> Iterator[bool]:
    """Hold a lock, where nobody else does; say whether it is held, or gone."""
    try:
        handle = open_lock(lock)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _take(handle)
    finally:
        os.close(handle)


def _take(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _is_held(lock: Path) -> bool:
    with _locked(lock) as taken:
        return not taken


def _owner(lock: Path) -> str:
    try:
        return lock.read_text(encoding="ascii", errors="replace").strip()[:64]
    except OSError:
        return ""


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _size(path: Path) -> int:
    total = 0
    for entry in path.rglob("*"):
        with contextlib.suppress(OSError):
            total += entry.lstat().st_size
    return total
