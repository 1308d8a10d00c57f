"""Stops a job at its budget in dollars and at its wall-clock deadline, and says what was spent."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from aflint.cost import US_EAST_1, PriceTable, Usage, dollars, format_dollars
from aflint.driver.account import Account
from aflint.driver.report import task_usage
from aflint.errors import AflintError, BudgetExceededError, DeadlineExceededError
from aflint.events import Event, JobEnded, JobStarted, TaskEnded, TaskRecovered, TaskStarted
from aflint.task import TaskMetrics

_PUNCTUAL_S: Final = 0.001
"""A timer of the loop may ring this much too early."""

_MARGIN_S: Final = 0.05
"""A job is stopped this long before it reaches its budget: a busy loop rings late, and stopping
takes a moment."""


@dataclass(slots=True)
class _Watched:
    """One running job. `stopped`: it was cancelled, but not all of its events have come."""

    name: str
    tasks: int
    began: float
    account: Account
    # The (stage, partition) of tasks that are done: one that runs again counts once.
    done: set[tuple[int, int]] = field(default_factory=set)
    rings_at: float = math.inf
    alarm: asyncio.TimerHandle | None = None
    stopped: bool = False


@dataclass(slots=True)
class Watch:
    """A listener that cancels a job before it costs more than `budget_usd`, and once it has taken
    `deadline_s`; None is no limit.

    Counted are what ended attempts were billed, what running ones have cost so far, the driver's
    own requests, and the requests expected of running attempts, once others of their stage have
    shown how many those are. An attempt that cannot be paid for is not started, and a job whose
    attempts run on is stopped in time. Two costs can come on top. The requests to SQS and S3 of
    running attempts are not known before the first of their stage has ended. And a Lambda
    invocation cannot be stopped: it is billed to its end, or to the time limit of its function,
    after its driver has hung up; the error says how much that can be at most.

    `memory_mb` is assumed for attempts that ask for no memory size, and for all where costs are an
    `estimate`. An abandoned attempt may run until `runs_on_s` after its start. `driver_usd` returns
    what the driver's requests cost that no report includes yet. `cancel(job, error)` stops a job.

    It is called on the loop whose timers it uses. The work for each event does not grow with the
    number of tasks.
    """

    budget_usd: float | None
    deadline_s: float | None
    memory_mb: int
    estimate: bool
    runs_on_s: float
    driver_usd: Callable[[], float]
    cancel: Callable[[str, AflintError], object]
    prices: PriceTable = US_EAST_1
    _jobs: dict[str, _Watched] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case JobStarted(id, name, stages):
                tasks = sum(stage.tasks for stage in stages)
                account = Account(self.prices, self.runs_on_s)
                job = self._jobs[id] = _Watched(name, tasks, _clock(), account)
                self._look(id, job)
            case TaskStarted(id=task):
                self._started(event, self._jobs.get(task.job))
            case TaskEnded(id=task):
                self._ended(event, self._jobs.get(task.job))
            case TaskRecovered(id=task, metrics=links):
                self._recovered(links, self._jobs.get(task.job), (task.stage, task.partition))
            case JobEnded(id):
                ended = self._jobs.pop(id, None)
                if ended is not None and ended.alarm is not None:
                    ended.alarm.cancel()
            case _:
                pass

    def _started(self, event: TaskStarted, job: _Watched | None) -> None:
        if job is None or job.stopped:
            return
        task, now = event.id, _clock() - job.began
        memory_mb = self.memory_mb if self.estimate else event.memory_mb or self.memory_mb
        entry = job.account.entry(task.stage, memory_mb)
        if self.budget_usd is not None and self._committed(job, now) + entry > self.budget_usd:
            self._stop(task.job, job, self._too_dear(task.job, job, self.budget_usd))
            return
        job.account.started(task, now, memory_mb)
        self._look(task.job, job)

    def _ended(self, event: TaskEnded, job: _Watched | None) -> None:
        if job is None or job.stopped:
            return
        task, metrics = event.id, event.metrics
        usage: Usage | None = None
        if event.refused:  # throttled: it never ran, and costs nothing
            usage = Usage()
        elif metrics.billed_seconds or metrics.seconds:
            usage = task_usage(metrics, self.memory_mb, estimate=self.estimate)
        job.account.finished(task, _clock() - job.began, usage)
        if event.accepted:
            job.done.add((task.stage, task.partition))
        self._look(task.job, job)

    def _recovered(
        self, links: tuple[TaskMetrics, ...], job: _Watched | None, place: tuple[int, int]
    ) -> None:
        if job is not None:
            usages = (task_usage(m, self.memory_mb, estimate=self.estimate) for m in links)
            job.account.ended += sum(dollars(usage, self.prices) for usage in usages)
            job.done.add(place)

    def _committed(self, job: _Watched, now: float) -> float:
        return job.account.committed(now + _MARGIN_S) + self.driver_usd()

    def _look(self, id: str, job: _Watched) -> None:
        """Stop a job that is at a limit; else set an alarm for when it can be at the nearest."""
        now = _clock() - job.began
        if self.budget_usd is not None:
            broke = job.account.reaches(self.budget_usd - self.driver_usd()) - _MARGIN_S
            if broke <= now + _PUNCTUAL_S:
                self._stop(id, job, self._too_dear(id, job, self.budget_usd))
                return
        else:
            broke = math.inf
        late = math.inf if self.deadline_s is None else self.deadline_s
        if late <= now + _PUNCTUAL_S:
            self._stop(id, job, self._too_late(id, job, late))
        elif min(broke, late) < job.rings_at:
            self._set(id, job, min(broke, late))

    def _set(self, id: str, job: _Watched, at: float) -> None:
        """Look again at that time. An early alarm costs less than moving it at every event."""
        if job.alarm is not None:
            job.alarm.cancel()
        job.rings_at = at
        loop = asyncio.get_running_loop()
        job.alarm = loop.call_at(job.began + at, partial(self._rang, id, job))

    def _rang(self, id: str, job: _Watched) -> None:
        job.alarm, job.rings_at = None, math.inf
        self._look(id, job)

    def _stop(self, id: str, job: _Watched, error: AflintError) -> None:
        job.stopped = True
        if job.alarm is not None:
            job.alarm.cancel()
        self.cancel(id, error)

    def _too_dear(self, id: str, job: _Watched, budget: float) -> AflintError:
        return self._told(
            BudgetExceededError,
            f"job {id} ({job.name}) was stopped before it would pass its budget of "
            f"{format_dollars(budget)}",
            job,
            "Raise `budget_usd`, or read less data",
        )

    def _too_late(self, id: str, job: _Watched, seconds: float) -> AflintError:
        return self._told(
            DeadlineExceededError,
            f"job {id} ({job.name}) was stopped at its deadline of {seconds:g} s",
            job,
            "Raise `deadline_s`, or give it less to do",
        )

    def _told(
        self,
        kind: type[BudgetExceededError | DeadlineExceededError],
        what: str,
        job: _Watched,
        advice: str,
    ) -> AflintError:
        """Return an error that says how far the job had come, and what that cost."""
        account, now = job.account, _clock() - job.began
        spent = account.spent(now) + self.driver_usd()
        text = (
            f"{what}: it ran for {now:.1f} s, {len(job.done)} of {job.tasks} tasks are done, and "
            f"{format_dollars(spent)} is spent"
        )
        if account.running:
            accrued = format_dollars(account.accrued(now))
            text += f", {accrued} of it by attempts that were still running ({account.running})"
        tail = account.tail(now)
        if tail:
            text += (
                f". Lambda cannot be told to stop them: at most {format_dollars(tail)} more may be "
                "billed for their time, and their requests to SQS and S3"
            )
        error = kind(f"{text}. {advice}")
        error.spent_usd = spent
        return error


def _clock() -> float:
    return asyncio.get_running_loop().time()
