"""The calls of SQS that aflint makes, through aiobotocore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aflint import limits

if TYPE_CHECKING:
    from aflint.aws.clients import Aws


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

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    async def create_queue(self, name: str, tags: Mapping[str, str]) -> str:
        """Make a queue and return its URL; one of that name is no error."""
        subject = f"queue {name}"
        answer = await self._call("CreateQueue", subject, QueueName=name, tags=dict(tags))
        return str(answer["QueueUrl"])

    async def delete_queue(self, url: str) -> None:
        """Remove a queue with all that is in it."""
        await self._call("DeleteQueue", subject_of(url), QueueUrl=url)

    async def list_queues(self, prefix: str) -> list[str]:
        """Return the URLs of the queues whose names begin with `prefix`."""
        subject = f"queues {prefix}*"
        limit = {"QueueNamePrefix": prefix, "PaginationConfig": {"PageSize": 1000}}
        pages = self._aws.pages("sqs", "ListQueues", subject, **limit)
        return [url async for page in pages for url in page.get("QueueUrls", ())]

    async def max_message_bytes(self, url: str) -> int:
        """Return the largest message that a queue takes."""
        name = "MaximumMessageSize"
        answer = await self._call(
            "GetQueueAttributes", subject_of(url), QueueUrl=url, AttributeNames=[name]
        )
        return int(answer.get("Attributes", {}).get(name, limits.SQS_OLD_MESSAGE_BYTES))

    async def send(self, url: str, bodies: Sequence[bytes]) -> list[FailedEntry]:
        """Send messages in one batch and return those that were not accepted.

        Bodies are base64 or other text that JSON need not escape; the caller keeps to the limits.
        """
        entries = [
            {"Id": str(index), "MessageBody": body.decode("ascii")}
            for index, body in enumerate(bodies)
        ]
        answer = await self._call(
            "SendMessageBatch", subject_of(url), QueueUrl=url, Entries=entries
        )
        return failed_entries(answer)

    async def receive(self, url: str, *, wait_s: int, visibility_s: int) -> list[Message]:
        """Return up to ten messages, waiting up to `wait_s` seconds for the first."""
        answer = await self._call(
            "ReceiveMessage",
            subject_of(url),
            QueueUrl=url,
            MaxNumberOfMessages=limits.SQS_RECEIVE_MESSAGES,
            WaitTimeSeconds=wait_s,
            VisibilityTimeout=visibility_s,
        )
        return messages_of(answer)

    async def change_visibility(self, url: str, receipts: Sequence[str], seconds: int) -> None:
        """Hide up to ten received messages for so long from now; 0 shows them to all again.

        One that is no longer hidden (its time was over) is passed over.
        """
        entries = [
            {"Id": str(index), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
            for index, receipt in enumerate(receipts)
        ]
        await self._call(
            "ChangeMessageVisibilityBatch", subject_of(url), QueueUrl=url, Entries=entries
        )

    async def delete(self, url: str, receipts: Sequence[str]) -> None:
        """Remove up to ten received messages; one that cannot be removed will come again."""
        entries = [{"Id": str(i), "ReceiptHandle": receipt} for i, receipt in enumerate(receipts)]
        await self._call("DeleteMessageBatch", subject_of(url), QueueUrl=url, Entries=entries)

    async def _call(self, action: str, subject: str, **members: Any) -> Any:
        return await self._aws.call("sqs", action, subject, **members)


def queue_name(url: str) -> str:
    """Return the name of the queue at a URL."""
    return url.rsplit("/", 1)[-1]


def subject_of(url: str) -> str:
    """Return what errors call the queue at a URL."""
    return f"queue {queue_name(url)}"


def messages_of(answer: Mapping[str, Any]) -> list[Message]:
    """Return the messages in an answer to ReceiveMessage."""
    return [
        Message(found["MessageId"], found["ReceiptHandle"], found["Body"])
        for found in answer.get("Messages") or ()
    ]


def failed_entries(answer: Mapping[str, Any]) -> list[FailedEntry]:
    """Return the entries that an answer to SendMessageBatch says were not accepted."""
    return [
        FailedEntry(int(each["Id"]), each["Code"], each.get("Message", ""), each["SenderFault"])
        for each in answer.get("Failed") or ()
    ]
