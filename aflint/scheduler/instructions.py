"""What the scheduler wants done: the outputs of its state machine."""

from __future__ import annotations

from dataclasses import dataclass

from aflint import events
from aflint.task import ShuffleHandle, TaskDescription, TaskFailure, TaskId, TaskResult


@dataclass(frozen=True, slots=True)
class OpenShuffle:
    """Open a shuffle; answered by ShuffleOpened or ShuffleOpenFailed."""

    job: str
    shuffle: int
    partitions: int


@dataclass(frozen=True, slots=True)
class CloseShuffle:
    """Remove all that a shuffle left; answered by ShuffleClosed."""

    job: str
    shuffle: int
    handle: ShuffleHandle


@dataclass(frozen=True, slots=True)
class Launch:
    """Run an attempt; answered by AttemptEnded, AttemptLost or AttemptStopped."""

    task: TaskDescription
    speculative: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop an attempt; its answer, whichever it is, frees the slot."""

    id: TaskId


@dataclass(frozen=True, slots=True)
class Deliver:
    """A result was accepted; the links of a chained task come in order, when the last is.

    `first` is False where this (stage, partition) had been accepted before and was run again:
    accumulators and stored partitions count only when it is True.
    """

    job: str
    result: TaskResult
    first: bool


@dataclass(frozen=True, slots=True)
class PartitionDone:
    """A requested partition of the result stage is there."""

    job: str
    partition: int
    result: TaskResult


@dataclass(frozen=True, slots=True)
class FailJob:
    """Tell who waits that the job failed. A TaskFailure is turned into an error by the shell."""

    job: str
    error: TaskFailure | Exception


@dataclass(frozen=True, slots=True)
class JobOver:
    """Nothing of the job runs or is open any more."""

    job: str


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send a Tick at this time; replaces an earlier WakeAt that is still to come."""

    time: float


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
    | FailJob
    | JobOver
    | WakeAt
    | Emit
)
