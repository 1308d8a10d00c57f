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

    def __rmul__(self, times: float) -> Requests:
        return Requests(
            times * self.gets,
            times * self.puts,
            times * self.sqs,
            times * self.sqs_billed,
            times * self.queue_bytes,
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


def of_saving(parts: int) -> Requests:
    """Return what the driver asks of S3 to bring so many parts of the output into place."""
    # Each is looked at and copied. The target is looked at and listed before, and what was staged
    # listed after; the mark of success is written last.
    return Requests(gets=parts + 1, puts=parts + 3)


def of_writing(
    stage: StageLoad, transport: TransportName, prices: PriceTable, message_bytes: int
) -> Requests:
    """Return what writing its shuffle takes a map task."""
    return writing(stage.shuffled_bytes, stage.targets, transport, prices, message_bytes)


def of_reading(
    stage: StageLoad,
    writers: tuple[StageLoad, ...],
    transport: TransportName,
    prices: PriceTable,
    message_bytes: int = limits.SQS_OLD_MESSAGE_BYTES,
) -> Requests:
    """Return what reading its partition takes a reduce task; `writers` are what it reads of."""
    found = Requests()
    for writer in writers:
        # Of a shuffle that goes by groups a task reads only the map tasks of its own group.
        sources = writer.tasks * writer.targets / stage.tasks
        size, blocks = writer.shuffled_bytes, writer.targets
        found += reading(size, blocks, sources, transport, prices, message_bytes)
    return found


def writing(
    size: float, blocks: float, transport: TransportName, prices: PriceTable, message_bytes: int
) -> Requests:
    """Return what it takes a map task to write so many bytes, in so many equal blocks."""
    if not blocks:
        return Requests()
    if in_objects(size / blocks, transport, prices, blocks):
        parts = math.ceil(size / PART_BYTES)
        # One HEAD looks whether the shuffle is still open.
        return Requests(gets=1, puts=parts + 2 if parts > 1 else 1)
    return _sent(size, blocks, message_bytes)


def reading(
    size: float,
    blocks: float,
    sources: float,
    transport: TransportName,
    prices: PriceTable,
    message_bytes: int,
) -> Requests:
    """Return what it takes a reduce task to read a block of each of its `sources`, map tasks that
    wrote so many bytes in so many blocks.
    """
    if not blocks:  # it is only waited for
        return Requests()
    block = size / blocks
    gets = of_block(block, blocks, transport, prices)
    return Requests(gets=sources * gets) if gets else _received(block, sources, message_bytes)


def of_block(block: float, blocks: float, transport: TransportName, prices: PriceTable) -> int:
    """Return how many GETs read one of a map task's blocks; none where it is in a queue."""
    in_object = in_objects(block, transport, prices, blocks)
    return max(1, math.ceil(block / RUN_BYTES)) if in_object else 0


def in_objects(block: float, transport: TransportName, prices: PriceTable, blocks: float) -> bool:
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
    chunks = max(1, math.ceil(text / limits.SQS_BILLED_CHUNK_BYTES))
    return Requests(
        sqs=blocks * max(1, math.ceil(text / message_bytes)),
        sqs_billed=blocks * chunks,
        queue_bytes=blocks * text,
    )


def _received(block: float, blocks: float, message_bytes: int) -> Requests:
    """Return the calls that receive blocks, several messages at once, and those that give the
    messages back for a later reader.
    """
    text = block * BASE64_EXPANSION
    messages = blocks * max(1, math.ceil(text / message_bytes))
    tens = math.ceil(messages / limits.SQS_RECEIVE_MESSAGES)
    received = max(tens, blocks * text / limits.SQS_OLD_MESSAGE_BYTES)
    billed = max(tens, blocks * text / limits.SQS_BILLED_CHUNK_BYTES)
    return Requests(sqs=received + tens, sqs_billed=billed + tens, queue_bytes=blocks * text)
