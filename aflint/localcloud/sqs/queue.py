"""One standard queue: its settings, and what is visible, in flight, delayed or gone. Pure.

Without faults a queue is first-in first-out and delivers once per visibility timeout. Time comes
in with each call and never runs backwards.
"""

from __future__ import annotations

import enum
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from aflint import limits
from aflint.localcloud.faults import Dice
from aflint.localcloud.sqs.errors import bad_receipt, invalid_value, over_limit
from aflint.localcloud.sqs.message import Content, poison
from aflint.localcloud.wire import ServiceError

_NUMBERS = {
    "VisibilityTimeout": ("visibility_s", 0, limits.SQS_VISIBILITY_MAX_S),
    "MaximumMessageSize": ("max_message_bytes", limits.KIB, limits.SQS_MESSAGE_BYTES),
    "MessageRetentionPeriod": (
        "retention_s",
        limits.SQS_RETENTION_MIN_S,
        limits.SQS_RETENTION_MAX_S,
    ),
    "DelaySeconds": ("delay_s", 0, 900),
    "ReceiveMessageWaitTimeSeconds": ("wait_s", 0, limits.SQS_LONG_POLL_S),
}
"""API name: (field, least, most)."""
_TEXTS = ("Policy", "SqsManagedSseEnabled", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds")
"""Kept and given back, without effect here."""
_UNSERVED = ("FifoQueue", "ContentBasedDeduplication", "RedrivePolicy", "RedriveAllowPolicy")


@dataclass(frozen=True)
class QueueSettings:
    """Times in seconds, sizes in bytes; the defaults are SQS's."""

    visibility_s: int = 30
    max_message_bytes: int = limits.SQS_MESSAGE_BYTES
    retention_s: int = 4 * 24 * 3600
    delay_s: int = 0
    wait_s: int = 0
    texts: Mapping[str, str] = field(default_factory=dict)

    def updated(self, attributes: Mapping[str, str]) -> QueueSettings:
        """These settings with `attributes` set.

        Raises ServiceError: InvalidAttributeName, InvalidAttributeValue or UnsupportedOperation.
        """
        numbers: dict[str, int] = {}
        texts = dict(self.texts)
        for name, value in attributes.items():
            if name in _NUMBERS:
                attribute, least, most = _NUMBERS[name]
                numbers[attribute] = _number(name, value, least, most)
            elif name in _TEXTS:
                texts[name] = value
            elif name in _UNSERVED:
                raise ServiceError(
                    "UnsupportedOperation", f"localcloud does not emulate the attribute {name}."
                )
            else:
                raise ServiceError("InvalidAttributeName", f"Unknown Attribute {name}.")
        return replace(self, texts=texts, **numbers)

    def as_attributes(self) -> dict[str, str]:
        """By API name, as GetQueueAttributes gives them."""
        numbers = {name: str(getattr(self, spec[0])) for name, spec in _NUMBERS.items()}
        return {**numbers, **self.texts}


def _number(name: str, value: str, least: int, most: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = least - 1
    if not least <= number <= most:
        raise ServiceError(
            "InvalidAttributeValue",
            f"Invalid value for the parameter {name}. It must be an integer from "
            f"{least} to {most}.",
        )
    return number


class _State(enum.IntEnum):
    READY = 0
    DELAYED = 1
    IN_FLIGHT = 2
    GONE = 3


class Message:
    """A message that is to be delivered; a duplicate is a second one with the same `id`."""

    __slots__ = (
        "content",
        "first_received_at",
        "hidden_until",
        "id",
        "key",
        "receive_count",
        "sent_at",
        "state",
    )

    def __init__(self, id: str, key: int, content: Content, sent_at: float) -> None:
        self.id = id
        self.key = key
        self.content = content
        self.sent_at = sent_at
        self.first_received_at = 0.0
        self.hidden_until = 0.0
        self.receive_count = 0
        self.state = _State.GONE


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as one receive hands it out."""

    message: Message
    receipt: str
    receive_count: int


class Queue:
    """The state of one queue; every method takes the time it happens at."""

    def __init__(
        self,
        name: str,
        settings: QueueSettings,
        *,
        created_at: float,
        new_id: Callable[[], str],
        dice: Dice,
        in_flight_limit: int = limits.SQS_IN_FLIGHT,
    ) -> None:
        self.name = name
        self.settings = settings
        self.created_at = created_at
        self.modified_at = created_at
        self.tags: dict[str, str] = {}
        self.in_flight_limit = in_flight_limit
        self._new_id = new_id
        self._nonce = new_id()
        self._dice = dice
        self._keys = itertools.count(1)
        self._messages: dict[int, Message] = {}
        # Messages leave these three only at the front: what changed its state meanwhile is passed
        # over there, so that no operation searches a queue of a million messages.
        self._by_age: deque[Message] = deque()
        self._ready: deque[Message] = deque()
        self._hidden: list[tuple[float, int, Message]] = []
        self._counts = [0] * len(_State)
        self._purged_at = float("-inf")

    # -- what may be asked ---------------------------------------------------------------------

    def visible(self, now: float) -> int:
        """How many messages a receive could get."""
        self._settle(now)
        return self._counts[_State.READY]

    def in_flight(self, now: float) -> int:
        """How many are received and neither deleted nor visible again."""
        self._settle(now)
        return self._counts[_State.IN_FLIGHT]

    def delayed(self, now: float) -> int:
        """How many wait for their first visibility."""
        self._settle(now)
        return self._counts[_State.DELAYED]

    def next_visible_at(self) -> float | None:
        """When the next hidden message turns visible, if nothing else happens before."""
        while self._hidden:
            when, _, message = self._hidden[0]
            # An entry is out of date once the message was hidden anew, shown or deleted.
            if message.hidden_until == when and message.state in (_State.DELAYED, _State.IN_FLIGHT):
                return when
            heapq.heappop(self._hidden)
        return None

    # -- what may be done ----------------------------------------------------------------------

    def send(self, content: Content, now: float, delay_s: float | None = None) -> Message:
        """Accept a message; raises InvalidParameterValue when it is longer than the queue takes."""
        most = self.settings.max_message_bytes
        if content.size > most:
            raise ServiceError(
                "InvalidParameterValue",
                "One or more parameters are invalid. Reason: Message must be shorter than "
                f"{most} bytes.",
            )
        delay = self.settings.delay_s if delay_s is None else delay_s
        if self._dice.happens("delay"):
            delay += self._dice.seconds("delay", self._dice.faults.delay_seconds)
        message = Message(self._new_id(), next(self._keys), content, now)
        if now < self._purged_at + limits.SQS_PURGE_S and self._dice.happens("purge_late"):
            return message  # accepted, and lost: SQS takes up to 60 s to purge
        self._admit(message, now, delay)
        if self._dice.happens("duplicate"):
            self._admit(Message(message.id, next(self._keys), content, now), now, delay)
        if self._dice.happens("poison"):
            other = poison(content, self._dice.generator("poison"))
            self._admit(Message(self._new_id(), next(self._keys), other, now), now, delay)
        return message

    def receive(self, now: float, most: int, visibility_s: float | None = None) -> list[Delivery]:
        """Hand out up to `most` visible messages and hide them for `visibility_s`.

        Raises OverLimit when the queue's cap of messages in flight leaves room for none.
        """
        self._settle(now)
        room = self.in_flight_limit - self._counts[_State.IN_FLIGHT]
        if room <= 0:
            raise over_limit(self.in_flight_limit)
        hidden = self.settings.visibility_s if visibility_s is None else visibility_s
        out: list[Delivery] = []
        while len(out) < min(most, room) and (message := self._next_ready()) is not None:
            out.append(self._deliver(message, now))
        # After all of them were taken: hidden for 0 seconds, one would be delivered again at once.
        for delivery in out:
            self._hide(delivery.message, _State.IN_FLIGHT, now, hidden)
        return out

    def delete(self, receipt: str, now: float) -> None:
        """Forget the message that `receipt` was given for.

        As SQS does: a receipt that a later receive has replaced leaves the message there, one of a
        message that is already gone is no error, and a foreign one is ReceiptHandleIsInvalid.
        """
        self._settle(now)
        message, serial = self._find(receipt)
        # SQS answers well, too, for an old receipt, and may then deliver the message again.
        if message is not None and message.receive_count == serial:
            self._forget(message)

    def change_visibility(self, receipt: str, seconds: float, now: float) -> None:
        """Hide a message in flight for `seconds` from now; 0 makes it visible at once.

        Raises ReceiptHandleIsInvalid, MessageNotInflight, or InvalidParameterValue when the message
        is gone or would be hidden for more than 12 hours in all.
        """
        self._settle(now)
        message, serial = self._find(receipt)
        # Only the receipt of the latest receive may say for how long a message is hidden.
        if message is None or message.receive_count != serial:
            raise invalid_value(
                receipt,
                "ReceiptHandle",
                "Message does not exist or is not available for visibility timeout change.",
            )
        if message.state is not _State.IN_FLIGHT:
            raise ServiceError("MessageNotInflight", "The specified message isn't in flight.")
        if now + seconds > message.first_received_at + limits.SQS_VISIBILITY_MAX_S:
            raise invalid_value(
                seconds,
                "VisibilityTimeout",
                "Total VisibilityTimeout for the message is beyond the limit "
                f"[{limits.SQS_VISIBILITY_MAX_S} seconds].",
            )
        self._hide(message, _State.IN_FLIGHT, now, seconds)

    def purge(self, now: float) -> None:
        """Drop every message, in flight or not; raises PurgeQueueInProgress 60 s after another."""
        if now < self._purged_at + limits.SQS_PURGE_S:
            raise ServiceError(
                "PurgeQueueInProgress",
                f"Only one PurgeQueue operation on {self.name} is allowed every "
                f"{limits.SQS_PURGE_S} seconds.",
                403,
            )
        self._purged_at = now
        for message in list(self._messages.values()):
            self._forget(message)

    # -- how it is kept ------------------------------------------------------------------------

    def _admit(self, message: Message, now: float, delay: float) -> None:
        self._messages[message.key] = message
        self._by_age.append(message)
        if delay > 0:
            self._hide(message, _State.DELAYED, now, delay)
        else:
            self._show(message)

    def _move(self, message: Message, state: _State) -> None:
        self._counts[message.state] -= 1
        self._counts[state] += 1
        message.state = state

    def _show(self, message: Message) -> None:
        self._move(message, _State.READY)
        self._ready.append(message)

    def _hide(self, message: Message, state: _State, now: float, seconds: float) -> None:
        if seconds <= 0:
            self._show(message)
            return
        self._move(message, state)
        message.hidden_until = now + seconds
        # A number in the middle, as messages cannot be compared.
        heapq.heappush(self._hidden, (message.hidden_until, next(self._keys), message))

    def _forget(self, message: Message) -> None:
        if message.state is not _State.GONE:
            self._move(message, _State.GONE)
            del self._messages[message.key]

    def _settle(self, now: float) -> None:
        """Bring visibility and retention up to the present."""
        while (when := self.next_visible_at()) is not None and when <= now:
            self._show(heapq.heappop(self._hidden)[2])
        oldest_kept = now - self.settings.retention_s
        while self._by_age:
            message = self._by_age[0]
            if message.state is not _State.GONE and message.sent_at > oldest_kept:
                break  # the others behind it are younger still
            self._forget(self._by_age.popleft())

    def _next_ready(self) -> Message | None:
        ready = self._ready
        if len(ready) > 1 and self._dice.happens("reorder"):
            window = min(len(ready), self._dice.faults.reorder_window)
            other = self._dice.generator("reorder").randrange(window)
            ready[0], ready[other] = ready[other], ready[0]
        while ready:
            message = ready.popleft()
            if message.state is _State.READY:
                return message
        return None

    def _deliver(self, message: Message, now: float) -> Delivery:
        if message.receive_count == 0:
            message.first_received_at = now
        message.receive_count += 1
        self._move(message, _State.IN_FLIGHT)
        receipt = f"{self._nonce}.{message.key}.{message.receive_count}"
        return Delivery(message, receipt, message.receive_count)

    def _find(self, receipt: str) -> tuple[Message | None, int]:
        nonce, _, rest = receipt.partition(".")
        key, _, serial = rest.partition(".")
        if nonce != self._nonce or not (key.isdecimal() and serial.isdecimal()):
            raise bad_receipt(receipt)
        return self._messages.get(int(key)), int(serial)
