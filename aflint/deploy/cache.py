"""The folder where built bundles are kept, by the hash of what they were made of."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_UNUSED_DAYS: Final = 30
"""What was not used for so long is removed when something new is kept."""


def default_cache() -> Path:
    """Return the folder for bundles below the user's cache folder; it need not exist yet."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "aflint" / "bundles"


class Cache:
    """Files and folders by key. Several processes may share one: what is there is whole."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, key: str) -> Path | None:
        """Return what is kept under a key, and note that it was used."""
        path = self.root / key
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        return path

    @contextlib.contextmanager
    def adding(self, key: str, *, replace: bool = False) -> Iterator[Path]:
        """Give a folder to fill, and keep it under `key` when the block ends well.

        Where something is kept under that key already, it stays, unless it is to be replaced.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        self._prune()
        with tempfile.TemporaryDirectory(dir=self.root, prefix="new-") as scratch:
            folder = Path(scratch, "content")
            folder.mkdir()
            yield folder
            target = self.root / key
            if replace and target.exists():
                target.rename(Path(scratch, "old"))
            try:
                folder.rename(target)
            except OSError:
                if not target.is_dir():  # Else another process was faster; its is as good.
                    raise

    def _prune(self) -> None:
        oldest = time.time() - _UNUSED_DAYS * 86400
        for path in self.root.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    shutil.rmtree(path, ignore_errors=True)
