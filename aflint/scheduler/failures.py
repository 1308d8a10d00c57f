"""What failed, in words and as an error."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from aflint import errors
from aflint.task import TaskFailure, TaskId, TaskMetrics

_log = logging.getLogger("aflint.scheduler")


class LostMaps(NamedTuple):
    """Output that could not be read: map partitions of a shuffle.

    `job` opened the shuffle; empty where the failure does not say: then it is the reader's own.
    """

    job: str = ""
    shuffle: int = -1
    maps: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Loss:
    """Why an attempt failed: an error of the invoker, or what the executor reported."""

    cause: TaskFailure | Exception

    @property
    def kind(self) -> type[BaseException]:
        """The class of the error, InternalError for a name that is unknown."""
        if isinstance(self.cause, TaskFailure):
            return errors.subclass_named(self.cause.kind) or errors.InternalError
        return type(self.cause)

    @property
    def text(self) -> str:
        """The error in words, its class first."""
        said = self.cause.message if isinstance(self.cause, TaskFailure) else str(self.cause)
        return f"{self.kind.__name__}: {said}" if said else self.kind.__name__

    @property
    def metrics(self) -> TaskMetrics:
        """What is known of an attempt that gave no result."""
        if isinstance(self.cause, errors.AttemptError):
            return TaskMetrics(
                billed_seconds=self.cause.billed_seconds, memory_mb=self.cause.memory_mb
            )
        return TaskMetrics()

    @property
    def lost_maps(self) -> LostMaps:
        """The map partitions that a FetchFailedError names, if it can be understood."""
        if isinstance(self.cause, errors.FetchFailedError):
            return LostMaps(self.cause.job, self.cause.shuffle, self.cause.maps)
        if not isinstance(self.cause, TaskFailure):
            return LostMaps()
        details = self.cause.details
        job, shuffle, maps = details.get("job", ""), details.get("shuffle"), details.get("maps")
        if not (isinstance(shuffle, int) and isinstance(maps, tuple | list)):
            return LostMaps()
        known = all(isinstance(map, int) for map in maps)
        return LostMaps(job if isinstance(job, str) else "", shuffle, tuple(maps) if known else ())

    @property
    def waited(self) -> bool:
        """Whether the reader waited for frames that did not come: they may be hidden, not lost."""
        if isinstance(self.cause, TaskFailure):
            return bool(self.cause.details.get("waited", False))
        return isinstance(self.cause, errors.FetchFailedError) and self.cause.waited


def exhausted(loss: Loss, id: TaskId, stage: str, losses: int) -> errors.AttemptsExhaustedError:
    """Return the error of a task that was lost too often, with the last loss as its cause."""
    error = errors.AttemptsExhaustedError(
        f"partition {id.partition} of stage {id.stage} ({stage}) was lost {losses} times, "
        f"which is all that `max_attempts` allows. The last time: {loss.text}. {_advice(loss.kind)}"
    )
    error.__cause__ = rebuilt(loss.cause)
    return error


def refetched_too_often(loss: Loss, stage: str, rounds: int) -> errors.AttemptsExhaustedError:
    """Return the error of a map task whose output was lost again and again."""
    error = errors.AttemptsExhaustedError(
        f"output of stage {stage} (shuffle {loss.lost_maps.shuffle}) was lost again after the task "
        f"that writes it had been run again {rounds} times. The last time: {loss.text}. Look for "
        "what removes or hides its frames: a full or cleaned disk, a deleted queue, too short a "
        "fetch timeout"
    )
    error.__cause__ = rebuilt(loss.cause)
    return error


def rebuilt(cause: TaskFailure | Exception) -> Exception:
    """Turn what failed into an error, without unpickling anything."""
    if isinstance(cause, Exception):
        return cause
    return errors.rebuild(cause.kind, cause.message, {**_blank(cause.kind), **cause.details})


def located(cause: TaskFailure | Exception, steps: Sequence[str]) -> TaskFailure | Exception:
    """Return what failed with the steps of its stage, each named by its line of the program, where
    it names no line of the program itself.
    """
    if not isinstance(cause, TaskFailure) or not cause.lineless or not steps:
        return cause
    return replace(cause, message=f"{cause.message}\n\nIts stage runs: {', '.join(steps)}.")


def as_error(cause: TaskFailure | Exception) -> Exception:
    """Turn what failed into the error to raise.

    A user's own exception becomes the `__cause__` of the TaskError where it can be unpickled.
    """
    error = rebuilt(cause)
    if isinstance(cause, TaskFailure) and cause.exception is not None:
        error.__cause__ = _unpickle(cause.exception)
    return error


def _blank(kind: str) -> dict[str, object]:
    if kind == errors.TaskError.__name__:
        return {
            "partition": -1,
            "stage": -1,
            "attempt": -1,
            "raised": "",
            "remote_traceback": "",
        }
    if kind == errors.FetchFailedError.__name__:
        return {"shuffle": -1, "maps": (), "waited": False}
    return {}


def _unpickle(data: bytes) -> BaseException | None:
    try:
        found = pickle.loads(data)
    except Exception as error:  # a user's class may do anything while it is unpickled
        _log.debug("the exception of a task could not be unpickled: %r", error)
        return None
    return found if isinstance(found, BaseException) else None


def _advice(kind: type[BaseException]) -> str:
    if issubclass(kind, errors.OutOfMemoryError):
        return "Use more partitions, or give the tasks more memory"
    if issubclass(kind, errors.TimedOutError):
        return "Use more partitions, or raise the function's time limit"
    if issubclass(kind, errors.WorkerLostError):
        return (
            "Find out what ended its process: too little memory, a crash in native code, a kill "
            "by the system"
        )
    return "If it happens only now and then, raise `max_attempts`"
