from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.peers.pyspark_client import PYTHON_VARIABLE, Pyspark, PysparkError
from bench.peers.pyspark_program import java_on_path
from examples.taxi import oracle
from examples.taxi.generate import WEATHER, generate
from examples.taxi.queries import QUERIES


async def test_a_pyspark_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PYTHON_VARIABLE, "false")
    assert Pyspark.available()
    with pytest.raises(PysparkError, match="ended without an answer"):
        async with Pyspark("pyspark_taxi", {}):
            pass


async def test_asking_before_the_start_is_an_error() -> None:
    with pytest.raises(PysparkError, match="async with"):
        await Pyspark("pyspark_taxi", {}).answer("Q0")


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 1),
        ('openjdk version "25" 2025-09-16', 25),
        ("command not understood", 0),
    ],
)
def test_the_version_of_java_is_read(
    told: str, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.CompletedProcess([], 0, stderr=told)
    monkeypatch.setattr(shutil, "which", lambda name: "/java")
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: done)
    assert java_on_path() == version


@pytest.mark.slow
async def test_answers_are_those_of_plain_python(tmp_path: Path) -> None:
    if not Pyspark.available():
        pytest.skip("PySpark is not installed")
    generate(tmp_path, 3_000, jobs=1)
    paths = [str(tmp_path / name) for name in sorted(generated_files(tmp_path))]
    expected = oracle.answers([Path(path) for path in paths], tmp_path / WEATHER)
    data = {"trips": paths, "weather": str(tmp_path / WEATHER)}
    async with Pyspark("pyspark_taxi", data) as pyspark:
        found = {query.name: await pyspark.answer(query.name) for query in QUERIES}
    assert found == json.loads(json.dumps(expected))


def generated_files(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*_tripdata_*.csv")]
