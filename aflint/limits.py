"""Every limit of AWS that shapes what aflint does, each with its unit, source and date.

Each constant is an `int`; `TABLE` holds the same values as rows, for documentation and for the
emulator that enforces them. Sizes are in bytes unless the name says otherwise. A limit that an
account can have raised is marked `adjustable`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

CHECKED: Final = "2026-11"
"""The month in which every row was last compared with its source."""

_DOCS: Final = "https://docs.aws.amazon.com/"
SQS_MESSAGE_QUOTAS: Final = (
    _DOCS + "AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html"
)
SQS_QUEUE_QUOTAS: Final = (
    _DOCS + "AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html"
)
SQS_DELETE_QUEUE: Final = _DOCS + "AWSSimpleQueueService/latest/APIReference/API_DeleteQueue.html"
SQS_PURGE_QUEUE: Final = _DOCS + "AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html"
SQS_PRICING: Final = "https://aws.amazon.com/sqs/pricing/"
LAMBDA_QUOTAS: Final = _DOCS + "lambda/latest/dg/gettingstarted-limits.html"
LAMBDA_MEMORY: Final = _DOCS + "lambda/latest/dg/configuration-memory.html"
LAMBDA_SCALING: Final = _DOCS + "lambda/latest/dg/lambda-concurrency.html"
S3_PERFORMANCE: Final = _DOCS + "AmazonS3/latest/userguide/optimizing-performance.html"
S3_MULTIPART: Final = _DOCS + "AmazonS3/latest/userguide/qfacts.html"


@dataclass(frozen=True)
class Limit:
    """One row: `name` is the constant of this module that has the same `value`."""

    name: str
    value: int
    unit: str
    source: str
    note: str = ""
    adjustable: bool = False
    date: str = CHECKED


_rows: list[Limit] = []


def _limit(
    name: str, value: int, unit: str, source: str, note: str = "", *, adjustable: bool = False
) -> int:
    _rows.append(Limit(name, value, unit, source, note, adjustable))
    return value


# SQS ------------------------------------------------------------------------------------------

SQS_MESSAGE_BYTES: Final[int] = _limit(
    "SQS_MESSAGE_BYTES", MIB, "bytes", SQS_MESSAGE_QUOTAS,
    "UTF-8 bytes of body and attributes; since August 2025, 256 KiB before",
)  # fmt: skip
SQS_BATCH_BYTES: Final[int] = _limit(
    "SQS_BATCH_BYTES", MIB, "bytes", SQS_MESSAGE_QUOTAS, "all entries of a batch together"
)
SQS_OLD_MESSAGE_BYTES: Final[int] = _limit(
    "SQS_OLD_MESSAGE_BYTES", 256 * KIB, "bytes", SQS_MESSAGE_QUOTAS,
    "the limit before August 2025, still that of older queues and emulators",
)  # fmt: skip
SQS_BATCH_ENTRIES: Final[int] = _limit("SQS_BATCH_ENTRIES", 10, "entries", SQS_MESSAGE_QUOTAS)
SQS_RECEIVE_MESSAGES: Final[int] = _limit(
    "SQS_RECEIVE_MESSAGES", 10, "messages", SQS_MESSAGE_QUOTAS, "in one ReceiveMessage"
)
SQS_BILLED_CHUNK_BYTES: Final[int] = _limit(
    "SQS_BILLED_CHUNK_BYTES", 64 * KIB, "bytes", SQS_PRICING, "each begun chunk is one request"
)
SQS_IN_FLIGHT: Final[int] = _limit(
    "SQS_IN_FLIGHT", 120_000, "messages", SQS_QUEUE_QUOTAS,
    "about, per standard queue; long polls past it get no error",
)  # fmt: skip
SQS_LONG_POLL_S: Final[int] = _limit("SQS_LONG_POLL_S", 20, "s", SQS_QUEUE_QUOTAS)
SQS_VISIBILITY_MAX_S: Final[int] = _limit(
    "SQS_VISIBILITY_MAX_S", 12 * 3600, "s", SQS_MESSAGE_QUOTAS
)
SQS_RETENTION_MIN_S: Final[int] = _limit("SQS_RETENTION_MIN_S", 60, "s", SQS_MESSAGE_QUOTAS)
SQS_RETENTION_MAX_S: Final[int] = _limit(
    "SQS_RETENTION_MAX_S", 14 * 24 * 3600, "s", SQS_MESSAGE_QUOTAS
)
SQS_NAME_CHARACTERS: Final[int] = _limit(
    "SQS_NAME_CHARACTERS", 80, "characters", SQS_QUEUE_QUOTAS, "letters, digits, - and _"
)
SQS_NAME_REUSE_S: Final[int] = _limit(
    "SQS_NAME_REUSE_S", 60, "s", SQS_DELETE_QUEUE, "a deleted queue's name is unusable so long"
)
SQS_PURGE_S: Final[int] = _limit(
    "SQS_PURGE_S", 60, "s", SQS_PURGE_QUEUE, "a purge may take messages sent meanwhile"
)

# Lambda ---------------------------------------------------------------------------------------

LAMBDA_REQUEST_BYTES: Final[int] = _limit(
    "LAMBDA_REQUEST_BYTES", 6 * MIB, "bytes", LAMBDA_QUOTAS, "synchronous invocation"
)
LAMBDA_RESPONSE_BYTES: Final[int] = _limit(
    "LAMBDA_RESPONSE_BYTES", 6 * MIB, "bytes", LAMBDA_QUOTAS, "synchronous invocation"
)
LAMBDA_ASYNC_REQUEST_BYTES: Final[int] = _limit(
    "LAMBDA_ASYNC_REQUEST_BYTES", MIB, "bytes", LAMBDA_QUOTAS, "asynchronous invocation"
)
LAMBDA_TIMEOUT_S: Final[int] = _limit("LAMBDA_TIMEOUT_S", 15 * 60, "s", LAMBDA_QUOTAS)
LAMBDA_MEMORY_MIN_MB: Final[int] = _limit("LAMBDA_MEMORY_MIN_MB", 128, "MB", LAMBDA_QUOTAS)
LAMBDA_MEMORY_MAX_MB: Final[int] = _limit("LAMBDA_MEMORY_MAX_MB", 10_240, "MB", LAMBDA_QUOTAS)
LAMBDA_MEMORY_PER_VCPU_MB: Final[int] = _limit(
    "LAMBDA_MEMORY_PER_VCPU_MB", 1_769, "MB", LAMBDA_MEMORY, "the memory that brings one vCPU"
)
LAMBDA_TMP_MIN_MB: Final[int] = _limit(
    "LAMBDA_TMP_MIN_MB", 512, "MB", LAMBDA_QUOTAS, "/tmp, free of charge up to here"
)
LAMBDA_TMP_MAX_MB: Final[int] = _limit("LAMBDA_TMP_MAX_MB", 10_240, "MB", LAMBDA_QUOTAS)
LAMBDA_CONCURRENCY: Final[int] = _limit(
    "LAMBDA_CONCURRENCY", 1_000, "environments", LAMBDA_QUOTAS,
    "an account and region; lower for new accounts", adjustable=True,
)  # fmt: skip
LAMBDA_RAMP_ENVIRONMENTS: Final[int] = _limit(
    "LAMBDA_RAMP_ENVIRONMENTS", 1_000, "environments", LAMBDA_SCALING,
    "new ones per function in each LAMBDA_RAMP_S",
)  # fmt: skip
LAMBDA_RAMP_S: Final[int] = _limit("LAMBDA_RAMP_S", 10, "s", LAMBDA_SCALING)
LAMBDA_ZIP_BYTES: Final[int] = _limit(
    "LAMBDA_ZIP_BYTES", 50 * MIB, "bytes", LAMBDA_QUOTAS, "uploaded directly; larger ones by S3"
)
LAMBDA_UNZIPPED_BYTES: Final[int] = _limit(
    "LAMBDA_UNZIPPED_BYTES", 250 * MIB, "bytes", LAMBDA_QUOTAS, "code and layers together"
)
LAMBDA_IMAGE_BYTES: Final[int] = _limit(
    "LAMBDA_IMAGE_BYTES", 10 * GIB, "bytes", LAMBDA_QUOTAS, "container image, uncompressed"
)

# S3 -------------------------------------------------------------------------------------------

S3_PUT_PER_S: Final[int] = _limit(
    "S3_PUT_PER_S", 3_500, "requests/s", S3_PERFORMANCE, "at least, per partitioned prefix"
)
S3_GET_PER_S: Final[int] = _limit(
    "S3_GET_PER_S", 5_500, "requests/s", S3_PERFORMANCE, "at least, per partitioned prefix"
)
S3_PART_MIN_BYTES: Final[int] = _limit(
    "S3_PART_MIN_BYTES", 5 * MIB, "bytes", S3_MULTIPART, "the last part may be smaller"
)
S3_PART_MAX_BYTES: Final[int] = _limit("S3_PART_MAX_BYTES", 5 * GIB, "bytes", S3_MULTIPART)
S3_PARTS: Final[int] = _limit("S3_PARTS", 10_000, "parts", S3_MULTIPART)

TABLE: Final[tuple[Limit, ...]] = tuple(_rows)
"""Every limit above, in the same order."""
