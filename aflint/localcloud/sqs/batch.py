"""Batches of SQS: what makes a whole one invalid, and the answer entry by entry. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aflint import limits
from aflint.localcloud.faults import Dice
from aflint.localcloud.wire import ServiceError

_ID = re.compile(r"[A-Za-z0-9_\-]{1,80}")

Entry = Mapping[str, Any]


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
    """Carry out every entry by itself: some may fail while others succeed."""
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
