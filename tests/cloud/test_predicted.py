"""What is predicted from one split, beside what is billed.

`ROUNDS=3 make slow ARGS="-n 0 -s -k tasks_of_a_program"` prints it.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pytest

import aflint
from aflint.cost.prediction import Prediction
from examples.taxi.generate import generate
from examples.taxi.queries import QUERIES

ROUNDS = int(os.environ.get("ROUNDS", "1"))


def _day(line: str) -> tuple[str, str]:
    return line[:14], line


def _hash(line: str) -> tuple[int, str]:
    return hash(line[20:40]) % 1000, line


def _pair(line: str) -> tuple[str, int]:
    return line[:40], len(line)


@dataclass
class Round:
    predicted: Prediction
    dollars: float
    seconds: float
    tasks: int

    @property
    def ratios(self) -> tuple[float, float]:
        """Predicted over billed: dollars, and seconds."""
        predicted = self.predicted
        return predicted.dollars.likely / self.dollars, predicted.seconds.likely / self.seconds


async def measure(session: aflint.Session, program: Callable[[], Awaitable[Any]]) -> Round:
    """Predict a program, and run it."""
    predicted = await session.predict(program)
    before = len(session.jobs)
    await program()
    jobs = session.jobs[before:]
    return Round(
        predicted,
        sum(j.cost.total for j in jobs),
        sum(j.seconds for j in jobs),
        sum(j.tasks for j in jobs),
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
    print(f"\n{'':8}{'billed $':>12}{'predicted':>12}{'ratio':>7}{'took s':>9}{'ratio':>7}")
    for name, found in rounds.items():
        dollars, seconds = (median(r.ratios[which] for r in found) for which in (0, 1))
        billed = median(r.dollars for r in found)
        likely = median(r.predicted.dollars.likely for r in found)
        took = median(r.seconds for r in found)
        print(f"{name:8}{billed:12.6f}{likely:12.6f}{dollars:7.2f}{took:9.2f}{seconds:7.2f}")
        likely_tasks = sum(
            s.work.tasks for job in found[0].predicted.jobs for s in job.likely.stages
        )
        assert likely_tasks == pytest.approx(found[0].tasks, rel=0.05), name
