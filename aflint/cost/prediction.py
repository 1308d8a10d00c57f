"""What a program is predicted to cost and take, job by job, and how that is told. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from aflint.cost.advice import Advice, advise
from aflint.cost.bill import Usage, format_dollars
from aflint.cost.forecast import Forecast, Setup, StageSample, extrapolate, forecast
from aflint.cost.prices import US_EAST_1, PriceTable
from aflint.cost.rates import RATES

SPREAD: Final = 0.25
"""How far one split may lie from the mean of all, and the machine from itself a minute later."""

EMR_WORKER_VCPUS: Final = 4
EMR_WORKER_GB: Final = 16
EMR_EXECUTORS: Final = 3
"""EMR Serverless's own defaults: workers of 4 vCPUs and 16 GB, three executors to begin with."""
EMR_STARTS_S: Final = 30.0
"""Public reports have 15 to 30 s until its workers are there."""


@dataclass(frozen=True, slots=True)
class Span:
    """A figure as a range: what is likely, between what is seldom passed."""

    low: float
    likely: float
    high: float

    def __add__(self, other: Span) -> Span:
        return Span(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def __radd__(self, other: object) -> Span:
        return self if other == 0 else NotImplemented


@dataclass(frozen=True, slots=True)
class PredictedJob:
    """One job: what its sample came to, on what it is to run, and the model's answers.

    `beside_s` is what the driver takes beside the tasks, and `asked` what it asks of AWS, both as
    in the sample. The sample itself cost `sample_usd`.
    """

    name: str
    samples: tuple[StageSample, ...]
    setup: Setup
    beside_s: float = 0.0
    asked: Usage = field(default_factory=Usage)
    sample_usd: float = 0.0

    def forecasts(self, setup: Setup | None = None) -> tuple[Forecast, Forecast, Forecast]:
        """Return the low, the likely and the high forecast."""
        chosen = setup or self.setup
        warm = replace(chosen, warm=chosen.slots)
        cold = replace(chosen, warm=0, cold_s=max(chosen.cold_s, RATES.cold_start_s.high))
        return (
            forecast(extrapolate(self.samples, chosen, few_keys=True), warm),
            forecast(extrapolate(self.samples, chosen), chosen),
            forecast(extrapolate(self.samples, chosen, few_keys=False), cold),
        )

    @property
    def likely(self) -> Forecast:
        """The likely forecast."""
        return self.forecasts()[1]

    @property
    def advice(self) -> list[Advice]:
        """What would be better."""
        return advise(extrapolate(self.samples, self.setup), self.setup)

    @property
    def dollars(self) -> Span:
        """What it will be billed."""
        low, likely, high = (
            replace(each, usage=each.usage + self.asked).dollars for each in self.forecasts()
        )
        return Span(low * (1 - SPREAD), likely, high * (1 + SPREAD))

    @property
    def seconds(self) -> Span:
        """How long it will take."""
        low, likely, high = (each.seconds for each in self.forecasts())
        beside = self.beside_s
        return Span(low * (1 - SPREAD) + beside, likely + beside, high * (1 + SPREAD) + beside)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What `explain(predict=True)` and `aflint explain` give: `print` shows it for people."""

    jobs: tuple[PredictedJob, ...]
    notes: tuple[str, ...] = ()

    @property
    def prices(self) -> PriceTable:
        """Those of the region that its jobs are to run in."""
        return self.jobs[0].setup.prices if self.jobs else US_EAST_1

    @property
    def dollars(self) -> Span:
        """All jobs together."""
        return sum((job.dollars for job in self.jobs), Span(0.0, 0.0, 0.0))

    @property
    def seconds(self) -> Span:
        """All jobs, one after the other."""
        return sum((job.seconds for job in self.jobs), Span(0.0, 0.0, 0.0))

    @property
    def input_bytes(self) -> float:
        """What all jobs read."""
        return math.fsum(stage.work.input_bytes for job in self.jobs for stage in job.likely.stages)

    @property
    def athena_usd(self) -> float:
        """What Athena bills for scanning as much."""
        return athena_usd(self.input_bytes, len(self.jobs), self.prices)

    @property
    def emr_usd(self) -> float:
        """What EMR Serverless bills for as much computing."""
        return emr_usd(sum(map(_cpu_seconds, self.jobs)), self.prices)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON shows it."""
        return {
            "dollars": _as_dict(self.dollars),
            "seconds": _as_dict(self.seconds),
            "input_bytes": round(self.input_bytes),
            "jobs": [
                {
                    "name": job.name,
                    "dollars": _as_dict(job.dollars),
                    "seconds": _as_dict(job.seconds),
                    "sample_dollars": job.sample_usd,
                    "memory_mb": job.setup.memory_mb,
                    "transport": job.setup.transport,
                    "concurrency": job.setup.slots,
                    "better": [asdict(each) for each in job.advice],
                    "stages": [
                        {
                            "id": each.work.id,
                            "name": each.work.name,
                            "tasks": each.work.tasks,
                            "partitions": each.work.partitions,
                            "input_bytes": round(each.work.input_bytes),
                            "shuffle_read_bytes": round(each.work.read_bytes),
                            "shuffle_write_bytes": round(each.work.write_bytes),
                            "seconds": each.ends - each.begins,
                            "gb_seconds": each.usage.gb_seconds,
                        }
                        for each in job.likely.stages
                    ],
                }
                for job in self.jobs
            ],
            "athena_dollars": self.athena_usd,
            "emr_serverless_dollars": self.emr_usd,
            "prices": {"region": self.prices.region, "date": self.prices.date},
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"likely {money(self.dollars)}, {time(self.seconds)}"
        for number, job in enumerate(self.jobs, 1):
            head = f"job {number} {job.name}"
            yield f"{head}: {money(job.dollars)}, {time(job.seconds)}"
            for each in job.likely.stages:
                yield f"  stage {each.work.id} {each.work.name}: {', '.join(_figures(each.work))}"
            yield f"  {_chosen(job)}"
            if better := [f"{each.setting} = {each.better} ({each.why})" for each in job.advice]:
                yield f"  auto would choose {', '.join(better)}"
            yield from (f"  better: {each}" for each in job.advice if each.matters)
        yield from self.notes
        yield (
            f"elsewhere: Athena {format_dollars(self.athena_usd)} for scanning as much; "
            f"EMR Serverless {format_dollars(self.emr_usd)} for as much computing"
        )
        yield f"list prices of {self.prices.region}, {self.prices.date}; rates of {RATES.date}"


def _chosen(job: PredictedJob) -> str:
    setup, cold = job.setup, job.likely.cold
    starts = f", {cold:,} of them new" if cold and setup.cold_s else ""
    shuffled = any(sample.partitions for sample in job.samples)
    transport = f", shuffled by {setup.transport}" if shuffled else ""
    return f"on functions of {setup.memory_mb:,} MB, {setup.slots:,} at once{starts}{transport}"


def athena_usd(scanned: float, queries: int = 1, prices: PriceTable = US_EAST_1) -> float:
    """Return what Athena bills for queries that scan so many bytes together."""
    least = prices.athena_least_tb * max(1, queries)
    return max(scanned / 1e12, least) * prices.athena_tb


def emr_usd(cpu_seconds: float, prices: PriceTable = US_EAST_1) -> float:
    """Return what EMR Serverless bills for so much computing: a driver and its first executors of
    the default size, from their start to the end.
    """
    took = EMR_STARTS_S + cpu_seconds / (EMR_EXECUTORS * EMR_WORKER_VCPUS)
    hours = max(prices.emr_least_s, took) / 3600 * (1 + EMR_EXECUTORS)
    return hours * (EMR_WORKER_VCPUS * prices.emr_vcpu_hour + EMR_WORKER_GB * prices.emr_gb_hour)


def money(span: Span) -> str:
    """Return dollars as a range, such as "$0.12 ($0.09 to $0.20)"."""
    return f"{_short(span.likely)} ({_short(span.low)} to {_short(span.high)})"


def time(span: Span) -> str:
    """Return seconds as a range."""
    return f"{span.likely:,.1f} s ({span.low:,.1f} to {span.high:,.1f})"


def _short(dollars: float) -> str:
    return format_dollars(float(f"{dollars:.2g}"))


def _figures(work: Any) -> Iterator[str]:
    yield f"{work.tasks:,} task{'' if work.tasks == 1 else 's'}" if work.tasks else "skipped"
    if work.input_bytes:
        yield f"{_size(work.input_bytes)} read"
    if work.read_bytes:
        yield f"{_size(work.read_bytes)} fetched"
    if work.partitions and work.tasks:
        yield f"{_size(work.write_bytes)} shuffled into {work.partitions:,} partitions"


def _size(count: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB", "TB"):
        if count < 1024 or unit == "TB":
            break
        count /= 1024
    return f"{count:.0f} bytes" if unit == "bytes" else f"{count:.1f} {unit}"


def _cpu_seconds(job: PredictedJob) -> float:
    stages: Sequence[Any] = extrapolate(job.samples, job.setup)
    return math.fsum((s.work_s + s.overhead_s * s.tasks) * s.cpu_share for s in stages)


def _as_dict(span: Span) -> dict[str, float]:
    return {"low": span.low, "likely": span.likely, "high": span.high}
