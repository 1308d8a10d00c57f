"""How many requests SQS bills for one call: one for each begun 64 KiB of payload. Pure."""

from __future__ import annotations

from aflint import limits


def billed_requests(payload_bytes: int) -> int:
    """Requests billed for a call that carries this many bytes; at least one."""
    return max(1, -(-payload_bytes // limits.SQS_BILLED_CHUNK_BYTES))
