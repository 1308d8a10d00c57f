"""The state machine's messages: stimuli say what happened, instructions what is to be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aflint import events
from aflint.frozen import quick
from aflint.plan.planner import Job
from aflint.task import (
    MapStatus,
    ShuffleHandle,
    TaskDescription,
    TaskFailure,
    TaskId,
    TaskResult,
)

# ---- what a job finds when it begins: shuffles of earlier jobs, and what a killed driver left ----

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
    were taken in. `readers_s`: for how many seconds attempts of the dead driver may still read what
    is in queues, and so hide it from others. `kept`: what earlier jobs left, by shuffle; none of it
    is among the handles.
    """

    generation: int = 0
    handles: Mapping[int, ShuffleHandle] = field(default_factory=dict)
    results: Mapping[tuple[int, int], tuple[TaskResult, ...]] = field(default_factory=dict)
    delivered: frozenset[tuple[int, int]] = frozenset()
    readers_s: float = 0.0
    kept: Mapping[int, KeptOutput] = field(default_factory=dict)


NOTHING: Final = Recovery()
"""What most jobs begin with."""


# ---- stimuli -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JobSubmitted:
    """A job begins; nothing of it runs until partitions are requested."""

    job: Job
    recovery: Recovery = NOTHING


@dataclass(frozen=True, slots=True)
class PartitionsRequested:
    """These partitions of the result stage are wanted. A job may be asked several times.

    What is under way is not started twice; what was delivered before is run once more.
    """

    job: str
    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShufflesRequested:
    """The shuffles that the result stage reads are wanted; answered by ShufflesDone."""

    job: str


@dataclass(frozen=True, slots=True)
class ShuffleOpened:
    """An OpenShuffle succeeded."""

    job: str
    shuffle: int
    handle: ShuffleHandle


@dataclass(frozen=True, slots=True)
class ShuffleOpenFailed:
    """An OpenShuffle failed: the job fails with `error`."""

    job: str
    shuffle: int
    error: Exception


@dataclass(frozen=True, slots=True)
class ShuffleClosed:
    """A CloseShuffle was carried out, well or not; or the shuffle is kept for later jobs."""

    job: str
    shuffle: int


@quick
@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt (one link of it) came back with a result, which may be a failure."""

    result: TaskResult


@dataclass(frozen=True, slots=True)
class AttemptLost:
    """An attempt ended without a result; `error` says why, and by its class whether to retry."""

    id: TaskId
    error: Exception


@dataclass(frozen=True, slots=True)
class AttemptStopped:
    """A Stop was carried out: the attempt no longer runs."""

    id: TaskId


@dataclass(frozen=True, slots=True)
class JobCancelled:
    """The job is to fail with `error`."""

    job: str
    error: Exception


@dataclass(frozen=True, slots=True)
class JobReleased:
    """No more will be asked of the job: what still runs is stopped, its shuffles are closed.

    `error` is what the JobEnded event shall say; empty when the job gave all that was wanted.
    """

    job: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class SlotsChanged:
    """How many attempts the invoker can run at once, from now on."""

    slots: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: a WakeAt is due."""


Stimulus = (
    JobSubmitted
    | PartitionsRequested
    | ShufflesRequested
    | ShuffleOpened
    | ShuffleOpenFailed
    | ShuffleClosed
    | AttemptEnded
    | AttemptLost
    | AttemptStopped
    | JobCancelled
    | JobReleased
    | SlotsChanged
    | Tick
)


# ---- instructions ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenShuffle:
    """Open a shuffle; answered by ShuffleOpened or ShuffleOpenFailed."""

    job: str
    shuffle: int
    partitions: int


@dataclass(frozen=True, slots=True)
class CloseShuffle:
    """The job is done with a shuffle: remove all that it left, unless it is kept for later jobs.

    `outputs` has the statuses of every map partition, None where the shuffle must not be kept.
    Answered by ShuffleClosed.
    """

    job: str
    shuffle: int
    handle: ShuffleHandle
    outputs: Mapping[int, tuple[MapStatus, ...]] | None = None


@quick
@dataclass(frozen=True, slots=True)
class Launch:
    """Run an attempt; answered by AttemptEnded, AttemptLost or AttemptStopped."""

    task: TaskDescription
    speculative: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop an attempt; any answer to its Launch frees the slot."""

    id: TaskId


@quick
@dataclass(frozen=True, slots=True)
class Deliver:
    """A result was accepted; the links of a chained task come in order, when the last is.

    `first` is False where this (stage, partition) had been accepted before and was run again:
    accumulators and stored partitions count only when it is True.
    """

    job: str
    result: TaskResult
    first: bool


@quick
@dataclass(frozen=True, slots=True)
class PartitionDone:
    """A requested partition of the result stage is there."""

    job: str
    partition: int
    result: TaskResult


@dataclass(frozen=True, slots=True)
class ShufflesDone:
    """All shuffles that the result stage reads are there: `outputs` has the statuses of their map
    partitions, by shuffle.
    """

    job: str
    outputs: Mapping[int, Mapping[int, tuple[MapStatus, ...]]]


@dataclass(frozen=True, slots=True)
class FailJob:
    """Raise this to the job's callers. The loop turns a TaskFailure into an error."""

    job: str
    error: TaskFailure | Exception


@dataclass(frozen=True, slots=True)
class JobOver:
    """Nothing of the job runs or is open any more."""

    job: str


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send a Tick at this time; it takes the place of an earlier WakeAt that has not come."""

    time: float


@quick
@dataclass(frozen=True, slots=True)
class Emit:
    """Hand an event to the listeners."""

    event: events.Event


Instruction = (
    OpenShuffle
    | CloseShuffle
    | Launch
    | Stop
    | Deliver
    | PartitionDone
    | ShufflesDone
    | FailJob
    | JobOver
    | WakeAt
    | Emit
)
