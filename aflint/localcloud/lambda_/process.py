"""Child processes: started, stopped and continued, measured, killed, and their output read."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from aflint.localcloud.household import kill_group

_KEPT_OUTPUT = 64 * 1024
"""Bytes of output kept for an invocation: a caller can ask only for the tail of its log."""
_MB = 1024 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")
_INTERVAL_S = 0.02


class ChildProcess:
    """A process in a session of its own, so that it and its children die together."""

    def __init__(self, process: asyncio.subprocess.Process, output: int) -> None:
        self._process = process
        self._output = output
        self._read = bytearray()
        self._frozen = False
        asyncio.get_running_loop().add_reader(output, self._on_readable)

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> ChildProcess:
        """Start `command`, its output and errors going to one pipe; raises OSError."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=environment,
                cwd=folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,  # one pipe for both, so that their lines keep their order
                stderr=writing,
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        return cls(process, reading)

    @property
    def pid(self) -> int:
        """The process, and its process group."""
        return self._process.pid

    async def wait(self) -> int:
        """The exit status once it ends, negative for a signal."""
        return await self._process.wait()

    def kill(self) -> None:
        """SIGKILL it and its children."""
        if self._process.returncode is None:  # else the pid may be another process's by now
            kill_group(self.pid)

    def freeze(self) -> None:
        """Stop it until `thaw`."""
        self._frozen = True
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again."""
        if self._frozen:
            self._frozen = False
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def take_output(self) -> bytes:
        """What it wrote since the last call, up to this moment; the last 64 KB of it."""
        if self._output >= 0:
            self._on_readable()  # what the loop has not come round to reading yet
        taken = bytes(self._read)
        self._read.clear()
        return taken

    def _on_readable(self) -> None:
        while True:
            try:
                chunk = os.read(self._output, 65536)
            except BlockingIOError:
                return
            if not chunk:
                self._close_output()
                return
            self._read += chunk
            del self._read[:-_KEPT_OUTPUT]  # all but the tail

    def _close_output(self) -> None:
        if self._output >= 0:
            asyncio.get_running_loop().remove_reader(self._output)
            os.close(self._output)
            self._output = -1

    def close(self) -> None:
        """Kill what is left of its group and let go of the pipe."""
        kill_group(self.pid)
        self._close_output()

    def resident_mb(self) -> int:
        """Its resident memory in MB, rounded up; 0 where the system has no /proc, or it is gone."""
        try:
            with open(f"/proc/{self.pid}/statm", "rb") as file:
                return -(-int(file.read().split()[1]) * _PAGE // _MB)
        except (OSError, IndexError):
            return 0

    def peak_mb(self) -> int:
        """The most it ever had resident, in MB rounded up; 0 where that cannot be known."""
        try:
            with open(f"/proc/{self.pid}/status", "rb") as file:
                for line in file:
                    if line.startswith(b"VmHWM:"):
                        return -(-int(line.split()[1]) // 1024)
        except OSError:
            return 0
        return 0


class Watched(Protocol):
    """A process with a memory limit."""

    def check_memory(self) -> None:
        """Kill it when it is over its limit."""


class MemoryWatch:
    """Watches the resident memory of running environments, as the kernel does on Lambda.

    It samples every 20 ms, and not at all while no environment runs.

    A function that grows and ends between two samples is caught by its process's peak, which the
    environment reads when an invocation ends.
    """

    def __init__(self) -> None:
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, watched: Watched) -> None:
        """Begin to watch."""
        self._watched.add(watched)
        if self._timer is None:
            self._arm()

    def remove(self, watched: Watched) -> None:
        """End watching; harmless when it is not watched."""
        self._watched.discard(watched)

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_INTERVAL_S, self._sample)

    def _sample(self) -> None:
        self._timer = None
        for watched in list(self._watched):
            watched.check_memory()
        if self._watched:
            self._arm()
