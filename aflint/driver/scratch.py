"""The folder for everything temporary of one session."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from aflint.errors import ConfigError

PREFIX = "aflint-"
LOCK = "owner.lock"


class ScratchFolder:
    """A new folder under `parent` (the system's temporary folder, if None), removed at the end.

    While its session lives, the file `owner.lock` in it is locked: a folder whose lock can be taken
    was left by a killed driver, and `aflint clean` removes it. In it stands the id of the session,
    by which `aflint clean` knows what in the cloud was that driver's.
    """

    def __init__(self, parent: str | None, session: str = "") -> None:
        self._parent = parent
        self._session = session
        self.path = Path()
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            if self._parent is not None:
                Path(self._parent).mkdir(parents=True, exist_ok=True)
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self._parent))
        except OSError as error:
            raise ConfigError(
                f"no temporary folder can be made in {self._parent or tempfile.gettempdir()}: "
                f"{error.strerror}. Set `scratch_dir` to a folder that can be written to"
            ) from error
        self._lock = (self.path / LOCK).open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._lock.write(self._session.encode())
        self._lock.flush()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
