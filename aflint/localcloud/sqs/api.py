"""SQS's JSON protocol: reads requests, asks the queues, writes answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from aflint import limits
from aflint.localcloud.clock import Clock
from aflint.localcloud.faults import Dice
from aflint.localcloud.snapshot import Counters
from aflint.localcloud.sqs import errors
from aflint.localcloud.sqs.message import (
    Content,
    Entry,
    check_entries,
    check_total,
    each,
    read_content,
)
from aflint.localcloud.sqs.queue import Delivery, Queue, QueueSettings
from aflint.localcloud.sqs.queues import Queues, Waiters
from aflint.localcloud.wire import Asked, Reply, Request, Service, ServiceError

_TARGET = "AmazonSQS."
_JSON = "application/x-amz-json-1.0"
_MOST_LISTED = 1000
Members = dict[str, Any]


class Sqs(Service):
    """The service; `queues` holds its state."""

    name: ClassVar[str] = "sqs"

    def __init__(
        self,
        *,
        clock: Clock,
        dice: Dice,
        counters: Counters,
        new_id: Callable[[], str],
        account: str,
        region: str,
        message_limit_bytes: int = limits.SQS_MESSAGE_BYTES,
        in_flight_limit: int = limits.SQS_IN_FLIGHT,
    ) -> None:
        self.endpoint_url = ""
        self._clock = clock
        self._dice = dice
        self._counters = counters
        self._account = account
        self._region = region
        self._message_limit = message_limit_bytes
        defaults = QueueSettings(max_message_bytes=message_limit_bytes)
        self.queues = Queues(defaults, in_flight_limit, dice, new_id)
        self._waiters: dict[Queue, Waiters] = {}

    def action(self, request: Request) -> str:
        target = request.headers.get("x-amz-target", "")
        action = target.removeprefix(_TARGET)
        if not target.startswith(_TARGET) or action not in _ACTIONS:
            raise ServiceError(
                "UnsupportedOperation", f"localcloud does not emulate {target or 'this request'}."
            )
        return action

    async def handle(self, action: str, request: Request) -> Reply:
        try:
            members = json.loads(request.body) if request.body else {}
        except ValueError:
            raise ServiceError("MalformedInput", "The request is not valid JSON.") from None
        payload, sent = 0, None
        billed = self._counters.sqs_billed
        if action == "ReceiveMessage":
            billed[action] += 1  # before it waits: a receive whose client hangs up is billed, too
            answer, payload = await self._receive(members)
            billed[action] -= 1
            if answer and self._dice.happens("hidden"):
                sent = 0
        elif action in ("SendMessage", "SendMessageBatch"):
            answer, payload = getattr(self, _ACTIONS[action])(members)
        else:
            answer = getattr(self, _ACTIONS[action])(members)
        billed[action] += billed_requests(payload)
        body = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()
        return Reply(200, body, content_type=_JSON, sent=sent)

    def asked(self, action: str, request: Request) -> list[Asked]:
        name = f"{self.name}:{action}"
        try:
            members = json.loads(request.body or b"{}")
        except ValueError:
            members = None
        if not isinstance(members, dict):
            return [Asked(name)]
        url = str(members.get("QueueUrl", ""))
        queue = str(members.get("QueueName") or url.rsplit("/", 1)[-1])
        return [Asked(name, self._arn(queue)) if queue else Asked(name)]

    def render(self, error: ServiceError, request: Request) -> Reply:
        return errors.render(error)

    # -- queues --------------------------------------------------------------------------------

    def _queue(self, members: Members) -> Queue:
        url = members.get("QueueUrl")
        if not url:
            raise errors.missing("QueueUrl")
        return self.queues.get(str(url).rsplit("/", 1)[-1])

    def _url(self, name: str) -> str:
        return f"{self.endpoint_url}/{self._account}/{name}"

    def _arn(self, name: str) -> str:
        return f"arn:aws:sqs:{self._region}:{self._account}:{name}"

    def _create_queue(self, members: Members) -> Members:
        queue = self.queues.create(
            members.get("QueueName", ""),
            members.get("Attributes") or {},
            members.get("tags") or {},
            self._clock.now(),
        )
        self._waiters.setdefault(queue, Waiters())
        return {"QueueUrl": self._url(queue.name)}

    def _delete_queue(self, members: Members) -> Members:
        queue = self._queue(members)
        self.queues.delete(queue.name, self._clock.now())
        self._waiters.pop(queue).wake()
        return {}

    def _get_queue_url(self, members: Members) -> Members:
        return {"QueueUrl": self._url(self.queues.get(members.get("QueueName", "")).name)}

    def _list_queues(self, members: Members) -> Members:
        names = self.queues.names(members.get("QueueNamePrefix") or "")
        most = members.get("MaxResults")
        if most is not None and not 1 <= most <= _MOST_LISTED:
            raise errors.invalid_value(most, "MaxResults", "Must be between 1 and 1000.")
        after = members.get("NextToken") or ""
        names = [name for name in names if name > after]
        page = names[: most or _MOST_LISTED]
        answer: Members = {"QueueUrls": [self._url(name) for name in page]}
        if most is not None and len(names) > len(page):
            answer["NextToken"] = page[-1]
        return answer

    def _get_queue_attributes(self, members: Members) -> Members:
        queue, now = self._queue(members), self._clock.now()
        known = {
            "QueueArn": self._arn(queue.name),
            "ApproximateNumberOfMessages": str(queue.visible(now)),
            "ApproximateNumberOfMessagesNotVisible": str(queue.in_flight(now)),
            "ApproximateNumberOfMessagesDelayed": str(queue.delayed(now)),
            "CreatedTimestamp": str(int(queue.created_at)),
            "LastModifiedTimestamp": str(int(queue.modified_at)),
            **queue.settings.as_attributes(),
        }
        wanted = members.get("AttributeNames") or []
        if "All" in wanted:
            return {"Attributes": known}
        optional = {"Policy", "RedrivePolicy", "KmsMasterKeyId", "SqsManagedSseEnabled"}
        for name in wanted:
            if name not in known and name not in optional:
                raise ServiceError("InvalidAttributeName", f"Unknown Attribute {name}.")
        return {"Attributes": {name: known[name] for name in wanted if name in known}}

    def _set_queue_attributes(self, members: Members) -> Members:
        queue = self._queue(members)
        queue.settings = queue.settings.updated(members.get("Attributes") or {})
        queue.modified_at = self._clock.now()
        return {}

    def _purge_queue(self, members: Members) -> Members:
        self._queue(members).purge(self._clock.now())
        return {}

    def _tag_queue(self, members: Members) -> Members:
        self._queue(members).tags.update(members.get("Tags") or {})
        return {}

    def _untag_queue(self, members: Members) -> Members:
        tags = self._queue(members).tags
        for key in members.get("TagKeys") or []:
            tags.pop(key, None)
        return {}

    def _list_queue_tags(self, members: Members) -> Members:
        return {"Tags": self._queue(members).tags}

    # -- messages ------------------------------------------------------------------------------

    def _send_message(self, members: Members) -> tuple[Members, int]:
        queue, content = self._queue(members), read_content(members)
        return self._accept(queue, content, members), content.size

    def _send_message_batch(self, members: Members) -> tuple[Members, int]:
        queue, entries = self._queue(members), check_entries(members.get("Entries"))
        contents: dict[str, Content | ServiceError] = {}
        for entry in entries:
            try:
                contents[entry["Id"]] = read_content(entry)
            except ServiceError as error:
                contents[entry["Id"]] = error
        sizes = [found.size for found in contents.values() if isinstance(found, Content)]
        check_total(sizes, max(self._message_limit, queue.settings.max_message_bytes))

        def send(entry: Entry) -> Members:
            found = contents[entry["Id"]]
            if isinstance(found, ServiceError):
                raise found
            return self._accept(queue, found, entry)

        return each(entries, self._dice, send), sum(sizes)

    def _accept(self, queue: Queue, content: Content, entry: Mapping[str, Any]) -> Members:
        delay = entry.get("DelaySeconds")
        if delay is not None and not 0 <= delay <= 900:
            raise errors.invalid_value(
                delay, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900."
            )
        message = queue.send(content, self._clock.now(), delay)
        self._waiters[queue].wake(self._dice.most_messages)  # with faults, one may become several
        answer = {"MessageId": message.id, "MD5OfMessageBody": content.md5}
        if content.attributes_md5:
            answer["MD5OfMessageAttributes"] = content.attributes_md5
        return answer

    async def _receive(self, members: Members) -> tuple[Members, int]:
        queue = self._queue(members)
        most = _in_range(members, "MaxNumberOfMessages", 1, 1, limits.SQS_RECEIVE_MESSAGES)
        visibility = _in_range(members, "VisibilityTimeout", None, 0, limits.SQS_VISIBILITY_MAX_S)
        wait = _in_range(
            members, "WaitTimeSeconds", queue.settings.wait_s, 0, limits.SQS_LONG_POLL_S
        )
        deliveries = await self._poll(queue, most or 1, visibility, wait or 0)
        if not deliveries:
            return {}, 0
        messages = [self._shown(delivery, members) for delivery in deliveries]
        return {"Messages": messages}, sum(found.message.content.size for found in deliveries)

    async def _poll(
        self, queue: Queue, most: int, visibility: int | None, wait: int
    ) -> list[Delivery]:
        """Receive, waiting up to `wait` seconds for a first message."""
        deadline = self._clock.now() + wait
        while True:
            now = self._clock.now()
            try:
                deliveries = queue.receive(now, most, visibility)
            except ServiceError:  # too many in flight: a long poll waits for room
                if wait == 0:
                    raise
                deliveries = []
            if deliveries or now >= deadline:
                return deliveries
            # A message that is hidden or delayed turns visible without a call that would wake us.
            visible_at = queue.next_visible_at()
            until = deadline if visible_at is None else min(deadline, visible_at)
            await self._waiters[queue].wait(self._clock, until)
            self.queues.get(queue.name)  # it may have been deleted meanwhile

    def _shown(self, delivery: Delivery, members: Members) -> Members:
        message, content = delivery.message, delivery.message.content
        shown: Members = {
            "MessageId": message.id,
            "ReceiptHandle": delivery.receipt,
            "MD5OfBody": content.md5,
            "Body": content.body,
        }
        system = {
            *(members.get("AttributeNames") or ()),
            *(members.get("MessageSystemAttributeNames") or ()),
        }
        if system:
            known = {
                "SenderId": self._account,
                "SentTimestamp": str(int(message.sent_at * 1000)),
                "ApproximateReceiveCount": str(delivery.receive_count),
                "ApproximateFirstReceiveTimestamp": str(int(message.first_received_at * 1000)),
            }
            shown["Attributes"] = {
                name: value for name, value in known.items() if name in system or "All" in system
            }
        wanted = members.get("MessageAttributeNames") or ()
        chosen = {
            name: value for name, value in content.attributes.items() if _matches(name, wanted)
        }
        if chosen:
            shown["MessageAttributes"] = chosen
            shown["MD5OfMessageAttributes"] = content.attributes_md5
        return shown

    def _delete_message(self, members: Members) -> Members:
        return self._delete(self._queue(members), members)

    def _delete_message_batch(self, members: Members) -> Members:
        queue = self._queue(members)
        entries = check_entries(members.get("Entries"))
        return each(entries, self._dice, lambda entry: self._delete(queue, entry))

    def _delete(self, queue: Queue, entry: Entry) -> Members:
        now = self._clock.now()
        # Deleting makes room in flight, for which a receiver may be waiting.
        full = queue.in_flight(now) >= queue.in_flight_limit
        queue.delete(_receipt(entry), now)
        if full:
            self._waiters[queue].wake(1)
        return {}

    def _change_message_visibility(self, members: Members) -> Members:
        return self._change(self._queue(members), members)

    def _change_message_visibility_batch(self, members: Members) -> Members:
        queue = self._queue(members)
        entries = check_entries(members.get("Entries"))
        return each(entries, self._dice, lambda entry: self._change(queue, entry))

    def _change(self, queue: Queue, entry: Entry) -> Members:
        seconds = _in_range(entry, "VisibilityTimeout", None, 0, limits.SQS_VISIBILITY_MAX_S)
        if seconds is None:
            raise errors.missing("VisibilityTimeout")
        queue.change_visibility(_receipt(entry), seconds, self._clock.now())
        self._waiters[queue].wake()
        return {}


_ACTIONS = {
    "CreateQueue": "_create_queue",
    "DeleteQueue": "_delete_queue",
    "GetQueueUrl": "_get_queue_url",
    "ListQueues": "_list_queues",
    "GetQueueAttributes": "_get_queue_attributes",
    "SetQueueAttributes": "_set_queue_attributes",
    "PurgeQueue": "_purge_queue",
    "TagQueue": "_tag_queue",
    "UntagQueue": "_untag_queue",
    "ListQueueTags": "_list_queue_tags",
    "SendMessage": "_send_message",
    "SendMessageBatch": "_send_message_batch",
    "ReceiveMessage": "_receive",
    "DeleteMessage": "_delete_message",
    "DeleteMessageBatch": "_delete_message_batch",
    "ChangeMessageVisibility": "_change_message_visibility",
    "ChangeMessageVisibilityBatch": "_change_message_visibility_batch",
}


def billed_requests(payload_bytes: int) -> int:
    """Requests billed for a call that carries this many bytes; at least one."""
    return max(1, -(-payload_bytes // limits.SQS_BILLED_CHUNK_BYTES))


def _receipt(members: Mapping[str, Any]) -> str:
    receipt = members.get("ReceiptHandle")
    if not receipt:
        raise errors.missing("ReceiptHandle")
    return str(receipt)


def _in_range(
    members: Mapping[str, Any], name: str, default: int | None, least: int, most: int
) -> int | None:
    value = members.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or not least <= value <= most:
        raise errors.invalid_value(value, name, f"Must be between {least} and {most}, if provided.")
    return value


def _matches(name: str, wanted: tuple[str, ...] | list[str]) -> bool:
    return any(
        pattern in ("All", ".*", name) or (pattern.endswith(".*") and name.startswith(pattern[:-1]))
        for pattern in wanted
    )
