"""PySpark's own examples, which its authors run as tests, run on aflint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pyspark.conftest import RunProgram
from tests.pyspark.run_doctests import HADOOP

MODULES = {"rdd": 330, "broadcast": 20, "accumulators": 25, "shuffle": 30, "files": 5}
"""The modules, and how many examples of each there are at least: so that none go missing."""


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_pyspark(module: str, run_program: RunProgram, tmp_path: Path) -> None:
    program = Path(__file__).with_name("run_doctests.py")
    done = run_program(program, f"pyspark.{module}", cwd=tmp_path)
    report = json.loads(done.stdout.splitlines()[-1])
    assert not report["failed"], "\n".join(report["failed"].values())
    assert report["passed"] >= MODULES[module]
    assert set(report["hadoop"]) == {m for m in HADOOP if module == "rdd" and m.startswith("save")}
