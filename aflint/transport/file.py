"""Frames in files of this machine: the default for local runs.

Each map attempt writes one file; where the frames of each reduce partition lie in it is part of its
MapStatus, so that a reader asks for nothing but what it needs.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from itertools import islice
from uuid import uuid4

from aflint.aio import in_thread, to_the_end
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
from aflint.transport.frame_file import (
    RUN_BYTES,
    FrameFile,
    lost_maps,
    make_folder,
    read_batch,
)
from aflint.transport.frame_run import LostOutputError, batched, plan_runs

MAX_FRAME_BYTES = 2**31 - 1
TARGET_FRAME_BYTES = 128 * 1024
"""The records of a frame stay in the processor's cache while they are encoded, and while they are
decoded and used: a sort takes a tenth less CPU than with frames of 1 MiB.
"""

BUFFER_BYTES = 8 * 1024 * 1024
"""Frames collected before they are written together; as much again may be on its way to disk."""

READ_AHEAD = 2


class FileTransport(Transport):
    """Shuffles under `root`, a folder that driver and executors can all reach."""

    def __init__(
        self,
        root: str,
        max_frame_bytes: int = MAX_FRAME_BYTES,
        target_frame_bytes: int = TARGET_FRAME_BYTES,
    ) -> None:
        target = min(target_frame_bytes, max_frame_bytes)
        super().__init__(TransportTraits(max_frame_bytes, target, rereadable=True))
        self._root = os.path.abspath(root)

    async def open(self, job: str, shuffle: int, partitions: int) -> ShuffleHandle:
        name = f"{_stem(job)}-{shuffle}-{uuid4().hex[:8]}"
        folder = os.path.join(self._root, name)
        await to_the_end(in_thread(partial(make_folder, folder)))
        return ShuffleHandle(job, shuffle, partitions, folder)

    async def close(self, handle: ShuffleHandle) -> None:
        await to_the_end(in_thread(partial(_remove_folder, handle.address)))

    async def survives(self, handle: ShuffleHandle) -> bool:
        return await to_the_end(in_thread(partial(os.path.isdir, handle.address)))

    async def sweep(self, session: str) -> None:
        await to_the_end(in_thread(partial(_remove_all, self._root, f"{_stem(session)}-")))

    def writer(self, handle: ShuffleHandle, map: int, attempt: int, link: int) -> FileWriter:
        return FileWriter(handle, f"{map}-{attempt}-{link}", self.traits)

    def reader(self, manifest: Manifest) -> FileReader:
        return FileReader(manifest)


class FileWriter(ShuffleWriter):
    """Writes in the background, one buffer while the next is filled."""

    def __init__(self, handle: ShuffleHandle, name: str, traits: TransportTraits) -> None:
        self.counts = TransferCounts()
        self._name = name
        self._traits = traits
        self._file = FrameFile(os.path.join(handle.address, name))
        # Frames by partition, and their bytes, while the ones before are being written.
        self._buffer: dict[int, list[bytes]] = {}
        self._buffered = 0
        self._writing: asyncio.Future[None] | None = None

    async def write(self, partition: int, frame: bytes) -> None:
        self._traits.check(frame)
        if self._buffered >= BUFFER_BYTES:
            await self._flush()
        self._buffer.setdefault(partition, []).append(frame)
        self._buffered += len(frame)

    async def finish(self) -> Written:
        if not self._buffer and self._writing is None:
            return Written()
        await self._flush()
        await self._settle()
        return Written(self._name, await to_the_end(in_thread(self._file.close)))

    async def abort(self) -> None:
        self._buffer = {}
        if self._writing is not None:
            await asyncio.wait([self._writing])  # the file must not be written once it is removed
        await to_the_end(in_thread(self._file.remove))

    async def _flush(self) -> None:
        await self._settle()
        if self._buffer:
            frames, self._buffer, self._buffered = self._buffer, {}, 0
            self._writing = in_thread(partial(self._file.append, frames))

    async def _settle(self) -> None:
        """Wait for what is being written; a cancelled wait leaves the writing to go on."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
            self._writing.result()


class FileReader(ShuffleReader):
    """Reads batches of runs, the next ones while the frames of one are used."""

    def __init__(self, manifest: Manifest) -> None:
        self.counts = TransferCounts()
        self._manifest = manifest

    async def frames(self) -> AsyncIterator[bytes]:
        folder, outputs = self._manifest.handle.address, self._manifest.outputs
        # Frames of a file always have extents: without, the manifest is of another transport, or
        # damaged.
        if any(output.frames and not output.extents for output in outputs):
            raise await self._failure((), "the manifest does not say where its frames lie")
        batches = batched(plan_runs(outputs, RUN_BYTES), RUN_BYTES)
        reads = (partial(read_batch, batch, folder) for batch in batches)
        waiting = [in_thread(read) for read in islice(reads, READ_AHEAD)]
        try:
            while waiting:
                frames = await waiting[0]
                del waiting[0]
                # Started before the frames are yielded, so that it is read while they are used.
                waiting += [in_thread(read) for read in islice(reads, 1)]
                for frame in frames:
                    yield frame
        except LostOutputError as error:
            raise await self._failure((error.map,), str(error)) from error
        finally:
            for future in waiting:
                future.cancel()

    async def close(self) -> None:
        return None

    async def _failure(self, known: tuple[int, ...], why: str) -> FetchFailedError:
        handle, outputs = self._manifest.handle, self._manifest.outputs
        # All maps whose output is lost at once, so that one round runs all of them again.
        found = await asyncio.to_thread(lost_maps, outputs, handle.address)
        maps = tuple(sorted({*known, *found}))
        return FetchFailedError(
            f"shuffle {handle.shuffle}, partition {self._manifest.partition}: output of map "
            f"partitions {', '.join(map(str, maps))} is lost ({why})",
            shuffle=handle.shuffle,
            maps=maps,
        )


def _stem(job: str) -> str:
    """Return what the names of a job's folders begin with."""
    return f"shuffle-{re.sub(r'[^A-Za-z0-9_.-]', '_', job)[:100]}"


def _remove_all(root: str, stem: str) -> None:
    """Remove the folders whose names begin so."""
    for name in os.listdir(root) if os.path.isdir(root) else ():
        if name.startswith(stem):
            _remove_folder(os.path.join(root, name))


def _remove_folder(folder: str) -> None:
    """Remove a folder; its name goes first, so that no late attempt can write into it."""
    doomed = f"{folder}-closed"
    with suppress(FileNotFoundError):
        os.rename(folder, doomed)
    shutil.rmtree(doomed, ignore_errors=True)
