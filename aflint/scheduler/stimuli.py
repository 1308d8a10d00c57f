"""What can happen to the scheduler: the inputs of its state machine."""

from __future__ import annotations

from dataclasses import dataclass

from aflint.plan import Job
from aflint.scheduler.recovery import NOTHING, Recovery
from aflint.task import ShuffleHandle, TaskId, TaskResult


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
    """A CloseShuffle was carried out, well or not."""

    job: str
    shuffle: int


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
