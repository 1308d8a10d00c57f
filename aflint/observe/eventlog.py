"""What happens in a run as Spark's event log, which Spark's History Server reads.

One format serves all: the History Server reads it, and so do `aflint jobs` and the page. What Spark
has no word for stands beside its own, under the key "aflint", and in events of the class
"aflint.*": Spark skips both.

Spark's TaskStart names the executor. Which environment of a function runs a task is known when its
result comes back, so TaskStart is written together with TaskEnd. Of an attempt that has not ended
by the time that the lines are taken, an "aflint.TaskLaunched" says meanwhile that it runs.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from aflint import __version__
from aflint.cost import PriceTable, is_priced, prices_of
from aflint.driver.report import sum_metrics, task_dollars
from aflint.events import (
    Event,
    JobEnded,
    JobStarted,
    PlanInfo,
    QueryEnded,
    QueryStarted,
    RddInfo,
    RunEnded,
    RunStarted,
    StageEnded,
    StageInfo,
    StageSkipped,
    StageStarted,
    TaskEnded,
    TaskRecovered,
    TasksAdded,
    TaskStarted,
)
from aflint.scheduler.messages import LOAN_BITS
from aflint.task import TaskId, TaskMetrics

FORMAT: Final = 1
"""Of what stands under "aflint"; it grows when a reader of the one before could not read it."""

SPARK_VERSION: Final = "3.5.0"
"""The version of Spark's event log that is written."""

_MOST_LOG: Final = 4096
_UNKNOWN: Final = "unknown"
"""Stands for dollars of a region that has no prices."""
_NO_EXECUTOR: Final = "lost"
"""Stands for the executor of attempts of which no result came back."""


def _writer(takes: str, *events: dict[str, Any]) -> Callable[..., str]:
    """Return a function of the parameters `takes` that gives events as lines.

    A value such as "= m.input_bytes" is an expression whose value is JSON, one such as "text = x"
    an expression for a text, and "3 = x" one for a number of so many decimals. All of it becomes
    one f-string: encoding such an event anew for each task takes several times as long.
    """
    text = "".join(json.dumps(event, separators=(",", ":")) + "\n" for event in events)
    text = text.replace("{", "{{").replace("}", "}}")
    text = re.sub(r'"= ([^"]+)"', r"{\1}", text)
    text = re.sub(r'"text = ([^"]+)"', r'"{\1}"', text)
    # Most of these are 0, which takes a tenth of the time.
    text = re.sub(r'"(\d) = ([^"]+)"', r"{'%.\1f' % \2 if \2 else '0.0'}", text)
    # Compiled first: to evaluate a string makes Python forget that Ctrl-C is what ends a program.
    code = compile(f'lambda {takes}: f"""{text}"""', __name__, "eval")
    made: Callable[..., str] = eval(code, {"int": int})
    return made


_info: Final = _writer(
    "t, executor",
    {
        "Task ID": "= t.id",
        "Index": "= t.index",
        "Attempt": "= t.attempt",
        "Partition ID": "= t.index",
        "Launch Time": "= t.launched",
        # And its host, and where that was.
        "Executor ID": "= executor",
        "Speculative": "= t.speculative",
        "Getting Result Time": 0,
    },
)
_INFO: Final = slice(len('{"Task ID":'), -len("}\n"))
"""What is kept of `_info`'s text, so that as the value of "Task ID" it brings all that follows in
the description that both events of a task have.
"""
_launched_line: Final = _writer(
    "t",
    {
        "Event": "aflint.TaskLaunched",
        "Stage ID": "= t.stage.id",
        "Task ID": "= t.id",
        "Index": "= t.index",
        "Time": "= t.launched",
    },
)
_refused_line: Final = _writer(
    "t, now", {"Event": "aflint.TaskRefused", "Task ID": "= t.id", "Time": "= now"}
)
_TRANSFERS: Final[dict[str, dict[str, Any]]] = {
    "Shuffle Read Metrics": {
        "Remote Blocks Fetched": "= m.shuffle_read_frames",
        "Local Blocks Fetched": 0,
        "Fetch Wait Time": "= int(m.fetch_seconds * 1000)",
        "Remote Bytes Read": "= m.shuffle_read_bytes",
        "Remote Bytes Read To Disk": 0,
        "Local Bytes Read": 0,
        "Total Records Read": "= m.shuffle_read_records",
    },
    "Shuffle Write Metrics": {
        "Shuffle Bytes Written": "= m.shuffle_write_bytes",
        "Shuffle Write Time": "= int(m.write_seconds * 1e9)",
        "Shuffle Records Written": "= m.shuffle_write_records",
    },
    "Input Metrics": {"Bytes Read": "= m.input_bytes", "Records Read": "= m.input_records"},
    "Output Metrics": {
        "Bytes Written": "= m.output_bytes",
        "Records Written": "= m.output_records",
    },
}
"""What a task reads and writes; what it did not is left out."""


