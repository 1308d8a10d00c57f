"""A listener that makes OpenTelemetry spans: jobs, in them stages, in these the attempts of tasks.

A job is within the span that is current where its action was called. Where spans go is for the
program to say, by a tracer provider of the SDK's, or by `opentelemetry-instrument`. A job that is
not recorded, as there is no SDK or its sampler leaves the job out, has no spans below it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, TracerProvider

from aflint import __version__
from aflint.cost import is_priced, prices_of
from aflint.driver.report import task_dollars
from aflint.events import (
    Event,
    JobEnded,
    JobStarted,
    RunStarted,
    StageEnded,
    StageInfo,
    StageStarted,
    TaskEnded,
    TaskStarted,
)
from aflint.task import TaskId


@dataclass(slots=True)
class _Job:
    span: Span
    infos: dict[int, StageInfo]
    stages: dict[int, Span] = field(default_factory=dict)
    # When each attempt was launched, and how long it had been queued.
    launched: dict[TaskId, tuple[int, float]] = field(default_factory=dict)
    # Of each stage, of which spans of its tasks are made.
    contexts: dict[int, Context] = field(default_factory=dict)


class OtelSpans:
    """Makes spans with the tracer of `provider`, by default the global one."""

    def __init__(
        self,
        provider: TracerProvider | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._tracer = trace.get_tracer("aflint", __version__, provider)
        self._clock = clock
        self._run: RunStarted | None = None
        self._jobs: dict[str, _Job] = {}

    def __call__(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case TaskStarted():
                if (job := self._jobs.get(event.id.job)) is not None:
                    job.launched[event.id] = (self._clock(), event.queued)
            case TaskEnded():
                if (job := self._jobs.get(event.id.job)) is not None:
                    self._task_ended(event, job)
            case StageStarted():
                if (job := self._jobs.get(event.job)) is not None:
                    self._stage_started(job, event.stage)
            case StageEnded():
                if (job := self._jobs.get(event.job)) is not None and event.stage in job.stages:
                    job.stages[event.stage].end(self._clock())
            case JobStarted():
                self._job_started(event)
            case JobEnded():
                if (job := self._jobs.pop(event.job, None)) is not None:
                    self._job_ended(job, event.error)
            case RunStarted():
                self._run = event

    def _job_started(self, event: JobStarted) -> None:
        attributes: dict[str, Any] = {
            "aflint.job.id": event.job,
            "aflint.job.stages": len(event.stages),
            "aflint.shuffle.transport": event.transport,
        }
        if self._run is not None:
            attributes["aflint.run.name"] = self._run.name
            attributes["aflint.backend"] = self._run.backend
        span = self._tracer.start_span(
            f"job {event.name}", attributes=attributes, start_time=self._clock()
        )
        if span.is_recording():
            self._jobs[event.job] = _Job(span, {info.id: info for info in event.stages})

    def _stage_started(self, job: _Job, number: int) -> None:
        info = job.infos[number]
        # A span has one parent; the stages that this one reads are its links.
        read = [job.stages[parent] for parent in info.parents if parent in job.stages]
        job.stages[number] = self._tracer.start_span(
            f"stage {info.name}",
            trace.set_span_in_context(job.span),
            attributes={"aflint.stage.id": number, "aflint.stage.tasks": info.tasks},
            links=[Link(span.get_span_context()) for span in read],
            start_time=self._clock(),
        )
        job.contexts[number] = trace.set_span_in_context(job.stages[number])

    def _task_ended(self, event: TaskEnded, job: _Job) -> None:
        id, m = event.id, event.metrics
        launched, queued = job.launched.pop(id)
        attributes: dict[str, Any] = {
            "aflint.task.partition": id.partition,
            "aflint.task.attempt": id.attempt,
            "aflint.task.link": id.link,
            "aflint.task.accepted": event.accepted,
            "aflint.task.queued_seconds": queued,
            "aflint.input.bytes": m.input_bytes,
            "aflint.input.records": m.input_records,
            "aflint.shuffle.read_bytes": m.shuffle_read_bytes,
            "aflint.shuffle.wait_seconds": m.fetch_seconds,
            "aflint.shuffle.write_bytes": m.shuffle_write_bytes,
            "aflint.spilled_bytes": m.spilled_bytes,
            "aflint.peak_memory_bytes": m.peak_memory_bytes,
        }
        remote = False
        if (run := self._run) is not None:
            if is_priced(run.region):
                attributes["aflint.dollars"] = task_dollars(
                    m, run.memory_mb, estimate=run.estimated, prices=prices_of(run.region)
                )
            remote = run.backend != "local"
        if event.executor and not remote:
            attributes["aflint.executor"] = event.executor
        if remote and run is not None:  # OpenTelemetry's own names for functions
            attributes |= {
                "faas.invoked_name": run.host,
                "faas.invoked_provider": "aws",
                "faas.coldstart": m.cold_start,
            }
            if event.executor:
                attributes["faas.instance"] = event.executor
        span = self._tracer.start_span(
            f"task {id.partition}",
            job.contexts[id.stage],
            kind=SpanKind.CLIENT if remote else SpanKind.INTERNAL,
            attributes=attributes,
            start_time=launched,
        )
        _fail(span, event.error)
        span.end(self._clock())

    def _job_ended(self, job: _Job, error: str) -> None:
        now = self._clock()
        for span in job.stages.values():
            if span.is_recording():
                _fail(span, error)
                span.end(now)
        _fail(job.span, error)
        job.span.end(now)


def _fail(span: Span, error: str) -> None:
    """Mark a span as failed, with the error as an event, where there is one."""
    if not error:
        return
    kind, _, said = error.partition(": ")
    message, _, trace_text = said.partition("\n")
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, message))
    span.add_event(
        "exception",
        {
            "exception.type": kind,
            "exception.message": message,
            "exception.stacktrace": trace_text.strip(),
        },
    )
