"""Programs nobody here wrote: the examples that come with PySpark, as they are."""

from __future__ import annotations

import random
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.pyspark.conftest import RunProgram

NAMES = {
    "wordcount": ["words.txt"],
    "sort": ["numbers.txt"],
    "pi": ["2"],
    "pagerank": ["links.txt", "3"],
    "kmeans": ["points.txt", "2", "0.1"],
    "als": ["10", "20", "5", "2", "2"],
    "transitive_closure": ["2"],
    "logistic_regression": ["classes.txt", "3"],
}
SAID = {
    "wordcount": "a: 3",
    "sort": "1\n2\n3\n4\n5",
    "pi": "Pi is roughly 3.1",
    "pagerank": "3 has rank: 1.21728",
    "kmeans": "array([9.05, 9.05])",
    "als": "Iteration 1:",
    "transitive_closure": "TC has 6",
    "logistic_regression": "Final w: [",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "words.txt").write_text("a b a\nb c a\n")
    (folder / "numbers.txt").write_text("3 1 2\n5 4\n")
    (folder / "links.txt").write_text("1 2\n1 3\n2 3\n3 1\n")
    (folder / "points.txt").write_text("0.0 0.0\n0.1 0.1\n9.0 9.0\n9.1 9.1\n")
    chance = random.Random(1)
    rows = ([i % 2] + [chance.gauss(i % 2 * 2, 1) for _ in range(10)] for i in range(40))
    (folder / "classes.txt").write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    return folder


def run_example(name: str, data: Path, run_program: RunProgram, *settings: str) -> None:
    found = find_spec("pyspark")
    assert found is not None
    assert found.origin is not None
    program = Path(found.origin).parent / "examples" / "src" / "main" / "python" / f"{name}.py"
    few = "spark.default.parallelism=2"  # joins in loops add up partitions
    confs: list[Any] = [word for setting in (few, *settings) for word in ("--conf", setting)]
    done = run_program(*confs, program, *NAMES[name], cwd=data)
    assert SAID[name] in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_examples_of_spark(name: str, data: Path, run_program: RunProgram) -> None:
    run_example(name, data, run_program)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_examples_of_spark_in_functions(
    name: str, data: Path, run_program: RunProgram, tmp_path: Path
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("numpy\n")
    settings = ("spark.aflint.backend=localcloud", f"spark.aflint.requirements={requirements}")
    run_example(name, data, run_program, *settings)
