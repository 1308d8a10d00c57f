"""The account's queues by name, and the receivers that wait for a message in each."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from aflint import limits
from aflint.localcloud.clock import Clock, finish
from aflint.localcloud.faults import Dice
from aflint.localcloud.sqs.errors import missing, no_queue
from aflint.localcloud.sqs.queue import Queue, QueueSettings
from aflint.localcloud.wire import ServiceError

_NAME = re.compile(rf"[A-Za-z0-9_\-]{{1,{limits.SQS_NAME_CHARACTERS}}}")


class Queues:
    """Queues by name."""

    def __init__(
        self, defaults: QueueSettings, in_flight_limit: int, dice: Dice, new_id: Callable[[], str]
    ) -> None:
        self._defaults = defaults
        self._in_flight_limit = in_flight_limit
        self._dice = dice
        self._new_id = new_id
        self._queues: dict[str, Queue] = {}
        self._deleted_at: dict[str, float] = {}

    def __iter__(self) -> Iterator[Queue]:
        return iter(self._queues.values())

    def get(self, name: str) -> Queue:
        """The queue of that name; raises QueueDoesNotExist."""
        queue = self._queues.get(name)
        if queue is None:
            raise no_queue()
        return queue

    def create(
        self, name: str, attributes: Mapping[str, str], tags: Mapping[str, str], now: float
    ) -> Queue:
        """A new queue, or the one that is there with equal attributes.

        Raises QueueDeletedRecently within 60 s of a queue of that name, QueueNameExists when one is
        there with other attributes, InvalidParameterValue for a name that is none.
        """
        _check_name(name)
        settings = self._defaults.updated(attributes)
        existing = self._queues.get(name)
        if existing is not None:
            _check_same(existing, attributes)
            return existing
        if now < self._deleted_at.get(name, float("-inf")) + limits.SQS_NAME_REUSE_S:
            raise ServiceError(
                "QueueDeletedRecently",
                f"You must wait {limits.SQS_NAME_REUSE_S} seconds after deleting a queue before "
                "you can create another with the same name.",
            )
        queue = Queue(
            name,
            settings,
            created_at=now,
            new_id=self._new_id,
            dice=self._dice,
            in_flight_limit=self._in_flight_limit,
        )
        queue.tags.update(tags)
        self._queues[name] = queue
        return queue

    def delete(self, name: str, now: float) -> None:
        """Remove a queue and all in it; raises QueueDoesNotExist."""
        self.get(name)
        del self._queues[name]
        self._deleted_at[name] = now

    def names(self, prefix: str) -> list[str]:
        """Sorted names that begin with `prefix`."""
        return sorted(name for name in self._queues if name.startswith(prefix))


def _check_name(name: object) -> None:
    if name is None:
        raise missing("QueueName")
    if isinstance(name, str) and name.endswith(".fifo"):
        raise ServiceError("UnsupportedOperation", "localcloud does not emulate FIFO queues.")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ServiceError(
            "InvalidParameterValue",
            "Can only include alphanumeric characters, hyphens, or underscores. "
            f"1 to {limits.SQS_NAME_CHARACTERS} in length",
        )


def _check_same(queue: Queue, attributes: Mapping[str, str]) -> None:
    current = queue.settings.as_attributes()
    for name, value in queue.settings.updated(attributes).as_attributes().items():
        if current.get(name) != value:
            raise ServiceError(
                "QueueNameExists",
                "A queue already exists with the same name and a different value for attribute "
                f"{name}",
            )


class Waiters:
    """The receivers that wait on one queue, woken in the order they came."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    def wake(self, count: int | None = None) -> None:
        """Wake the first `count` of them, or all."""
        left = len(self._waiting) if count is None else count
        while left > 0 and self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():  # else its time is up or its client gone: wake the next one
                waiter.set_result(None)
                left -= 1

    async def wait(self, clock: Clock, until: float) -> None:
        """Return when woken, or at the time `until`."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        timer = clock.call_at(until, lambda: finish(waiter))
        try:
            await waiter
        finally:
            timer.cancel()
            if waiter in self._waiting:
                self._waiting.remove(waiter)
