"""Count, mean, variance and extremes of numbers, mergeable."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce


@dataclass(frozen=True, slots=True)
class Stats:
    """Statistics of some numbers; as Spark's StatCounter.

    `squares` is the sum of squared distances from the mean. Of no numbers, `mean` is 0.0, `min` is
    inf and `max` is -inf, and variances are nan.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    min: float = math.inf
    max: float = -math.inf

    @classmethod
    def of(cls, values: Iterable[float]) -> Stats:
        """Return the statistics of values, by Welford's method."""
        count, mean, squares, low, high = 0, 0.0, 0.0, math.inf, -math.inf
        for value in values:
            count += 1
            delta = value - mean
            mean += delta / count
            squares += delta * (value - mean)
            if value < low:
                low = value
            if value > high:
                high = value
        return cls(count, mean, squares, low, high)

    def merge(self, other: Stats) -> Stats:
        """Return the statistics of both sets of numbers."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        delta = other.mean - self.mean
        return Stats(
            count,
            self.mean + delta * other.count / count,
            self.squares + other.squares + delta * delta * self.count * other.count / count,
            min(self.min, other.min),
            max(self.max, other.max),
        )

    @staticmethod
    def total(parts: Iterable[Stats]) -> Stats:
        """Return the statistics of all parts together."""
        return reduce(Stats.merge, parts, Stats())

    @property
    def sum(self) -> float:
        """The sum of the numbers."""
        return self.mean * self.count

    @property
    def variance(self) -> float:
        """The variance of the numbers themselves (divided by their count)."""
        return self.squares / self.count if self.count else math.nan

    @property
    def sample_variance(self) -> float:
        """The unbiased estimate of the variance (divided by one less)."""
        return self.squares / (self.count - 1) if self.count > 1 else math.nan

    @property
    def stdev(self) -> float:
        """The standard deviation of the numbers themselves."""
        return math.sqrt(self.variance)

    @property
    def sample_stdev(self) -> float:
        """The standard deviation by the unbiased variance."""
        return math.sqrt(self.sample_variance)
