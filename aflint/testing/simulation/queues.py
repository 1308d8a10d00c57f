"""SQS within its contract: at least once, in any order, hidden for a while, gone when deleted."""

from __future__ import annotations

import asyncio
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aflint import limits
from aflint.aws.sqs import FailedEntry, Message, Sqs
from aflint.errors import QueueDeletedError
from aflint.testing.simulation.callers import Caller
from aflint.testing.simulation.dice import Dice
from aflint.testing.simulation.faults import Fault
from aflint.testing.simulation.objects import NO_AWS

_UNIQUE = re.compile(r"-[0-9a-f]{8}-(?=\d+$)")


@dataclass(slots=True)
class _Stored:
    number: int
    body: str
    visible_at: float


@dataclass(slots=True)
class _Queue:
    label: str
    messages: dict[int, _Stored] = field(default_factory=dict)
    sent: int = 0
    receives: int = 0
    waiting: dict[asyncio.Future[None], None] = field(default_factory=dict)
    """In the order in which they came: that of a set differs from process to process."""

    def wake(self) -> None:
        """Let those who wait look again."""
        for waiter in self.waiting:
            if not waiter.done():
                waiter.set_result(None)


class SimulatedQueues:
    """All queues, by URL."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self._queues: dict[str, _Queue] = {}

    @property
    def names(self) -> list[str]:
        """The queues that are there."""
        return [queue.label for queue in self._queues.values()]

    def create(self, name: str) -> str:
        """Make a queue where there is none of that name."""
        url = f"sim://{name}"
        if url not in self._queues:
            self._queues[url] = _Queue(_UNIQUE.sub("-", name))
        return url

    def delete(self, url: str) -> None:
        """Remove a queue; who waits for its messages gets an error."""
        queue = self.find(url)
        del self._queues[url]
        queue.wake()

    def urls(self, prefix: str) -> list[str]:
        """Return the queues whose names begin so."""
        return [url for url in self._queues if url.startswith(f"sim://{prefix}")]

    def find(self, url: str) -> _Queue:
        """Return a queue. Raises QueueDeletedError."""
        try:
            return self._queues[url]
        except KeyError:
            raise QueueDeletedError(f"queue {url} is not there") from None

    def lose_some(self, when: str) -> None:
        """Let single messages go, one of a queue at the most."""
        for queue in self._queues.values():
            where = f"{when} {queue.label}"
            if queue.messages and self.dice.strikes(Fault.LOST_KEPT, where):
                numbers = sorted(queue.messages)
                del queue.messages[numbers[self.dice.pick(len(numbers), "lost", where)]]

    def put(self, url: str, bodies: Sequence[bytes], now: float) -> list[FailedEntry]:
        """Take the messages of a batch; return those refused."""
        queue = self.find(url)
        failed = []
        for index, body in enumerate(bodies):
            queue.sent += 1
            where = f"{queue.label}#{queue.sent}"
            if self.dice.strikes(Fault.PARTIAL_BATCH, where):
                failed.append(FailedEntry(index, "InternalFailure", "injected", False))
                continue
            delay = 0.0
            if self.dice.strikes(Fault.DELAY, where):
                delay = self.dice.between(0.1, 20.0, "delay", where)
            queue.messages[queue.sent] = _Stored(queue.sent, body.decode(), now + delay)
            if self.dice.strikes(Fault.POISON, where):
                queue.sent += 1
                poison = _poison(body, self.dice.pick(4, "poison", where))
                queue.messages[queue.sent] = _Stored(queue.sent, poison, now)
        queue.wake()
        return failed

    def take(self, queue: _Queue, now: float, visibility_s: float) -> list[Message]:
        """Return up to ten messages that can be seen, in no order, and hide them."""
        seen = [stored for stored in queue.messages.values() if stored.visible_at <= now]
        if not seen:
            return []
        queue.receives += 1
        place = f"{queue.label}@{queue.receives}"
        seen.sort(key=lambda stored: self.dice.roll("order", place, stored.number))
        most = 1 + self.dice.pick(limits.SQS_RECEIVE_MESSAGES, "found", place)
        taken = seen[:most]
        for stored in taken:
            stored.visible_at = now + visibility_s
            if self.dice.strikes(Fault.DUPLICATE, f"{place}#{stored.number}"):
                stored.visible_at = now + self.dice.between(0, 9, "again", place, stored.number)
        return [Message(f"m{s.number}", f"r{s.number}", s.body) for s in taken]


def _poison(body: bytes, kind: int) -> str:
    """Return a message that no reader may take for a frame of its job."""
    match kind:
        case 0:
            return "a line of text"
        case 1:
            return b2a_base64(b"other bytes", newline=False).decode()
        case 2:
            return body[: len(body) // 8 * 4].decode()
    altered = bytearray(a2b_base64(body))
    altered[len(altered) // 2] ^= 1
    return b2a_base64(altered, newline=False).decode()


class SimulatedSqs(Sqs):
    """The calls of `aflint.aws.sqs` on simulated queues, for one caller."""

    def __init__(self, queues: SimulatedQueues, caller: Caller) -> None:
        super().__init__(NO_AWS)
        self._queues = queues
        self._caller = caller

    async def create_queue(self, name: str, tags: Mapping[str, str]) -> str:
        return await self._caller.request("CreateQueue", lambda: self._queues.create(name))

    async def delete_queue(self, url: str) -> None:
        await self._caller.request("DeleteQueue", lambda: self._queues.delete(url))

    async def list_queues(self, prefix: str) -> list[str]:
        return await self._caller.request("ListQueues", lambda: self._queues.urls(prefix))

    async def max_message_bytes(self, url: str) -> int:
        return await self._caller.request(
            "GetQueueAttributes", lambda: limits.SQS_OLD_MESSAGE_BYTES
        )

    async def send(self, url: str, bodies: Sequence[bytes]) -> list[FailedEntry]:
        def put() -> list[FailedEntry]:
            return self._queues.put(url, bodies, asyncio.get_running_loop().time())

        where = f"{self._caller.label}:{self._caller.requests}"
        if self._queues.dice.strikes(Fault.RESENT, where):
            await self._caller.request("SendMessageBatch", put)
            await asyncio.sleep(1.0)
        return await self._caller.request("SendMessageBatch", put)

    async def receive(self, url: str, *, wait_s: int, visibility_s: int) -> list[Message]:
        queues, dice = self._queues, self._queues.dice
        loop = asyncio.get_running_loop()
        found = await self._caller.request("ReceiveMessage", lambda: queues.find(url))
        until = loop.time() + wait_s
        while True:
            self._caller.check()
            queue = queues.find(url)
            place = f"{queue.label}@{queue.receives}"
            if dice.strikes(Fault.DELETED_QUEUE, place, group="deleted", most=1):
                queues.delete(url)
                continue
            taken = queues.take(found, loop.time(), visibility_s)
            if taken and dice.strikes(Fault.HIDDEN, f"{queue.label}@{queue.receives}"):
                await asyncio.sleep(1.0)
                continue
            if taken or loop.time() >= until:
                await self._caller.after(self._caller.requests)
                return taken
            await self._arrival(queue, until)

    async def change_visibility(self, url: str, receipts: Sequence[str], seconds: int) -> None:
        def change() -> None:
            queue = self._queues.find(url)
            now = asyncio.get_running_loop().time()
            for receipt in receipts:
                stored = queue.messages.get(int(receipt[1:]))
                if stored is not None and stored.visible_at > now:
                    stored.visible_at = now + seconds
            queue.wake()

        await self._caller.request("ChangeMessageVisibilityBatch", change)

    async def delete(self, url: str, receipts: Sequence[str]) -> None:
        def remove() -> None:
            queue = self._queues.find(url)
            for receipt in receipts:
                queue.messages.pop(int(receipt[1:]), None)

        await self._caller.request("DeleteMessageBatch", remove)

    async def _arrival(self, queue: _Queue, until: float) -> None:
        """Wait until there may be something to see, or until the time is over."""
        loop = asyncio.get_running_loop()
        shows = min((s.visible_at for s in queue.messages.values()), default=until)
        waiter = loop.create_future()
        queue.waiting[waiter] = None
        try:
            await asyncio.wait({waiter}, timeout=max(0.0, min(until, shows) - loop.time()))
        finally:
            del queue.waiting[waiter]
