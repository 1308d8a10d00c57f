"""The requests that moving bytes takes, by each transport: as its code makes them. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

from aflint import limits
from aflint.cost.bill import BASE64_EXPANSION, s3_break_even_bytes
from aflint.cost.load import StageLoad
from aflint.cost.prices import PriceTable
from aflint.errors import InvalidArgumentError

TransportName = Literal["sqs", "s3", "hybrid"]

RANGE_BYTES: Final = 4 * limits.MIB
"""What one GET of input reads."""

PART_BYTES: Final = 16 * limits.MIB
"""What one PUT of an object of shuffled frames takes; a single one needs no upload in parts."""

RUN_BYTES: Final = 16 * limits.MIB
"""What one GET of shuffled frames reads, at most."""

OUTPUT_PART_BYTES: Final = 8 * limits.MIB
"""What one PUT of output takes."""


@dataclass(frozen=True, slots=True)
class Requests:
    """What one task asks of S3 and SQS. `sqs` are calls, `sqs_billed` what they count as."""

    gets: float = 0.0
    puts: float = 0.0
    sqs: float = 0.0
    sqs_billed: float = 0.0
    queue_bytes: float = 0.0

    def __add__(self, other: Requests) -> Requests:
        return Requests(
            self.gets + other.gets,
            self.puts + other.puts,
            self.sqs + other.sqs,
            self.sqs_billed + other.sqs_billed,
            self.queue_bytes + other.queue_bytes,
        )


def checked(transport: str) -> TransportName:
    """Return a transport that there are rates for. Raises InvalidArgumentError for any other."""
    for name in get_args(TransportName):
        if transport == name:
            return name  # type: ignore[no-any-return]
    known = ", ".join(get_args(TransportName))
    raise InvalidArgumentError(f"there are no rates for transport {transport!r}; there are {known}")


def of_input(stage: StageLoad) -> Requests:
    """Return the reads of input and the writes of output."""
    parts = math.ceil(stage.output_bytes / OUTPUT_PART_BYTES)
    # An upload in parts is begun and completed, too.
    return Requests(
        gets=math.ceil(stage.input_bytes / RANGE_BYTES),
        puts=parts + 2 if parts > 1 else parts,
    )


def of_writing(
    stage: StageLoad, transport: TransportName, prices: PriceTable, message_bytes: int
) -> Requests:
    """Return what writing its shuffle takes a map task."""
    if not stage.targets:
        return Requests()
    block = stage.shuffled_bytes / stage.targets
    if in_objects(block, transport, prices, stage.targets):
        parts = math.ceil(stage.shuffled_bytes / PART_BYTES)
        # One HEAD looks whether the shuffle is still open.
        return Requests(gets=1, puts=parts + 2 if parts > 1 else 1)
    return _sent(stage.shuffled_bytes, stage.targets, message_bytes)


def of_reading(
    stage: StageLoad,
    writers: tuple[StageLoad, ...],
    transport: TransportName,
    prices: PriceTable,
) -> Requests:
    """Return what reading its partition takes a reduce task; `writers` are what it reads of."""
    found = Requests()
    for writer in writers:
        if not writer.targets:  # it is only waited for
            continue
        block = writer.shuffled_bytes / writer.targets
        # Of a shuffle that goes by groups a task reads only the map tasks of its own group.
        sources = writer.tasks * writer.targets / stage.tasks
        if in_objects(block, transport, prices, writer.targets):
            found += Requests(gets=sources * math.ceil(block / RUN_BYTES))
        else:
            found += _received(block * sources, sources)
    return found


def in_objects(block: float, transport: TransportName, prices: PriceTable, blocks: int) -> bool:
    """Say whether blocks of this size go into the map task's object; the hybrid transport decides
    so, where what they save pays for the object.
    """
    if transport != "hybrid":
        return transport == "s3"
    cheap = s3_break_even_bytes(prices, puts=0, gets=1)
    saved = blocks * (block / cheap - 1) * prices.s3_get
    return block >= cheap and saved > prices.s3_put


def _sent(size: float, blocks: float, message_bytes: int) -> Requests:
    """Return the calls that send so many bytes in so many blocks: each goes to a queue of its own,
    and so in calls of its own.
    """
    text = size / blocks * BASE64_EXPANSION if size else 0.0
    chunks = math.ceil(text / limits.SQS_BILLED_CHUNK_BYTES)
    return Requests(
        sqs=blocks * math.ceil(text / message_bytes),
        sqs_billed=blocks * chunks,
        queue_bytes=blocks * text,
    )


def _received(size: float, blocks: float) -> Requests:
    """Return the calls that receive them, several messages at once, and one that finds nothing."""
    text = size * BASE64_EXPANSION
    calls = max(blocks / limits.SQS_RECEIVE_MESSAGES, text / limits.SQS_OLD_MESSAGE_BYTES) + 1
    billed = max(calls, text / limits.SQS_BILLED_CHUNK_BYTES + 1)
    return Requests(sqs=calls, sqs_billed=billed, queue_bytes=text)
