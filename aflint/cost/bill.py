"""What was used, and what it costs: counted use times the table of prices.

Pure arithmetic, at list prices before tax: free tiers and savings plans are left out, as is what
stays stored. Data that moves between Lambda, SQS and S3 in one region is free, and its bytes are
counted only to be shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from operator import add, sub
from typing import Final, NamedTuple

from aflint import limits
from aflint.cost.prices import US_EAST_1, Architecture, PriceTable

BASE64_EXPANSION: Final = 4 / 3
"""Bytes on a queue for each byte of a frame: a message body is text."""

_MONTH_S: Final = 30 * 24 * 3600.0


# Both are made for every task, and frozen dataclasses take five times as long to make.
class Usage(NamedTuple):
    """What AWS counts, summed over any number of attempts. Usages add up with `+` and `sum()`.

    `sqs_requests` are billed ones: a call counts once for each begun 64 KiB. `tmp_gb_seconds` is
    /tmp beyond the free 512 MB. The bytes cost nothing by themselves.
    """

    gb_seconds: float = 0.0
    lambda_requests: int = 0
    tmp_gb_seconds: float = 0.0
    sqs_requests: int = 0
    sqs_bytes: int = 0
    s3_put: int = 0
    s3_get: int = 0
    s3_bytes: int = 0
    s3_gb_months: float = 0.0

    def __add__(self, other: object) -> Usage:
        if not isinstance(other, Usage):
            return NotImplemented
        return Usage(*map(add, self, other))

    def __sub__(self, other: Usage) -> Usage:
        return Usage(*map(sub, self, other))

    def __radd__(self, other: object) -> Usage:
        return self if other == 0 else NotImplemented


class Cost(NamedTuple):
    """Dollars, item by item. Costs add up with `+` and `sum()`; `str()` is for people."""

    lambda_compute: float = 0.0
    lambda_requests: float = 0.0
    lambda_tmp: float = 0.0
    sqs: float = 0.0
    s3_put: float = 0.0
    s3_get: float = 0.0
    s3_storage: float = 0.0

    @property
    def total(self) -> float:
        """All items together, in dollars."""
        return math.fsum(self)

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield each item's name and its dollars, zeros included."""
        for name, dollars in zip(self._fields, self, strict=True):
            yield _LABELS[name], dollars

    def __add__(self, other: object) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        return Cost(*map(add, self, other))

    def __radd__(self, other: object) -> Cost:
        return self if other == 0 else NotImplemented

    def __str__(self) -> str:
        parts = [f"{label} {format_dollars(dollars)}" for label, dollars in self.items() if dollars]
        total = format_dollars(self.total)
        return f"{total} ({', '.join(parts)})" if parts else total


_LABELS: Final = {
    "lambda_compute": "Lambda compute",
    "lambda_requests": "Lambda requests",
    "lambda_tmp": "Lambda /tmp",
    "sqs": "SQS",
    "s3_put": "S3 PUT",
    "s3_get": "S3 GET",
    "s3_storage": "S3 storage",
}


def price(
    usage: Usage, prices: PriceTable = US_EAST_1, architecture: Architecture = "x86_64"
) -> Cost:
    """Return what `usage` costs."""
    return Cost(
        lambda_compute=usage.gb_seconds * prices.gb_second(architecture),
        lambda_requests=usage.lambda_requests * prices.lambda_request,
        lambda_tmp=usage.tmp_gb_seconds * prices.tmp_gb_second,
        sqs=usage.sqs_requests * prices.sqs_request,
        s3_put=usage.s3_put * prices.s3_put,
        s3_get=usage.s3_get * prices.s3_get,
        s3_storage=usage.s3_gb_months * prices.s3_gb_month,
    )


def dollars(
    usage: Sequence[float], prices: PriceTable = US_EAST_1, architecture: Architecture = "x86_64"
) -> float:
    """Return what a Usage costs, or figures in the order of its: all items together, in a fifth of
    the time that `price` takes.
    """
    gb_seconds, invocations, tmp, sqs, _, puts, gets, _, gb_months = usage
    return (
        gb_seconds * prices.gb_second(architecture)
        + invocations * prices.lambda_request
        + tmp * prices.tmp_gb_second
        + sqs * prices.sqs_request
        + puts * prices.s3_put
        + gets * prices.s3_get
        + gb_months * prices.s3_gb_month
    )


def billed_gb_seconds(seconds: float, memory_mb: int) -> float:
    """Return the GB-seconds of one invocation, which is billed by the begun millisecond."""
    return math.ceil(round(seconds * 1000, 6)) / 1000 * memory_mb / 1024


def lambda_usage(seconds: float, memory_mb: int, tmp_mb: int = limits.LAMBDA_TMP_MIN_MB) -> Usage:
    """Return the use of one invocation."""
    return Usage(
        gb_seconds=billed_gb_seconds(seconds, memory_mb),
        lambda_requests=1,
        tmp_gb_seconds=billed_gb_seconds(seconds, max(0, tmp_mb - limits.LAMBDA_TMP_MIN_MB)),
    )


def storage_usage(stored_bytes: int, seconds: float) -> Usage:
    """Return the use of bytes that lay in S3 for so long; a month is taken as 30 days."""
    return Usage(s3_gb_months=stored_bytes / (1 << 30) * seconds / _MONTH_S)


def billed_sqs_requests(payload_bytes: int) -> int:
    """Return how many requests one SQS call with this payload is billed as; an empty one is 1."""
    return max(1, math.ceil(payload_bytes / limits.SQS_BILLED_CHUNK_BYTES))


def sqs_shuffle_cost(
    compressed_bytes: float,
    prices: PriceTable = US_EAST_1,
    *,
    expansion: float = BASE64_EXPANSION,
) -> float:
    """Return the dollars for shuffling bytes through full SQS messages: one send, one receive."""
    chunks = compressed_bytes * expansion / limits.SQS_BILLED_CHUNK_BYTES
    return 2 * chunks * prices.sqs_request


def s3_shuffle_cost(puts: float, gets: float, prices: PriceTable = US_EAST_1) -> float:
    """Return the dollars for shuffling through S3: requests are paid for, bytes are not."""
    return puts * prices.s3_put + gets * prices.s3_get


def s3_break_even_bytes(
    prices: PriceTable = US_EAST_1,
    *,
    puts: float = 1.0,
    gets: float = 1.0,
    expansion: float = BASE64_EXPANSION,
) -> int:
    """Return the compressed size from which a block is cheaper in S3 than in SQS.

    `puts` and `gets` are the S3 requests that this block adds: 1 and 1 for an object of its own,
    0 and 1 for a range of an object that is written anyway. `expansion` is what the queue's text
    encoding adds; 1 gives the answer in bytes of message body.
    """
    per_byte = sqs_shuffle_cost(1, prices, expansion=expansion)
    return math.ceil(round(s3_shuffle_cost(puts, gets, prices) / per_byte, 6))


def format_dollars(dollars: float) -> str:
    """Write an amount for people: whole cents, or three significant digits where that says more."""
    if dollars == 0:
        return "$0"
    digits = Decimal(f"{dollars:.3g}")
    if abs(digits) >= 1 or digits == round(digits, 2):
        return f"${dollars:,.2f}"
    return f"${digits.normalize():f}"
