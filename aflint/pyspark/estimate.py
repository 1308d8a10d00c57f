"""countApproxDistinct: HyperLogLog, counted in tasks and merged by the driver."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import partial
from hashlib import blake2b
from typing import Any

from aflint.codec.hashing import portable_hash

_LEAST = 0.000017
_WORD = 64


def count_distinct(rdd: Any, relative_sd: float) -> int:
    """Estimate how many different records there are, to within `relative_sd`."""
    if relative_sd < _LEAST:
        raise ValueError(f"relativeSD should be greater than {_LEAST:f}")
    # The error is 1.04 / sqrt(registers). Past 2**18 of them, tasks would return much for little.
    bits = min(18, max(4, math.ceil(2 * math.log2(1.04 / relative_sd))))
    parts = rdd.mapPartitions(partial(registers, bits)).collect()
    merged = [max(column) for column in zip(*parts, strict=True)] if parts else [0] * (1 << bits)
    return estimate(merged)


def registers(bits: int, records: Iterable[Any]) -> Iterator[bytes]:
    """Yield, for each of 2**bits parts of the hashes, the most leading zeros seen plus one."""
    seen = bytearray(1 << bits)
    width = _WORD - bits
    for record in records:
        # The same in all processes; hashed again, as hashes of small integers are no random bits.
        code = portable_hash(record).to_bytes(9, "little", signed=True)
        word = int.from_bytes(blake2b(code, digest_size=_WORD // 8).digest(), "little")
        place, rest = word >> width, word & ((1 << width) - 1)
        seen[place] = max(seen[place], width - rest.bit_length() + 1)
    yield bytes(seen)


def estimate(seen: list[int]) -> int:
    """Return the estimate for merged registers, by linear counting where they are mostly empty."""
    count = len(seen)
    raw = 0.7213 / (1 + 1.079 / count) * count * count / sum(2.0**-rank for rank in seen)
    empty = seen.count(0)
    if raw <= 2.5 * count and empty:
        return round(count * math.log(count / empty))
    return round(raw)
