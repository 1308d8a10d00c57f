"""What a job did and what it cost, gathered from its events."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Final

from aflint import html
from aflint.cost import (
    US_EAST_1,
    Cost,
    PriceTable,
    Usage,
    billed_gb_seconds,
    billed_sqs_requests,
    dollars,
    format_dollars,
    is_priced,
    price,
    prices_of,
)
from aflint.cost.forecast import Setup
from aflint.driver.advising import Measured, hint
from aflint.events import (
    Event,
    JobEnded,
    JobStarted,
    Predicted,
    StageEnded,
    StageSkipped,
    StageStarted,
    TaskEnded,
    TaskRecovered,
    TasksAdded,
    TaskStarted,
)
from aflint.scheduler.messages import LOAN_BITS
from aflint.task import TaskMetrics

_log = logging.getLogger(__name__)

_KEPT: Final = 1000
_UNIT: Final = 1024
_MOST_ERROR: Final = 200
_SUMMED_AT_ONCE: Final = 256
_BY_REASON: Final = "rejected_frames"
_LARGEST: Final = ("peak_memory_bytes", "cold_start", "init_seconds", "memory_mb")
_SUMMED: Final = tuple(f.name for f in fields(TaskMetrics) if f.name not in (*_LARGEST, _BY_REASON))
_largest = attrgetter(*_LARGEST)
_summed = attrgetter(*_SUMMED)


@dataclass(slots=True)
class StageReport:
    """One stage of a job.

    `done` counts accepted tasks, a second time where one had to be run again because its output was
    lost. A driver before this one had accepted `recovered` of them. `retries` counts attempts that
    followed a failed one, `speculated` those beside another, `failed` those that ended with an
    error, and `throttled` how often Lambda refused one. `started` is None until a task runs.
    """

    id: int
    name: str
    tasks: int
    done: int = 0
    recovered: int = 0
    attempts: int = 0
    failed_attempts: int = 0
    retries: int = 0
    running: int = 0
    failed: int = 0
    speculated: int = 0
    throttled: int = 0
    started: float | None = None
    ended: float | None = None
    skipped: bool = False
    """What it would write, an earlier job left: no task of it runs, unless some of that is lost."""
    parents: tuple[int, ...] = ()
    _summed: TaskMetrics = field(default_factory=TaskMetrics)
    # Metrics that are not in the sum yet: a hundred at once are added up in the time of a few.
    _unsummed: list[TaskMetrics] = field(default_factory=list)

    @property
    def metrics(self) -> TaskMetrics:
        """The metrics of all attempts: sums, and of peaks the largest."""
        if self._unsummed:
            self._summed = sum_metrics([self._summed, *self._unsummed])
            self._unsummed.clear()
        return self._summed

    def count(self, metrics: TaskMetrics) -> None:
        """Take in the metrics of one more attempt."""
        self._unsummed.append(metrics)
        if len(self._unsummed) >= _SUMMED_AT_ONCE:
            _ = self.metrics

    def left(self, now: float) -> float | None:
        """Return about how many seconds it goes on: as many for each task as for those done so far.

        None before the first is done, and at the end.
        """
        seconds = self.elapsed(now)
        # What a driver before this one had done took none of this one's time.
        done = self.done - self.recovered
        if seconds is None or done <= 0 or self.done >= self.tasks:
            return None
        return seconds * (self.tasks - self.done) / done

    @property
    def over(self) -> bool:
        """Whether nothing of it is left to do."""
        return self.ended is not None or self.done >= self.tasks

    def details(self) -> Iterator[str]:
        """Yield what else is to be said of a stage, what matters most first."""
        for count, what in (
            (self.retries, "retried"),
            (self.failed if self.failed != self.retries else 0, "failed"),
            (self.throttled, "throttled"),
            (self.speculated, "speculated"),
            (self.running, "running"),
        ):
            if count > 0:
                yield f", {count:,} {what}"
        metrics = self.metrics
        read = metrics.input_bytes + metrics.shuffle_read_bytes
        for size, what in ((read, "in"), (metrics.shuffle_write_bytes, "out")):
            if size:
                yield f", {format_bytes(size)} {what}"

    def elapsed(self, now: float) -> float | None:
        """Return the seconds since its first task started, or None before that."""
        if self.started is None:
            return None
        return (now if self.ended is None else self.ended) - self.started


@dataclass(slots=True, repr=False)
class JobReport:
    """One job of a session: its stages, its metrics summed over all attempts, its cost.

    `usage` is what AWS bills: for the attempts, and for the driver's own requests since the job
    before ended (queues, listings, programs and results that went through S3). Of jobs that run
    side by side, the one that ends first is charged with those.

    Of `tasks`, `recovered_tasks` were accepted by a driver that was killed: their metrics and their
    usage are counted in, but not what its other attempts used.

    Where `estimated`, as on `local`, `cost` is what the same attempts would have cost as Lambda
    functions of `memory_mb` with the shuffle through SQS.

    `print` shows a job as a table of its stages.
    """

    id: str
    name: str
    stages: tuple[StageReport, ...]
    started: float
    seconds: float = 0.0
    error: str = ""
    running: bool = True
    estimated: bool = False
    hint: str = ""
    """Which setting would have been better, where that would have mattered."""
    predicted: Predicted | None = None
    """What `explain(predict=True)` had said of it."""
    memory_mb: int = 0
    """That of functions which do not say how much they have."""
    region: str = US_EAST_1.region
    """The one at whose prices dollars are told."""
    _used: Usage = field(default_factory=Usage)
    # Of attempts, not in the sum yet, as in StageReport.
    _unsummed: list[TaskMetrics] = field(default_factory=list)
    _by_id: dict[int, StageReport] = field(init=False)

    def __post_init__(self) -> None:
        self._by_id = {stage.id: stage for stage in self.stages}

    @property
    def usage(self) -> Usage:
        """What AWS bills for its attempts, and once it is over for the driver's own requests."""
        if self._unsummed:
            used = [
                _task_figures(metrics, self.memory_mb, self.estimated) for metrics in self._unsummed
            ]
            self._used = Usage._make(map(sum, zip(self._used, *used, strict=True)))
            self._unsummed.clear()
        return self._used

    def count(self, stage: StageReport, metrics: TaskMetrics) -> None:
        """Take in the metrics of one more attempt, of a stage of its."""
        stage.count(metrics)
        self._unsummed.append(metrics)
        if len(self._unsummed) >= _SUMMED_AT_ONCE:
            _ = self.usage

    def charge(self, usage: Usage) -> None:
        """Take in what the driver used."""
        self._used = self.usage + usage

    def stage(self, id: int) -> StageReport:
        """Return one stage."""
        return self._by_id[id]

    @property
    def tasks(self) -> int:
        """How many tasks are done."""
        return sum(stage.done for stage in self.stages)

    @property
    def recovered_tasks(self) -> int:
        """How many of them a driver before this one had done."""
        return sum(stage.recovered for stage in self.stages)

    @property
    def attempts(self) -> int:
        """How many attempts were started."""
        return sum(stage.attempts for stage in self.stages)

    @property
    def failed_attempts(self) -> int:
        """How many attempts ended without being accepted."""
        return sum(stage.failed_attempts for stage in self.stages)

    @property
    def retries(self) -> int:
        """How many attempts followed a failed one."""
        return sum(stage.retries for stage in self.stages)

    @property
    def metrics(self) -> TaskMetrics:
        """The metrics of all attempts: sums, and of peaks the largest."""
        return sum_metrics([stage.metrics for stage in self.stages])

    @property
    def cost(self) -> Cost:
        """Dollars by the price table of `aflint.cost`.

        Raises UnpricedRegionError where that has no prices for the region.
        """
        return price(self.usage, prices_of(self.region))

    @property
    def dollars(self) -> float | None:
        """All of its cost together, or None where there are no prices for the region."""
        return self.cost.total if is_priced(self.region) else None

    def summary(self) -> str:
        """Return the job in one line."""
        number = self.id.rpartition("-")[2]
        return f"job {number} {self.name}: {', '.join([self._outcome(), *self._figures()])}"

    def closing_lines(self) -> list[str]:
        """Return what stays of it on a screen: its summary, and which setting would have been
        better.
        """
        return [self.summary(), *([f"better: {self.hint}"] if self.hint else [])]

    def _outcome(self) -> str:
        if self.running:
            return "running"
        if self.error:
            return f"failed after {format_seconds(self.seconds)} ({_first_line(self.error)})"
        return format_seconds(self.seconds)

    def _figures(self) -> list[str]:
        done, asked = self.tasks, sum(stage.tasks for stage in self.stages if not stage.skipped)
        tasks = f"{done:,} of {asked:,} tasks" if done < asked else _count_of(done, "task", "tasks")
        figures = [tasks]
        if skipped := sum(stage.skipped for stage in self.stages):
            figures.append(_count_of(skipped, "skipped stage", "skipped stages"))
        if self.recovered_tasks:
            figures.append(f"{self.recovered_tasks:,} recovered")
        if self.retries:
            figures.append(_count_of(self.retries, "retry", "retries"))
        if shuffled := self.metrics.shuffle_write_bytes:
            figures.append(f"{format_bytes(shuffled)} shuffled")
        if (total := self.dollars) is None:
            return [*figures, f"dollars unknown ({self.region} has no prices here)"]
        told = "less than $0.0001" if 0 < total < 0.0001 else format_dollars(total)
        bill = f"would cost {told} on Lambda" if self.estimated else told
        if self.predicted is not None:
            bill += f" ({format_predicted(self.predicted)} predicted)"
        return [*figures, bill]

    def __repr__(self) -> str:
        state = "running" if self.running else "failed" if self.error else "done"
        return f"<JobReport {self.id} {self.name!r}: {state}, {self.tasks} tasks>"

    def __str__(self) -> str:
        return "\n".join([self.summary(), *_table(self.stages), f"  {self._bill()}"])

    def _repr_html_(self) -> str:
        head, *rows = _rows(self.stages)
        return f"{html.table(head, rows, self.summary())}<p>{html.escape(self._bill())}</p>"

    def _bill(self) -> str:
        if not is_priced(self.region):
            return (
                f"used {self.usage.gb_seconds:,.1f} GB-seconds; dollars unknown: there are no "
                f"prices for {self.region} (see the setting price_region)"
            )
        bill = f"would cost {self.cost} on Lambda" if self.estimated else f"cost {self.cost}"
        predicted = (
            "" if self.predicted is None else f", predicted {format_predicted(self.predicted)}"
        )
        return f"{bill}{predicted}"


