"""The rates of this machine's emulator, taken from recorded sorts by S3 and by SQS."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import linear_regression, mean, pstdev

from aflint.cost.load import Workload
from aflint.cost.prices import US_EAST_1
from aflint.cost.rates import RATES, Rate, Rates
from aflint.cost.requests import Requests, TransportName, of_reading, of_writing
from aflint.cost.simulator import PARALLEL_GETS, SENDS
from aflint.limits import SQS_OLD_MESSAGE_BYTES
from aflint.observe.reading import Task
from bench.recorded_sort import Measured, billed


def fit(recorded: Sequence[Measured]) -> tuple[Workload, Rates]:
    """Return what sorts compute, and the rates under which they ran. Each is the mean, or the line,
    of what was measured of that alone: none is fitted to how long a job took, or what it cost.
    """
    by_s3, by_sqs = ([m for m in recorded if m.case.transport == name] for name in ("s3", "sqs"))
    tasks = [task for m in recorded for task in m.tasks]
    get_s = fetch_s(by_s3, "s3")
    put_s = write_s(by_s3, "s3") - get_s  # it looks whether the shuffle is open, and then writes
    move_s, copy_s = moving(recorded)
    rates = replace(
        RATES,
        handler_s=_just(handler_s(tasks)),
        invoke_s=_just(invoke_s(tasks)),
        s3_get_s=_just(get_s),
        s3_put_s=_just(put_s),
        sqs_send_s=_just(write_s(by_sqs, "sqs")),
        sqs_receive_s=_just(fetch_s(by_sqs, "sqs")),
        queue_s=_just(queue_s(by_s3, by_sqs)),
        move_s=_just(move_s),
        copy_bytes_per_s=_just(1 / copy_s),
        spread=spread(recorded),
        # The emulator is one process, which does one thing at a time and starts nothing cold; what
        # bytes take there, and to move them, is in the figures above.
        driver_calls=1,
        moves=1,
        cold_start_s=_just(0.0),
        s3_bytes_per_s=_just(1e12),
        io_cpu_s_per_byte=0.0,
        straggler_share=0.0,
    )
    return workload(recorded, put_s), rates


def workload(recorded: Sequence[Measured], put_s: float) -> Workload:
    """Return what the phase of computing takes for a byte that a task reads: as long as it lasted,
    and so with the waits for a processor. In it a reduce task puts its output, in `put_s`.
    """
    maps = [(t.read, t.phases["compute"]) for m in recorded for t in m.maps]
    reduces = [(t.fetched, t.phases["compute"] - put_s) for m in recorded for t in m.reduces]
    (map_s, map_task_s), (reduce_s, reduce_task_s) = (_line(each) for each in (maps, reduces))
    first, second = recorded[0].loads
    return Workload(
        map_s=map_s,
        reduce_s=reduce_s,
        task_s=max(0.0, map_task_s + reduce_task_s) / 2,
        shuffled=first.shuffled_bytes / first.input_bytes,
        written=second.output_bytes / second.fetched_bytes,
    )


def handler_s(tasks: Sequence[Task]) -> float:
    """Return what tasks are billed beside their phases, on average."""
    return mean(billed(t) - sum(s for n, s in t.phases.items() if n != "queued") for t in tasks)


def invoke_s(tasks: Sequence[Task]) -> float:
    """Return what tasks take their caller beside what is billed, on average."""
    return mean(task.seconds - billed(task) for task in tasks)


def write_s(recorded: Sequence[Measured], transport: TransportName) -> float:
    """Return what map tasks wait to write for each round of calls, as many as go at once."""
    waited = sum(task.phases["write"] for m in recorded for task in m.maps)
    asked = [of_writing(m.loads[0], transport, US_EAST_1, SQS_OLD_MESSAGE_BYTES) for m in recorded]
    return waited / sum(len(m.maps) * _rounds(a) for m, a in zip(recorded, asked, strict=True))


def fetch_s(recorded: Sequence[Measured], transport: TransportName) -> float:
    """Return what reduce tasks wait for frames for each round of calls, as many as go at once."""
    waited = sum(task.phases["fetch"] for m in recorded for task in m.reduces)
    asked = [of_reading(m.loads[1], m.loads[:1], transport, US_EAST_1) for m in recorded]
    return waited / sum(len(m.reduces) * _rounds(a) for m, a in zip(recorded, asked, strict=True))


def _rounds(asked: Requests) -> float:
    return max(1.0, asked.gets / PARALLEL_GETS, asked.sqs / SENDS)


def queue_s(by_s3: Sequence[Measured], by_sqs: Sequence[Measured]) -> float:
    """Return what a queue adds to the time before the first stage, on average."""
    without = mean(m.opening for m in by_s3)
    return max(0.0, mean((m.opening - without) / m.case.reduces for m in by_sqs))


def moving(recorded: Sequence[Measured]) -> tuple[float, float]:
    """Return what the time after the last stage is for each part of the output and its mark of
    success, and for each byte.
    """
    counts = [m.case.reduces + 1 for m in recorded]
    sizes = [sum(task.written for task in m.reduces) for m in recorded]
    each = [
        (size / count, m.closing / count)
        for m, size, count in zip(recorded, sizes, counts, strict=True)
    ]
    copy_s, move_s = _line(each)
    return max(0.0, move_s), max(1e-12, copy_s)


def spread(recorded: Sequence[Measured]) -> float:
    """Return by how much tasks of one stage differ: the deviation of the logarithm of what they are
    billed, on average.
    """
    stages = [tasks for m in recorded for tasks in (m.maps, m.reduces)]
    return mean(pstdev([math.log(billed(task)) for task in tasks]) for tasks in stages)


def _just(value: float) -> Rate:
    return Rate(value, value, value)


def _line(points: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Return the slope and the start of the line that is nearest to points, by squares."""
    found = linear_regression(*zip(*points, strict=True))
    return found.slope, found.intercept
