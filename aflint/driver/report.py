"""What a job did and what it cost, gathered from its events."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Final

from aflint.cost import Cost, Usage, billed_sqs_requests, lambda_usage, price
from aflint.events import Event, JobEnded, JobStarted, TaskEnded, TaskStarted
from aflint.task import TaskMetrics

_KEPT: Final = 1000
_LARGEST: Final = ("peak_memory_bytes", "cold_start", "init_seconds", "memory_mb")
_SUMMED: Final = tuple(f.name for f in fields(TaskMetrics) if f.name not in _LARGEST)


@dataclass(slots=True)
class JobReport:
    """One job of a session: its tasks, its metrics summed over all attempts, its cost.

    `usage` is what AWS bills: for the attempts, and for what the driver has asked of AWS since the
    job before ended (queues, listings, programs and results that went through S3). Jobs that run
    side by side share that: it goes to the one that ends first.

    On `local`, `cost` is what the same attempts would have cost as Lambda functions of `memory_mb`
    with the shuffle through SQS.
    """

    id: str
    name: str
    stages: tuple[tuple[int, str, int], ...]
    started: float
    seconds: float = 0.0
    error: str = ""
    running: bool = True
    attempts: int = 0
    failed_attempts: int = 0
    tasks: int = 0
    metrics: TaskMetrics = field(default_factory=TaskMetrics)
    usage: Usage = field(default_factory=Usage)

    @property
    def cost(self) -> Cost:
        """Dollars by the price table of `aflint.cost`."""
        return price(self.usage)


class Reporter:
    """A listener that keeps a report of each of the latest thousand jobs."""

    def __init__(
        self,
        memory_mb: int,
        *,
        estimate: bool,
        asked: Callable[[], Usage] = Usage,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.jobs: dict[str, JobReport] = {}
        self._asked = asked
        self._charged = Usage()
        self._attempts = Usage()
        self._memory_mb = memory_mb
        self._estimate = estimate
        self._clock = clock

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case JobStarted(id, name, stages):
                if len(self.jobs) >= _KEPT:
                    del self.jobs[next(iter(self.jobs))]
                self.jobs[id] = JobReport(id, name, stages, self._clock())
            case TaskStarted(id=task):
                if task.job in self.jobs:
                    self.jobs[task.job].attempts += 1
            case TaskEnded(id=task, accepted=accepted, metrics=metrics):
                if task.job in self.jobs:
                    self._ended(self.jobs[task.job], accepted, metrics)
            case JobEnded(id, error):
                if id in self.jobs:
                    report = self.jobs[id]
                    report.running, report.error = False, error
                    report.seconds = self._clock() - report.started
                    uncharged = self.uncharged
                    report.usage += uncharged
                    self._charged += uncharged
            case _:
                pass

    def _ended(self, report: JobReport, accepted: bool, metrics: TaskMetrics) -> None:
        report.tasks += accepted
        report.failed_attempts += not accepted
        report.metrics = add_metrics(report.metrics, metrics)
        usage = task_usage(metrics, self._memory_mb, estimate=self._estimate)
        report.usage += usage
        self._attempts += usage

    @property
    def uncharged(self) -> Usage:
        """What the driver has asked of AWS since the last job ended."""
        return self._asked() - self._charged

    @property
    def usage(self) -> Usage:
        """All that was used so far: by every job, and by the driver since the last one ended."""
        return self._attempts + self._asked()


def add_metrics(a: TaskMetrics, b: TaskMetrics) -> TaskMetrics:
    """Return the sums, and of peaks the larger."""
    return TaskMetrics(
        **{name: getattr(a, name) + getattr(b, name) for name in _SUMMED},
        **{name: max(getattr(a, name), getattr(b, name)) for name in _LARGEST},
    )


def task_usage(metrics: TaskMetrics, memory_mb: int, *, estimate: bool) -> Usage:
    """Return what AWS bills for an attempt; with `estimate`, what it would bill for a local one."""
    if not (metrics.billed_seconds or metrics.seconds):
        return Usage()  # it was throttled, or nobody knows how long it ran
    memory_mb = metrics.memory_mb or memory_mb
    compute = lambda_usage(metrics.billed_seconds or metrics.seconds, memory_mb)
    requests = metrics.sqs_requests
    if estimate:
        requests = sum(
            billed_sqs_requests(size * 4 // 3) if size else 0
            for size in (metrics.shuffle_write_bytes, metrics.shuffle_read_bytes)
        )
    return compute + Usage(
        sqs_requests=requests,
        sqs_bytes=metrics.shuffle_write_bytes + metrics.shuffle_read_bytes,
        s3_put=metrics.s3_puts,
        s3_get=metrics.s3_gets,
        s3_bytes=metrics.input_bytes,
    )
