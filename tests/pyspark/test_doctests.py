"""PySpark's own examples, which its authors run as tests, run on aflint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.pyspark.conftest import RunProgram
from tests.pyspark.run_doctests import HADOOP

MODULES = {"rdd": 330, "broadcast": 20, "accumulators": 25, "shuffle": 30, "files": 5}
"""The modules, and how many examples of each there are at least: so that none go missing."""


@pytest.fixture(scope="module")
def reports(run_program: RunProgram, tmp_path_factory: pytest.TempPathFactory) -> Any:
    program = Path(__file__).with_name("run_doctests.py")
    folder = tmp_path_factory.mktemp("doctests")
    done = run_program(program, *(f"pyspark.{module}" for module in MODULES), cwd=folder)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_pyspark(module: str, reports: Any) -> None:
    report = reports[f"pyspark.{module}"]
    assert not report["failed"], "\n".join(report["failed"].values())
    assert report["passed"] >= MODULES[module]
    assert set(report["hadoop"]) == {m for m in HADOOP if module == "rdd" and m.startswith("save")}
