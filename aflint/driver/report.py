"""What a job did and what it cost, gathered from its events."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import add, attrgetter
from typing import Final

from aflint.cost import Cost, Usage, billed_sqs_requests, lambda_usage, price
from aflint.events import Event, JobEnded, JobStarted, TaskEnded, TaskRecovered, TaskStarted
from aflint.task import TaskMetrics

_log = logging.getLogger(__name__)

_KEPT: Final = 1000
_BY_REASON: Final = "rejected_frames"
_LARGEST: Final = ("peak_memory_bytes", "cold_start", "init_seconds", "memory_mb")
_SUMMED: Final = tuple(f.name for f in fields(TaskMetrics) if f.name not in (*_LARGEST, _BY_REASON))
_largest = attrgetter(*_LARGEST)
_summed = attrgetter(*_SUMMED)


@dataclass(slots=True)
class JobReport:
    """One job of a session: its tasks, its metrics summed over all attempts, its cost.

    `usage` is what AWS bills: for the attempts, and for what the driver has asked of AWS since the
    job before ended (queues, listings, programs and results that went through S3). Jobs that run
    side by side share that: it goes to the one that ends first.

    Of `tasks`, `recovered_tasks` were accepted by a driver that was killed: their metrics and their
    usage are counted in, but not what its other attempts used.

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
    recovered_tasks: int = 0
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
            case TaskRecovered(id=task, metrics=links):
                if task.job in self.jobs:
                    self._recovered(self.jobs[task.job], links)
            case JobEnded(id, error):
                if id in self.jobs:
                    report = self.jobs[id]
                    report.running, report.error = False, error
                    report.seconds = self._clock() - report.started
                    uncharged = self.uncharged
                    report.usage += uncharged
                    self._charged += uncharged
                    _warn_of_rejected(report)
            case _:
                pass

    def _ended(self, report: JobReport, accepted: bool, metrics: TaskMetrics) -> None:
        report.tasks += accepted
        report.failed_attempts += not accepted
        report.metrics = add_metrics(report.metrics, metrics)
        usage = task_usage(metrics, self._memory_mb, estimate=self._estimate)
        report.usage += usage
        self._attempts += usage

    def _recovered(self, report: JobReport, links: tuple[TaskMetrics, ...]) -> None:
        report.tasks += 1
        report.recovered_tasks += 1
        for metrics in links:
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
    summed = zip(_SUMMED, map(add, _summed(a), _summed(b)), strict=True)
    largest = zip(_LARGEST, map(max, _largest(a), _largest(b)), strict=True)
    rejected = a.rejected_frames or b.rejected_frames
    if a.rejected_frames and b.rejected_frames:
        rejected = dict(Counter(a.rejected_frames) + Counter(b.rejected_frames))
    return TaskMetrics(rejected_frames=rejected, **dict(summed), **dict(largest))


def _warn_of_rejected(report: JobReport) -> None:
    """Say what a job was given that was not its own: somebody wrote to its queues or objects."""
    rejected = report.metrics.rejected_frames
    if rejected:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(rejected.items()))
        _log.warning(
            "job %s (%s) dropped %d frames that were not its own: %s. None of them was decoded. "
            "Look at who may write to its queues and to its bucket",
            report.id, report.name, sum(rejected.values()), reasons,
        )  # fmt: skip


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
