"""The cloud's folder and child processes, and the promise that neither outlives the cloud.

This file is also the script of a helper process, which keeps the promise where the cloud is killed.
It imports the standard library alone:

    python -s -S -P household.py FOLDER

The helper reads `+PID` and `-PID` lines: which process groups are alive. Its standard input ends
when the cloud is closed or dies in any way; then it kills the groups that are left, and removes
FOLDER.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_TRIES = 40
_PAUSE_S = 0.05


class Household:
    """A folder for the cloud's files, and the process groups it started."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="aflint-localcloud-"))
        try:
            # In a session of its own: a signal to this process's group leaves the helper alone.
            self._helper = subprocess.Popen(
                [sys.executable, "-s", "-S", "-P", __file__, str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        except BaseException:
            remove_tree(str(self.folder))
            raise

    def subfolder(self, name: str) -> Path:
        """Make a new folder inside; raises OSError."""
        path = self.folder / name
        path.mkdir()
        return path

    def adopt(self, group: int) -> None:
        """Note that a process group was started."""
        self._tell(f"+{group}\n")

    def bury(self, group: int) -> None:
        """Note that a process group has ended."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Have the helper end what still runs and remove the folder; if it was killed, do that."""
        assert self._helper.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._helper.stdin.close()
        self._helper.wait()
        remove_tree(str(self.folder))

    def _tell(self, line: str) -> None:
        assert self._helper.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the helper was killed: go on without it
            self._helper.stdin.write(line.encode())
            self._helper.stdin.flush()


def remove_tree(folder: str) -> None:
    """Remove a folder and all in it, read-only folders included; harmless when it is gone.

    A process that was just killed may write to it for a moment more: so it is tried again.
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
    """Return the size of all files in a folder; files that vanish meanwhile count as empty."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def kill_group(group: int) -> None:
    """SIGKILL a process group, stopped or not; does nothing when it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def main() -> None:
    """Be the helper: keep count of the process groups until standard input ends, then clean up."""
    # Ctrl-C reaches all of a terminal's processes, and the helper has to outlive the cloud's.
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    alive: set[int] = set()
    for line in sys.stdin:
        number = int(line[1:])
        if line[0] == "+":
            alive.add(number)
        else:
            alive.discard(number)
    for group in alive:
        kill_group(group)
    remove_tree(sys.argv[1])


if __name__ == "__main__":
    main()
