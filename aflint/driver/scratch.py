"""The folder for everything temporary of one session."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from aflint.errors import AflintError, ConfigError, DiskFullError, RunInUseError
from aflint.journal.locks import LOCK, PREFIX, open_lock, own_folders

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class ScratchFolder:
    """A folder under `parent` (the system's temporary folder, if None), removed at the end.

    A `parent` that is missing is made, as Spark makes one, and removed again at the end, unless
    something else is in it by then.

    While its session lives, the file `owner.lock` in it is locked, and holds the session's id. A
    folder whose lock can be taken was left by a killed driver: `aflint resume` goes on from it, and
    `aflint clean` removes it. With `named`, the folder of a killed driver of the same session is
    used again, if there is one, and stays unless `own` is called; otherwise the folder is new.

    Raises RunInUseError where the driver of a named session is alive, ConfigError where no folder
    can be made, DiskFullError where there is no room for one.
    """

    def __init__(self, parent: str | None, session: str = "", *, named: bool = False) -> None:
        self._parent = parent
        self._session = session
        self._named = named
        # Whether a driver before this one made it, and whether it stays at the end.
        self._adopted = self._kept = False
        self._path: Path | None = None
        # Folders above it that were missing, the deepest first.
        self._missing: list[Path] = []
        self._lock: IO[bytes] | None = None

    @property
    def path(self) -> Path:
        """Where it is, once it was entered."""
        assert self._path is not None
        return self._path

    def __enter__(self) -> Self:
        try:
            if not (self._named and self._adopt()):
                self._make()
            return self  # from within: until here, a signal's exception may come
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise

    def _make(self) -> None:
        try:
            parent = Path(self._parent or tempfile.gettempdir()).absolute()
            path = parent / f"{PREFIX}{secrets.token_hex(8)}"
            # Noted before they are there, so that all goes again whenever this is stopped.
            self._missing = [each for each in (parent, *parent.parents) if not each.exists()]
            self._path = path
            path.mkdir(mode=0o700, parents=True)
        except OSError as error:
            self._path = None
            raise self._unusable(error) from error
        try:
            # Unbuffered: on a full disk it can be closed, too.
            self._lock = (path / LOCK).open("wb", buffering=0)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self._lock.write(self._session.encode())
        except OSError as error:
            raise self._unusable(error) from error

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise errors of files in this folder as what is to be done about the folder."""
        try:
            yield
        except OSError as error:
            below = str(error.filename or "").startswith(f"{self.path}/")
            if isinstance(error, AflintError) or not (below or error.errno in _FULL):
                raise
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> AflintError:
        folder = self._parent or tempfile.tempdir or "any of the system's temporary folders"
        not_a_folder = isinstance(error, (FileExistsError, NotADirectoryError))
        why = "it is not a folder" if not_a_folder else error.strerror
        said = f"no temporary files can be made in {folder}: {why}"
        if error.errno in _FULL:
            return DiskFullError(f"{said}. Free some room, or set `scratch_dir` to a larger disk")
        return ConfigError(f"{said}. Set `scratch_dir` to a folder that can be written to")

    def own(self) -> None:
        """Have the folder removed at the end, even if a driver before this one made it."""
        self._kept = False

    def keep(self) -> None:
        """Leave what a driver before this one left, for another one."""
        self._kept = self._adopted

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._path is not None and not self._kept:
            shutil.rmtree(self._path, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
        for folder in self._missing:
            with suppress(OSError):  # another session, say, still has something in it
                folder.rmdir()

    def _adopt(self) -> bool:
        """Take over the folder that a driver of this session left."""
        for folder in own_folders(Path(self._parent or tempfile.gettempdir())):
            try:
                handle = open(open_lock(folder / LOCK), "r+b")  # noqa: SIM115
            except OSError:  # just removed
                continue
            if handle.read() != self._session.encode():
                handle.close()
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.close()
                raise RunInUseError(
                    f"run {self._session} is in use on this machine: its driver holds "
                    f"{folder / LOCK}. Wait until that driver has ended, or end it; or choose "
                    "another run id"
                ) from None
            if os.fstat(handle.fileno()).st_nlink == 0:  # removed before it was locked
                handle.close()
                continue
            self._adopted = self._kept = True
            self._path, self._lock = folder, handle
            return True
        return False