def _table(stages: tuple[StageReport, ...]) -> list[str]:
    """Return a line for each stage under a head."""
    rows = _rows(stages)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]


def _rows(stages: tuple[StageReport, ...]) -> list[tuple[str, ...]]:
    """Return a row for each stage under a head; a column that says nothing is left out."""
    rows = [("stage", "tasks", "time", *_COLUMNS)]
    for stage in stages:
        seconds = None if stage.ended is None else stage.elapsed(stage.ended)
        figures = (read(stage) for read in _COLUMNS.values())
        rows.append(
            (
                f"{stage.id} {stage.name}",
                "skipped" if stage.skipped else f"{stage.done}/{stage.tasks}",
                "" if seconds is None else format_seconds(seconds),
                *figures,
            )
        )
    columns = [
        (heading, *cells)
        for place, (heading, *cells) in enumerate(zip(*rows, strict=True))
        if place < _ALWAYS or any(cells)
    ]
    return list(zip(*columns, strict=True))


def _count_of(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def format_predicted(predicted: Predicted) -> str:
    """Return what was predicted, such as "$0.12 and 3.40 s"."""
    told = format_dollars(float(f"{predicted.dollars:.3g}"))
    return f"{told} and {format_seconds(predicted.seconds)}"


def format_bytes(count: int) -> str:
    """Return a number of bytes in the largest unit of which there is one, such as "12.4 MB"."""
    size, unit = float(count), "bytes"
    for larger in ("KB", "MB", "GB", "TB"):
        if size < _UNIT:
            break
        size, unit = size / _UNIT, larger
    return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"


def format_seconds(seconds: float) -> str:
    """Return a duration to three figures or so: "0.12 s", "12.3 s", "3 min 20 s", "2 h 05 min"."""
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def _first_line(error: str) -> str:
    line = error.strip().partition("\n")[0]
    return line if len(line) <= _MOST_ERROR else line[: _MOST_ERROR - 3] + "..."


def _bytes_of(name: str) -> Callable[[StageReport], str]:
    """Return a function that gives one of a stage's byte counts in words, or "" for zero."""

    def read(stage: StageReport) -> str:
        count = getattr(stage.metrics, name)
        return format_bytes(count) if count else ""

    return read


_ALWAYS: Final = 3
"""So many columns are there even if they are empty."""

_COLUMNS: Final[dict[str, Callable[[StageReport], str]]] = {
    "retries": lambda stage: f"{stage.retries}" if stage.retries else "",
    "recovered": lambda stage: f"{stage.recovered}" if stage.recovered else "",
    "read": _bytes_of("input_bytes"),
    "shuffle read": _bytes_of("shuffle_read_bytes"),
    "shuffle written": _bytes_of("shuffle_write_bytes"),
    "spilled": _bytes_of("spilled_bytes"),
    "results": _bytes_of("result_bytes"),
}


class Reporter:
    """A listener that keeps a report of each of the latest thousand jobs."""

    def __init__(
        self,
        memory_mb: int,
        *,
        estimate: bool,
        asked: Callable[[], Usage] = Usage,
        setup: Callable[[], Setup] | None = None,
        region: str = US_EAST_1.region,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.jobs: dict[str, JobReport] = {}
        self.clock = clock
        self._asked = asked
        self._setup = setup
        self._charged = Usage()
        # What the jobs used that are over, without the driver's own requests.
        self._used = Usage()
        self._memory_mb = memory_mb
        self._estimate = estimate
        self._region = region

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case TaskStarted():
                task = event.id
                if (report := self.jobs.get(task.job)) is not None:
                    stage = report.stage(task.stage)
                    stage.running += 1
                    stage.speculated += event.speculative
                    stage.attempts += 1
                    # The upper bits count drivers and jobs: see `aflint.scheduler.messages`.
                    if task.attempt % (1 << LOAN_BITS) and not (event.speculative or task.link):
                        stage.retries += 1
            case TaskEnded():
                if (report := self.jobs.get(event.id.job)) is not None:
                    self._ended(report, event)
            case JobStarted(id, name, stages, predicted=predicted):
                if len(self.jobs) >= _KEPT:
                    oldest = self.jobs.pop(next(iter(self.jobs)))
                    if oldest.running:  # it is not heard of again
                        self._used += oldest.usage
                reports = tuple(
                    StageReport(each.id, each.name, each.tasks, parents=each.parents)
                    for each in stages
                )
                self.jobs[id] = JobReport(
                    id,
                    name,
                    reports,
                    self.clock(),
                    estimated=self._estimate,
                    predicted=predicted,
                    memory_mb=self._memory_mb,
                    region=self._region,
                )
            case StageSkipped(id, number):
                if id in self.jobs:
                    self.jobs[id].stage(number).skipped = True
            case StageStarted(id, number):
                if id in self.jobs:
                    stage = self.jobs[id].stage(number)
                    stage.skipped = False  # some of what was left is lost
                    # A stage whose output was lost runs a second time: its clock goes on from the
                    # first.
                    stage.started, stage.ended = stage.started or self.clock(), None
            case TasksAdded(id, number, tasks=tasks):
                if id in self.jobs:
                    self.jobs[id].stage(number).tasks += tasks
            case StageEnded(id, number):
                if id in self.jobs:
                    self.jobs[id].stage(number).ended = self.clock()
            case TaskRecovered(id=task, metrics=links):
                if task.job in self.jobs:
                    self._recovered(self.jobs[task.job], task.stage, links)
            case JobEnded(id, error):
                if id in self.jobs:
                    report = self.jobs[id]
                    report.running, report.error = False, error
                    report.seconds = self.clock() - report.started
                    # Before the driver's own requests are added, which `usage` adds by itself.
                    self._used += report.usage
                    uncharged = self.uncharged
                    report.charge(uncharged)
                    self._charged += uncharged
                    _warn_of_rejected(report)
                    total = report.dollars
                    if self._setup is not None and not error and total is not None:
                        report.hint = hint(measured(report), self._setup(), report.seconds, total)

    def _ended(self, report: JobReport, event: TaskEnded) -> None:
        stage = report.stage(event.id.stage)
        stage.running -= 1
        stage.throttled += event.refused
        # Without an error: superseded by another attempt, or gone on in its next link.
        stage.failed += not event.accepted and not event.refused and bool(event.error)
        stage.done += event.accepted
        stage.failed_attempts += not event.accepted
        if event.refused and event.id.attempt % (1 << LOAN_BITS) and not event.id.link:
            stage.retries -= 1  # it never ran, and will be started again under the same number
        report.count(stage, event.metrics)

    def _recovered(self, report: JobReport, number: int, links: tuple[TaskMetrics, ...]) -> None:
        stage = report.stage(number)
        stage.done += 1
        stage.recovered += 1
        for metrics in links:
            report.count(stage, metrics)

    @property
    def uncharged(self) -> Usage:
        """The driver's own requests since the last job ended."""
        return self._asked() - self._charged

    @property
    def usage(self) -> Usage:
        """All that was used so far, by every job and by the driver itself."""
        running = (job.usage for job in self.jobs.values() if job.running)
        return sum(running, self._used) + self._asked()

    @property
    def cost(self) -> Cost:
        """What `usage` costs. Raises UnpricedRegionError."""
        return price(self.usage, prices_of(self._region))


def sum_metrics(several: Sequence[TaskMetrics]) -> TaskMetrics:
    """Return the sums, and of peaks the largest; zeros for an empty sequence."""
    if not several:
        return TaskMetrics()
    columns = zip(*map(_summed, several), strict=True)
    values: dict[str, Any] = dict(zip(_SUMMED, map(sum, columns), strict=True))
    columns = zip(*map(_largest, several), strict=True)
    values.update(zip(_LARGEST, map(max, columns), strict=True))
    rejected: Counter[str] = Counter()
    for metrics in several:
        if metrics.rejected_frames:
            rejected.update(metrics.rejected_frames)
    return TaskMetrics(rejected_frames=dict(rejected), **values)


def measured(report: JobReport) -> list[Measured]:
    """Return a job's stages as they ran."""
    return [
        Measured(
            stage.id, stage.name, stage.tasks, stage.attempts, stage.parents, m.seconds,
            m.load_seconds, m.computing_seconds, m.input_bytes, m.shuffle_read_bytes,
            m.shuffle_write_bytes, m.shuffle_write_records, m.peak_memory_bytes,
        )
        for stage in report.stages
        for m in (stage.metrics,)
    ]  # fmt: skip


def _warn_of_rejected(report: JobReport) -> None:
    """Warn of frames that were not the job's own: something else wrote to its queues or objects."""
    rejected = report.metrics.rejected_frames
    if rejected:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(rejected.items()))
        _log.warning(
            "job %s (%s) dropped %d frames that were not its own: %s. None of them was decoded. "
            "Check who may write to its queues and to its bucket",
            report.id, report.name, sum(rejected.values()), reasons,
        )  # fmt: skip


def task_usage(metrics: TaskMetrics, memory_mb: int, *, estimate: bool) -> Usage:
    """Return what AWS bills for an attempt; with `estimate`, what it would bill for a local one."""
    return Usage._make(_task_figures(metrics, memory_mb, estimate))


def task_dollars(
    metrics: TaskMetrics, memory_mb: int, *, estimate: bool, prices: PriceTable
) -> float:
    """Return what `task_usage` costs."""
    return dollars(_task_figures(metrics, memory_mb, estimate), prices)


def _task_figures(m: TaskMetrics, memory_mb: int, estimate: bool) -> tuple[float, ...]:
    """Return the figures of `task_usage`: they are made for each task, several times, and a plain
    tuple takes a tenth of the time.
    """
    seconds = m.billed_seconds or m.seconds
    if not seconds:
        return _NOTHING  # it was throttled, or ended without saying how long it ran
    written, read = m.shuffle_write_bytes, m.shuffle_read_bytes
    moved = written + read
    requests = m.sqs_requests
    if estimate:
        requests = _estimated_requests(written) + _estimated_requests(read) if moved else 0
    return (
        billed_gb_seconds(seconds, m.memory_mb or memory_mb),
        1,
        0.0,
        requests,
        moved,
        m.s3_puts,
        m.s3_gets,
        m.input_bytes,
        0.0,
    )


_NOTHING: Final = tuple(Usage())


def _estimated_requests(shuffled_bytes: int) -> int:
    return billed_sqs_requests(shuffled_bytes * 4 // 3) if shuffled_bytes else 0
