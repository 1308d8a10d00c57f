"""Messages: what they are made of, how SQS measures them, and batches of them. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import random
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aflint import limits
from aflint.localcloud.faults import Dice
from aflint.localcloud.sqs.errors import invalid_value, missing
from aflint.localcloud.wire import ServiceError

_ASCII_ALLOWED = bytes([0x9, 0xA, 0xD, *range(0x20, 0x80)])
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,256}")
_TYPE_NAME = re.compile(r"(String|Number|Binary)(\..+)?", re.DOTALL)
_MOST_ATTRIBUTES = 10
_ID = re.compile(r"[A-Za-z0-9_\-]{1,80}")
Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Content:
    """A checked message: body, attributes as sent, digests, and `size` in bytes as SQS counts."""

    body: str
    attributes: Mapping[str, Mapping[str, str]]
    size: int
    md5: str
    attributes_md5: str | None


def read_content(entry: Mapping[str, Any]) -> Content:
    """Check what a SendMessage, or one entry of a batch, carries.

    Raises ServiceError: MissingParameter, InvalidMessageContents or InvalidParameterValue. Sizes
    are only measured here: the limits are the queue's.
    """
    body = entry.get("MessageBody")
    if not isinstance(body, str):
        raise missing("MessageBody")
    if not body:
        raise ServiceError(
            "MissingParameter", "The request must contain the parameter MessageBody."
        )
    encoded = check_text(body)
    attributes: Mapping[str, Mapping[str, str]] = entry.get("MessageAttributes") or {}
    size = len(encoded) + _attributes_size(attributes)
    digest = hashlib.md5(encoded, usedforsecurity=False).hexdigest()
    return Content(body, attributes, size, digest, _attributes_digest(attributes))


def check_text(text: str) -> bytes:
    """The UTF-8 of `text`; raises InvalidMessageContents for a character that SQS does not take."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise _invalid_character(text[error.start]) from None
    if text.isascii():
        left = encoded.translate(None, _ASCII_ALLOWED)
        if left:
            raise _invalid_character(chr(left[0]))
    elif found := _FORBIDDEN.search(text):  # slower by far, and shuffled frames are ASCII
        raise _invalid_character(found[0])
    return encoded


def _invalid_character(character: str) -> ServiceError:
    return ServiceError(
        "InvalidMessageContents",
        f"Invalid binary character '#x{ord(character):X}' was found in the message body, the set "
        "of allowed characters is #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 "
        "to #x10FFFF",
    )


def _attributes_size(attributes: Mapping[str, Mapping[str, str]]) -> int:
    if len(attributes) > _MOST_ATTRIBUTES:
        raise ServiceError(
            "InvalidParameterValue",
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [10].",
        )
    total = 0
    for name, value in attributes.items():
        if not _ATTRIBUTE_NAME.fullmatch(name):
            raise invalid_value(
                name, "MessageAttributeName", "It must match [A-Za-z0-9_.-]{1,256}."
            )
        data_type = value.get("DataType", "")
        if not _TYPE_NAME.fullmatch(data_type):
            raise ServiceError(
                "InvalidParameterValue",
                f"The message attribute '{name}' has an invalid message attribute type, the set "
                "of supported type prefixes is Binary, Number, and String.",
            )
        total += len(name.encode()) + len(data_type.encode()) + len(_raw_value(name, value))
    return total


def _raw_value(name: str, value: Mapping[str, str]) -> bytes:
    """An attribute's bytes; a Binary one counts decoded."""
    if value["DataType"].startswith("Binary"):
        try:
            raw = base64.b64decode(value.get("BinaryValue", ""), validate=True)
        except binascii.Error:
            raise invalid_value(name, "BinaryValue", "It is not base64.") from None
    else:
        raw = check_text(value.get("StringValue", ""))
    if not raw:
        raise ServiceError(
            "InvalidParameterValue",
            f"The message attribute '{name}' must contain a non-empty attribute value.",
        )
    return raw


def _attributes_digest(attributes: Mapping[str, Mapping[str, str]]) -> str | None:
    """The MD5 over names, types and values that SQS documents for MD5OfMessageAttributes."""
    if not attributes:
        return None
    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        value = attributes[name]
        binary = value["DataType"].startswith("Binary")
        for part in (name.encode(), value["DataType"].encode()):
            digest.update(struct.pack("!I", len(part)) + part)
        raw = _raw_value(name, value)
        digest.update((b"\x02" if binary else b"\x01") + struct.pack("!I", len(raw)) + raw)
    return digest.hexdigest()


def poison(content: Content, chance: random.Random) -> Content:
    """Return a foreign message: text, other bytes as base64, or this one with a character altered.

    No reader may take it for its own.
    """
    body = content.body
    match chance.randrange(3):
        case 0:
            body = "hello, is this the right queue?"[: len(body)]
        case 1:
            body = base64.b64encode(chance.randbytes(max(1, len(body) // 2))).decode()[: len(body)]
        case _:
            at = chance.randrange(len(body))
            body = body[:at] + ("A" if body[at] != "A" else "B") + body[at + 1 :]
    return read_content({"MessageBody": body})


def check_entries(entries: Sequence[Entry] | None) -> Sequence[Entry]:
    """The entries; raises EmptyBatchRequest, TooManyEntriesInBatchRequest, InvalidBatchEntryId or
    BatchEntryIdsNotDistinct.
    """
    if not entries:
        raise ServiceError(
            "EmptyBatchRequest", "There should be at least one entry in the request."
        )
    if len(entries) > limits.SQS_BATCH_ENTRIES:
        raise ServiceError(
            "TooManyEntriesInBatchRequest",
            f"Maximum number of entries per request are {limits.SQS_BATCH_ENTRIES}. "
            f"You have sent {len(entries)}.",
        )
    seen: set[str] = set()
    for entry in entries:
        name = entry.get("Id")
        if not isinstance(name, str) or not _ID.fullmatch(name):
            raise ServiceError(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and "
                "underscores. It can be at most 80 letters long.",
            )
        if name in seen:
            raise ServiceError("BatchEntryIdsNotDistinct", f"Id {name} repeated.")
        seen.add(name)
    return entries


def check_total(sizes: Sequence[int], most: int) -> None:
    """Raises BatchRequestTooLong when the messages together pass `most` bytes."""
    total = sum(sizes)
    if total > most:
        raise ServiceError(
            "BatchRequestTooLong",
            f"Batch requests cannot be longer than {most} bytes. You have sent {total} bytes.",
        )


def each(
    entries: Sequence[Entry], dice: Dice, do: Callable[[Entry], dict[str, Any]]
) -> dict[str, Any]:
    """Carry out each entry on its own: some may fail while others succeed."""
    successful: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for entry in entries:
        try:
            if dice.happens("batch_entry"):
                raise ServiceError("InternalError", "The entry failed; please try again.", 500)
            successful.append({"Id": entry["Id"], **do(entry)})
        except ServiceError as error:
            failed.append(_failure(entry, error))
    return {"Successful": successful, "Failed": failed} if failed else {"Successful": successful}


def _failure(entry: Entry, error: ServiceError) -> dict[str, Any]:
    return {
        "Id": entry["Id"],
        "SenderFault": error.status < 500,
        "Code": error.code,
        "Message": error.message,
    }
