"""A queue's settings: which there are, their ranges, and their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from aflint import limits
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
