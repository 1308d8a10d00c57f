"""Frames into queues: packed into batches, sent in the background, and again if refused."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field

import pybase64

from aflint import limits
from aflint.aio import InFlight
from aflint.aws.failures import THROTTLES
from aflint.aws.retries import Retries
from aflint.aws.sqs import FailedEntry, Sqs, queue_name
from aflint.cost import billed_sqs_requests
from aflint.errors import BackendError, ServiceUnavailableError
from aflint.transport.base import TransferCounts

_log = logging.getLogger("aflint.transport")

HELD_BYTES = 32 * limits.MIB
"""Bodies held back for batches that are not full yet; past it, all are sent as they are."""

IN_FLIGHT_BYTES = 16 * limits.MIB
_SENDS = 32
_RETRIES = Retries()


def frame_limit(message_bytes: int) -> int:
    """Return the largest frame whose base64 text fits a message of `message_bytes`."""
    return message_bytes // 4 * 3


@dataclass(slots=True)
class _Batch:
    bodies: list[bytes] = field(default_factory=list)
    size: int = 0

    def has_room(self, size: int, limit: int) -> bool:
        """Say whether one more body of that size may join."""
        return len(self.bodies) < limits.SQS_BATCH_ENTRIES and self.size + size <= limit


class QueueBatches:
    """Packs frames for the queues at `url_stem` + partition; batches are `limit_bytes` at most."""

    def __init__(self, sqs: Sqs, url_stem: str, limit_bytes: int, counts: TransferCounts) -> None:
        self._sqs = sqs
        self._url_stem = url_stem
        self._limit = limit_bytes
        self._counts = counts
        # The batch of each partition that is being filled, and the bytes in all of them.
        self._batches: dict[int, _Batch] = {}
        self._held = 0
        # Sends under way, bounded in number and bytes; the first failure is raised by the next
        # call.
        self._sending = InFlight(IN_FLIGHT_BYTES, _SENDS)

    async def add(self, partition: int, frame: bytes) -> None:
        """Take a frame; return when there is room for the next. Raises the failure of a send."""
        body = pybase64.b64encode(frame)
        batch = self._batches.get(partition)
        if batch is not None and not batch.has_room(len(body), self._limit):
            await self._send(partition)
            batch = None
        if batch is None:
            batch = self._batches[partition] = _Batch()
        batch.bodies.append(body)
        batch.size += len(body)
        self._held += len(body)
        if not batch.has_room(4, self._limit):  # not even for the shortest base64 text
            await self._send(partition)
        elif self._held > HELD_BYTES:
            await self._send_all()  # with very many partitions hardly any batch gets full

    async def finish(self) -> None:
        """Send the rest, and wait until every frame is in its queue."""
        await self._send_all()
        await self._sending.drain()

    async def abort(self) -> None:
        """Send nothing more."""
        self._batches = {}
        self._held = 0
        await self._sending.cancel()

    async def _send_all(self) -> None:
        for partition in list(self._batches):
            await self._send(partition)

    async def _send(self, partition: int) -> None:
        batch = self._batches.pop(partition)
        self._held -= batch.size
        sending = self._send_until_accepted(f"{self._url_stem}{partition}", batch.bodies)
        await self._sending.start(batch.size, sending)

    async def _send_until_accepted(self, url: str, bodies: list[bytes]) -> None:
        tried = 0
        while bodies:
            tried += 1
            self._counts.sqs_requests += billed_sqs_requests(sum(map(len, bodies)))
            # SQS takes or refuses each entry by itself: only those refused are sent again.
            failed = await self._sqs.send(url, bodies)
            if failed and (tried == _RETRIES.throttled or any(map(_is_final, failed))):
                raise _refused(url, failed[0])
            bodies = [bodies[entry.index] for entry in failed]
            if bodies:
                _log.debug("%s: %d entries again, after %s", url, len(bodies), failed[0].code)
                await asyncio.sleep(_RETRIES.wait(tried, random.random()))


def _is_final(entry: FailedEntry) -> bool:
    return entry.sender_fault and entry.code not in THROTTLES


def _refused(url: str, entry: FailedEntry) -> BackendError:
    kind = BackendError if _is_final(entry) else ServiceUnavailableError
    error = kind(
        f"sqs SendMessageBatch, queue {queue_name(url)}: an entry was refused with {entry.code}: "
        f"{entry.message or 'no reason given'}"
    )
    error.code = entry.code
    return error
