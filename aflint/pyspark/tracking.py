"""Which jobs run, for whom: job groups, tags, local properties, and what statusTracker tells."""

from __future__ import annotations

import itertools
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from aflint.driver.jobs import JobRunner
from aflint.driver.runner import ActionJob, Runner
from aflint.events import Event, TaskEnded, TaskRecovered, TaskStarted
from aflint.lineage import Node
from aflint.plan import Stage
from aflint.program import CoGroup, Program, ReadShuffle, Sink
from aflint.pyspark.calls import Call

GROUP = "spark.jobGroup.id"
DESCRIPTION = "spark.job.description"
TAGS = "spark.job.tags"
_MOST_ACTIONS = 1000

Leaves = tuple[tuple[int, ...], ...]

_current: ContextVar[Action | None] = ContextVar("aflint_action", default=None)


@dataclass(eq=False)
class Action:
    """One action of the program: a job, and those that it needs before."""

    id: int
    properties: dict[str, str]
    stages: list[int] = field(default_factory=list)
    status: str = "RUNNING"
    call: Call[Any] | None = None
    reason: str = ""

    @property
    def tags(self) -> set[str]:
        """The tags that it was started with."""
        return set(filter(None, self.properties.get(TAGS, "").split(",")))

    def cancel(self, reason: str) -> None:
        """End it; whoever waits for it is told the reason."""
        self.reason = reason
        if self.call is not None:
            self.call.cancel()


@dataclass(slots=True)
class StageProgress:
    """How far a stage is."""

    name: str
    tasks: int
    started: int = 0
    done: int = 0
    failed: int = 0


class Tracker:
    """Keeps the latest thousand actions. A listener of the session, for how far stages are."""

    def __init__(self) -> None:
        self.actions: dict[int, Action] = {}
        self.stages: dict[int, tuple[str, int]] = {}
        self._progress: dict[tuple[str, int], StageProgress] = {}
        self._joined: dict[int, Leaves] = {}
        self._local = threading.local()
        self._action_ids = itertools.count()
        self._stage_ids = itertools.count()
        self._lock = threading.Lock()

    @property
    def properties(self) -> dict[str, str]:
        """The local properties of the calling thread."""
        found: dict[str, str] = self._local.__dict__.setdefault("properties", {})
        return found

    @contextmanager
    def group(self, group: str, description: str) -> Iterator[None]:
        """Have what the calling thread does meanwhile belong to a job group."""
        before = dict(self.properties)
        self.properties.update({GROUP: group, DESCRIPTION: description})
        try:
            yield
        finally:
            self.properties.clear()
            self.properties.update(before)

    @contextmanager
    def action(self) -> Iterator[Action]:
        """Note an action of the calling thread."""
        with self._lock:
            action = Action(next(self._action_ids), dict(self.properties))
            self.actions[action.id] = action
            if len(self.actions) > _MOST_ACTIONS:
                self._forget(self.actions.pop(next(iter(self.actions))))
        token = _current.set(action)
        try:
            yield action
            action.status = "SUCCEEDED"
        except GeneratorExit:
            action.status = "SUCCEEDED"
            raise
        except BaseException:
            action.status = "FAILED"
            raise
        finally:
            try:
                _current.reset(token)
            except ValueError:  # an iterator that is closed in another thread
                _current.set(None)

    def _forget(self, action: Action) -> None:
        for stage in action.stages:
            self._progress.pop(self.stages.pop(stage, ("", 0)), None)

    def next_stage(self, joined: Leaves) -> tuple[int, dict[str, str]]:
        """Return a number for another stage of the current action, and the action's properties.

        `joined` names the inputs of the stage that PySpark would have in one shuffle.
        """
        number = next(self._stage_ids)
        self._joined[number] = joined
        action = _current.get()
        if action is None:
            return number, {}
        action.stages.append(number)
        return number, action.properties

    def started(self, job: str, stages: Sequence[Stage]) -> None:
        """Note that the latest stages of the current action are those of a job, in order.

        The map sides of a join are stages of their own here, and one in PySpark, which tells them
        apart by a tag: they are counted as one.
        """
        action = _current.get()
        numbers = action.stages[-len(stages) :] if action is not None else []
        if action is None or len(numbers) != len(stages):
            return
        for place, (number, stage) in enumerate(zip(numbers, stages, strict=True)):
            self.stages[number] = (job, place)
            self._progress[job, place] = StageProgress(stage.name, stage.tasks)
        writers = {s.writes.shuffle: place for place, s in enumerate(stages) if s.writes}
        for number, stage in zip(numbers, stages, strict=True):
            for first, *others in _together(self._joined.pop(number, ()), stage, writers):
                for other in others:
                    self._progress[job, first].tasks += stages[other].tasks
                    self._progress[job, other] = self._progress[job, first]
                    action.stages.remove(numbers[other])

    def progress(self, stage: int) -> StageProgress | None:
        """Return how far a stage is, if it is known."""
        return self._progress.get(self.stages.get(stage, ("", 0)))

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, TaskStarted | TaskEnded | TaskRecovered):
            progress = self._progress.get((event.id.job, event.id.stage))
            if progress is None:
                return
            if isinstance(event, TaskStarted):
                progress.started += 1
            elif isinstance(event, TaskRecovered):
                progress.started += 1
                progress.done += 1
            elif event.accepted:
                progress.done += 1
            else:
                progress.failed += 1

    def running(self) -> list[Action]:
        """Return the actions that are not over."""
        return [action for action in list(self.actions.values()) if action.status == "RUNNING"]


def joined_leaves(program: Program) -> Leaves:
    """Return, for each join in a stage, which of its inputs come from shuffles."""
    found = []
    waiting: list[Any] = [program.root]
    while waiting:
        step = waiting.pop()
        if isinstance(step, CoGroup):
            found.append(tuple(m.leaf for m in step.members if isinstance(m, ReadShuffle)))
        waiting += getattr(step, "members", ())
        waiting += [
            getattr(step, name) for name in ("parent", "left", "right") if hasattr(step, name)
        ]
    return tuple(found)


def _together(joined: Leaves, stage: Stage, writers: dict[int, int]) -> Iterator[list[int]]:
    """Yield the places of the stages that write the shuffles of one join."""
    for leaves in joined:
        read = [i.split.shuffle for i in (stage.inputs or [()])[0] if i.leaf in leaves]
        yield sorted({writers[shuffle] for shuffle in read} or {0})


@dataclass(slots=True)
class TrackedRunner(Runner):
    """A runner that tells the tracker of its jobs."""

    jobs: JobRunner
    tracker: Tracker

    @asynccontextmanager
    async def job(self, node: Node, sink: Sink, name: str) -> AsyncIterator[ActionJob]:
        async with self.jobs.job(node, sink, name) as job:
            planned = job.running.job
            self.tracker.started(planned.id, planned.stages)
            yield job

    async def partition_count(self, node: Node) -> int:
        return await self.jobs.partition_count(node)

    async def default_partitions(self, node: Node) -> int:
        return await self.jobs.default_partitions(node)

    async def explain(self, node: Node) -> str:
        return await self.jobs.explain(node)

    async def save(self, node: Node, sink: Sink, target: str) -> None:
        await self.jobs.save(node, sink, target)

    def forget(self, node: Node) -> None:
        self.jobs.forget(node)

    def check_checkpoint_dir(self) -> None:
        self.jobs.check_checkpoint_dir()

    def is_checkpointed(self, node: Node) -> bool:
        return self.jobs.is_checkpointed(node)
