"""Event logs read back: runs, their jobs, stages and tasks. Also of a run that still goes on."""

from __future__ import annotations

import json
import os
import socket
from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from pathlib import Path
from statistics import median
from typing import Any, Final, Literal

from aflint.cost import US_EAST_1, is_priced
from aflint.errors import EventLogError
from aflint.events import Predicted
from aflint.observe.eventlog import FORMAT
from aflint.observe.history import is_rolling
from aflint.observe.logfile import IN_PROGRESS
from aflint.observe.rolling import part_number

_READ_BYTES: Final = 4 << 20

PHASES: Final = ("queued", "cold", "load", "read", "fetch", "compute", "write")
"""What a task's time goes by, in the order in which it is shown: waiting for a slot, the start of
a function's environment, its program, input, shuffled frames, computing, and writing frames.
"""


@dataclass(slots=True)
class Task:
    """An attempt of a task, or a link of one. Times are seconds since the epoch."""

    id: int
    index: int
    launched: float
    attempt: int = 0
    link: int = 0
    executor: str = ""
    finished: float | None = None
    status: Literal["running", "done", "failed", "stopped", "throttled"] = "running"
    error: str = ""
    logs: str = ""
    # Seconds by phase.
    phases: dict[str, float] = field(default_factory=dict)
    dollars: float = 0.0
    read: int = 0
    fetched: int = 0
    shuffled: int = 0
    written: int = 0
    spilled: int = 0
    peak: int = 0
    records: int = 0
    sent: int = 0
    """The records that it put into shuffles."""
    objects: int = 0
    """Of the bytes fetched and shuffled, those by objects or files."""
    # Of a processor, and waiting for one that others had.
    cpu: float = 0.0
    delay: float = 0.0
    # Requests to AWS: of SQS as they are billed.
    sqs: int = 0
    puts: int = 0
    gets: int = 0

    @property
    def seconds(self) -> float:
        """From its launch to its end; 0 while it runs."""
        return self.finished - self.launched if self.finished is not None else 0.0

    @property
    def taken_in(self) -> int:
        """The bytes that it read and fetched."""
        return self.read + self.fetched


_SUMMED: Final = (
    "dollars", "read", "fetched", "shuffled", "written", "spilled", "records", "sent", "objects",
    "cpu", "sqs", "puts", "gets",
)  # fmt: skip
"""The figures of tasks that a stage has the sums of."""


@dataclass(slots=True)
class Stage:
    """A stage of a job of `asked` tasks; `id` is its number in the run."""

    id: int
    name: str
    asked: int
    parents: tuple[int, ...] = ()
    rdds: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    submitted: float | None = None
    completed: float | None = None
    skipped: bool = False
    error: str = ""
    tasks: dict[int, Task] = field(default_factory=dict)
    # Counted as tasks end: a page lists many jobs again and again, and draws one with 10,000 tasks.
    failures: int = 0
    seconds: list[float] = field(default_factory=list)
    """How long the tasks took that are done, in ascending order."""
    phases: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))
    """Seconds by phase, of the tasks that are done."""
    _sums: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_SUMMED, 0))
    _done: set[int] = field(default_factory=set)
    # What the page shows of it, and of how many attempts: see `aflint.observe.views`.
    summed: tuple[int, dict[str, Any]] | None = field(default=None, compare=False)

    def count(self, task: Task) -> None:
        """Take in a task that ended."""
        self.tasks[task.id] = task
        self.failures += task.status == "failed"
        for name in _SUMMED:
            self._sums[name] += getattr(task, name)
        if task.status == "done":
            self._done.add(task.index)
            insort(self.seconds, task.seconds)
            for phase, seconds in task.phases.items():
                self.phases[phase] += seconds

    @property
    def state(self) -> str:
        """In one word."""
        if self.error:
            return "failed"
        if self.completed is not None:
            return "done"
        if self.submitted is not None:
            return "running"
        return "skipped" if self.skipped else "waiting"

    def ended(self, status: str = "done") -> list[Task]:
        """Return the tasks that ended in a way."""
        return [task for task in self.tasks.values() if task.status == status]

    @property
    def dollars(self) -> float:
        """What its attempts have cost so far."""
        return self.sum("dollars")

    @property
    def done(self) -> int:
        """How many of its tasks are done."""
        return len(self._done)

    def sum(self, name: str) -> float:
        """Return the sum of a figure over all attempts: while one runs, it has none."""
        return self._sums[name]


