"""Frames out of a queue: several receives under way, nothing deleted, nothing hidden for long.

The queue goes as a whole when its shuffle is closed, which saves a third of the requests. Until
then a message that was read must stay hidden from its own reader, and come back to the next one
should this one fail: so it is hidden for a short while, and again as long as the reader lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from itertools import islice, repeat

import pybase64

from aflint import limits
from aflint.aio import as_they_come, cancel_all, together
from aflint.aws.sqs import Message, Sqs
from aflint.cost import billed_sqs_requests
from aflint.errors import QueueDeletedError
from aflint.transport.base import ShuffleReader, TransferCounts

RECEIVES = 4
"""Receives under way at once, at most: no more than the missing messages need."""

_MOST_HIDDEN = limits.SQS_IN_FLIGHT * 9 // 10
"""A long poll says nothing when a queue's cap is reached, so the reader counts."""

_CALLS = 16

_LAST_ANSWERS_S = 0.25
"""How long a reader that gives up waits for messages that are on their way to it: they would stay
hidden from the next reader. A receive that takes longer than this is one that found nothing."""


@dataclass(slots=True)
class _Hidden:
    """A message that was read: its latest receipt, and the loop's time until which it is hidden."""

    receipt: str
    until: float


class SqsReader(ShuffleReader):
    """Reads one queue, from which about `expected` messages are to come."""

    def __init__(
        self, sqs: Sqs, url: str, expected: int, visibility_s: int, counts: TransferCounts
    ) -> None:
        self.counts = counts
        self._sqs = sqs
        self._url = url
        self.expected = expected
        self._visibility_s = visibility_s
        # Messages that were read and are still in the queue, by id, oldest read first.
        self._hidden: dict[str, _Hidden] = {}
        # Messages that had to be deleted, for SQS hides no more than 120,000 of one queue.
        self._deleted = 0
        self._receiving: set[asyncio.Task[list[bytes]]] = set()

    async def frames(self) -> AsyncGenerator[bytes, None]:
        renewing = asyncio.get_running_loop().create_task(self._keep_hidden())
        receives = as_they_come(repeat(self._next), self._receives_wanted)
        try:
            async with aclosing(receives) as batches:
                async for batch in batches:
                    if renewing.done():  # it ends only by failing: then messages come back
                        renewing.result()
                    for frame in batch:
                        yield frame
        finally:
            await cancel_all({renewing})

    async def close(self) -> None:
        """Show what was read to the next reader at once: another task, or a later job."""
        if self._receiving:
            await asyncio.wait(self._receiving, timeout=_LAST_ANSWERS_S)
        await cancel_all(self._receiving)
        await self._in_tens([hidden.receipt for hidden in self._hidden.values()], 0)
        self._hidden.clear()

    def _receives_wanted(self) -> int:
        # Each message is counted once, hidden or deleted. One receive stays open even when none is
        # expected: what is missing may be a message that came twice.
        missing = self.expected - len(self._hidden) - self._deleted
        return max(1, min(RECEIVES, -(-missing // limits.SQS_RECEIVE_MESSAGES)))

    async def _next(self) -> list[bytes]:
        """Receive once, and to its end, even if the caller is cancelled: see `close`."""
        task = asyncio.get_running_loop().create_task(self._receive())
        self._receiving.add(task)
        task.add_done_callback(self._received)
        return await asyncio.shield(task)

    def _received(self, task: asyncio.Task[list[bytes]]) -> None:
        self._receiving.discard(task)
        if not task.cancelled():
            task.exception()  # raised by `_next` too, unless its caller was cancelled

    async def _receive(self) -> list[bytes]:
        if len(self._hidden) >= _MOST_HIDDEN:
            await self._make_room()
        self.counts.sqs_requests += 1
        messages = await self._sqs.receive(
            self._url, wait_s=limits.SQS_LONG_POLL_S, visibility_s=self._visibility_s
        )
        # One is counted already: a receive that is cancelled is billed, too.
        self.counts.sqs_requests += billed_sqs_requests(sum(len(m.body) for m in messages)) - 1
        return [_decode(message) for message in messages if self._is_new(message)]

    def _is_new(self, message: Message) -> bool:
        """Note a message as hidden, and say whether it was not seen before."""
        new = message.id not in self._hidden
        # Put last even if it came twice: the receipt of the latest receive is the one that counts.
        until = asyncio.get_running_loop().time() + self._visibility_s
        self._hidden.pop(message.id, None)
        self._hidden[message.id] = _Hidden(message.receipt, until)
        return new

    async def _keep_hidden(self) -> None:
        """Renew the time for which messages are hidden, each when half of it is over."""
        loop = asyncio.get_running_loop()
        while True:
            # Two looks come within the half that is left: one late look shows no message to others.
            await asyncio.sleep(self._visibility_s / 4)
            soon = loop.time() + self._visibility_s / 2
            due = {name: held for name, held in self._hidden.items() if held.until < soon}
            for held in due.values():
                held.until = loop.time() + self._visibility_s
            await self._in_tens([held.receipt for held in due.values()], self._visibility_s)

    async def _make_room(self) -> None:
        """Delete the messages read first: with too many hidden, the queue gives no more."""
        ids = list(islice(self._hidden, limits.SQS_RECEIVE_MESSAGES * 100))
        receipts = [self._hidden.pop(id).receipt for id in ids]
        self._deleted += len(ids)
        await self._in_tens(receipts, None)

    async def _in_tens(self, receipts: list[str], visibility_s: int | None) -> None:
        """Hide messages for `visibility_s`, or delete them if that is None, ten with each call."""
        begins = range(0, len(receipts), limits.SQS_BATCH_ENTRIES)
        tens = (receipts[begin : begin + limits.SQS_BATCH_ENTRIES] for begin in begins)
        with suppress(QueueDeletedError):  # the shuffle was closed: there is nothing left to hide
            await together((self._hide_or_delete(ten, visibility_s) for ten in tens), _CALLS)

    async def _hide_or_delete(self, receipts: list[str], visibility_s: int | None) -> None:
        self.counts.sqs_requests += 1
        if visibility_s is None:
            await self._sqs.delete(self._url, receipts)
        else:
            await self._sqs.change_visibility(self._url, receipts, visibility_s)


def _decode(message: Message) -> bytes:
    """Return a message's frame. What is not base64 is returned as it is, to be rejected, and
    counted, as every frame without a valid tag is.
    """
    try:
        return pybase64.b64decode(message.body, validate=True)
    except ValueError:
        return message.body.encode(errors="replace")
