"""What is predicted from one split, beside what is billed.

`ROUNDS=3 make slow ARGS="-n 0 -s -k tasks_of_a_program"` prints it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pytest

import aflint
from aflint.cost import Usage, price
from examples.taxi.generate import generate
from examples.taxi.queries import QUERIES

ROUNDS = int(os.environ.get("ROUNDS", "1"))


def _day(line: str) -> tuple[str, str]:
    return line[:14], line


def _hash(line: str) -> tuple[int, str]:
    return hash(line[20:40]) % 1000, line


def _pair(line: str) -> tuple[str, int]:
    return line[:40], len(line)


PARTS = (
    "dollars", "seconds", "requests $", "GB-s", "CPU s", "invoked", "SQS", "PUT", "GET",
    "read", "shuffled",
)  # fmt: skip
"""Of a bill, and of what stands behind it."""


@dataclass
class Round:
    """What a program was predicted to come to, and what it came to, by parts."""

    predicted: dict[str, float]
    billed: dict[str, float]
    tasks: tuple[int, int]

    def ratio(self, part: str) -> float:
        """Return predicted over billed."""
        predicted, billed = self.predicted[part], self.billed[part]
        return predicted / billed if billed else 1.0 if not predicted else math.inf


def _of_usage(usage: Usage) -> dict[str, float]:
    requests = usage._replace(gb_seconds=0.0)
    return {
        "dollars": price(usage).total,
        "requests $": price(requests).total,
        "GB-s": usage.gb_seconds,
        "invoked": usage.lambda_requests,
        "SQS": usage.sqs_requests,
        "PUT": usage.s3_put,
        "GET": usage.s3_get,
    }


async def measure(session: aflint.Session, program: Callable[[], Awaitable[Any]]) -> Round:
    """Predict a program, and run it."""
    predicted = await session.predict(program)
    before = len(session.jobs)
    await program()
    jobs = session.jobs[before:]
    metrics = [job.metrics for job in jobs]
    stages = [stage.work for job in predicted.jobs for stage in job.likely.stages]
    likely = sum((job.likely.usage + job.asked for job in predicted.jobs), Usage())
    return Round(
        _of_usage(likely)
        | {
            "dollars": predicted.dollars.likely,
            "seconds": predicted.seconds.likely,
            "CPU s": sum((s.work_s + s.overhead_s * s.tasks) * s.cpu_share for s in stages),
            "read": predicted.input_bytes,
            "shuffled": sum(s.write_bytes for s in stages if s.tasks),
        },
        _of_usage(sum((job.usage for job in jobs), Usage()))
        | {
            "seconds": sum(job.seconds for job in jobs),
            "CPU s": sum(m.computing_seconds for m in metrics),
            "read": sum(m.input_bytes for m in metrics),
            "shuffled": sum(m.shuffle_write_bytes for m in metrics),
        },
        (sum(s.tasks for s in stages), sum(job.tasks for job in jobs)),
    )


@pytest.mark.slow
async def test_the_tasks_of_a_program_are_predicted_from_one_split(tmp_path: Path) -> None:
    """Q0 to Q6 and three jobs that shuffle all they read, each predicted and run in turn.

    The medians of dollars and seconds are printed, and not judged: what is billed is by the clock,
    and on a busy machine two runs of one program differ by more than a prediction may.
    """
    generate(tmp_path, trips=200_000, seed=7, jobs=1)
    async with aflint.connect(
        backend="localcloud", workers=1, split_mb=2, kept_shuffle_mb=0, progress=False
    ) as session:
        trips = session.text_file(str(tmp_path / "*_tripdata_*.csv"))
        weather = session.text_file(str(tmp_path / "central_park_weather.csv"))
        programs: dict[str, Callable[[], Awaitable[Any]]] = {
            query.name: lambda query=query: query.answer(trips, weather)  # type: ignore[misc]
            for query in QUERIES
        }
        programs["sort"] = lambda: trips.map(_day).sort_by_key(True, 8).count()
        programs["group"] = lambda: trips.map(_hash).group_by_key(16).count()
        programs["join"] = lambda: trips.map(_pair).join(trips.map(_pair).distinct(8), 8).count()
        rounds: dict[str, list[Round]] = {name: [] for name in programs}
        for _ in range(ROUNDS):
            for name, program in programs.items():
                rounds[name].append(await measure(session, program))
    print("\npredicted over billed, medians; dollars are as billed")
    print(f"{'':7}{'billed $':>10}" + "".join(f"{part:>11}" for part in PARTS))
    for name, found in rounds.items():
        billed = median(each.billed["dollars"] for each in found)
        ratios = [median(each.ratio(part) for each in found) for part in PARTS]
        print(f"{name:7}{billed:10.6f}" + "".join(f"{ratio:11.2f}" for ratio in ratios))
        likely, tasks = found[0].tasks
        assert likely == pytest.approx(tasks, rel=0.05), name
