"""Spans and lineage, as their receivers get them."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import aflint
from aflint.config import Config
from aflint.driver.report import Reporter
from aflint.events import (
    Event,
    JobEnded,
    JobStarted,
    RddInfo,
    RunEnded,
    RunStarted,
    StageEnded,
    StageInfo,
    StageStarted,
    TaskEnded,
    TaskStarted,
)
from aflint.observe.recording import Recording
from aflint.storage.local import LocalStorage
from aflint.task import TaskId, TaskMetrics

RUN = RunStarted("r", "taxi.py", "aws", "aflint-1769", False, 1769, {})
SOURCE = RddInfo(1, "text_file", (), 2, paths=("s3://nyc/2024/a.csv", "s3://nyc/2024/b.csv", "/x"))
STAGES = (
    StageInfo(0, "map", 1, writes_shuffle=True, rdds=(SOURCE,)),
    StageInfo(1, "save", 1, (0,), target="s3://out/fares"),
)


def job(error: str = "") -> list[Event]:
    """Return the events of a job whose second stage fails, where there is an error."""
    first, second = TaskId("r-1", 0, 0, 0), TaskId("r-1", 1, 0, 0)
    did = TaskMetrics(seconds=1.0, billed_seconds=1.0, cold_start=True, shuffle_write_bytes=9)
    ends = [] if error else [StageEnded("r-1", 1)]
    return [
        JobStarted("r-1", "save at taxi.py:9", STAGES, "hybrid"),
        StageStarted("r-1", 0),
        TaskStarted(first, False, queued=0.5),
        TaskEnded(first, True, "", did, "", executor="env1"),
        StageEnded("r-1", 0),
        StageStarted("r-1", 1),
        TaskStarted(second, False),
        TaskEnded(second, not error, error, TaskMetrics(), "", executor="env1"),
        *ends,
        JobEnded("r-1", error),
    ]


def test_jobs_stages_and_tasks_are_spans_within_each_other() -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.trace import StatusCode

    from aflint.observe.otel import OtelSpans

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    now = [0]
    listener = OtelSpans(provider, lambda: now[0])
    error = "TaskError: ValueError: no (in partition 0)\n\nTraceback: here"
    with provider.get_tracer("user").start_as_current_span("nightly") as users:
        for now[0], event in enumerate([RUN, *job(error)]):
            listener(event)
    spans: dict[str, Any] = {}
    for span in exporter.get_finished_spans():
        spans[f"{span.name} {span.start_time}"] = span
    ran, maps, task, saves, failed = (
        spans[name]
        for name in (
            "job save at taxi.py:9 1", "stage map 2", "task 0 3", "stage save 6", "task 0 7",
        )
    )  # fmt: skip
    assert ran.parent.span_id == users.get_span_context().span_id
    assert maps.parent.span_id == saves.parent.span_id == ran.context.span_id
    assert (task.parent.span_id, failed.parent.span_id) == (
        maps.context.span_id,
        saves.context.span_id,
    )
    assert [link.context.span_id for link in saves.links] == [maps.context.span_id]
    assert (task.start_time, task.end_time) == (3, 4)
    assert task.attributes["faas.coldstart"] is True
    assert task.attributes["faas.instance"] == "env1"
    assert task.attributes["aflint.task.queued_seconds"] == 0.5
    assert task.attributes["aflint.dollars"] > 0
    assert maps.status.status_code is StatusCode.UNSET
    for span in (ran, saves, failed):
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == "TaskError"
        assert span.events[0].attributes["exception.stacktrace"] == "Traceback: here"


class _Received:
    """A transport of OpenLineage's that keeps events, or is unreachable."""

    def __init__(self, reachable: bool = True) -> None:
        self.events: list[Any] = []
        self._reachable = reachable

    def client(self) -> Any:
        from openlineage.client import OpenLineageClient
        from openlineage.client.transport import Transport

        received = self

        class _Transport(Transport):  # type: ignore[misc]
            kind = "test"

            def emit(self, event: Any) -> None:
                if not received._reachable:
                    raise ConnectionError("no route")
                received.events.append(event)

        return OpenLineageClient(transport=_Transport())


@pytest.mark.parametrize("error", ["", "TaskError: no\n\nTraceback: here"])
async def test_a_job_says_which_files_it_read_and_where_it_wrote(error: str) -> None:
    from aflint.observe.openlineage import OpenLineageEvents

    received = _Received()
    listener = OpenLineageEvents(received.client(), lambda: 0.0)
    for event in [RUN, *job(error), RunEnded("r")]:
        listener(event)
    await listener.aclose()
    program, began, ended, over = received.events
    assert [e.eventType.value for e in received.events] == [
        "START", "START", "FAIL" if error else "COMPLETE", "COMPLETE",
    ]  # fmt: skip
    assert program.run.runId == over.run.runId == began.run.facets["parent"].run.runId
    assert began.run.runId == ended.run.runId
    assert (began.job.namespace, began.job.name) == ("aflint", "taxi.py.save at taxi.py:9")
    assert [(i.namespace, i.name) for i in ended.inputs] == [("s3://nyc", "2024"), ("file", "/x")]
    assert [(o.namespace, o.name) for o in ended.outputs] == [("s3://out", "fares")]
    if error:
        assert ended.run.facets["errorMessage"].stackTrace == "Traceback: here"


async def test_lineage_that_cannot_be_sent_is_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from aflint.observe.openlineage import OpenLineageEvents

    listener = OpenLineageEvents(_Received(reachable=False).client())
    for event in [RUN, *job(), RunEnded("r")]:
        listener(event)
    await listener.aclose()
    said = [record.getMessage() for record in caplog.records if record.name == "aflint.observe"]
    assert said == ["lineage is not sent: no route"]


async def test_lineage_that_has_nowhere_to_go_is_refused_and_nothing_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
        monkeypatch.delenv(name)
    session = aflint.connect(workers=1, progress=False, history_mb=0, openlineage=True)
    with pytest.raises(aflint.ConfigError, match=r"set OPENLINEAGE_URL, or a .* openlineage.yml"):
        async with session:
            pass
    assert capfd.readouterr() == ("", "")
    assert [r.getMessage() for r in caplog.records if "openlineage" in r.name] == []
    (tmp_path / "openlineage.yml").write_text("transport:\n  type: pigeon\n")
    recording = Recording(
        Config(openlineage=True, history_mb=0), "r", Reporter(1, estimate=True), LocalStorage()
    )
    async with AsyncExitStack() as stack:
        with pytest.raises(aflint.ConfigError, match=r"own settings cannot be used: .*pigeon"):
            await recording.listeners(stack)
        (tmp_path / "openlineage.yml").write_text("transport:\n  type: console\n")
        assert len(await recording.listeners(stack)) == 1  # it was asked to be printed


@pytest.mark.parametrize("setting", ["otel", "openlineage"])
async def test_each_is_made_where_it_is_asked_for_and_says_what_it_needs(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"otel": "opentelemetry", "openlineage": "openlineage.client"}[setting]
    config: Any = {"history_mb": 0, setting: True}
    recording = Recording(Config(**config), "r", Reporter(1769, estimate=False), LocalStorage())
    import sys

    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"aflint.observe.{setting}", raising=False)
    async with AsyncExitStack() as stack:
        with pytest.raises(aflint.ConfigError, match=rf"pip install 'aflint\[{setting}\]'"):
            await recording.listeners(stack)
    monkeypatch.undo()
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    async with AsyncExitStack() as stack:
        assert len(await recording.listeners(stack)) == 1
