"""The cloud at one moment: what exists, what was counted, and what AWS would bill for it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Counters:
    """Running totals; calls are named as in IAM, `sqs:SendMessageBatch`."""

    calls: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    """By `service:Action:Code`; an entry of a batch that failed is not an error of the call."""
    sqs_billed: Counter[str] = field(default_factory=Counter)
    """Requests as SQS bills them (64 KiB each), by action."""
    s3_class_a: int = 0
    """PUT, COPY, POST and LIST requests."""
    s3_class_b: int = 0
    """GET, HEAD and all other billed requests."""
    s3_bytes_in: int = 0
    s3_bytes_out: int = 0
    lambda_requests: int = 0
    lambda_billed_ms: int = 0
    lambda_mb_ms: int = 0
    """Memory size times billed milliseconds."""
    lambda_cold_starts: int = 0
    lambda_throttles: int = 0
    lambda_kills: Counter[str] = field(default_factory=Counter)
    """Environments that ended before their time, by cause."""
    tmp_overflows: int = 0
    """Invocations after which an environment's /tmp held more than its function may."""

    def as_dict(self) -> dict[str, Any]:
        """A copy of all totals, by name."""
        return {
            name: dict(value) if isinstance(value, Counter) else value
            for name, value in vars(self).items()
        }


@dataclass(frozen=True)
class QueueView:
    """Messages in one queue, by where they are."""

    visible: int
    in_flight: int
    delayed: int


@dataclass(frozen=True)
class EnvironmentView:
    """One live execution environment."""

    name: str
    function: str
    pid: int | None
    busy: bool
    invocations: int


@dataclass(frozen=True)
class Snapshot:
    """Everything that a test may want to assert; calls are named `service:Action`."""

    queues: Mapping[str, QueueView]
    buckets: Mapping[str, tuple[str, ...]]
    """Keys by bucket."""
    uploads: Mapping[str, tuple[str, ...]]
    """Keys of unfinished multipart uploads by bucket; buckets without any are left out."""
    functions: tuple[str, ...]
    roles: tuple[str, ...]
    environments: tuple[EnvironmentView, ...]
    calls: Mapping[str, int]
    errors: Mapping[str, int]
    """By `service:Action:Code`."""
    sqs_billed: Mapping[str, int]
    """Requests as SQS bills them, one for each 64 KiB, by action."""
    s3_class_a: int
    s3_class_b: int
    s3_bytes_in: int
    s3_bytes_out: int
    lambda_requests: int
    lambda_billed_ms: int
    lambda_mb_ms: int
    lambda_cold_starts: int
    lambda_throttles: int
    lambda_kills: Mapping[str, int]
    tmp_overflows: int
    faults: Mapping[str, int]
    """How often each kind of fault has struck."""

    @property
    def sqs_billed_requests(self) -> int:
        """All SQS requests that would be billed."""
        return sum(self.sqs_billed.values())

    @property
    def lambda_gb_seconds(self) -> float:
        """GB-seconds that would be billed."""
        return self.lambda_mb_ms / 1024 / 1000

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as the control endpoint gives it."""
        return {
            **dataclasses.asdict(self),
            "sqs_billed_requests": self.sqs_billed_requests,
            "lambda_gb_seconds": self.lambda_gb_seconds,
        }
