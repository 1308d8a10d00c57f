"""PySpark's broadcasts and accumulators over the engine's own."""

from __future__ import annotations

import copy
import itertools
from functools import partial
from typing import Any

from pyspark.accumulators import Accumulator

from aflint.driver.callsite import named_here
from aflint.errors import SessionError
from aflint.executor.context import in_task, task_context
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
        self._value = zero
        self._zero = zero
        self._deserialized = True

    def add(self, term: Any) -> None:
        """Add a term to this task's share."""
        shares = task_context().accumulated
        if self._engine_id not in shares:
            shares[self._engine_id] = copy.deepcopy(self._zero)
        share = self.accum_param.addInPlace(shares[self._engine_id], term)
        shares[self._engine_id] = self._value = share

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
