"""Which jobs run, for whom: job groups, tags, local properties, and what statusTracker tells."""

from __future__ import annotations

import itertools
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from aflint.driver.jobs import JobRunner
from aflint.driver.runner import ActionJob, Runner
from aflint.events import Event, TaskEnded, TaskStarted
from aflint.lineage import Node
from aflint.program import Sink

GROUP = "spark.jobGroup.id"
DESCRIPTION = "spark.job.description"
TAGS = "spark.job.tags"
_MOST_ACTIONS = 1000

_current: ContextVar[Action | None] = ContextVar("aflint_action", default=None)


@dataclass(eq=False)
class Action:
    """One action of the program: a job, and those that it needs before."""

    id: int
    properties: dict[str, str]
    stages: list[int] = field(default_factory=list)
    status: str = "RUNNING"
    future: Future[Any] | None = None
    reason: str = ""

    @property
    def tags(self) -> set[str]:
        """The tags that it was started with."""
        return set(filter(None, self.properties.get(TAGS, "").split(",")))

    def cancel(self, reason: str) -> None:
        """End it; whoever waits for it is told the reason."""
        self.reason = reason
        if self.future is not None:
            self.future.cancel()


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

    def next_stage(self) -> tuple[int, dict[str, str]]:
        """Return a number for another stage of the current action, and the action's properties."""
        number = next(self._stage_ids)
        action = _current.get()
        if action is None:
            return number, {}
        action.stages.append(number)
        return number, action.properties

    def started(self, job: str, stages: Sequence[tuple[str, int]]) -> None:
        """Note that the latest stages of the current action are those of a job, in order."""
        action = _current.get()
        numbers = action.stages[-len(stages) :] if action is not None else []
        for place, (number, (name, tasks)) in enumerate(zip(numbers, stages, strict=False)):
            self.stages[number] = (job, place)
            self._progress[job, place] = StageProgress(name, tasks)

    def progress(self, stage: int) -> StageProgress | None:
        """Return how far a stage is, if it is known."""
        return self._progress.get(self.stages.get(stage, ("", 0)))

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, TaskStarted | TaskEnded):
            progress = self._progress.get((event.id.job, event.id.stage))
            if progress is None:
                return
            if isinstance(event, TaskStarted):
                progress.started += 1
            elif event.accepted:
                progress.done += 1
            else:
                progress.failed += 1

    def running(self) -> list[Action]:
        """Return the actions that are not over."""
        return [action for action in list(self.actions.values()) if action.status == "RUNNING"]


@dataclass(slots=True)
class TrackedRunner(Runner):
    """A runner that tells the tracker of its jobs."""

    jobs: JobRunner
    tracker: Tracker

    @asynccontextmanager
    async def job(self, node: Node, sink: Sink, name: str) -> AsyncIterator[ActionJob]:
        async with self.jobs.job(node, sink, name) as job:
            planned = job.running.job  # type: ignore[attr-defined]
            self.tracker.started(planned.id, [(s.name, s.tasks) for s in planned.stages])
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
