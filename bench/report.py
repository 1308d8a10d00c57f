"""The result of a benchmark: plain data, and the arithmetic on it."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Sample:
    """One peer on one case: wall-clock and CPU seconds of each round, in order.

    CPU is that of every process of the peer, and NaN where the system does not tell. `memory` is
    what they held at most in the warm-up, and `shuffled` how many bytes went through shuffles in
    the last round; None where that is not known.
    """

    case: str
    peer: str
    seconds: tuple[float, ...]
    cpu: tuple[float, ...]
    memory: int | None = None
    shuffled: int | None = None


@dataclass(frozen=True)
class Gap:
    """A cell without figures, and why."""

    case: str
    peer: str
    why: str


@dataclass(frozen=True)
class Goal:
    """A figure that was promised, and what was measured."""

    what: str
    limit: float
    measured: float
    at_most: bool = True

    @property
    def met(self) -> bool:
        """Whether the measured figure keeps the promise."""
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit


@dataclass(frozen=True)
class Report:
    """Everything that one run of a workload found; `subject` is the peer that is compared.

    `size` is how much was measured, where a workload may be run at several sizes.
    """

    workload: str
    title: str
    command: str
    samples: tuple[Sample, ...]
    goals: tuple[Goal, ...] = ()
    notes: tuple[str, ...] = ()
    subject: str = "aflint"
    gaps: tuple[Gap, ...] = ()
    size: str = ""

    @property
    def name(self) -> str:
        """What tells it from other reports: two sizes of a workload are not compared."""
        return f"{self.workload}, {self.size}" if self.size else self.workload

    def label(self, case: str) -> str:
        """What a case's row is called among those of other reports."""
        return self.name if case == self.workload else f"{self.name}: {case}"

    @property
    def cases(self) -> list[str]:
        """The cases, in the order in which they were measured."""
        return list(dict.fromkeys(sample.case for sample in self.samples))

    @property
    def peers(self) -> list[str]:
        """The peers, the subject first."""
        return list(dict.fromkeys(sample.peer for sample in self.samples))

    def sample(self, case: str, peer: str) -> Sample | None:
        """Return one cell of the table, None if that peer did not do that case."""
        found = (s for s in self.samples if (s.case, s.peer) == (case, peer))
        return next(found, None)

    def ratio(self, case: str, peer: str, over: str) -> float | None:
        """Return how many times as long as `over` a peer takes, None if either is missing."""
        one, other = self.sample(case, peer), self.sample(case, over)
        return paired_ratio(one.seconds, other.seconds) if one and other else None

    @staticmethod
    def from_json(told: dict[str, Any]) -> Report:
        """Return the report that `to_json` wrote."""
        samples = (
            Sample(
                s["case"],
                s["peer"],
                tuple(s["seconds"]),
                tuple(s["cpu"]),
                s.get("memory"),
                s.get("shuffled"),
            )
            for s in told["samples"]
        )
        goals = (Goal(g["what"], g["limit"], g["measured"], g["at_most"]) for g in told["goals"])
        return Report(
            told["workload"],
            told["title"],
            told["command"],
            tuple(samples),
            tuple(goals),
            tuple(told["notes"]),
            told["subject"],
            tuple(Gap(**gap) for gap in told.get("gaps", ())),
            told.get("size", ""),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report with its medians and the machine that it is true of."""
        samples = [asdict(s) | {"median": median(s.seconds)} for s in self.samples]
        goals = [asdict(goal) | {"met": goal.met} for goal in self.goals]
        return asdict(self) | {"samples": samples, "goals": goals, "machine": machine()}


def paired_ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the median, over rounds, of the ratio within a round.

    Peers of one round ran right after one another, so that what slows the machine for a while slows
    both.
    """
    return median(a / b for a, b in zip(one, other, strict=True))


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = (line.partition(":")[2].strip() for line in file if "model name" in line)
            return next(names, platform.processor())
    except OSError:
        return platform.processor()
