"""The model of AWS beside what localcloud took: how well it forecasts what it was not fitted to.

Sorts by S3 and by SQS are recorded, and the rates of this machine's emulator are taken from them.
By these the model forecasts sorts of other sizes and counts of tasks, and by the hybrid transport,
which are run, too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from aflint.cost.load import Workload, load_of
from aflint.cost.rates import Rates
from aflint.cost.simulator import Cloud, Forecast, simulate
from bench.emulator_rates import fit
from bench.recorded_sort import MEMORY_MB, WORKERS, Case, Measured, history_in, record
from bench.report import Goal, Report, Sample
from bench.show import row
from bench.workload import Options, Say
from bench.workload import Workload as Benchmark

FITTED = tuple(
    Case(mb, maps, reduces, transport)
    for mb, maps, reduces in ((2, 4, 4), (8, 4, 8), (8, 16, 8))
    for transport in ("s3", "sqs")
)
"""Recorded both before what is forecast and after it: machines change their pace."""

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

WITHIN = 1.2
QUICK = 2
"""Configurations that a quick run forecasts."""

SEEDS = 25
"""A forecast is the median of so many: a few tasks draw few lots."""

HEADS = ("sort", "seconds", "forecast", "ratio", "dollars", "forecast", "ratio", "requests, ratio")


@dataclass(frozen=True)
class Checked:
    """A sort that was forecast and run."""

    measured: Measured
    found: Forecast

    @property
    def ratios(self) -> dict[str, float]:
        """The forecast over what was measured."""
        asked = [stage.requests for stage in self.found.stages]
        return {
            "requests": sum(a.gets + a.puts + a.sqs_billed for a in asked) / self.measured.requests,
            "dollars": self.found.cost.total / self.measured.job.dollars,
            "seconds": self.found.seconds / self.measured.seconds,
        }

    @property
    def row(self) -> str:
        """A row of a table in Markdown."""
        one, other = self.measured, self.found
        seconds = f"{one.seconds:.2f}", f"{other.seconds:.2f}", f"{self.ratios['seconds']:.2f}"
        dollars = f"{one.job.dollars:.6f}", f"{other.cost.total:.6f}"
        told = f"{self.ratios['dollars']:.2f}", f"{self.ratios['requests']:.2f}"
        return row([str(one.case), *seconds, *dollars, *told])


async def run(options: Options, say: Say) -> Report:
    """Record, forecast, run, and compare."""

    async def measured(cases: Sequence[Case]) -> list[Measured]:
        found = []
        for case in cases:
            say(f"localcloud sorts {case}")
            found.append(await record(case, Path(folder)))
        return found

    with tempfile.TemporaryDirectory() as folder, history_in(folder):
        before = await measured(FITTED)
        unseen = await measured(FORECAST[:QUICK] if options.quick else FORECAST)
        after = await measured(FITTED)
    fitted = fit([*before, *after])
    return report([Checked(each, forecast(each.case, *fitted)) for each in unseen])


def forecast(case: Case, workload: Workload, rates: Rates) -> Forecast:
    """Return what the model says of a sort on this machine's emulator."""
    load = load_of("sort", workload, case.mb * 1e6, case.maps, case.reduces)
    cloud = Cloud(WORKERS, MEMORY_MB, case.transport, rates=rates)
    found = [simulate(load, cloud, seed=seed) for seed in range(SEEDS)]
    return sorted(found, key=lambda each: each.seconds)[SEEDS // 2]


def report(checked: Sequence[Checked]) -> Report:
    """Return how near forecasts came; the notes have a table in Markdown."""
    samples, goals = [], []
    for each in checked:
        one, other, case = each.measured, each.found, str(each.measured.case)
        samples.append(Sample(case, "model", (other.seconds,), (other.cost.total,)))
        samples.append(Sample(case, "localcloud", (one.seconds,), (one.job.dollars,)))
    for what in ("requests", "dollars", "seconds"):
        off = [max(each.ratios[what], 1 / each.ratios[what]) for each in checked]
        near = sum(each <= WITHIN for each in off)
        goals.append(Goal(f"{what}: median of what the model is off by", WITHIN, median(off)))
        goals.append(
            Goal(f"{what}: of {len(off)}, within {WITHIN - 1:.0%}", len(off), near, at_most=False)
        )
    fitted = "; ".join(map(str, FITTED))
    table = [row(list(HEADS)), row(["---", *["---:"] * (len(HEADS) - 1)])]
    return Report(
        "scale",
        "The model of AWS beside localcloud, of configurations that it was not fitted to",
        "python -m bench scale",
        tuple(samples),
        tuple(goals),
        (f"Fitted to {fitted}. The columns of CPU are dollars.", *table, *(c.row for c in checked)),
        subject="model",
    )


WORKLOAD = Benchmark("scale", "The model of AWS beside what localcloud takes", run)
