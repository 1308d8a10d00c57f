"""Frames kept in this process: for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aflint.errors import FetchFailedError, InternalError
from aflint.task import Manifest, ShuffleHandle
from aflint.transport.base import (
    ShuffleReader,
    ShuffleWriter,
    TransferCounts,
    Transport,
    TransportTraits,
    Written,
)

MAX_FRAME_BYTES = 64 * 1024 * 1024
TARGET_FRAME_BYTES = 1024 * 1024

Attempt = tuple[int, int, int]
"""(map, attempt, link)."""


@dataclass(slots=True)
class _Shuffle:
    """The frames of finished attempts, by reduce partition."""

    frames: dict[Attempt, dict[int, list[bytes]]] = field(default_factory=dict)


class MemoryTransport(Transport):
    """Holds all open shuffles; driver and executors share the object."""

    def __init__(
        self,
        max_frame_bytes: int = MAX_FRAME_BYTES,
        target_frame_bytes: int = TARGET_FRAME_BYTES,
    ) -> None:
        target = min(target_frame_bytes, max_frame_bytes)
        super().__init__(TransportTraits(max_frame_bytes, target, rereadable=True))
        self._shuffles: dict[tuple[str, int], _Shuffle] = {}

    async def open(self, job: str, shuffle: int, partitions: int) -> ShuffleHandle:
        self._shuffles[job, shuffle] = _Shuffle()
        return ShuffleHandle(job, shuffle, partitions)

    async def close(self, handle: ShuffleHandle) -> None:
        self._shuffles.pop((handle.job, handle.shuffle), None)

    async def survives(self, handle: ShuffleHandle) -> bool:
        return (handle.job, handle.shuffle) in self._shuffles

    async def sweep(self, session: str) -> None:
        for job, shuffle in list(self._shuffles):
            if job.startswith(f"{session}-"):
                del self._shuffles[job, shuffle]

    def writer(self, handle: ShuffleHandle, map: int, attempt: int, link: int) -> MemoryWriter:
        return MemoryWriter(self, handle, (map, attempt, link))

    def reader(self, manifest: Manifest) -> MemoryReader:
        return MemoryReader(self, manifest)

    def held(self, handle: ShuffleHandle) -> dict[Attempt, dict[int, list[bytes]]] | None:
        """Return the frames of every finished attempt, or None for a shuffle that is not open."""
        shuffle = self._shuffles.get((handle.job, handle.shuffle))
        return shuffle.frames if shuffle is not None else None

    async def aclose(self) -> None:
        self._shuffles.clear()


class MemoryWriter(ShuffleWriter):
    """Collects frames, and shows them to readers when finished."""

    def __init__(self, transport: MemoryTransport, handle: ShuffleHandle, attempt: Attempt) -> None:
        self.counts = TransferCounts()
        self._transport = transport
        self._handle = handle
        self._attempt = attempt
        self._frames: dict[int, list[bytes]] = {}

    async def write(self, partition: int, frame: bytes) -> None:
        self._transport.traits.check(frame)
        self._frames.setdefault(partition, []).append(frame)

    async def finish(self) -> Written:
        held = self._transport.held(self._handle)
        if held is None:
            raise InternalError(f"shuffle {self._handle.shuffle} was closed while it was written")
        held[self._attempt] = self._frames
        return Written()

    async def abort(self) -> None:
        self._frames = {}


class MemoryReader(ShuffleReader):
    """Yields the frames that the manifest names."""

    def __init__(self, transport: MemoryTransport, manifest: Manifest) -> None:
        self.counts = TransferCounts()
        self._transport = transport
        self._manifest = manifest

    async def frames(self) -> AsyncIterator[bytes]:
        manifest = self._manifest
        held = self._transport.held(manifest.handle) or {}
        wanted = [output for output in manifest.outputs if output.frames]
        lost = {o.map for o in wanted if (o.map, o.attempt, o.link) not in held}
        if lost:
            raise FetchFailedError(
                f"shuffle {manifest.handle.shuffle} is not held in this process",
                shuffle=manifest.handle.shuffle,
                maps=tuple(sorted(lost)),
            )
        for output in wanted:
            found = held[output.map, output.attempt, output.link]
            for frame in found.get(manifest.partition, ()):
                yield frame

    async def close(self) -> None:
        return None
