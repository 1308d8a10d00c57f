"""What a workload is given, what it hands back, and what a peer is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench.report import Report

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How much to measure. `quick` is for seeing that a benchmark runs, not for its figures."""

    quick: bool = False
    trips: int = 3_000_000
    rounds: int | None = None
    peers: frozenset[str] | None = None
    data: Path = Path("data")
    transport: str | None = None
    scale: float = 1.0

    def wants(self, peer: str) -> bool:
        """Tell whether a peer was asked for; all are by default."""
        return self.peers is None or peer in self.peers

    def number_of_rounds(self, usual: int) -> int:
        """Return how many rounds to measure, after the warm-up."""
        return self.rounds or (1 if self.quick else usual)


@dataclass(frozen=True)
class Workload:
    """A benchmark: `run` measures it and says what it is doing by the second argument."""

    name: str
    title: str
    run: Callable[[Options, Say], Awaitable[Report]]


class Peer(Protocol):
    """One program under measurement, started and warm."""

    @property
    def name(self) -> str:
        """What its column is called."""

    async def answer(self, case: str) -> Any:
        """Do one case and return its answer, in the form that all peers of the workload use."""
