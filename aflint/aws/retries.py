"""How often and when a call is tried again, where aflint itself decides it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from aflint.aws.failures import Kind


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and when a call is tried again, in seconds.

    `attempts` counts all tries; `throttled` those of a call that is being throttled.
    """

    attempts: int = 4
    throttled: int = 9
    base_s: float = 0.1
    most_s: float = 10.0

    def wait(self, tried: int, chance: float) -> float:
        """Return the pause after `tried` tries; `chance`, from 0 to 1, is its jitter."""
        whole: float = min(self.most_s, self.base_s * 2.0 ** (tried - 1))
        return whole * (0.5 + chance / 2)

    def again(self, kind: Kind, tried: int) -> bool:
        """Say whether to try once more."""
        return tried < (self.throttled if kind is Kind.THROTTLED else self.attempts)
