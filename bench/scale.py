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
"""Recorded in every round, as what is forecast is: machines change their pace."""

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

ROUNDS = 3
WITHIN = 1.2
QUICK = 2
"""Configurations that a quick run forecasts."""

SEEDS = 25
"""A forecast is the median of so many: a few tasks draw few lots."""

HEADS = ("sort", "seconds", "forecast", "ratio", "dollars", "forecast", "ratio", "requests, ratio")


@dataclass(frozen=True)
class Checked:
    """A sort that was forecast, and run once in each round."""

    rounds: Sequence[Measured]
    found: Forecast

    @property
    def case(self) -> str:
        """What was sorted."""
        return str(self.rounds[0].case)

    @property
    def seconds(self) -> float:
        """What it took, in the median round."""
        return median(each.seconds for each in self.rounds)

    @property
    def dollars(self) -> float:
        """What it cost, in the median round."""
        return median(each.job.dollars for each in self.rounds)

    @property
    def ratios(self) -> dict[str, float]:
        """The forecast over what was measured."""
        asked = [stage.requests for stage in self.found.stages]
        requests = sum(each.gets + each.puts + each.sqs_billed for each in asked)
        return {
            "requests": requests / median(each.requests for each in self.rounds),
            "dollars": self.found.cost.total / self.dollars,
            "seconds": self.found.seconds / self.seconds,
        }

    @property
    def row(self) -> str:
        """A row of a table in Markdown."""
        ratios = {name: f"{ratio:.2f}" for name, ratio in self.ratios.items()}
        seconds = f"{self.seconds:.2f}", f"{self.found.seconds:.2f}", ratios["seconds"]
        dollars = f"{self.dollars:.6f}", f"{self.found.cost.total:.6f}", ratios["dollars"]
        return row([self.case, *seconds, *dollars, ratios["requests"]])


async def run(options: Options, say: Say) -> Report:
    """Record, run, forecast, and compare."""
    unseen = FORECAST[:QUICK] if options.quick else FORECAST
    rounds = options.number_of_rounds(ROUNDS)
    found: dict[Case, list[Measured]] = {case: [] for case in (*FITTED, *unseen)}
    with tempfile.TemporaryDirectory() as folder, history_in(folder):
        for number in range(rounds):
            for case, measured in found.items():
                say(f"round {number + 1} of {rounds}: localcloud sorts {case}")
                measured.append(await record(case, Path(folder)))
    fitted = fit([each for case in FITTED for each in found[case]])
    return report([Checked(found[case], forecast(case, *fitted)) for case in unseen])


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
        rounds = len(each.rounds)
        said = (each.found.seconds,) * rounds, (each.found.cost.total,) * rounds
        took = tuple(m.seconds for m in each.rounds), tuple(m.job.dollars for m in each.rounds)
        samples.append(Sample(each.case, "model", *said))
        samples.append(Sample(each.case, "localcloud", *took))
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
