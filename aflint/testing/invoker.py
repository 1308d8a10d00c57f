"""An invoker that runs nothing: a script says what comes of each attempt, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aflint.counts import pack_counts
from aflint.invoker.base import Invoker
from aflint.task import Blob, MapStatus, TaskDescription, TaskFailure, TaskId, TaskResult


@dataclass(frozen=True, slots=True)
class Answer:
    """The attempt comes back after `delay` seconds: with `result`, or as `succeeded` has it."""

    result: TaskResult | None = None
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Fail:
    """The attempt fails after `delay` seconds.

    A TaskFailure comes back as its result; an exception is raised, as for a lost worker.
    """

    error: TaskFailure | Exception
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Hang:
    """The attempt never ends, unless it is stopped."""


Step = Answer | Fail | Hang
Script = Callable[[TaskDescription], Step]


def succeeded(task: TaskDescription) -> TaskResult:
    """Return a plain success.

    A map task wrote one frame of 100 bytes for each reduce partition; a result task has its
    "stage/partition" as its value.
    """
    if task.output is None:
        value = f"{task.id.stage}/{task.id.partition}".encode()
        return TaskResult(task.id, value=Blob(value.hex(), len(value), value))
    ones = pack_counts([1] * task.output.partitions)
    sizes = pack_counts([100] * task.output.partitions)
    status = MapStatus(task.id.partition, task.id.attempt, task.id.link, ones, sizes)
    return TaskResult(task.id, map_statuses=(status,))


def succeed(task: TaskDescription) -> Step:
    """Answer every attempt at once, with success: the script where none is given."""
    return Answer()


class ScriptedInvoker(Invoker):
    """Asks `script` about each attempt.

    `invoked` lists every TaskDescription in order of arrival, `stopped` the attempts that were
    cancelled, `running` those under way; `peak` is how many ran at once at most. `slots` may be
    changed at any time.
    """

    def __init__(self, script: Script = succeed, *, slots: int = 4) -> None:
        self.script = script
        self.invoked: list[TaskDescription] = []
        self.stopped: list[TaskId] = []
        self.running: set[TaskId] = set()
        self.peak = 0
        self.started = False
        self.closed = False
        self._slots = slots

    @property
    def slots(self) -> int:
        return self._slots

    @slots.setter
    def slots(self, slots: int) -> None:
        self._slots = slots

    async def start(self) -> None:
        self.started = True

    async def invoke(self, task: TaskDescription) -> TaskResult:
        self.invoked.append(task)
        self.running.add(task.id)
        self.peak = max(self.peak, len(self.running))
        try:
            return await self._play(self.script(task), task)
        except asyncio.CancelledError:
            self.stopped.append(task.id)
            raise
        finally:
            self.running.discard(task.id)

    async def aclose(self) -> None:
        self.closed = True

    async def _play(self, step: Step, task: TaskDescription) -> TaskResult:
        if isinstance(step, Hang):
            await asyncio.get_running_loop().create_future()
            raise AssertionError("a hanging attempt came back")
        await asyncio.sleep(step.delay)
        if isinstance(step, Answer):
            return step.result or succeeded(task)
        if isinstance(step.error, TaskFailure):
            return TaskResult(task.id, failure=step.error)
        raise step.error
