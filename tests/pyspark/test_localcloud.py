"""A PySpark program where tasks see neither the driver's files nor its packages."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.pyspark.conftest import RunProgram

pytest.importorskip("awslambdaric")

PROGRAM = """
from operator import add
from pyspark import SparkContext, SparkFiles, TaskContext

sc = SparkContext()
import early
sc.addPyFile("extra.py")
sc.addPyFile("early.py")
sc.addFile("data.txt")
import extra
early.STATE = extra.STATE = "as changed"

def read(x):
    with open(SparkFiles.get("data.txt")) as file:
        return file.read()

doubled = sc.parallelize(range(10), 3).map(extra.f)
print(doubled.map(lambda x: (x % 3, x)).reduceByKey(add).collect())
shared, seen = sc.broadcast([10, 20]), sc.accumulator(0)
tasks = sc.parallelize([0, 1], 2)
print(tasks.map(read).collect())
print(tasks.map(lambda x: seen.add(1) or shared.value[x]).collect(), seen.value)
print(tasks.map(lambda x: (early.STATE, extra.state())).distinct().collect())
print(tasks.map(lambda x: TaskContext.get().partitionId()).collect())
print([(k, sorted(v)) for k, v in tasks.map(lambda x: (0, x)).groupByKey().collect()])
print(tasks.map(lambda x: (x, x)).join(tasks.map(lambda x: (x, -x))).sortByKey().collect())
"""


@pytest.mark.slow
def test_a_program_on_localcloud(tmp_path: Path, run_program: RunProgram) -> None:
    state = "STATE = 'as written'\ndef state(): return STATE\n"
    (tmp_path / "extra.py").write_text(f"{state}def f(x): return x * 2\n")
    (tmp_path / "early.py").write_text(state)
    (tmp_path / "data.txt").write_text("data")
    (tmp_path / "aflint.toml").write_text('backend = "localcloud"\nworkers = 2\n')
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    done = run_program("program.py", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "[(0, 36), (1, 30), (2, 24)]",
        "['data', 'data']",
        "[10, 20] 2",
        "[('as written', 'as written')]",
        "[0, 1]",
        "[(0, [0, 1])]",
        "[(0, (0, 0)), (1, (1, -1))]",
    ]
