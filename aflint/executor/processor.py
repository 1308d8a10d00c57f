"""How long this thread has waited for a processor, as Linux counts it."""

from __future__ import annotations

from typing import Final

_COUNTS: Final = "/proc/thread-self/schedstat"
"""Nanoseconds that the thread ran, and that it could have run and waited."""


def delayed_s() -> float:
    """Return the seconds that this thread could have run in and did not, as others had the
    processor; 0 where that is not counted.
    """
    try:
        with open(_COUNTS, "rb") as counts:
            return int(counts.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
