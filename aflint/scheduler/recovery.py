"""What a job begins with where a driver before this one was killed in the middle of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aflint.task import ShuffleHandle, TaskResult

GENERATION_BITS: Final = 16
"""Below these bits, a task's attempts are counted; above them, the drivers of its run: attempts of
a dead driver may still run, and what they write must not be taken for that of others."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What is there of a job before it begins.

    `handles`: its shuffles that are still open. `results`: what its accepted tasks came to, by
    (stage, partition); those of a stage that writes a shuffle count as its output where that
    shuffle is among the handles. `delivered`: the tasks whose accumulators and stored partitions
    were taken in. `readers_s`: for so many seconds attempts of the dead driver may still read, and
    so hide from others, what is in queues.
    """

    generation: int = 0
    handles: Mapping[int, ShuffleHandle] = field(default_factory=dict)
    results: Mapping[tuple[int, int], tuple[TaskResult, ...]] = field(default_factory=dict)
    delivered: frozenset[tuple[int, int]] = frozenset()
    readers_s: float = 0.0

    @property
    def first_attempt(self) -> int:
        """The number of the first attempt of a task."""
        return self.generation << GENERATION_BITS


NOTHING: Final = Recovery()
"""What most jobs begin with."""
