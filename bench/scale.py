"""The model of AWS beside what localcloud took: how well it forecasts what it was not fitted to.

Three sorts of one transport are recorded, and the rates of this machine's emulator are taken from
them. Then the model forecasts other sizes, counts of tasks and transports, which are run, too.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import aflint
from aflint.cost.load import JobLoad, Workload, load_of
from aflint.cost.prices import US_EAST_1
from aflint.cost.rates import RATES, Rate, Rates
from aflint.cost.requests import checked, in_objects, of_reading, of_writing
from aflint.cost.simulator import PARALLEL_GETS, PUTS, SENDS, Cloud, Forecast, simulate
from aflint.limits import SQS_OLD_MESSAGE_BYTES
from aflint.observe.finding import find_job
from aflint.observe.loads import load_of_job
from aflint.observe.reading import Job, Run, Task
from bench.report import Goal, Report, Sample
from bench.workload import Options, Say
from bench.workload import Workload as Benchmark

WORKERS = 2
MEMORY_MB = 1769
LINE = 100
WITHIN = 1.2
QUICK = 2
"""Configurations that a quick run forecasts."""


@dataclass(frozen=True)
class Case:
    """A sort on localcloud."""

    mb: float
    maps: int
    reduces: int
    transport: str

    def __str__(self) -> str:
        return f"{self.mb:g} MB, {self.maps} x {self.reduces}, {self.transport}"


FITTED = (Case(2, 4, 4, "hybrid"), Case(8, 4, 8, "hybrid"), Case(8, 16, 8, "hybrid"))
REFERENCE = Case(2, 2, 2, "hybrid")
"""By each path: what waiting for this emulator takes just before a case, and after it."""

FORECAST = (
    Case(4, 4, 4, "hybrid"),
    Case(16, 8, 8, "hybrid"),
    Case(16, 4, 16, "hybrid"),
    Case(12, 12, 12, "hybrid"),
    Case(4, 4, 4, "s3"),
    Case(8, 8, 8, "s3"),
    Case(16, 8, 16, "s3"),
    Case(12, 16, 16, "s3"),
    Case(4, 4, 4, "sqs"),
    Case(8, 8, 8, "sqs"),
    Case(16, 8, 16, "sqs"),
    Case(12, 16, 4, "sqs"),
)


@dataclass(frozen=True)
class Measured:
    """What a sort took on localcloud."""

    case: Case
    run: Run
    job: Job

    @property
    def tasks(self) -> list[Task]:
        """Its tasks."""
        return [task for stage in self.job.stages for task in stage.ended()]

    @property
    def seconds(self) -> float:
        """From its submission to its end."""
        assert self.job.completed is not None
        return self.job.completed - self.job.submitted

    @property
    def requests(self) -> int:
        """To S3 and SQS, of the tasks."""
        return sum(task.gets + task.puts + task.sqs for task in self.tasks)


async def run(options: Options, say: Say) -> Report:
    """Record, fit, forecast, run, and compare."""
    cases = FORECAST[:QUICK] if options.quick else FORECAST
    measured, found = [], []
    known: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory() as folder:
        state = os.environ.get("XDG_STATE_HOME")
        os.environ["XDG_STATE_HOME"] = f"{folder}/state"
        try:
            fitted = [await _measure(case, Path(folder), say) for case in FITTED]
            for case in cases:
                # What the machine is like at the moment: it may have other work.
                path = _path_of(case, fitted)
                near = replace(REFERENCE, transport=path)
                before = known.get(path) or await _measure(near, Path(folder), say)
                measured.append(await _measure(case, Path(folder), say))
                after = await _measure(near, Path(folder), say)
                known = {path: after}
                found.append(forecast(case, *fit(fitted, (before, after))))
        finally:
            if state is None:
                del os.environ["XDG_STATE_HOME"]
            else:
                os.environ["XDG_STATE_HOME"] = state
    return _report(measured, found)


async def _measure(case: Case, folder: Path, say: Say) -> Measured:
    say(f"localcloud sorts {case}")
    source = folder / f"{case.mb:g}.txt"
    if not source.exists():
        source.write_text("".join(lines(round(case.mb * 1e6 / LINE))))
    async with aflint.connect(
        backend="localcloud",
        workers=WORKERS,
        transport=case.transport,
        memory_mb=MEMORY_MB,
        progress=False,
        history_mb=64,
    ) as session:
        await session.warm(WORKERS)
        assert session.localcloud is not None
        bucket = f"s3://{next(iter(session.localcloud.snapshot().buckets))}"
        await session.text_file(str(source), 1).save_as_text_file(f"{bucket}/in")
        pairs = session.text_file(f"{bucket}/in", case.maps).map(_pair)
        await pairs.sort_by_key(num_partitions=case.reduces).save_as_text_file(f"{bucket}/out")
        assert session.last_job is not None
        job = session.last_job.id
    return Measured(case, *find_job(job))


def lines(count: int) -> list[str]:
    """Return lines as gensort -a makes them: a key of ten characters, and 90 more bytes."""
    chance = random.Random(count)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return [
        f"{''.join(chance.choices(letters, k=10))}{number:032d}"
        f"{f'{chance.getrandbits(104):026X}' * 2}\n"
        for number in range(count)
    ]


def _pair(line: str) -> tuple[str, str]:
    return line[:10], line[10:]


def _path_of(case: Case, recorded: Sequence[Measured]) -> str:
    """Return by what a case's blocks go: of hybrid shuffles that depends on their size."""
    load = load_of_job(recorded[0].run, recorded[0].job)
    ratio = load.stages[0].shuffled_bytes / load.stages[0].input_bytes
    block = case.mb * 1e6 * ratio / case.maps / case.reduces
    if in_objects(block, checked(case.transport), US_EAST_1, case.reduces):
        return "s3"
    return "sqs"


