"""Which jobs run, for whom: job groups, tags, local properties, and what statusTracker reports.

Nothing here may end a job. What the engine calls while it plans and runs one logs its own faults
and raises nothing: a wrong figure in statusTracker is better than a lost answer.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from aflint.driver.calls import Call
from aflint.driver.jobs import RunJob
from aflint.events import Event, TaskEnded, TaskRecovered, TasksAdded, TaskStarted
from aflint.plan.planner import Job, ManifestOf, Stage
from aflint.plan.program import CoGroup, Program, ReadShuffle, Step, Transform
from aflint.pyspark.worker import BarrierStep

_log = logging.getLogger(__name__)

GROUP = "spark.jobGroup.id"
DESCRIPTION = "spark.job.description"
TAGS = "spark.job.tags"
_MOST_ACTIONS = 1000

Leaves = tuple[tuple[int, ...], ...]
"""For each join in a stage, the leaves of its inputs that come from shuffles."""

_current: ContextVar[Action | None] = ContextVar("aflint_action", default=None)


@dataclass(eq=False)
class Action:
    """One action of the program: a job, and those that it needs before.

    `stages` are the numbers that the program sees, `jobs` the ids of the engine's jobs.
    `planned` holds the stages that were given a number since its last job began.
    """

    id: int
    properties: dict[str, str]
    stages: list[int] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    planned: list[tuple[int, Leaves]] = field(default_factory=list)
    status: str = "RUNNING"
    call: Call[Any] | None = None
    reason: str = ""

    @property
    def tags(self) -> set[str]:
        """The tags that it was started with."""
        return set(filter(None, self.properties.get(TAGS, "").split(",")))

    def cancel(self, reason: str) -> None:
        """End it: the thread that waits for it gets an error with this reason."""
        self.reason = reason
        call = self.call
        if call is not None:
            call.cancel()


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
        self._stages: dict[int, StageProgress] = {}
        self._jobs: dict[str, list[StageProgress]] = {}  # by the place of the stage in its job
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
        # Calls copy the context of their thread, and with it which action they are of.
        token = _current.set(action)
        try:
            yield action
            action.status = "SUCCEEDED"
        # An iterator that is let go before its end: the program had all that it wanted.
        except GeneratorExit:
            action.status = "SUCCEEDED"
            raise
        except BaseException:
            action.status = "FAILED"
            raise
        finally:
            action.call = None  # it holds the RDD, whose shuffles would be kept, and the answer
            try:
                _current.reset(token)
            except ValueError:  # an iterator that is closed in another thread
                _current.set(None)

    def _forget(self, action: Action) -> None:
        for stage in action.stages:
            self._stages.pop(stage, None)
        for job in action.jobs:
            self._jobs.pop(job, None)

    def next_stage(self, program: Program) -> tuple[int, dict[str, str]]:
        """Return a number for another stage of the current action, and the action's properties."""
        number = next(self._stage_ids)
        action = _current.get()
        if action is None:
            return number, {}
        with _never_failing():
            action.planned.append((number, joined_leaves(program)))
        return number, action.properties

    def tracked(self, run_job: RunJob) -> RunJob:
        """Return what runs a job as `run_job` does, and notes it."""

        def run(job: Job, **options: Any) -> Any:
            with _never_failing():
                self._begin(job)
            return run_job(job, **options)

        return run

    def _begin(self, job: Job) -> None:
        """Note that the stages planned last for the current action are those of a job, in order."""
        action = _current.get()
        if action is None:
            return
        # An action may plan a job twice (once to count partitions): the last ones are this job's.
        planned, action.planned = action.planned[-len(job.stages) :], []
        if len(planned) != len(job.stages):
            return
        shown = shown_stages(job.stages, [leaves for _, leaves in planned])
        progress = [StageProgress(stage.name, 0) for stage in job.stages]
        for place, stage in enumerate(job.stages):
            progress[shown[place]].tasks += stage.tasks
        self._jobs[job.id] = [progress[first] for first in shown]
        action.jobs.append(job.id)
        for place, (number, _) in enumerate(planned):
            if shown[place] == place:
                action.stages.append(number)
                self._stages[number] = progress[place]

    def progress(self, stage: int) -> StageProgress | None:
        """Return how far a stage is, if it is known."""
        return self._stages.get(stage)

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, TasksAdded):
            for progress in self._jobs.get(event.job, [])[event.stage : event.stage + 1]:
                progress.tasks += event.tasks
        elif isinstance(event, TaskStarted | TaskEnded | TaskRecovered):
            stages = self._jobs.get(event.id.job, [])
            if event.id.stage >= len(stages):
                return  # of a job that no action asked for, or that is forgotten
            progress = stages[event.id.stage]
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


@contextmanager
def _never_failing() -> Iterator[None]:
    try:
        yield
    except Exception:
        _log.exception("statusTracker will lack a job: keeping track of it failed")


def joined_leaves(program: Program) -> Leaves:
    """Return, for each join in a stage, which of its inputs come from shuffles."""
    return tuple(
        tuple(m.leaf for m in step.members if isinstance(m, ReadShuffle))
        for step in _steps(program)
        if isinstance(step, CoGroup)
    )


def is_barrier(program: Program) -> bool:
    """Say whether a stage is a barrier stage: one step in it makes all of it one."""
    return any(
        isinstance(operator, BarrierStep)
        for step in _steps(program)
        if isinstance(step, Transform)
        for operator in step.operators
    )


def _steps(program: Program) -> Iterator[Step]:
    """Yield all steps of a stage's tree."""
    waiting: list[Any] = [program.root]
    while waiting:
        step = waiting.pop()
        yield step
        waiting += getattr(step, "members", ())
        waiting += [
            getattr(step, name) for name in ("parent", "left", "right") if hasattr(step, name)
        ]


def shown_stages(stages: Sequence[Stage], joined: Sequence[Leaves]) -> list[int]:
    """Return, for each stage of a job, the place of the stage that it is shown as.

    Each map side of a join is a stage of its own here. In PySpark they are one stage, whose records
    are tagged by side: so they are shown as one, the first of them. A map side that several joins
    read is shown with the first of these joins.
    """
    shown = list(range(len(stages)))
    counted: set[int] = set()
    writers = {stage.writes.shuffle: place for place, stage in enumerate(stages) if stage.writes}
    for stage, joins in zip(stages, joined, strict=True):
        first_task = stage.inputs[0] if stage.inputs else ()
        for leaves in joins:
            sides = {
                writers[each.split.shuffle]
                for each in first_task
                if each.leaf in leaves
                and isinstance(each.split, ManifestOf)
                and each.split.shuffle in writers
            } - counted
            counted |= sides
            for side in sides:
                shown[side] = min(sides)
    return shown