@cache
def _task_writer(
    fetched: bool, shuffled: bool, read: bool, written: bool, spilled: bool, asked: bool
) -> Callable[..., str]:
    """Return what writes a task that read or wrote so, that spilled, that asked AWS for something.

    What it did not is constant, or left out where Spark leaves it out: most did one or two of them.
    """
    has = (fetched, shuffled, read, written)
    transfers = {
        name: value for (name, value), there in zip(_TRANSFERS.items(), has, strict=True) if there
    }
    return _writer(
        "t, s, m, info, now, reason, failed, killed, dollars, spent, logs",
        {
            "Event": "SparkListenerTaskStart",
            "Stage ID": "= s.id",
            "Stage Attempt ID": 0,
            "Task Info": {
                "Task ID": "= info",
                "Finish Time": 0,
                "Failed": False,
                "Killed": False,
                "Accumulables": [],
            },
        },
        {
            "Event": "SparkListenerTaskEnd",
            "Stage ID": "= s.id",
            "Stage Attempt ID": 0,
            "Task Type": "= s.type",
            "Task End Reason": "= reason",
            "Task Info": {
                "Task ID": "= info",
                "Finish Time": "= now",
                "Failed": "= failed",
                "Killed": "= killed",
                "Accumulables": [
                    {
                        "ID": "= s.id",
                        "Name": "dollars",
                        "Update": "text = dollars",
                        "Value": "text = spent",
                        "Internal": False,
                        "Count Failed Values": True,
                    }
                ],
            },
            "Task Executor Metrics": {"ProcessTreePythonRSSMemory": "= m.peak_memory_bytes"},
            "Task Metrics": {
                "Executor Deserialize Time": "= int(m.load_seconds * 1000)",
                "Executor Deserialize CPU Time": 0,
                "Executor Run Time": "= int((m.seconds - m.load_seconds) * 1000)",
                "Executor CPU Time": "= int(m.cpu_seconds * 1e9)",
                "Peak Execution Memory": "= m.peak_memory_bytes",
                "Result Size": "= m.result_bytes",
                "JVM GC Time": 0,
                "Result Serialization Time": 0,
                "Memory Bytes Spilled": "= m.spilled_bytes" if spilled else 0,
                "Disk Bytes Spilled": "= m.spilled_bytes" if spilled else 0,
                **transfers,
                "Updated Blocks": [],
            },
            "aflint": {
                "link": "= t.link",
                "queued": "3 = t.queued",
                "cold": "3 = m.init_seconds" if asked else 0,
                "delay": "4 = m.delay_seconds",
                "read": "4 = m.read_seconds",
                "fetch": "4 = m.fetch_seconds" if fetched else 0,
                "write": "4 = m.write_seconds" if shuffled else 0,
                "objects_read": "= m.shuffle_read_object_bytes" if fetched else 0,
                "objects_written": "= m.shuffle_write_object_bytes" if shuffled else 0,
                "sqs": "= m.sqs_requests" if asked else 0,
                "puts": "= m.s3_puts" if asked else 0,
                "gets": "= m.s3_gets" if asked else 0,
                "billed": "3 = m.billed_seconds" if asked else 0,
                "memory_mb": "= m.memory_mb" if asked else 0,
                "dollars": "= dollars",
                "logs": "= logs",
            },
        },
    )


