"""The calls of SQS's JSON protocol that aflint makes, with nothing built twice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from aflint import limits
from aflint.aws.client import Call, Client
from aflint.aws.parser import Response

_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Message:
    """A received message. `body` is the text as sent."""

    id: str
    receipt: str
    body: str


@dataclass(frozen=True, slots=True)
class FailedEntry:
    """An entry of a batch that was not accepted: its place in the batch, and why."""

    index: int
    code: str
    message: str
    sender_fault: bool


class Sqs:
    """Queues by URL. Every method raises the errors of `aflint.errors` that refusals stand for."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def create_queue(self, name: str, tags: Mapping[str, str]) -> str:
        """Make a queue and return its URL; one of that name is no error."""
        members = {"QueueName": name, "tags": tags}
        return str((await self._ask("CreateQueue", f"queue {name}", members))["QueueUrl"])

    async def delete_queue(self, url: str) -> None:
        """Remove a queue with all that is in it."""
        await self._ask("DeleteQueue", _subject(url), {"QueueUrl": url})

    async def list_queues(self, prefix: str) -> list[str]:
        """Return the URLs of the queues whose names begin with `prefix`."""
        urls: list[str] = []
        members: dict[str, Any] = {"QueueNamePrefix": prefix, "MaxResults": 1000}
        while True:
            answer = await self._ask("ListQueues", f"queues {prefix}*", members)
            urls += answer.get("QueueUrls", ())
            if not answer.get("NextToken"):
                return urls
            members["NextToken"] = answer["NextToken"]

    async def max_message_bytes(self, url: str) -> int:
        """Return the largest message that a queue takes."""
        name = "MaximumMessageSize"
        members = {"QueueUrl": url, "AttributeNames": [name]}
        answer = await self._ask("GetQueueAttributes", _subject(url), members)
        return int(answer.get("Attributes", {}).get(name, limits.SQS_OLD_MESSAGE_BYTES))

    async def send(self, url: str, bodies: Sequence[bytes]) -> list[FailedEntry]:
        """Send messages in one batch and return those that were not accepted.

        Bodies are base64 or other text that JSON need not escape; the caller keeps to the limits.
        """
        parts = [b'{"QueueUrl":%b,"Entries":[' % json.dumps(url).encode()]
        for index, body in enumerate(bodies):
            comma = b"," if index else b""
            parts += (b'%b{"Id":"%d","MessageBody":"' % (comma, index), body, b'"}')
        body = b"".join((*parts, b"]}"))
        response = await self._send("SendMessageBatch", _subject(url), body)
        if b'"Failed"' not in response.body:
            return []
        return [
            FailedEntry(
                int(failed["Id"]), failed["Code"], failed.get("Message", ""), failed["SenderFault"]
            )
            for failed in json.loads(response.body).get("Failed") or ()
        ]

    async def receive(self, url: str, *, wait_s: int, visibility_s: int) -> list[Message]:
        """Return up to ten messages, waiting up to `wait_s` seconds for the first."""
        members = {
            "QueueUrl": url,
            "MaxNumberOfMessages": limits.SQS_RECEIVE_MESSAGES,
            "WaitTimeSeconds": wait_s,
            "VisibilityTimeout": visibility_s,
        }
        answer = await self._ask("ReceiveMessage", _subject(url), members, wait_s)
        return [
            Message(found["MessageId"], found["ReceiptHandle"], found["Body"])
            for found in answer.get("Messages") or ()
        ]

    async def change_visibility(self, url: str, receipts: Sequence[str], seconds: int) -> None:
        """Hide up to ten received messages for so long from now; 0 shows them to all again.

        One that is no longer hidden (its time was over) is passed over.
        """
        entries = [
            {"Id": str(index), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
            for index, receipt in enumerate(receipts)
        ]
        members = {"QueueUrl": url, "Entries": entries}
        await self._ask("ChangeMessageVisibilityBatch", _subject(url), members)

    async def delete(self, url: str, receipts: Sequence[str]) -> None:
        """Remove up to ten received messages; one that cannot be removed will come again."""
        entries = [{"Id": str(i), "ReceiptHandle": receipt} for i, receipt in enumerate(receipts)]
        members = {"QueueUrl": url, "Entries": entries}
        await self._ask("DeleteMessageBatch", _subject(url), members)

    async def _ask(
        self, action: str, subject: str, members: Mapping[str, Any], wait_s: float = 0.0
    ) -> Any:
        body = json.dumps(members, separators=(",", ":")).encode()
        response = await self._send(action, subject, body, wait_s)
        return json.loads(response.body or b"{}")

    async def _send(self, action: str, subject: str, body: bytes, wait_s: float = 0.0) -> Response:
        call = Call(
            action,
            subject,
            "POST",
            headers=_headers(action),
            body=body,
            timeout_s=_TIMEOUT_S + wait_s,
        )
        return await self._client.call(call)


@cache
def _headers(action: str) -> Mapping[str, str]:
    return {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"AmazonSQS.{action}"}


def queue_name(url: str) -> str:
    """Return the name of the queue at a URL."""
    return url.rsplit("/", 1)[-1]


def _subject(url: str) -> str:
    return f"queue {queue_name(url)}"
