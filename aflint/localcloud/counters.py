"""What was asked of the cloud and what AWS would bill for it."""

from __future__ import annotations

from collections import Counter
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
        """A copy, by field."""
        return {
            name: dict(value) if isinstance(value, Counter) else value
            for name, value in vars(self).items()
        }
