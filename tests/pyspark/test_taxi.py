"""The seven taxi queries as a PySpark program give the answers of plain Python."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bench.engine import EngineProcess
from bench.registry import ENGINES
from bench.workload import Job
from examples.taxi import oracle
from examples.taxi.generate import WEATHER, generate
from tests.pyspark.conftest import RunProgram

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_answers_are_those_of_plain_python(tmp_path: Path, run_program: RunProgram) -> None:
    generate(tmp_path, 2_000, jobs=1)
    trips = sorted(tmp_path.glob("*_tripdata_*.csv"))
    expected = json.loads(json.dumps(oracle.answers(trips, tmp_path / WEATHER)))
    lines = run_program(EXAMPLES / "taxi_pyspark.py", tmp_path, cwd=tmp_path).stdout.splitlines()
    assert {line[:2]: json.loads(line[3:]) for line in lines} == expected
    measured = asyncio.run(
        measured_answer([str(path) for path in trips], tmp_path / WEATHER, tmp_path)
    )
    assert measured == expected["Q6"]


@pytest.mark.slow
def test_answers_of_dataframes_are_those_of_plain_python(
    tmp_path: Path, run_program: RunProgram
) -> None:
    generate(tmp_path, 2_000, jobs=1)
    trips = sorted(tmp_path.glob("*_tripdata_*.csv"))
    expected = json.loads(json.dumps(oracle.answers(trips, tmp_path / WEATHER)))
    lines = run_program(EXAMPLES / "taxi_dataframes.py", tmp_path, cwd=tmp_path).stdout.splitlines()
    assert {line[:2]: json.loads(line[3:]) for line in lines} == expected


async def measured_answer(trips: list[str], weather: Path, folder: Path) -> Any:
    (engine,) = (each for each in ENGINES if each.name == "PySpark program on aflint")
    job = Job("taxi", "Q6", {"trips": trips, "weather": str(weather)}, len(trips), "")
    async with EngineProcess(engine, folder / "log") as process:
        return (await process.do(job)).answer
