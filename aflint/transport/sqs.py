"""Frames in SQS: a queue for each reduce partition, base64 text, full messages."""

from __future__ import annotations

from typing import Any

from aflint import limits
from aflint.aws.clients import Aws
from aflint.aws.sqs import Sqs
from aflint.errors import ConfigError
from aflint.task import Manifest, ShuffleHandle
from aflint.transport.base import (
    ShuffleReader,
    ShuffleWriter,
    TransferCounts,
    Transport,
    TransportTraits,
    Written,
)
from aflint.transport.sqs_queues import (
    create_queues,
    delete_queues,
    new_stem,
    queues_there,
    sweep_queues,
)
from aflint.transport.sqs_reader import SqsReader
from aflint.transport.sqs_writer import QueueBatches, frame_limit

VISIBILITY_S = 45
"""How long a message stays hidden from other readers after its own is gone. Shorter than the time
that a reduce task waits for a frame, so that a second attempt sees what the first had taken."""


class SqsTransport(Transport):
    """Shuffles in queues whose names begin with `prefix`.

    `message_limit_bytes` bounds a message and a batch; `visibility_s` is less than the time that
    readers wait for a frame. `counts` are the requests for opening and closing shuffles.
    """

    def __init__(
        self,
        aws: Aws,
        prefix: str = "aflint",
        message_limit_bytes: int = limits.SQS_OLD_MESSAGE_BYTES,
        visibility_s: int = VISIBILITY_S,
    ) -> None:
        # A full message wastes nothing: SQS bills each begun 64 KiB.
        largest = frame_limit(message_limit_bytes)
        super().__init__(TransportTraits(largest, largest, rereadable=False))
        self._aws = aws
        self._sqs = aws.sqs()
        self._prefix = prefix
        self._limit = message_limit_bytes
        self._visibility_s = visibility_s

    @property
    def config(self) -> tuple[Any, ...]:
        """What `create_transport` makes this transport of in another process."""
        return ("sqs", self._prefix, self._limit, self._visibility_s)

    async def open(self, job: str, shuffle: int, partitions: int) -> ShuffleHandle:
        """Make the queues. Raises ConfigError where they take less than `message_limit_bytes`."""
        stem = new_stem(self._prefix, job, shuffle)
        url_stem, limit = await create_queues(
            self._sqs, stem, job, partitions, self._limit, self.counts
        )
        handle = ShuffleHandle(job, shuffle, partitions, (url_stem, limit))
        # Writers cut frames by the setting, before any queue could refuse them.
        if limit < self._limit:
            await self.close(handle)
            raise ConfigError(
                f"The queues of this service take messages of {limit:,} bytes, and "
                f"message_limit_kib is {self._limit // limits.KIB}: set it to "
                f"{limit // limits.KIB}, or use transport='hybrid'."
            )
        return handle

    async def close(self, handle: ShuffleHandle) -> None:
        await delete_queues(self._sqs, handle.address[0], handle.partitions, self.counts)

    async def survives(self, handle: ShuffleHandle) -> bool:
        url_stem, _ = handle.address
        return await queues_there(self._sqs, url_stem, handle.partitions, self.counts)

    async def sweep(self, session: str) -> None:
        await sweep_queues(self._sqs, self._prefix, session, self.counts)

    def writer(self, handle: ShuffleHandle, map: int, attempt: int, link: int) -> SqsWriter:
        return SqsWriter(self._sqs, handle, self.traits)

    def reader(self, manifest: Manifest) -> ShuffleReader:
        url = f"{manifest.handle.address[0]}{manifest.partition}"
        expected = sum(output.frames for output in manifest.outputs)
        return SqsReader(self._sqs, url, expected, self._visibility_s, TransferCounts())

    async def aclose(self) -> None:
        await self._aws.aclose()


class SqsWriter(ShuffleWriter):
    """Sends the frames of one map attempt."""

    def __init__(self, sqs: Sqs, handle: ShuffleHandle, traits: TransportTraits) -> None:
        self.counts = TransferCounts()
        self._traits = traits
        url_stem, limit = handle.address
        self._batches = QueueBatches(sqs, url_stem, limit, self.counts)

    async def write(self, partition: int, frame: bytes) -> None:
        self._traits.check(frame)
        await self._batches.add(partition, frame)

    async def finish(self) -> Written:
        await self._batches.finish()
        return Written()

    async def abort(self) -> None:
        await self._batches.abort()
