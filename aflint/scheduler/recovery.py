"""What a job finds when it begins: shuffles of earlier jobs, and what a killed driver left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aflint.task import MapStatus, ShuffleHandle, TaskResult

# The number of an attempt, 32 bits in a frame's header, is made of three parts, so that no two
# attempts that write one shuffle share a number: frames of both could be mixed. The lowest bits
# count a task's attempts, the middle ones the jobs that used the shuffle, and the highest ones the
# drivers of the run: attempts of a dead driver, or of a job that was cancelled, may still run.
LOAN_BITS: Final = 12
GENERATION_BITS: Final = 22
MOST_LOANS: Final = (1 << GENERATION_BITS - LOAN_BITS) - 1


@dataclass(frozen=True, slots=True)
class KeptOutput:
    """A shuffle that an earlier job left whole.

    `outputs` has the statuses of every map partition. `loans` counts the jobs that used the shuffle
    after the one that made it, this one included.
    """

    handle: ShuffleHandle
    outputs: Mapping[int, tuple[MapStatus, ...]]
    loans: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """What there is of a job before it begins.

    `handles`: its shuffles that are still open. `results`: what its accepted tasks came to, by
    (stage, partition); those of a stage that writes a shuffle count as its output where that
    shuffle is among the handles. `delivered`: the tasks whose accumulators and stored partitions
    were taken in. `readers_s`: for so many seconds attempts of the dead driver may still read, and
    so hide from others, what is in queues. `kept`: what earlier jobs left, by shuffle; none of it
    is among the handles.
    """

    generation: int = 0
    handles: Mapping[int, ShuffleHandle] = field(default_factory=dict)
    results: Mapping[tuple[int, int], tuple[TaskResult, ...]] = field(default_factory=dict)
    delivered: frozenset[tuple[int, int]] = frozenset()
    readers_s: float = 0.0
    kept: Mapping[int, KeptOutput] = field(default_factory=dict)

    def first_attempt(self, shuffle: int | None) -> int:
        """Return the number of the first attempt of a task that writes a shuffle, or a result."""
        kept = self.kept.get(shuffle) if shuffle is not None else None
        loans = kept.loans if kept is not None else 0
        return (self.generation << GENERATION_BITS) + (loans << LOAN_BITS)


NOTHING: Final = Recovery()
"""What most jobs begin with."""
