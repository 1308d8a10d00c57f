"""What the page shows, counted and summed here, so that it is small at 10,000 tasks. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import accumulate, pairwise
from math import ceil
from statistics import median
from typing import Any, Final

from aflint.observe.reading import PHASES, Job, Run, Stage, Task, slowest
from aflint.observe.tables import cut

_MOMENTS: Final = 240
"""Points in time of the chart of what tasks are doing."""
_LOOKED_AT: Final = 1000
"""Tasks of which that chart is drawn, about."""
_BINS: Final = 24
_LINES: Final = 300
"""Lines of the timeline: where there are more tasks, each line stands for several."""
_FAILURES: Final = 5
_PRINTED: Final = 10
_MOST_TEXT: Final = 4000


def job_row(run: Run, job: Job) -> dict[str, Any]:
    """Return a job as a row of the list."""
    return {
        "id": job.id,
        "name": job.name,
        "program": run.name,
        "state": run.state(job),
        "began": job.submitted,
        "ended": job.completed,
        "done": sum(stage.done for stage in job.stages),
        "tasks": sum(stage.asked for stage in job.stages if stage.state != "skipped"),
        "failed": sum(stage.failures for stage in job.stages),
        "dollars": run.dollars(job),
        "estimated": run.estimated,
        "predicted": None if job.predicted is None else asdict(job.predicted),
    }


def job_view(run: Run, job: Job, now: float) -> dict[str, Any]:
    """Return a job with its stages, its timeline and what went wrong."""
    tasks = [task for stage in job.stages for task in stage.tasks.values()]
    end = job.completed or run.ended or now
    objects = sum(task.objects for task in tasks)
    moved = sum(task.fetched + task.shuffled for task in tasks)
    first = job.stages[0].id if job.stages else 0
    return {
        **job_row(run, job),
        "run": run.id,
        "backend": run.backend,
        "error": job.error[:_MOST_TEXT],
        "executors": len({task.executor for task in tasks if task.executor}),
        "transport": _by_transport(job.transport, objects, moved - objects),
        "stages": [
            {**_stage_view(stage, first), "dollars": run.dollars(stage)} for stage in job.stages
        ],
        "activity": activity(tasks, job.submitted, end),
        "spent": None
        if run.dollars(job) is None
        else spent(tasks, job.submitted, end, sum(s.dollars for s in job.stages), job.billed),
        "timeline": timeline(job.stages, job.submitted, end),
        "failures": _failures(job.stages, first),
        "query": None
        if job.query is None
        else {"name": job.query.name, "plan": cut(job.query.plan)},
    }


def _by_transport(kind: str, objects: int, queued: int) -> dict[str, int]:
    match kind:
        case "file":
            return {"files": objects + queued}
        case "":
            return {}
        case _:
            return {"objects in S3": objects, "queues in SQS": queued}


def _stage_view(stage: Stage, first: int) -> dict[str, Any]:
    """Return a stage, summed up once where it is over."""
    if stage.summed is None or stage.summed[0] != len(stage.tasks) or stage.completed is None:
        stage.summed = len(stage.tasks), _summed(stage)
    return {
        "number": stage.id - first,
        "parents": [parent - first for parent in stage.parents],
        **stage.summed[1],
    }


def _summed(stage: Stage) -> dict[str, Any]:
    seconds = stage.seconds
    middle = median(seconds) if seconds else 0.0
    return {
        "name": stage.name,
        "state": stage.state,
        "rdds": list(stage.rdds),
        "paths": list(stage.paths),
        "done": stage.done,
        "count": stage.asked,
        "running": len(stage.ended("running")),
        "failed": stage.failures,
        "throttled": len(stage.ended("throttled")),
        **{name: stage.sum(name) for name in ("read", "fetched", "shuffled", "written", "spilled")},
        "records": stage.sum("records"),
        "peak": max((task.peak for task in stage.tasks.values()), default=0),
        "phases": [stage.phases[phase] for phase in PHASES],
        "median": middle,
        "longest": seconds[-1] if seconds else 0.0,
        "skew": seconds[-1] / middle if middle else 0.0,
        "histogram": histogram(seconds),
        "slowest": [
            {"partition": task.index, "seconds": task.seconds, "why": why, "on": task.executor}
            for task, why in slowest(stage)
        ],
        **_printed(stage),
    }


def _printed(stage: Stage) -> dict[str, Any]:
    """Return what tasks printed that did not fail, of the first few, and how many printed."""
    tasks = [task for task in stage.tasks.values() if task.logs and task.status != "failed"]
    tasks.sort(key=lambda task: (task.index, task.attempt, task.link))
    shown = [
        {"partition": task.index, "on": task.executor, "logs": task.logs[-_MOST_TEXT:]}
        for task in tasks[:_PRINTED]
    ]
    return {"printed": shown, "printing": len(tasks)}


def histogram(values: Sequence[float], bins: int = _BINS) -> dict[str, Any]:
    """Return how many of ascending values lie in each of some equal ranges."""
    if not values:
        return {"from": 0.0, "step": 0.0, "counts": []}
    low, high = values[0], values[-1]
    step = (high - low) / bins or max(high, 0.001) / bins
    edges = [0, *(bisect_left(values, low + step * n) for n in range(1, bins)), len(values)]
    counts = [above - below for below, above in pairwise(edges)]
    return {"from": low, "step": step, "counts": counts}


def spans(task: Task, end: float) -> list[tuple[int, float, float]]:
    """Return what a task was doing when, as (phase, from, to), one phase after the other.

    What it waited for came in turns with computing: only how long each took is known.
    """
    found = []
    finished = task.finished or end
    at = task.launched - task.phases.get("queued", 0.0)
    for number, phase in enumerate(PHASES):
        until = task.launched if phase == "queued" else at + task.phases.get(phase, 0.0)
        until = min(finished, max(at, until))
        if until > at:
            found.append((number, at, until))
            at = until
    if at < finished:  # on its way there and back, or still running
        number = PHASES.index("compute")
        found.append((number, at, finished))
    return found


def activity(tasks: Sequence[Task], start: float, end: float) -> dict[str, Any]:
    """Return how many tasks were in each phase, and how many were throttled, over time.

    Each value is the mean over its part of the time: of a phase that is shorter, a fraction. Of
    many tasks every so many-th is looked at, and stands for the others.
    """
    step = max(end - start, 0.01) / _MOMENTS
    # By phase: what is added to single parts, and where whole parts begin and end.
    parts = [[0.0] * (_MOMENTS + 1) for _ in PHASES]
    changes = [[0] * (_MOMENTS + 2) for _ in PHASES]
    throttled = [0] * (_MOMENTS + 1)

    def place(time: float) -> float:
        return min(float(_MOMENTS), max(0.0, (time - start) / step))

    every = max(1, len(tasks) // _LOOKED_AT)
    for task in tasks:
        if task.status == "throttled":
            throttled[int(place(task.finished or end))] += 1
    for task in tasks[::every]:
        if task.status == "throttled":
            continue
        for phase, began, ended in spans(task, end):
            a, b = place(began), place(ended)
            first, last = int(a), int(b)
            if first == last:
                parts[phase][first] += b - a
                continue
            parts[phase][first] += first + 1 - a
            parts[phase][last] += b - last
            changes[phase][first + 1] += 1
            changes[phase][last] -= 1
    return {
        "step": step,
        "phases": [
            [
                round((whole + part) * every, 2)
                for whole, part in zip(accumulate(c), p, strict=False)
            ][:-1]
            for c, p in zip(changes, parts, strict=True)
        ],
        "throttled": throttled[:-1],
    }


def spent(
    tasks: Sequence[Task], start: float, end: float, total: float, billed: float | None
) -> list[float]:
    """Return the dollars that attempts had cost which had ended by each of some points in time.

    In all they cost `total`. The last point is what is `billed`, with the driver's own requests,
    once that is known. Of many tasks a sample says when it was spent.
    """
    step = max(end - start, 0.01) / _MOMENTS
    parts = [0.0] * (_MOMENTS + 1)
    every = max(1, len(tasks) // _LOOKED_AT)
    for task in tasks[::every]:
        if task.finished is not None:
            parts[min(_MOMENTS, max(0, ceil((task.finished - start) / step)))] += task.dollars
    sampled = sum(parts)
    share = total / sampled if sampled else 0.0
    found = [share * so_far for so_far in accumulate(parts)]
    found[-1] = total if billed is None else billed
    return found


def timeline(stages: Sequence[Stage], start: float, end: float) -> dict[str, Any]:
    """Return lines of a timeline: of a stage, its number, a task's partition, status and spans.

    Of many tasks every so many-th is shown, and always the slowest and those that failed.
    """
    total = sum(len(stage.tasks) for stage in stages)
    every = max(1, ceil(total / _LINES))
    lines = []
    for number, stage in enumerate(stages):
        tasks = [task for task in stage.tasks.values() if task.status != "throttled"]
        tasks.sort(key=lambda task: task.launched)
        longest = max(tasks, key=lambda task: task.seconds, default=None)
        for place, task in enumerate(tasks):
            if place % every == 0 or task is longest or (task.status == "failed" and every < 50):
                drawn = [
                    [p, round(a - start, 4), round(b - start, 4)] for p, a, b in spans(task, end)
                ]
                lines.append([number, task.index, task.status, drawn])
    return {"every": every, "seconds": end - start, "lines": lines}


def _failures(stages: Iterable[Stage], first: int) -> list[dict[str, Any]]:
    """Return failures, each message once, with how often it came."""
    found: dict[str, dict[str, Any]] = {}
    for stage in stages:
        for task in stage.ended("failed"):
            head = task.error.partition("\n")[0].partition(" (in partition")[0]
            known = found.setdefault(
                head,
                {
                    "stage": stage.id - first,
                    "partition": task.index,
                    "on": task.executor,
                    "error": task.error[:_MOST_TEXT],
                    "logs": task.logs[-_MOST_TEXT:],
                    "times": 0,
                },
            )
            known["times"] += 1
    return sorted(found.values(), key=lambda each: -each["times"])[:_FAILURES]
