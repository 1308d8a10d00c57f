"""What it costs to be seen: the listeners of a session, by the task and on the taxi queries."""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Self

import aflint
from aflint.driver.report import Reporter
from aflint.events import Event, EventStream
from aflint.observe.recording import Recording
from aflint.rdd import RDD
from aflint.storage.local import LocalStorage
from bench import inputs
from bench.measure import compare
from bench.report import Goal, Report, Sample
from bench.workload import Options, Say, Workload
from examples.taxi.queries import QUERIES

TASKS = 2_000
QUICK_TASKS = 50
ROUNDS = 5
REPLAYS = 20
TRIPS = 3_000_000
QUICK_TRIPS = 2_000
MOST_US = 20.0  # a task
MOST_RATIO = 1.05  # times the CPU of a run that nobody sees

_EXTRAS = {"otel": "opentelemetry", "openlineage": "openlineage"}


async def run(options: Options, say: Say) -> Report:
    """Replay the events of empty tasks to listeners, and run taxi queries with and without."""
    rounds = options.number_of_rounds(ROUNDS)
    # Where events of OpenLineage go is not what is measured here.
    os.environ.setdefault("OPENLINEAGE__TRANSPORT__TYPE", "noop")
    with TemporaryDirectory() as folder:
        log: dict[str, Any] = {"history_mb": 0, "event_log": folder}
        everything = log | {
            name: True for name, module in _EXTRAS.items() if importlib.util.find_spec(module)
        }
        tasks = QUICK_TASKS if options.quick else TASKS
        say(f"{tasks:,} tasks, whose events are kept")
        events = await _events(tasks)
        sets = {"report": {"history_mb": 0}, "report, log": log, "all": everything}
        samples, each = [], {}
        if importlib.util.find_spec("opentelemetry.sdk"):
            sets["all, with an SDK"] = everything
        for name, settings in sets.items():
            say(f"replayed to {name}")
            if name == "all, with an SDK":
                _record_spans()
            found = [
                await _replayed(events, settings, Path(folder))
                for _ in range(2 if options.quick else REPLAYS)
            ]
            samples.append(Sample(f"{tasks:,} tasks replayed", name, tuple(found), tuple(found)))
            # The least: whatever else the machine does only adds to it.
            each[name] = 1e6 * min(found) / tasks
        trips = QUICK_TRIPS if options.quick else int(TRIPS * options.size)
        files = inputs.taxi(options.data / f"taxi-{trips}", trips)
        async with AsyncExitStack() as stack:
            peers = [
                await stack.enter_async_context(_Taxi(name, files, settings))
                for name, settings in {"unseen": {"history_mb": 0}, "all": everything}.items()
            ]
            samples += await compare(["Q1", "Q4"], peers, rounds, say)
    seen, unseen = (
        sum(median(s.cpu) for s in samples if s.peer == peer and s.case.startswith("Q"))
        for peer in ("all", "unseen")
    )
    goals = (
        Goal("all listeners, µs of CPU for a task", MOST_US, each["all"]),
        Goal("all listeners on taxi, times the CPU without", MOST_RATIO, seen / unseen),
    )
    notes = (
        "Replays are CPU seconds, of threads that write as well. `log` is the history that each "
        "run leaves, or an event log; `all` adds OpenTelemetry and OpenLineage where they are "
        "installed. With an SDK, spans are recorded, and an exporter drops them: most of that is "
        "the SDK's own.",
        *(f"{name}: {value:.1f} µs for a task" for name, value in each.items()),
    )
    command = "python -m bench listeners"
    title = "What it costs to be seen"
    return Report("listeners", title, command, tuple(samples), goals, notes, subject="all")


class _Taxi(AsyncExitStack):
    """A session that answers the taxi queries."""

    def __init__(self, name: str, files: dict[str, Any], settings: dict[str, Any]) -> None:
        super().__init__()
        self.name = name
        self._files = files
        self._session = aflint.connect(workers=2, progress=False, **settings)

    async def __aenter__(self) -> Self:
        await self.enter_async_context(self._session)
        return self

    async def answer(self, case: str) -> Any:
        """Answer one query."""
        query = next(query for query in QUERIES if query.name == case)
        rdds = (self._session.text_file(self._files[name]) for name in ("trips", "weather"))
        return await query.answer(*rdds)


def _record_spans() -> None:
    """Have OpenTelemetry's spans recorded from now on, and dropped where they would be sent."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Dropped(SpanExporter):  # type: ignore[misc]  # where its types are not installed
        def export(self, spans: object) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Dropped()))
    trace.set_tracer_provider(provider)


def nothing(records: Iterable[object]) -> None:
    """Do nothing with a partition."""


async def _events(tasks: int) -> list[Event]:
    """Return the events of a session that ran so many empty tasks."""
    events: list[Event] = []
    session = aflint.connect(workers=2, progress=False, history_mb=0)
    session.add_listener(events.append)
    async with session:
        empty: RDD[int] = session.parallelize([], tasks)
        await empty.foreach_partition(nothing)
    return events


async def _replayed(events: list[Event], settings: dict[str, Any], folder: Path) -> float:
    """Return the CPU seconds that the listeners of some settings take for events."""
    # What earlier replays left is no part of this one.
    shutil.rmtree(folder, ignore_errors=True)
    gc.collect()
    async with AsyncExitStack() as stack:
        config = aflint.load_config(**settings)
        reporter = Reporter(config.memory_mb, estimate=True)
        recording = Recording(config, "bench", reporter, LocalStorage())
        stream = EventStream([reporter, *await recording.listeners(stack)])
        began = time.process_time()
        for event in events:
            stream.emit(event)
        await stack.aclose()
        return time.process_time() - began


WORKLOAD = Workload("listeners", "Listeners: CPU for each task, and on taxi queries", run)