@dataclass(slots=True)
class Query:
    """A query of SQL, or of a DataFrame: `plan` is Spark's physical plan, as Spark writes it."""

    name: str
    plan: str
    error: str = ""


@dataclass(slots=True)
class Job:
    """A job of a run; `id` is what aflint calls it, such as 3f0c9a12-4."""

    id: str
    name: str
    stages: list[Stage]
    submitted: float
    transport: str = ""
    targets: tuple[str, ...] = ()
    completed: float | None = None
    error: str = ""
    # What was billed for it, the driver's own requests included; None until it ends.
    billed: float | None = None
    # What was predicted before: dollars and seconds.
    predicted: Predicted | None = None
    query: Query | None = None

    @property
    def dollars(self) -> float:
        """What it has cost so far."""
        return self.billed if self.billed is not None else sum(s.dollars for s in self.stages)


@dataclass(slots=True)
class Run:
    """What one event log tells."""

    id: str = ""
    name: str = ""
    backend: str = "spark"
    estimated: bool = False
    version: str = ""
    region: str = US_EAST_1.region
    """The one at whose prices dollars are told."""
    began: float = 0.0
    ended: float | None = None
    driver: tuple[str, int] | None = None
    """The machine and the process id of its driver."""
    settings: dict[str, str] = field(default_factory=dict)
    executors: list[str] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)

    def dollars(self, job: Job | Stage) -> float | None:
        """Return what a job, or a stage, has cost so far; None without prices for the region."""
        return job.dollars if is_priced(self.region) else None

    def state(self, job: Job) -> str:
        """Say in one word what has become of a job: `lost` where its driver was killed."""
        if job.completed is not None:
            return "failed" if job.error else "done"
        return "lost" if self.ended is not None or self._killed() else "running"

    def _killed(self) -> bool:
        """Say whether the driver is gone: of those on other machines that is not known."""
        if self.driver is None or self.driver[0] != socket.gethostname():
            return False
        try:
            os.kill(self.driver[1], 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # another user's
            return False
        return False


class LogReader:
    """Reads one event log, a file or a folder of parts, and later what was added to it since.

    A line that is not whole yet is read when it is. Raises EventLogError for a log that
    another version of aflint wrote in another format, and for a file that is no event log.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = Run()
        self._reading = path
        self._at = 0
        # Of a rolling log, which part was read last.
        self._part = 0
        self._rest = b""
        self._stages: dict[int, Stage] = {}
        self._tasks: dict[int, Task] = {}
        self._jobs: dict[int, Job] = {}
        self._queries: dict[int, Query] = {}

    def read(self) -> bool:
        """Take in what is new; say whether anything was."""
        path = self._where()
        if not is_rolling(path):
            return self._read_on(path)
        parts = {part_number(each.name): each for each in path.iterdir()}
        new = False
        for number in sorted(number for number in parts if number >= max(1, self._part)):
            if number != self._part:
                self._part, self._at = number, 0
            new |= self._read_on(parts[number])
        return new

    def _read_on(self, path: Path) -> bool:
        at, self._reading = self._at, path
        with path.open("rb") as file:
            file.seek(at)
            while block := file.read(_READ_BYTES):
                self._at += len(block)
                *lines, self._rest = (self._rest + block).split(b"\n")
                for line in lines:
                    self._take(line)
        return self._at > at

    def grown(self) -> bool:
        """Say whether there is something new in the file that was read last, without reading it."""
        try:
            return self._reading.stat().st_size > self._at
        except FileNotFoundError:  # renamed or removed meanwhile
            return True

    def _where(self) -> Path:
        if self.path.exists() or not self.path.name.endswith(IN_PROGRESS):
            return self.path
        return self.path.with_name(self.path.name.removesuffix(IN_PROGRESS))

    def _take(self, line: bytes) -> None:
        try:
            event: dict[str, Any] = json.loads(line)
            handle = _HANDLERS.get(event["Event"])
            if handle is not None:
                handle(self, event)
        except (ValueError, LookupError, TypeError, AttributeError):
            raise EventLogError(
                f"{self.path} is no event log, or a damaged one: remove it"
            ) from None

    def _log_start(self, event: dict[str, Any]) -> None:
        ours = event.get("aflint", {})
        if ours.get("format", FORMAT) != FORMAT:
            raise EventLogError(
                f"{self.path} was written by aflint {ours.get('version', '?')} in format "
                f"{ours['format']}, and aflint reads format {FORMAT}: use that version for it"
            )
        run = self.run
        run.version = ours.get("version", event.get("Spark Version", "?"))
        run.backend = ours.get("backend", run.backend)
        run.estimated = ours.get("estimated", False)
        run.id = ours.get("run", "")
        run.region = ours.get("region", run.region)
        run.driver = tuple(ours["driver"]) if "driver" in ours else None

    def _application_start(self, event: dict[str, Any]) -> None:
        run = self.run
        run.name, run.began = event["App Name"], _seconds(event["Timestamp"])
        run.id = run.id or event.get("App ID", self.path.name)

    def _application_end(self, event: dict[str, Any]) -> None:
        self.run.ended = _seconds(event["Timestamp"])

    def _environment(self, event: dict[str, Any]) -> None:
        self.run.settings = event["Spark Properties"]

    def _executor_added(self, event: dict[str, Any]) -> None:
        self.run.executors.append(event["Executor ID"])

    def _job_start(self, event: dict[str, Any]) -> None:
        stages = [_stage(each) for each in event["Stage Infos"]]
        # Spark's own jobs may name stages again that an earlier one has run.
        self._stages.update({stage.id: stage for stage in stages})
        ours, properties = event.get("aflint", {}), event.get("Properties", {})
        number, query = event["Job ID"], properties.get("spark.sql.execution.id")
        job = Job(
            ours.get("job", f"{self.run.id}-{number}"),
            properties.get("callSite.short", stages[-1].name if stages else ""),
            sorted(stages, key=lambda stage: stage.id),
            _seconds(event["Submission Time"]),
            ours.get("transport", ""),
            tuple(ours.get("targets", ())),
            predicted=Predicted(*ours["predicted"]) if ours.get("predicted") else None,
            query=self._queries.get(int(query)) if query is not None else None,
        )
        self._jobs[number] = job
        self.run.jobs.append(job)

    def _query_start(self, event: dict[str, Any]) -> None:
        query = Query(event["description"], event["physicalPlanDescription"])
        self._queries[event["executionId"]] = query

    def _query_end(self, event: dict[str, Any]) -> None:
        if (query := self._queries.get(event["executionId"])) is not None:
            query.error = event.get("errorMessage") or ""

    def _job_end(self, event: dict[str, Any]) -> None:
        job = self._jobs[event["Job ID"]]
        job.completed = _seconds(event["Completion Time"])
        job.error = event["Job Result"].get("Exception", {}).get("Message", "")
        job.billed = event.get("aflint", {}).get("dollars")

    def _stage_skipped(self, event: dict[str, Any]) -> None:
        self._stages[event["Stage ID"]].skipped = True

    def _tasks_added(self, event: dict[str, Any]) -> None:
        self._stages[event["Stage ID"]].asked += event["Number of Tasks"]

    def _stage_changed(self, event: dict[str, Any]) -> None:
        info = event["Stage Info"]
        stage = self._stages.setdefault(info["Stage ID"], _stage(info))
        stage.submitted = _seconds(info.get("Submission Time"))
        stage.completed = _seconds(info.get("Completion Time"))
        stage.error = info.get("Failure Reason", "")

    def _launched(self, event: dict[str, Any]) -> None:
        task = Task(event["Task ID"], event["Index"], event["Time"] / 1000)
        self._tasks[task.id] = self._stages[event["Stage ID"]].tasks[task.id] = task

    def _refused(self, event: dict[str, Any]) -> None:
        task = self._tasks[event["Task ID"]]
        task.status, task.finished = "throttled", event["Time"] / 1000

    def _task_end(self, event: dict[str, Any]) -> None:
        info, metrics, ours = event["Task Info"], event.get("Task Metrics"), event.get("aflint", {})
        id, launched = info["Task ID"], info["Launch Time"] / 1000
        stage = self._stages.get(event["Stage ID"])
        task = self._tasks.setdefault(id, Task(id, info["Index"], launched))
        task.attempt, task.link = info["Attempt"], ours.get("link", 0)
        task.executor, task.finished = info["Executor ID"], info["Finish Time"] / 1000
        reason = event["Task End Reason"]
        if reason["Reason"] != "Success":
            task.status = "stopped" if info.get("Killed") else "failed"
            task.error = _why(reason)
        else:
            task.status = "done"
        task.logs, task.dollars = ours.get("logs", ""), ours.get("dollars") or 0.0
        if metrics:
            _measured(task, metrics, ours)
        if stage is not None:
            stage.count(task)


def _measured(task: Task, metrics: dict[str, Any], ours: dict[str, Any]) -> None:
    """Take in a task's metrics."""
    read, written = metrics.get("Input Metrics", {}), metrics.get("Output Metrics", {})
    task.read, task.written = read.get("Bytes Read", 0), written.get("Bytes Written", 0)
    fetched, waited_to_fetch = metrics.get("Shuffle Read Metrics", {}), 0.0
    if fetched:
        task.fetched = fetched["Remote Bytes Read"] + fetched["Local Bytes Read"]
        waited_to_fetch = fetched["Fetch Wait Time"] / 1000
    shuffled, waited_to_write = metrics.get("Shuffle Write Metrics", {}), 0.0
    if shuffled:
        task.shuffled = shuffled["Shuffle Bytes Written"]
        waited_to_write = shuffled["Shuffle Write Time"] / 1e9
    task.spilled = metrics["Disk Bytes Spilled"]
    task.peak = metrics.get("Peak Execution Memory", 0)
    task.records = read.get("Records Read", 0) + fetched.get("Total Records Read", 0)
    task.sent = shuffled.get("Shuffle Records Written", 0)
    task.objects = ours.get("objects_read", 0) + ours.get("objects_written", 0)
    task.cpu = metrics.get("Executor CPU Time", 0) / 1e9
    task.delay = ours.get("delay", 0.0)
    task.sqs, task.puts, task.gets = (ours.get(name, 0) for name in ("sqs", "puts", "gets"))
    ran = metrics["Executor Run Time"] / 1000
    waits = {
        "read": ours.get("read", 0.0),
        "fetch": ours.get("fetch", waited_to_fetch),
        "write": ours.get("write", waited_to_write),
    }
    task.phases = {
        "queued": ours.get("queued", 0.0),
        "cold": ours.get("cold", 0.0),
        "load": metrics["Executor Deserialize Time"] / 1000,
        **waits,
        "compute": max(0.0, ran - sum(waits.values())),
    }


def _why(reason: dict[str, Any]) -> str:
    match reason["Reason"]:
        case "ExceptionFailure":
            said = reason.get("Full Stack Trace") or reason.get("Description", "")
            return f"{reason['Class Name']}: {said}"
        case "TaskKilled":
            return str(reason.get("Kill Reason", ""))
        case "ExecutorLostFailure":
            return str(reason.get("Loss Reason", ""))
        case other:
            return str(other)


def _stage(info: dict[str, Any]) -> Stage:
    rdds = info["RDD Info"]
    return Stage(
        info["Stage ID"],
        info["Stage Name"],
        info["Number of Tasks"],
        tuple(info["Parent IDs"]),
        tuple(rdd.get("Callsite") or rdd["Name"] for rdd in rdds),
        tuple(path for rdd in rdds for path in rdd.get("aflint", {}).get("paths", ())),
    )


def _seconds(milliseconds: Any) -> Any:
    return None if milliseconds is None else milliseconds / 1000


_OF_SQL: Final = "org.apache.spark.sql.execution.ui.SparkListenerSQL"
_HANDLERS: Final = {
    "SparkListenerLogStart": LogReader._log_start,
    "SparkListenerApplicationStart": LogReader._application_start,
    "SparkListenerApplicationEnd": LogReader._application_end,
    "SparkListenerEnvironmentUpdate": LogReader._environment,
    "SparkListenerExecutorAdded": LogReader._executor_added,
    "SparkListenerJobStart": LogReader._job_start,
    "SparkListenerJobEnd": LogReader._job_end,
    "SparkListenerStageSubmitted": LogReader._stage_changed,
    "SparkListenerStageCompleted": LogReader._stage_changed,
    "SparkListenerTaskEnd": LogReader._task_end,
    f"{_OF_SQL}ExecutionStart": LogReader._query_start,
    f"{_OF_SQL}ExecutionEnd": LogReader._query_end,
    "aflint.StageSkipped": LogReader._stage_skipped,
    "aflint.TasksAdded": LogReader._tasks_added,
    "aflint.TaskLaunched": LogReader._launched,
    "aflint.TaskRefused": LogReader._refused,
}


# ---- why a task was slow


def slowest(stage: Stage, most: int = 3) -> Iterator[tuple[Task, str]]:
    """Yield the tasks of a stage that took longest, each with why; none of a stage of one task."""
    done = stage.ended()
    if len(done) < 2:
        return
    medians = median_input(done)
    for task in nlargest(most, done, key=lambda task: task.seconds):
        yield task, why_slow(task, medians)


def median_input(tasks: Sequence[Task]) -> tuple[float, float]:
    """Return how many bytes, and how many records, the median task read and fetched."""
    return median(task.taken_in for task in tasks), median(task.records for task in tasks)


def why_slow(task: Task, medians: tuple[float, float]) -> str:
    """Say in words what a task's time went by, beside those of its stage. Pure."""
    said = []
    bytes_of, records_of = medians
    if bytes_of and task.taken_in > 2 * bytes_of:
        said.append(f"skew: it read {task.taken_in / bytes_of:.1f} times the median bytes")
    elif records_of and task.records > 2 * records_of:
        said.append(f"skew: it had {task.records / records_of:.1f} times the median records")
    if task.spilled:
        said.append("it spilled")
    if task.attempt:
        said.append(f"it is attempt {task.attempt + 1}")
    # A wait for a slot is not the task's own.
    own = {phase: seconds for phase, seconds in task.phases.items() if phase != "queued"}
    phase, longest = max(own.items(), key=lambda each: each[1], default=("", 0.0))
    took = sum(own.values())
    if longest > 0.4 * took:
        said.append(f"{_PHASE_WORDS[phase]} {longest:.2f} of {took:.2f} s")
    return "; ".join(said) or "nothing stands out"


_PHASE_WORDS: Final = {
    "cold": "its environment started for",
    "load": "loaded its program for",
    "read": "waited for input",
    "fetch": "waited for shuffled frames",
    "compute": "computed for",
    "write": "waited for frames to be taken",
}
