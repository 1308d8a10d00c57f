"""Whether what was held stayed flat: slopes, quarters, and what is allowed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import linear_regression, median
from typing import Final, Literal

Where = Literal["between", "ended", "idle", "within"]
"""Between two sessions; in an emulator whose session has ended; in a session with no job; while
jobs run.
"""

EXACT: Final = ("file descriptors", "processes", "threads", "asyncio tasks", "files")
"""What is the same at every moment between two sessions."""

NOTHING: Final = ("queues", "uploads", "shuffle objects", "other objects")
"""What an emulator does not hold when its session has ended."""

KEPT: Final[Mapping[str, float]] = {
    "shuffles": 1,
    "queues": 3,
    "uploads": 0,
    "shuffle objects": 30,
}
"""What a session holds at most while no job runs: the shuffle of the one RDD that lives as long as
the session. Attempts that were lost may have left objects in it, besides its four.
"""

GROWTH: Final[Mapping[str, tuple[float, float]]] = {
    "driver MB": (0.03, 2.0),
    "objects": (0.01, 500.0),
}
"""How much the last quarter's median may be above the second's, between sessions: a share of it,
and so much besides. Memory goes up and down by what the allocator keeps of the last job's peak; the
count of objects by caches of a fixed size (regular expressions, source for tracebacks)."""

_ENOUGH: Final = 8
"""Samples from which quarters are compared."""


@dataclass(frozen=True)
class Sample:
    """What was held `at_s` seconds after the start."""

    at_s: float
    where: Where
    held: Mapping[str, float]


@dataclass(frozen=True)
class Trend:
    """How one figure went, in samples of one kind."""

    what: str
    where: Where
    samples: int
    first_quarter: float
    second_quarter: float
    last_quarter: float
    least: float
    most: float
    slope_per_hour: float


def trends(samples: Sequence[Sample]) -> list[Trend]:
    """Return the trend of each figure, between sessions, idle and within."""
    found = []
    kinds: tuple[Where, ...] = ("between", "ended", "idle", "within")
    for where in kinds:
        chosen = [sample for sample in samples if sample.where == where]
        for what in dict.fromkeys(name for sample in chosen for name in sample.held):
            points = [(s.at_s, s.held[what]) for s in chosen if what in s.held]
            found.append(_trend(what, where, points))
    return found


def _trend(what: str, where: Where, points: Sequence[tuple[float, float]]) -> Trend:
    values = [value for _, value in points]
    quarter = max(1, len(values) // 4)
    second = values[quarter : 2 * quarter] or values
    times = [at for at, _ in points]
    slope = linear_regression(times, values).slope if len(set(times)) > 1 else 0.0
    return Trend(
        what,
        where,
        len(values),
        median(values[:quarter]),
        median(second),
        median(values[-quarter:]),
        min(values),
        max(values),
        slope * 3600,
    )


def complaints(found: Sequence[Trend]) -> Iterator[str]:
    """Yield what is not flat, in words; nothing if all is."""
    for trend in found:
        if trend.where == "between" and trend.what in EXACT and trend.least != trend.most:
            yield (
                f"{trend.what} between sessions went from {trend.least:g} to {trend.most:g}; "
                "they should never change"
            )
        if trend.where == "ended" and trend.what in NOTHING and trend.most:
            yield f"{trend.what}: up to {trend.most:g} were there after the session"
        if trend.where == "idle" and list(over_kept({trend.what: trend.most})):
            yield (
                f"{trend.what}: up to {trend.most:g} were there with no job running, and the "
                f"session's one RDD needs {KEPT[trend.what]:g}"
            )
        if trend.where == "between" and trend.what in GROWTH and trend.samples >= _ENOUGH:
            share, besides = GROWTH[trend.what]
            allowed = trend.second_quarter * (1 + share) + besides
            if trend.last_quarter > allowed:
                yield (
                    f"{trend.what} between sessions: {trend.last_quarter:,.1f} in the last "
                    f"quarter, {trend.second_quarter:,.1f} in the second; {allowed:,.1f} would do"
                )


def over_kept(held: Mapping[str, float]) -> Iterator[str]:
    """Yield the names of what is more than a session keeps while no job runs."""
    for what, most in KEPT.items():
        if held.get(what, 0) > most:
            yield what