def fit(recorded: Sequence[Measured], now: Sequence[Measured]) -> tuple[Workload, Rates]:
    """Return what the recorded sorts compute for a byte and for a task; and, of the sorts that ran
    just `now`, how much longer than its processor time computing takes, and the emulator's rates.
    """
    loads = [load_of_job(each.run, each.job) for each in recorded]
    maps = _line([(load.stages[0].input_bytes, load.stages[0].cpu_s) for load in loads])
    reduces = _line([(load.stages[1].fetched_bytes, load.stages[1].cpu_s) for load in loads])
    tasks = [task for each in now for task in each.tasks]
    stretch = _sum(tasks, "compute") / sum(t.cpu for t in tasks)
    writers, readers = (
        [task for each in now for task in each.job.stages[place].ended()] for place in (0, 1)
    )
    sent = _sum(writers, "write") / sum(_calls(each)[0] for each in now)
    received = _sum(readers, "fetch") / sum(_calls(each)[1] for each in now)
    # What of a task's time is in none of its phases: the invocation, on both sides. The least, as
    # more of it is waiting for a processor, which others compute on meanwhile.
    beside = min(
        t.seconds - sum(s for name, s in t.phases.items() if name != "queued") for t in tasks
    )
    first = loads[1]
    workload = Workload(
        map_s=max(0.0, maps[1]) * stretch,
        reduce_s=max(0.0, reduces[1]) * stretch,
        task_s=max(0.0, maps[0] + reduces[0]) / 2 * stretch,
        shuffled=first.stages[0].shuffled_bytes / first.stages[0].input_bytes,
        written=first.stages[1].output_bytes / first.stages[1].fetched_bytes,
    )
    rates = replace(
        RATES,
        invoke_s=_just(max(0.0, beside)),
        s3_get_s=_just(received * PARALLEL_GETS),
        s3_put_s=_just(sent * PUTS),
        sqs_send_s=_just(sent * SENDS),
        sqs_receive_s=_just(received * SENDS),
        s3_bytes_per_s=_just(1e12),
        cold_start_s=_just(0.0),
        queue_s=_just(0.02),
        io_cpu_s_per_byte=0.0,
        spread=0.0,
        straggler_share=0.0,
    )
    return workload, rates


def _calls(each: Measured) -> tuple[float, float]:
    """Return the calls that the map tasks and the reduce tasks of a sort waited for."""
    maps, reduces = load_of_job(each.run, each.job).stages
    transport = checked(each.case.transport)
    written = of_writing(maps, transport, US_EAST_1, SQS_OLD_MESSAGE_BYTES)
    read = of_reading(reduces, (maps,), transport, US_EAST_1)
    return maps.tasks * (written.puts + written.sqs), reduces.tasks * (read.gets + read.sqs)


def _sum(tasks: Sequence[Task], phase: str) -> float:
    return sum(task.phases[phase] for task in tasks)


def _just(value: float) -> Rate:
    return Rate(value, value, value)


def _line(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Return (a, b) of the line a + b x that is nearest to points, by squares."""
    count = len(points)
    x, y = (sum(values) / count for values in zip(*points, strict=True))
    across = sum((p - x) ** 2 for p, _ in points)
    slope = sum((p - x) * (q - y) for p, q in points) / across if across else 0.0
    return y - slope * x, slope


def forecast(case: Case, workload: Workload, rates: Rates) -> Forecast:
    """Return what the model says of a sort on this machine's emulator."""
    load: JobLoad = load_of("sort", workload, case.mb * 1e6, case.maps, case.reduces)
    cloud = Cloud(WORKERS, MEMORY_MB, case.transport, rates=rates)
    return simulate(load, cloud)


def queues(found: Forecast) -> int:
    """Return the driver's own calls: those that make and remove queues."""
    return 0 if found.cloud.transport == "s3" else 2 * found.load.stages[0].targets


def _report(measured: list[Measured], found: list[Forecast]) -> Report:
    pairs = list(zip(measured, found, strict=True))
    ratios = {
        "seconds": [f.seconds / m.seconds for m, f in pairs],
        "dollars": [f.cost.total / m.job.dollars for m, f in pairs],
        "requests": [
            (f.usage.s3_get + f.usage.s3_put + f.usage.sqs_requests - queues(f)) / m.requests
            for m, f in pairs
        ],
    }
    samples = []
    for m, f in pairs:
        samples.append(Sample(str(m.case), "model", (f.seconds,), (f.cost.total,)))
        samples.append(Sample(str(m.case), "localcloud", (m.seconds,), (m.job.dollars,)))
    goals = []
    for what, values in ratios.items():
        off = [max(value, 1 / value) for value in values]
        goals.append(Goal(f"{what}: median of what the model is off by", WITHIN, median(off)))
        near = sum(each <= WITHIN for each in off)
        goals.append(
            Goal(f"{what}: of {len(off)}, within {WITHIN - 1:.0%}", len(off), near, at_most=False)
        )
    notes = [
        f"{m.case}: forecast over measured {ratios['seconds'][n]:.2f} of seconds, "
        f"{ratios['dollars'][n]:.2f} of dollars, {ratios['requests'][n]:.2f} of requests"
        for n, (m, _) in enumerate(pairs)
    ]
    fitted = ", ".join(map(str, FITTED))
    return Report(
        "scale",
        "The model of AWS beside localcloud, of configurations that it was not fitted to",
        "python -m bench scale",
        tuple(samples),
        tuple(goals),
        (f"Fitted to {fitted}. The columns of CPU are dollars.", *notes),
        subject="model",
    )


WORKLOAD = Benchmark("scale", "The model of AWS beside what localcloud takes", run)