_OF_SQL: Final = "org.apache.spark.sql.execution.ui.SparkListenerSQL"
_SUCCESS: Final = '{"Reason":"Success"}'


@dataclass(slots=True)
class _Stage:
    info: StageInfo
    id: int
    type: str
    submitted: int | None = None
    completed: bool = False
    dollars: float = 0.0


@dataclass(slots=True)
class _Attempt:
    """What is known of an attempt from its launch on."""

    id: int
    stage: _Stage
    index: int
    attempt: int
    link: int
    launched: int
    queued: float
    # As JSON.
    speculative: str
    said: bool = False
    """Whether a line says that it was launched."""


@dataclass(slots=True)
class _Job:
    id: int
    name: str
    stages: dict[int, _Stage]
    running: dict[TaskId, _Attempt] = field(default_factory=dict)


class EventLog:
    """Turns events into the lines of a log, beginning with those of the run itself.

    `take` each event, then `text` gives the lines that are new. `attempt` numbers the runs of one
    id, from 1; None where there is only one.
    """

    def __init__(self, attempt: int | None = None) -> None:
        self._attempt = attempt
        self._now = 0
        self._lines: list[str] = []
        self._run: RunStarted | None = None
        self._jobs: dict[str, _Job] = {}
        # The next number of each.
        self._job = self._stage = self._task = 0
        # What tasks say of each executor that was met, as JSON.
        self._executors: dict[str, str] = {}
        self._host_text = '""'
        self._prices: PriceTable | None = None

    def take(self, event: Event, now: int, dollars: float | None = None) -> None:
        """Take in an event of a time, in milliseconds since the epoch.

        `dollars` are what the job is billed that it ends, with the driver's own requests.
        """
        self._now = now
        match event:
            case TaskStarted():
                self._start(event)
            case TaskEnded():
                self._ended(event)
            case JobStarted():
                self._job_started(event)
            case StageStarted(job, stage):
                self._submit(self._jobs[job].stages[stage])
            case StageEnded(job, stage):
                self._complete(self._jobs[job].stages[stage])
            case StageSkipped(job, stage):
                found = self._jobs[job].stages[stage]
                self._put({"Event": "aflint.StageSkipped", "Stage ID": found.id})
            case TasksAdded(job, stage, partition, tasks):
                found = self._jobs[job].stages[stage]
                added = {"Stage ID": found.id, "Partition": partition, "Number of Tasks": tasks}
                self._put({"Event": "aflint.TasksAdded", **added})
            case TaskRecovered():
                self._recovered(event)
            case JobEnded(job, error):
                self._job_ended(self._jobs.pop(job), error, dollars)
            case QueryStarted():
                self._query_started(event)
            case QueryEnded(query, error):
                ended = {"executionId": query, "time": now, "errorMessage": error}
                self._put({"Event": f"{_OF_SQL}ExecutionEnd", **ended})
            case RunStarted():
                self._run_started(event)
            case RunEnded():
                self._put({"Event": "SparkListenerApplicationEnd", "Timestamp": now})

    def text(self) -> str:
        """Return the lines since the last call, each with its end."""
        for job in self._jobs.values():
            for attempt in job.running.values():
                self._say_launched(attempt)
        text = "".join(self._lines)
        self._lines.clear()
        return text

    def _put(self, event: dict[str, Any]) -> None:
        self._lines.append(json.dumps(event, separators=(",", ":")) + "\n")

    # ---- the run

    def _run_started(self, run: RunStarted) -> None:
        self._run = run
        self._host_text = json.dumps(run.host)
        self._prices = prices_of(run.region) if is_priced(run.region) else None
        about = {"format": FORMAT, "version": __version__, "estimated": run.estimated}
        self._put(
            {
                "Event": "SparkListenerLogStart",
                "Spark Version": SPARK_VERSION,
                "aflint": {
                    **about,
                    "run": run.run,
                    "backend": run.backend,
                    "region": run.region,
                    "driver": [socket.gethostname(), os.getpid()],
                },
            }
        )
        application = {
            "Event": "SparkListenerApplicationStart",
            "App Name": run.name,
            "App ID": app_id(run.run),
            "Timestamp": self._now,
            "User": _user(),
        }
        if self._attempt is not None:
            application["App Attempt ID"] = str(self._attempt)
        self._put(application)
        properties = {f"spark.aflint.{name}": value for name, value in run.settings.items()}
        properties |= {
            "spark.app.id": app_id(run.run),
            "spark.app.name": run.name,
            "spark.master": f"aflint[{run.backend}]",
        }
        self._put(
            {
                "Event": "SparkListenerEnvironmentUpdate",
                "JVM Information": {},
                "Spark Properties": properties,
                "Hadoop Properties": {},
                "System Properties": {
                    "aflint.version": __version__,
                    "python.version": platform.python_version(),
                },
                "Metrics Properties": {},
                "Classpath Entries": {},
            }
        )
        self._add_executor("driver", 0)

    def _add_executor(self, id: str, cores: int = 1) -> str:
        """Write down an executor that is met the first time; return what its tasks say of it."""
        now = self._now
        self._put(
            {
                "Event": "SparkListenerBlockManagerAdded",
                "Block Manager ID": {"Executor ID": id, "Host": self._host, "Port": 1},
                "Maximum Memory": 0,
                "Timestamp": now,
            }
        )
        if cores:
            info = {"Host": self._host, "Total Cores": cores, "Log Urls": {}}
            self._put(
                {
                    "Event": "SparkListenerExecutorAdded",
                    "Timestamp": now,
                    "Executor ID": id,
                    "Executor Info": {**info, "Attributes": {}, "Resources": {}},
                }
            )
        ran = self._executors[id] = f'{json.dumps(id)},"Host":{self._host_text},"Locality":"ANY"'
        return ran

    @property
    def _host(self) -> str:
        return self._run.host if self._run is not None else ""

    # ---- jobs and stages

    def _job_started(self, event: JobStarted) -> None:
        first, self._stage = self._stage, self._stage + len(event.stages)
        stages = {
            info.id: _Stage(
                info, first + place, '"ShuffleMapTask"' if info.writes_shuffle else '"ResultTask"'
            )
            for place, info in enumerate(event.stages)
        }
        job = self._jobs[event.job] = _Job(self._job, event.name, stages)
        self._job += 1
        properties = {"callSite.short": event.name, "spark.job.description": event.name}
        if event.query is not None:
            properties["spark.sql.execution.id"] = str(event.query)
            properties["spark.sql.execution.root.id"] = str(event.query)
        self._put(
            {
                "Event": "SparkListenerJobStart",
                "Job ID": job.id,
                "Submission Time": self._now,
                "Stage Infos": [self._described(stage, stages) for stage in stages.values()],
                "Stage IDs": [stage.id for stage in stages.values()],
                "Properties": properties,
                "aflint": {
                    "job": event.job,
                    "transport": event.transport,
                    "targets": [info.target for info in event.stages if info.target],
                    "predicted": None
                    if event.predicted is None
                    else [event.predicted.dollars, event.predicted.seconds],
                },
            }
        )

    def _query_started(self, event: QueryStarted) -> None:
        self._put(
            {
                "Event": f"{_OF_SQL}ExecutionStart",
                "executionId": event.query,
                "rootExecutionId": event.query,
                "description": event.name,
                "details": "",
                "physicalPlanDescription": f"== Physical Plan ==\n{event.plan.tree()}\n",
                "sparkPlanInfo": _plan(event.plan),
                "time": self._now,
                "modifiedConfigs": {},
                "jobTags": [],
            }
        )

    def _described(self, stage: _Stage, stages: dict[int, _Stage], **more: Any) -> dict[str, Any]:
        info = stage.info
        dollars = {
            "ID": stage.id,
            "Name": "dollars",
            "Value": f"{stage.dollars:.9f}",
            "Internal": False,
            "Count Failed Values": True,
        }
        return {
            "Stage ID": stage.id,
            "Stage Attempt ID": 0,
            "Stage Name": info.name,
            "Number of Tasks": info.tasks,
            "RDD Info": [_rdd(rdd) for rdd in info.rdds],
            "Parent IDs": [stages[parent].id for parent in info.parents],
            "Details": "\n".join(rdd.name for rdd in reversed(info.rdds)),
            "Accumulables": [dollars] if stage.dollars else [],
            "Resource Profile Id": 0,
            **more,
        }

    def _job_of(self, stage: _Stage) -> _Job:
        return next(job for job in self._jobs.values() if job.stages.get(stage.info.id) is stage)

    def _submit(self, stage: _Stage) -> None:
        stage.submitted = self._now
        stages = self._job_of(stage).stages
        described = self._described(stage, stages, **{"Submission Time": stage.submitted})
        self._put(
            {"Event": "SparkListenerStageSubmitted", "Stage Info": described, "Properties": {}}
        )

    def _complete(self, stage: _Stage, error: str = "", job: _Job | None = None) -> None:
        job = job or self._job_of(stage)
        if stage.submitted is None:  # an earlier driver ran all of it
            self._submit(stage)
        stage.completed = True
        times: dict[str, Any] = {"Submission Time": stage.submitted, "Completion Time": self._now}
        if error:
            times["Failure Reason"] = error
        self._put(
            {
                "Event": "SparkListenerStageCompleted",
                "Stage Info": self._described(stage, job.stages, **times),
            }
        )

    def _job_ended(self, job: _Job, error: str, dollars: float | None) -> None:
        for attempt in job.running.values():  # cut off
            self._say_launched(attempt)
        for stage in job.stages.values():
            if stage.submitted is not None and not stage.completed:
                self._complete(stage, error or "no longer needed", job)
        result: dict[str, Any] = {"Result": "JobSucceeded"}
        if error:
            result = {"Result": "JobFailed", "Exception": {"Message": error, "Stack Trace": []}}
        self._put(
            {
                "Event": "SparkListenerJobEnd",
                "Job ID": job.id,
                "Completion Time": self._now,
                "Job Result": result,
                "aflint": {"dollars": dollars},
            }
        )

    # ---- tasks

    def _begun(
        self, id: TaskId, stage: _Stage, queued: float = 0.0, speculative: bool = False
    ) -> _Attempt:
        number = self._task
        self._task += 1
        attempt = id.attempt % (1 << LOAN_BITS)
        return _Attempt(
            number, stage, id.partition, attempt, id.link, self._now, queued,
            "true" if speculative else "false",
        )  # fmt: skip

    def _start(self, event: TaskStarted) -> None:
        job = self._jobs[event.id.job]
        job.running[event.id] = self._begun(
            event.id, job.stages[event.id.stage], event.queued, event.speculative
        )

    def _say_launched(self, attempt: _Attempt) -> None:
        if not attempt.said:
            attempt.said = True
            self._lines.append(_launched_line(attempt))

    def _ended(self, event: TaskEnded) -> None:
        attempt = self._jobs[event.id.job].running.pop(event.id)
        if event.refused:
            self._say_launched(attempt)
            self._lines.append(_refused_line(attempt, self._now))
            return
        reason = _SUCCESS if event.accepted else _reason(event)
        failed = "true" if event.error else "false"
        killed = "false" if event.accepted or event.error else "true"
        self._write_task(attempt, event.metrics, reason, failed, killed, event.executor, event.logs)

    def _recovered(self, event: TaskRecovered) -> None:
        """Write a task that an earlier driver had run as one that took no time here."""
        attempt = self._begun(event.id, self._jobs[event.id.job].stages[event.id.stage])
        metrics = sum_metrics(event.metrics)
        self._write_task(attempt, metrics, _SUCCESS, "false", "false", "an earlier driver")

    def _write_task(
        self,
        attempt: _Attempt,
        metrics: TaskMetrics,
        reason: str,
        failed: str,
        killed: str,
        executor: str,
        logs: str = "",
    ) -> None:
        run, m, dollars, spent = self._run, metrics, "null", _UNKNOWN
        if run is not None and self._prices is not None:
            billed = task_dollars(m, run.memory_mb, estimate=run.estimated, prices=self._prices)
            attempt.stage.dollars += billed
            dollars, spent = f"{billed:.9f}", f"{attempt.stage.dollars:.9f}"
        task_lines = _task_writer(
            m.shuffle_read_frames > 0 or m.fetch_seconds > 0,
            m.shuffle_write_bytes > 0 or m.write_seconds > 0,
            m.input_bytes > 0 or m.input_records > 0,
            m.output_bytes > 0 or m.output_records > 0,
            m.spilled_bytes > 0,
            (m.billed_seconds or m.sqs_requests or m.s3_gets or m.s3_puts or m.memory_mb) > 0,
        )
        executor = executor or _NO_EXECUTOR
        by = self._executors.get(executor) or self._add_executor(executor)
        info = _info(attempt, by)[_INFO]
        self._lines.append(
            task_lines(
                attempt,
                attempt.stage,
                m,
                info,
                self._now,
                reason,
                failed,
                killed,
                dollars,
                spent,
                json.dumps(logs[-_MOST_LOG:]) if logs else '""',
            )
        )


