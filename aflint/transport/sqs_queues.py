"""The queues of one shuffle: one for each reduce partition, made and removed together."""

from __future__ import annotations

import logging
import re
from uuid import uuid4

from aflint.aio import to_the_end, together
from aflint.aws.sqs import Sqs, queue_name
from aflint.errors import AflintError, QueueDeletedError
from aflint.transport.base import TransferCounts

_log = logging.getLogger("aflint.transport")

_AT_ONCE = 32
_PREFIX = 32
_JOB = 27
"""Characters of a name that prefix and job take: a session's id has 20 at most."""


def plain(text: str) -> str:
    """Return a job's name with nothing in it that a key or a queue's name cannot have."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)


def new_stem(prefix: str, job: str, shuffle: int) -> str:
    """Return what the names of one shuffle's queues begin with: at most 75 characters, unique.

    A deleted name cannot be used again for a minute, so that each run has names of its own. SQS
    takes names of 80: five digits are left for the partition.
    """
    return f"{prefix[:_PREFIX]}-{plain(job)[:_JOB]}-{shuffle}-{uuid4().hex[:8]}-"


async def create_queues(
    sqs: Sqs, stem: str, job: str, partitions: int, limit_bytes: int, counts: TransferCounts
) -> tuple[str, int]:
    """Make all queues and return what their URLs begin with, and the largest message to send.

    That is `limit_bytes`, or less where a new queue says that it takes less. Leaves no queue behind
    where it fails or is cancelled.
    """
    tags = {"aflint": job[:200]}

    async def create(partition: int) -> str:
        counts.sqs_requests += 1
        return await sqs.create_queue(f"{stem}{partition}", tags)

    try:
        # By itself: its URL and its limit hold for the rest.
        first = await create(0)
        counts.sqs_requests += 1
        most = await sqs.max_message_bytes(first)
        await together(map(create, range(1, partitions)), _AT_ONCE)
    except BaseException:
        await to_the_end(_remove_again(sqs, stem))
        raise
    _log.debug("%s has %d queues %s*, messages of %d bytes", job, partitions, stem, most)
    return first.removesuffix("0"), min(limit_bytes, most)


async def delete_queues(sqs: Sqs, url_stem: str, partitions: int, counts: TransferCounts) -> None:
    """Remove all queues; those that are not there are passed over."""

    async def delete(partition: int) -> None:
        counts.sqs_requests += 1
        await _delete(sqs, f"{url_stem}{partition}")

    await together(map(delete, range(partitions)), _AT_ONCE)
    _log.debug("%d queues %s* are deleted", partitions, queue_name(url_stem))


async def queues_there(sqs: Sqs, url_stem: str, partitions: int, counts: TransferCounts) -> bool:
    """Say whether all queues of a shuffle are there."""
    counts.sqs_requests += 2
    try:
        await sqs.max_message_bytes(f"{url_stem}0")  # a listing shows what was just deleted, too
    except QueueDeletedError:
        return False
    # A driver that died while it removed them has left some.
    return len(await sqs.list_queues(queue_name(url_stem))) >= partitions


async def sweep_queues(sqs: Sqs, prefix: str, session: str, counts: TransferCounts) -> None:
    """Remove the queues of all jobs of a session."""
    removed = await remove_by_stem(sqs, f"{prefix[:_PREFIX]}-{session}-")
    counts.sqs_requests += 1 + len(removed)


async def remove_by_stem(sqs: Sqs, stem: str) -> list[str]:
    """Remove every queue whose name begins with `stem`, and return their names."""
    urls = await sqs.list_queues(stem)
    await together((_delete(sqs, url) for url in urls), _AT_ONCE)
    return [queue_name(url) for url in urls]


async def _remove_again(sqs: Sqs, stem: str) -> None:
    """Remove what was made before a failure, which is to be raised whatever is met here."""
    try:
        await remove_by_stem(sqs, stem)
    except AflintError as error:
        _log.warning("queues %s* may be left; `aflint clean` removes them: %s", stem, error)


async def _delete(sqs: Sqs, url: str) -> None:
    try:
        await sqs.delete_queue(url)
    except QueueDeletedError:
        return
