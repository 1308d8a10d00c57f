"""Every decision of a simulation, by its seed and by what is decided: never by what came before.

As each decision depends on nothing else, a fault can be left out of a run and the others still
strike where they struck: that is what makes a failing run small.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from hashlib import blake2b

from aflint.codec.secret import Secret
from aflint.testing.simulation.faults import Fault

_WHOLE = float(2**64)

Strike = tuple[str, str]
"""(kind, where): one fault that struck."""


class Dice:
    """Decides for one seed.

    `rates` says which faults there are. With `allowed`, only those of these strikes happen.
    `struck` lists what happened, `counts` how often by kind.
    """

    def __init__(
        self, seed: int, rates: Mapping[Fault, float], allowed: Collection[Strike] | None = None
    ) -> None:
        self.struck: list[Strike] = []
        self.counts: Counter[str] = Counter()
        self._salt = seed.to_bytes(16, "little", signed=True)
        self._rates = rates
        self._allowed = allowed
        self._charged: Counter[str] = Counter()

    def secret(self) -> Secret:
        """Return the secret of the seed's cloud."""
        return Secret(blake2b(b"secret", salt=self._salt).digest())

    def roll(self, *what: object) -> float:
        """Return a number from [0, 1) for a question."""
        text = "/".join(map(str, what)).encode()
        digest = blake2b(text, digest_size=8, salt=self._salt).digest()
        return int.from_bytes(digest, "little") / _WHOLE

    def between(self, low: float, high: float, *what: object) -> float:
        """Return a number from [low, high)."""
        return low + (high - low) * self.roll(*what)

    def pick(self, count: int, *what: object) -> int:
        """Return a whole number from [0, count)."""
        return int(self.roll(*what) * count)

    def would_strike(self, kind: Fault, where: str) -> bool:
        """Say whether a fault strikes here, without counting it."""
        rate = self._rates.get(kind, 0.0)
        if not rate or self.roll(kind, where) >= rate:
            return False
        return self._allowed is None or (kind.value, where) in self._allowed

    def strikes(self, kind: Fault, where: str, *, group: str = "", most: int = 0) -> bool:
        """Say whether a fault strikes here, and count it.

        With `most`, no more than so many of a `group` do.
        """
        if not self.would_strike(kind, where):
            return False
        if most and self._charged[group] >= most:
            return False
        if most:
            self._charged[group] += 1
        self.counts[kind.value] += 1
        self.struck.append((kind.value, where))
        return True