def app_id(run: str) -> str:
    """Return the id under which Spark's History Server lists a run."""
    return f"aflint-{run}"


def _reason(event: TaskEnded) -> str:
    """Return why an attempt was not accepted, as Spark's JSON says it."""
    if not event.error:
        why = "goes on in its next link" if event.continues else "no longer needed"
        return json.dumps({"Reason": "TaskKilled", "Kill Reason": why, "Accumulator Updates": []})
    kind, _, said = event.error.partition(": ")
    if not event.executor:
        return json.dumps(
            {
                "Reason": "ExecutorLostFailure",
                "Executor ID": _NO_EXECUTOR,
                "Exit Caused By App": True,
                "Loss Reason": event.error,
            }
        )
    return json.dumps(
        {
            "Reason": "ExceptionFailure",
            "Class Name": kind,
            "Description": said.partition("\n")[0],
            "Stack Trace": [],
            "Full Stack Trace": said,
            "Accumulator Updates": [],
        }
    )


def _plan(plan: PlanInfo) -> dict[str, Any]:
    return {
        "nodeName": plan.name,
        "simpleString": plan.text,
        "children": [_plan(child) for child in plan.children],
        "metadata": {},
        "metrics": [],
    }


def _rdd(rdd: RddInfo) -> dict[str, Any]:
    method = rdd.name.partition(" at ")[0]
    return {
        "RDD ID": rdd.id,
        "Name": method,
        "Scope": json.dumps({"id": str(rdd.id), "name": method}),
        "Callsite": rdd.name,
        "Parent IDs": list(rdd.parents),
        "Storage Level": {
            "Use Disk": rdd.cached,
            "Use Memory": rdd.in_memory,
            "Deserialized": rdd.in_memory,
            "Replication": 1,
        },
        "Barrier": False,
        "DeterministicLevel": "DETERMINATE",
        "Number of Partitions": rdd.partitions,
        "Number of Cached Partitions": 0,
        "Memory Size": 0,
        "Disk Size": 0,
        "aflint": {"paths": list(rdd.paths[:_MOST_PATHS]), "files": len(rdd.paths)},
    }


_MOST_PATHS: Final = 20
"""So many files of a source are named; of more, only how many there are."""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        return ""
