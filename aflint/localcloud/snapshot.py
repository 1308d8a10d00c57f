"""The cloud at one moment: what exists, and what has been counted so far."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
