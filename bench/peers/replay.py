"""The floor of a shuffle: the calls that aflint made, made again by bare aiobotocore.

Bodies are ready before the clock starts, so that nothing counts but what the client itself costs.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock
from urllib.parse import unquote

from aflint.aws.bare.client import Call, Client
from aflint.aws.parser import Response

_SENDS = 32
_RECEIVES = 4
_MOVED = frozenset({"SendMessageBatch", "ReceiveMessage", "PutObject", "GetObject"})


@contextmanager
def recorded(calls: list[Call]) -> Iterator[None]:
    """Note every call that moves data while the block runs."""
    original = Client.attempt_bounded

    async def note(client: Client, call: Call) -> Response:
        if call.action in _MOVED:
            calls.append(call)
        return await original(client, call)

    with mock.patch.object(Client, "attempt_bounded", note):
        yield


@dataclass
class Replay:
    """What is to be done again: batches by queue, objects, ranges."""

    batches: list[tuple[str, list[dict[str, str]]]] = field(default_factory=list)
    messages: Counter[str] = field(default_factory=Counter)
    objects: list[dict[str, Any]] = field(default_factory=list)
    ranges: list[dict[str, str]] = field(default_factory=list)

    @staticmethod
    def of(calls: Sequence[Call]) -> Replay:
        """Prepare the arguments of every call."""
        replay = Replay()
        for call in calls:
            if call.action == "SendMessageBatch":
                members = json.loads(call.body)
                replay.batches.append((members["QueueUrl"], members["Entries"]))
                replay.messages[members["QueueUrl"]] += len(members["Entries"])
            elif call.action in ("PutObject", "GetObject"):
                bucket, _, key = unquote(call.path).lstrip("/").partition("/")
                place = {"Bucket": bucket, "Key": f"{key}-again"}
                if call.action == "PutObject":
                    replay.objects.append({**place, "Body": call.body})
                else:
                    replay.ranges.append({**place, "Range": call.headers.get("range", "bytes=0-")})
        return replay

    async def make_queues(self, sqs: Any) -> None:
        """Make a queue for each that messages went to."""
        made = {}
        for url in self.messages:
            name = url.rsplit("/", 1)[-1]
            made[url] = (await sqs.create_queue(QueueName=f"{name}-again"))["QueueUrl"]
        self.batches = [(made[url], entries) for url, entries in self.batches]
        self.messages = Counter({made[url]: count for url, count in self.messages.items()})

    async def remove(self, sqs: Any, s3: Any) -> None:
        """Remove the queues and objects."""
        for url in self.messages:
            await sqs.delete_queue(QueueUrl=url)
        for each in self.objects:
            await s3.delete_object(Bucket=each["Bucket"], Key=each["Key"])

    async def run(self, sqs: Any, s3: Any) -> None:
        """Make all calls: sends and puts first, then receives and gets."""
        room = asyncio.Semaphore(_SENDS)

        async def send(url: str, entries: list[dict[str, str]]) -> None:
            async with room:
                await sqs.send_message_batch(QueueUrl=url, Entries=entries)

        async def put(arguments: dict[str, Any]) -> None:
            async with room:
                await s3.put_object(**arguments)

        async def get(arguments: dict[str, str]) -> None:
            async with room:
                await (await s3.get_object(**arguments))["Body"].read()

        async with asyncio.TaskGroup() as group:
            for url, entries in self.batches:
                group.create_task(send(url, entries))
            for each in self.objects:
                group.create_task(put(each))
        async with asyncio.TaskGroup() as group:
            for url, count in self.messages.items():
                group.create_task(_receive(sqs, url, count))
            for each in self.ranges:
                group.create_task(get(each))


async def _receive(sqs: Any, url: str, missing: int) -> None:
    async def one() -> int:
        answer = await sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20, VisibilityTimeout=45
        )
        return len(answer.get("Messages", ()))

    while missing > 0:
        at_once = min(_RECEIVES, -(-missing // 10))
        missing -= sum(await asyncio.gather(*(one() for _ in range(at_once))))
