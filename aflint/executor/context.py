"""What code running inside a task can ask of its surroundings."""

from __future__ import annotations

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

    from aflint.executor.ranges import Reading

_MOST_BROADCASTS = 16


@dataclass(slots=True)
class TaskContext:
    """The task that this process is running: see `aflint.task_context`.

    It has `memory_mb`, 0 being as much as there is, and may spill to the folder `scratch`. Its
    shuffle carries frames of `most_frame_bytes`, 0 being any size.
    """

    id: TaskId
    fetch: Callable[[Blob], bytes]
    memory_mb: int = 0
    scratch: str = ""
    most_frame_bytes: int = 0
    # What the task has added so far, by accumulator.
    shares: dict[str, Share] = field(default_factory=dict)
    reading: Reading | None = None
    """The means to read and write files, and the count of what is read."""

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

    @property
    def accumulated(self) -> dict[str, Any]:
        """What goes to the driver's accumulators when this task is accepted."""
        return {accumulator: share.value for accumulator, share in self.shares.items()}


@dataclass(slots=True)
class Share:
    """What one task has added to one accumulator.

    An accumulator holds on to its share: it is added to for each record, and must not be looked up.
    That is right as long as the share's task is the `current` one.
    """

    task: object
    value: Any


NO_SHARE = Share(object(), None)
"""Of a task that is never the current one."""

current: TaskContext | None = None
"""The context of the running task; only `running` changes it."""

_broadcasts: OrderedDict[str, Any] = OrderedDict()


def task_context() -> TaskContext:
    """Return the context of the running task.

    Raises SessionError outside of a task.
    """
    if current is None:
        raise SessionError(
            "There is no task here: task_context() is for functions that run inside an RDD's "
            "transformations and actions, not for the driver."
        )
    return current


def in_task() -> bool:
    """Say whether this code runs inside a task."""
    return current is not None


@contextmanager
def running(context: TaskContext) -> Iterator[TaskContext]:
    """Make a context the current one."""
    global current
    before, current = current, context
    try:
        yield context
    finally:
        current = before


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
