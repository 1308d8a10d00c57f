"""What is read of a run's history, as the model of `aflint.driver.advising` takes it: pure."""

from __future__ import annotations

from typing import Any

from aflint.cost import prices_of
from aflint.cost.forecast import Setup
from aflint.driver.advising import Measured
from aflint.errors import InvalidArgumentError
from aflint.observe.reading import Job, Run, Stage

_COMPUTING = ("load", "read", "fetch", "write", "compute")


def setup_of(run: Run, job: Job) -> Setup:
    """Return what a job ran on, by its run's settings.

    Raises UnpricedRegionError where there are no prices for its region.
    """
    slots = _number(run, "concurrency", 1000)
    if run.backend == "local" or (run.backend == "localcloud" and slots >= 1000):
        slots = _number(run, "workers", slots)
    return Setup(
        _number(run, "memory_mb", 1769),
        job.transport or "file",
        slots,
        message_bytes=_number(run, "message_limit_kib", 256) << 10,
        prices=prices_of(run.region),
    )


def measured(job: Job) -> list[Measured]:
    """Return the stages of a job as they ran. Raises InvalidArgumentError where nothing of it did.

    A stage that was skipped has no tasks.
    """
    found = [_measured(number, stage, job) for number, stage in enumerate(job.stages)]
    if not any(stage.ran for stage in found):
        raise InvalidArgumentError(f"no task of job {job.id} has ended: there is nothing to judge")
    return found


def _measured(number: int, stage: Stage, job: Job) -> Measured:
    done = stage.ended()
    seconds = [sum(task.phases.get(name, 0.0) for name in _COMPUTING) for task in done]
    total = sum(seconds)
    places = {each.id: place for place, each in enumerate(job.stages)}
    return Measured(
        number,
        stage.name,
        stage.asked,
        len(done),
        tuple(places[id] for id in stage.parents if id in places),
        total,
        sum(task.phases.get("load", 0.0) for task in done),
        sum(task.cpu + task.delay for task in done),
        sum(task.read for task in done),
        sum(task.fetched for task in done),
        sum(task.shuffled for task in done),
        sum(task.sent for task in done),
        max((task.peak for task in done), default=0),
        max(seconds) * len(seconds) / total if total else 1.0,
    )


def _number(run: Run, name: str, default: int) -> int:
    value: Any = run.settings.get(f"spark.aflint.{name}", default)
    try:
        return int(value)
    except ValueError:  # `auto`
        return default
