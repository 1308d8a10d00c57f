"""Failed tasks that are kept on the driver's machine, for `aflint replay`: for a week each."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from aflint import __version__
from aflint.codec import closure, frame
from aflint.errors import (
    AflintError,
    FrameError,
    InvalidArgumentError,
    TaskError,
    VersionMismatchError,
)
from aflint.executor.keeping import KeptTask
from aflint.storage.base import Storage
from aflint.task import Blob
from aflint.variables import data_of, noticing_broadcasts
from aflint.wire import pack, unpack

_log = logging.getLogger("aflint.driver")

KEPT_S: Final = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class FailedTasks:
    """The kept tasks of this user: a file each, `JOB-STAGE-PARTITION` in `folder`."""

    folder: Path

    async def keep(self, error: AflintError, storage: Storage) -> None:
        """Keep the task that an error tells of, where its executor has left it in storage.

        Where that cannot be done, it is warned of: the job's own error is the one to be raised.
        """
        if not isinstance(error, TaskError) or not error.kept:
            return
        try:
            data = await storage.read(error.kept)
            kept: KeptTask = unpack(data)
            blobs = [
                replace(blob, data=data_of(blob) or await storage.read(blob.location or ""))
                for blob in _broadcasts(kept)
            ]
            name = await asyncio.to_thread(self._write, replace(kept, blobs=tuple(blobs)))
        except (AflintError, OSError) as problem:
            _log.warning("the failed task could not be kept: %s", problem)
            return
        _log.warning("a failed task is kept: `aflint replay %s` runs it again here", name)

    def _write(self, kept: KeptTask) -> str:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.expire(time.time())
        id = kept.task.id
        path = self.folder / f"{id.job}-{id.stage}-{id.partition}"
        part = path.with_name(f".{path.name}.{os.getpid()}")
        # Whole or not at all, and for this user alone: it holds the records of the input.
        with open(part, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(pack(kept))
        part.replace(path)
        return f"{id.job}/{id.stage}/{id.partition}"

    def expire(self, now: float) -> None:
        """Remove what was kept more than a week ago."""
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):
                if now - path.stat().st_mtime > KEPT_S:
                    path.unlink()

    def names(self) -> Iterator[tuple[str, float]]:
        """Yield which tasks are kept, as JOB/STAGE/PARTITION, and since when; the latest first."""
        with suppress(FileNotFoundError):
            files = [path for path in self.folder.iterdir() if not path.name.startswith(".")]
            for path in sorted(files, key=lambda each: -each.stat().st_mtime):
                yield "/".join(path.name.rsplit("-", 2)), path.stat().st_mtime

    def read(self, name: str) -> KeptTask:
        """Return a kept task. Raises InvalidArgumentError where there is none of that name."""
        job, *rest = name.rsplit("/", 2)
        try:
            if len(rest) != 2 or "/" in job:
                raise FileNotFoundError
            data = (self.folder / "-".join([job, *rest])).read_bytes()
        except FileNotFoundError:
            raise InvalidArgumentError(
                f"no failed task {name!r} is kept: `aflint replay` lists those there are. A task "
                "is kept where keep_failed = true and its function raised an error"
            ) from None
        try:
            found: KeptTask = unpack(data)
        except FrameError as error:
            raise VersionMismatchError(
                f"the failed task {name} was kept by another version of aflint, and cannot be read "
                f"by {__version__}: {error}"
            ) from None
        return found


def _broadcasts(kept: KeptTask) -> list[Blob]:
    """Return the broadcasts that a task's program refers to."""
    assert kept.task.program.data is not None
    with noticing_broadcasts() as found:
        closure.dumps(closure.loads(frame.decompress(kept.task.program.data)), "a program")
    return list({blob.digest: blob for blob in found}.values())
