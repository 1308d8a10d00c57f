"""Runs a kept task again, in this process and thread, over what it read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aflint.codec import closure, frame
from aflint.codec.secret import Secret
from aflint.errors import InternalError, VersionMismatchError
from aflint.executor.aggregate import Spiller
from aflint.executor.blockfile import unpack_block
from aflint.executor.chaining import Chain, TimeLimit
from aflint.executor.context import TaskContext, running
from aflint.executor.inputs import Inputs
from aflint.executor.io_loop import IOLoop
from aflint.executor.keeping import PYTHON, KeptTask
from aflint.executor.memory import MemoryWatch
from aflint.executor.ranges import Reading
from aflint.executor.runner import Executor
from aflint.executor.spill import SpillFolder
from aflint.plan.program import Program, Return, SavePickle, SaveText
from aflint.storage.base import Storage
from aflint.task import Blob, Manifest, ShuffleHandle
from aflint.transport.base import (
    ShuffleReader,
    ShuffleWriter,
    TransferCounts,
    Transport,
    TransportTraits,
    Written,
)

_FRAME_BYTES = 1 << 20


def replay(kept: KeptTask, storage: Storage, scratch: Path) -> None:
    """Run a task again; what its code raises is raised here, and what it writes goes nowhere.

    Raises VersionMismatchError under another version of Python, whose functions cannot be read.
    """
    if kept.python != PYTHON:
        raise VersionMismatchError(
            f"the task was kept by Python {kept.python}, and this is {PYTHON}: its functions can "
            f"only be read by {kept.python}. Run aflint replay with that"
        )
    with IOLoop() as io:
        executor = _Replaying(io, storage, lambda description: _Nowhere(), scratch, Secret.fresh())
        try:
            executor.replay(kept)
        finally:
            executor.close()


class _Replaying(Executor):
    """Runs one kept task without catching what it raises."""

    def replay(self, kept: KeptTask) -> None:
        blobs = {blob.digest: blob for blob in kept.blobs}

        def fetch(blob: Blob) -> bytes:
            return self._fetch(blobs.get(blob.digest, blob))

        task = kept.task
        context = TaskContext(task.id, fetch, task.memory_mb, str(self.scratch))
        with running(context):
            program: Program = closure.loads(frame.decompress(self._fetch(task.program)))
            if isinstance(program.sink, SaveText | SavePickle):
                program = replace(program, sink=Return(_use_up))
            spiller = Spiller(MemoryWatch(task.memory_mb), SpillFolder(self.scratch))
            chain = Chain(task.id, TimeLimit(None, self.clock), False, task.continuation)
            inputs = Inputs(task, self.secret, self.storage, _Nowhere(), self.io, spiller, chain)
            for place, blocks in kept.frames:
                inputs.hold(place, map(unpack_block, blocks))
            context.reading = Reading(self.storage, self.io, inputs.source_counts)
            try:
                self._run_link(program, task, inputs)
            finally:
                inputs.close()


def _use_up(partition: int, records: Iterator[Any]) -> int:
    return sum(1 for _ in records)


@dataclass(slots=True)
class _Dropping(ShuffleWriter):
    """Takes frames to nowhere."""

    counts: TransferCounts

    async def write(self, partition: int, frame: bytes) -> None:
        pass

    async def finish(self) -> Written:
        return Written()

    async def abort(self) -> None:
        pass


class _Nowhere(Transport):
    """A shuffle that keeps nothing: what a kept task reads it has with it."""

    def __init__(self) -> None:
        super().__init__(TransportTraits(_FRAME_BYTES, _FRAME_BYTES, rereadable=True))

    async def open(self, job: str, shuffle: int, partitions: int) -> ShuffleHandle:
        return ShuffleHandle(job, shuffle, partitions)

    async def close(self, handle: ShuffleHandle) -> None:
        pass

    def writer(self, handle: ShuffleHandle, map: int, attempt: int, link: int) -> ShuffleWriter:
        return _Dropping(TransferCounts())

    def reader(self, manifest: Manifest) -> ShuffleReader:
        raise InternalError(f"the frames of {manifest.handle} were not kept")
