"""PySpark's broadcasts and accumulators over the engine's own."""

from __future__ import annotations

import copy
import itertools
from functools import partial
from typing import Any

from pyspark.accumulators import Accumulator, AddingAccumulatorParam

from aflint.driver.callsite import named_here
from aflint.errors import SessionError
from aflint.executor import context
from aflint.executor.context import NO_SHARE, Share, in_task, task_context
from aflint.pyspark.names import Broadcast, pending_accumulator
from aflint.variables import Accumulator as EngineAccumulator
from aflint.variables import Broadcast as EngineBroadcast

_ids = itertools.count()


class SharedBroadcast(Broadcast):  # type: ignore[misc]
    """A broadcast of PySpark's that is sent as the engine sends its own."""

    def __init__(self, shared: EngineBroadcast[Any], id: int = -1) -> None:
        self._shared = shared
        self._id = id
        self._destroyed = ""  # or where it was

    @property
    def value(self) -> Any:
        """The value. Raises PySparkRuntimeError once it was destroyed."""
        self._check_there()
        return self._shared.value

    def unpersist(self, blocking: bool = False) -> None:
        """Do nothing in the driver: tasks keep the latest few broadcasts only."""
        _check_driver("unpersisted")
        self._check_there()
        self._shared.unpersist()

    def destroy(self, blocking: bool = False) -> None:
        """Make the value unusable, here and in tasks to come."""
        _check_driver("destroyed")
        self._check_there()
        self._destroyed = named_here("destroy")
        self._shared.destroy()

    def __reduce__(self) -> Any:
        if self._destroyed:  # an error of aflint's: its pickler adds who used the broadcast
            raise SessionError(f"Task not serializable: {self._gone()}")
        return (SharedBroadcast, (self._shared, self._id))

    def _check_there(self) -> None:
        if self._destroyed:
            from aflint.pyspark.errors import RefusedError

            raise RefusedError(self._gone())

    def _gone(self) -> str:
        return (
            f"[INTERNAL_ERROR_BROADCAST] Attempted to use Broadcast({self._id}) after it was "
            f"destroyed ({self._destroyed})"
        )


def _check_driver(operation: str) -> None:
    if in_task():
        from aflint.pyspark.errors import AflintSparkError

        raise AflintSparkError(
            f"[INVALID_BROADCAST_OPERATION] Broadcast can only be {operation} in driver."
        )


def next_broadcast_id() -> int:
    """Return a number for a new broadcast."""
    return next(_ids)


class TaskAccumulator(Accumulator):  # type: ignore[misc]
    """An accumulator inside a task: what is added goes to the driver with the task's result."""

    def __init__(self, engine_id: str, aid: int, zero: Any, param: Any) -> None:
        self._engine_id = engine_id
        self.aid = aid
        self.accum_param = param
        # PySpark's own numbers and lists: `addInPlace` is spelled out, as that spares a call.
        self._adds = type(param).addInPlace is AddingAccumulatorParam.addInPlace
        self._zero = zero
        self._share = NO_SHARE
        self._deserialized = True

    @property
    def _value(self) -> Any:
        """What this task has added so far, as in Spark."""
        return self._zero if self._share is NO_SHARE else self._share.value

    def add(self, term: Any) -> None:
        """Add a term to this task's share."""
        share = self._share
        if share.task is not context.current:
            share = self._share = self._own_share()
        if self._adds:
            share.value += term
        else:
            share.value = self.accum_param.addInPlace(share.value, term)

    def _own_share(self) -> Share:
        task = task_context()
        # Another copy of this accumulator, captured by another function, may have begun it.
        if self._engine_id not in task.shares:
            task.shares[self._engine_id] = Share(task, copy.deepcopy(self._zero))
        return task.shares[self._engine_id]

    def __reduce__(self) -> tuple[Any, ...]:
        return (task_accumulator, (self._engine_id, self.aid, self._zero, self.accum_param))


_links: dict[int, EngineAccumulator[Any]] = {}


def reduce_accumulator(accumulator: Any) -> tuple[Any, ...]:
    """Pickle an accumulator of the driver for a task."""
    aid, param = accumulator.aid, accumulator.accum_param
    if aid not in _links:
        _links[aid] = EngineAccumulator(None, partial(_forward, aid), f"pyspark-{aid}")
    return (
        task_accumulator,
        (_links[aid]._id, aid, param.zero(accumulator._value), param),
    )


def task_accumulator(engine_id: str, aid: int, zero: Any, param: Any) -> Any:
    """Return the accumulator that was pickled: in the driver, itself."""
    known = pending_accumulator(aid)
    if known is not None and not in_task():
        return known
    return TaskAccumulator(engine_id, aid, zero, param)


def _forward(aid: int, _: None, share: Any) -> None:
    accumulator = pending_accumulator(aid)
    if accumulator is not None:
        accumulator.add(share)
