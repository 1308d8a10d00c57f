"""The cloud's temporary folder and child processes, and the promise that none outlives it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

from aflint.localcloud import sweeper


class Household:
    """A folder for the cloud's files, and the process groups it started.

    A helper process waits for this one to end and then kills what still runs and removes the
    folder, so that even SIGKILL leaves nothing behind.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="aflint-localcloud-"))
        try:
            self._sweeper = subprocess.Popen(
                [sys.executable, "-s", "-S", sweeper.__file__, str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        except BaseException:
            sweeper.remove_tree(str(self.folder))
            raise

    def subfolder(self, name: str) -> Path:
        """A new folder inside; raises OSError."""
        path = self.folder / name
        path.mkdir()
        return path

    def adopt(self, group: int) -> None:
        """A process group now lives."""
        self._tell(f"+{group}\n")

    def bury(self, group: int) -> None:
        """A process group has ended."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Have the helper end what still runs and remove the folder; if it was killed, do that."""
        assert self._sweeper.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._sweeper.stdin.close()
        self._sweeper.wait()
        sweeper.remove_tree(str(self.folder))

    def _tell(self, line: str) -> None:
        assert self._sweeper.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # someone killed the helper: go on without it
            self._sweeper.stdin.write(line.encode())
            self._sweeper.stdin.flush()
