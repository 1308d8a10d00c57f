"""PySpark's own examples of DataFrames and SQL: how many of them give on aflint what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.pyspark.conftest import RunProgram

pytest.importorskip("duckdb", reason="needs aflint[sql]")
if tuple(map(int, pytest.importorskip("pyspark").__version__.split(".")[:2])) < (4, 3):
    pytest.skip("counted with the examples of PySpark 4.3", allow_module_level=True)
pytestmark = pytest.mark.slow

AT_LEAST = {
    "column": 0.98,
    "window": 0.9,
    "catalog": 0.94,
    "session": 0.94,
    "dataframe": 0.92,
    "group": 0.98,
    "readwriter": 0.94,
    "functions.builtin": 0.91,
}
"""The share of a module's examples that pass, at least: so that none are lost unseen."""


@pytest.mark.parametrize("module", AT_LEAST)
def test_examples_of_pyspark(module: str, run_program: RunProgram, tmp_path: Path) -> None:
    program = Path(__file__).with_name("run_sql_doctests.py")
    done = run_program(program, f"pyspark.sql.{module}", cwd=tmp_path, timeout=3000)
    (report,) = json.loads(done.stdout.splitlines()[-1]).values()
    wrong: list[Any] = report["wrong"]
    reasons = sorted(f"{each['reason']}: {each['test']}" for each in wrong)
    assert len(wrong) <= (1 - AT_LEAST[module]) * report["examples"], "\n".join(reasons)
