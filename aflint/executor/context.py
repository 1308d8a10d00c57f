"""What code running inside a task can ask of its surroundings."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aflint.codec import closure, frame
from aflint.errors import SessionError
from aflint.task import Blob, TaskId

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_BROADCASTS = 16


@dataclass(slots=True)
class TaskContext:
    """The task that this process is running: see `aflint.task_context`.

    It has `memory_mb`, 0 being as much as there is, and may spill to the folder `scratch`.
    """

    id: TaskId
    fetch: Callable[[Blob], bytes]
    memory_mb: int = 0
    scratch: str = ""
    accumulated: dict[str, Any] = field(default_factory=dict)

    @property
    def partition(self) -> int:
        """The partition that this task computes."""
        return self.id.partition

    @property
    def attempt(self) -> int:
        """How many times this task was tried before."""
        return self.id.attempt

    @property
    def stage(self) -> int:
        """The stage that this task belongs to."""
        return self.id.stage

    def accumulate(self, accumulator: str, term: Any, add: Callable[[Any, Any], Any]) -> None:
        """Add a term to this task's share of an accumulator."""
        if accumulator in self.accumulated:
            self.accumulated[accumulator] = add(self.accumulated[accumulator], term)
        else:
            # A copy, as `add` may change its first argument, and this one is the caller's.
            self.accumulated[accumulator] = copy.copy(term)


_current: TaskContext | None = None
_broadcasts: OrderedDict[str, Any] = OrderedDict()


def task_context() -> TaskContext:
    """Return the context of the running task.

    Raises SessionError outside of a task.
    """
    if _current is None:
        raise SessionError(
            "There is no task here: task_context() is for functions that run inside an RDD's "
            "transformations and actions, not for the driver."
        )
    return _current


def in_task() -> bool:
    """Say whether this code runs inside a task."""
    return _current is not None


@contextmanager
def running(context: TaskContext) -> Iterator[TaskContext]:
    """Make a context the current one."""
    global _current
    before, _current = _current, context
    try:
        yield context
    finally:
        _current = before


def broadcast_value(blob: Blob) -> Any:
    """Return a broadcast's value, read once per process while it is among the latest 16."""
    if blob.digest not in _broadcasts:
        _broadcasts[blob.digest] = unpack_broadcast(task_context().fetch(blob))
        if len(_broadcasts) > _MOST_BROADCASTS:
            _broadcasts.popitem(last=False)
    _broadcasts.move_to_end(blob.digest)
    return _broadcasts[blob.digest]


def unpack_broadcast(data: bytes) -> Any:
    """Return the value that is packed in a broadcast's data."""
    return closure.loads(frame.decompress(data))
