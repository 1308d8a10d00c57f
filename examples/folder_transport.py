"""A transport over a folder that the driver and all executors can reach: an example."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from aflint.errors import FetchFailedError
from aflint.task import Manifest, ShuffleHandle
from aflint.transport.base import (
    ShuffleReader,
    ShuffleWriter,
    TransferCounts,
    Transport,
    TransportTraits,
    Written,
)


class FolderTransport(Transport):
    """A folder for each shuffle, in it one for each finished attempt, and a file for each frame."""

    def __init__(self, folder: str) -> None:
        super().__init__(TransportTraits(64 << 20, 1 << 20, rereadable=True))
        self.folder = Path(folder)

    async def open(self, job: str, shuffle: int, partitions: int) -> ShuffleHandle:
        handle = ShuffleHandle(job, shuffle, partitions)
        self.place(handle).mkdir(parents=True)
        return handle

    async def close(self, handle: ShuffleHandle) -> None:
        shutil.rmtree(self.place(handle), ignore_errors=True)

    def place(self, handle: ShuffleHandle) -> Path:
        """Return the folder of a shuffle."""
        return self.folder / f"{handle.job}-{handle.shuffle}"

    def writer(self, handle: ShuffleHandle, map: int, attempt: int, link: int) -> ShuffleWriter:
        return FolderWriter(self.place(handle) / f"{map}-{attempt}-{link}", self.traits)

    def reader(self, manifest: Manifest) -> ShuffleReader:
        return FolderReader(self.place(manifest.handle), manifest)


class FolderWriter(ShuffleWriter):
    """Writes into a folder that readers do not look at before it is renamed."""

    def __init__(self, target: Path, traits: TransportTraits) -> None:
        self.counts = TransferCounts()
        self._target, self._part, self._traits = target, target.with_suffix(".part"), traits
        self._count = 0

    async def write(self, partition: int, frame: bytes) -> None:
        self._traits.check(frame)
        self._part.mkdir(exist_ok=True)
        (self._part / f"{partition}-{self._count}").write_bytes(frame)
        self._count += 1

    async def finish(self) -> Written:
        if self._count:
            self._part.rename(self._target)
        return Written()

    async def abort(self) -> None:
        shutil.rmtree(self._part, ignore_errors=True)


class FolderReader(ShuffleReader):
    """Yields the frames that a manifest names."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.counts = TransferCounts()
        self._folder, self._manifest = folder, manifest

    async def frames(self) -> AsyncIterator[bytes]:
        handle, partition = self._manifest.handle, self._manifest.partition
        wanted = [each for each in self._manifest.outputs if each.frames]
        folders = {e.map: self._folder / f"{e.map}-{e.attempt}-{e.link}" for e in wanted}
        if lost := sorted(map for map, folder in folders.items() if not folder.exists()):
            message = f"shuffle {handle.shuffle} of {handle.job} has lost maps {lost}"
            raise FetchFailedError(message, shuffle=handle.shuffle, maps=tuple(lost))
        for each in wanted:
            folder = self._folder / f"{each.map}-{each.attempt}-{each.link}"
            for path in folder.glob(f"{partition}-*"):
                yield path.read_bytes()

    async def close(self) -> None:
        return None
