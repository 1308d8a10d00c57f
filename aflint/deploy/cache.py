"""The folder where built bundles are kept, by the hash of what they were made of."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from aflint.errors import ConfigError

_UNUSED_DAYS: Final = 30
"""What was not used for so long is removed when something new is kept."""


CACHE_ADVICE: Final = "Set XDG_CACHE_HOME to a folder that can be written to."


def default_cache() -> Path:
    """Return the folder for bundles below the user's cache folder; it need not exist yet.

    A service's user often has a home that is not there or cannot be written to. Its bundles are
    kept in a private folder among the temporary files instead.

    Raises:
        ConfigError: that folder cannot be made, or may be another user's work.
    """
    named = os.environ.get("XDG_CACHE_HOME")
    if named:
        return Path(named, "aflint", "bundles")
    try:
        home = Path.home()
    except RuntimeError:  # HOME is not set, and the system does not know the user
        return _private_folder()
    caches = home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
    folder = caches / "aflint" / "bundles"
    return folder if can_be_made(folder) else _private_folder()


def can_be_made(folder: Path) -> bool:
    """Whether a folder can be written to or, where it is not there, be made."""
    effective = os.access in os.supports_effective_ids
    for path in (folder, *folder.parents):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            continue  # what decides is the nearest folder that is there
        except OSError:
            return False
        return stat.S_ISDIR(mode) and os.access(path, os.W_OK | os.X_OK, effective_ids=effective)
    return False


def _private_folder() -> Path:
    """Return this user's own folder among the temporary files; make it where it is not there.

    Functions run what it holds, and anyone may make a folder of that name: it is used only when
    this user owns it and no other may enter it.
    """
    user = os.geteuid()
    folder = Path("the temporary folder")
    try:
        folder = Path(tempfile.gettempdir(), f"aflint-cache-{user}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError as error:
        raise _unusable(folder, error) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or found.st_mode & 0o077:
        raise ConfigError(
            f"Bundles cannot be kept in {folder}: it must be a folder that only you may enter. "
            f"{CACHE_ADVICE}"
        )
    return folder / "bundles"


def _unusable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(f"Bundles cannot be kept in {folder}: {error.strerror}. {CACHE_ADVICE}")


class Cache:
    """Files and folders by key. Several processes may share one: what is there is whole."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, key: str) -> Path | None:
        """Return what is kept under a key, and note that it was used."""
        path = self.root / key
        try:
            if path.exists():
                with contextlib.suppress(OSError):  # a cache may be read-only
                    os.utime(path)
                return path
        except OSError as error:
            raise _unusable(self.root, error) from error
        return None

    @contextlib.contextmanager
    def adding(self, key: str, *, replace: bool = False) -> Iterator[Path]:
        """Give a folder to fill, and keep it under `key` when the block ends well.

        Where something is kept under that key already, it stays, unless it is to be replaced.

        Raises:
            ConfigError: the cache cannot be written to, or its disk is full.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._prune()
            with tempfile.TemporaryDirectory(dir=self.root, prefix="new-") as scratch:
                folder = Path(scratch, "content")
                folder.mkdir()
                yield folder
                self._keep(folder, self.root / key, Path(scratch, "old") if replace else None)
        except OSError as error:
            if error.filename and not Path(str(error.filename)).is_relative_to(self.root):
                raise  # about another file, or a program that could not be started
            raise _unusable(self.root, error) from error

    def _keep(self, folder: Path, target: Path, aside: Path | None) -> None:
        if aside is not None and target.exists():
            target.rename(aside)
        try:
            folder.rename(target)
        except OSError:
            if not target.is_dir():  # Else another process was faster; its is as good.
                raise

    def _prune(self) -> None:
        oldest = time.time() - _UNUSED_DAYS * 86400
        # A use sets the time: see `find`.
        for path in self.root.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    shutil.rmtree(path, ignore_errors=True)
