"""What a workload is, what it is given and hands back, and what an engine is asked to do."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from bench.report import Report

Say = Callable[[str], None]
TINY = 0.0
"""The size at which a run shows that it runs, and its figures mean nothing."""


@dataclass(frozen=True)
class Options:
    """How much to measure. `size` is a multiple of the usual size, or TINY."""

    size: float = 1.0
    rounds: int | None = None
    peers: frozenset[str] | None = None
    data: Path = Path("data")
    logs: Path = Path("data")
    transport: str | None = None
    longest: float = math.inf
    """Seconds that an engine may take for an answer: one that takes longer is asked no more."""

    @property
    def quick(self) -> bool:
        """Whether the run is only to show that it runs."""
        return self.size == TINY

    @property
    def scale(self) -> float:
        """The scale of TPC-H, whose usual size is 1."""
        return self.size

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


@dataclass(frozen=True)
class Job:
    """One case of a workload, as an engine is asked to do it.

    `files` are its inputs by name, `count` its size in the workload's own unit, and `out` a folder
    that does not exist yet, for what writes files.
    """

    workload: str
    case: str
    files: Mapping[str, Any]
    count: int
    out: str

    def to_json(self) -> dict[str, Any]:
        """Return what `Job(**...)` takes in the engine's process."""
        return asdict(self)


@dataclass(frozen=True)
class Matrix:
    """A workload that every engine is asked to do.

    `make(folder, count)` writes its inputs and returns them by name; `count` is in `unit`, and one
    takes about `unit_bytes` on disk. What the answer's files hold, `digest` says.
    """

    name: str
    title: str
    unit: str
    usual: int
    tiny: int
    unit_bytes: int
    make: Callable[[Path, int], dict[str, Any]]
    cases: tuple[str, ...] = ()
    digest: Callable[[Path], Any] | None = None
    goals: Mapping[str, float] = field(default_factory=dict)
    """Times as fast as a peer, by its name; for "hand-written" times as long, at most."""


class Peer(Protocol):
    """One program under measurement, started and warm."""

    @property
    def name(self) -> str:
        """What its column is called."""

    async def answer(self, case: str) -> Any:
        """Do one case and return its answer, in the form that all peers of the workload use."""
