"""Programs of DataFrames and SQL, unchanged, give on aflint what they give on Spark."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pyspark.conftest import RunProgram

PROGRAM = Path(__file__).with_name("dataframes_program.py")
pytest.importorskip("duckdb", reason="needs aflint[sql]")
if int(pytest.importorskip("pyspark").__version__.split(".")[0]) < 4:
    pytest.skip("DataFrames need PySpark 4", allow_module_level=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import duckdb

    folder = tmp_path_factory.mktemp("data")
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT range AS key, ['a', 'b', 'c'][range % 3 + 1] AS status, "
            f"(range * 7 % 101)::DECIMAL(10, 2) AS price FROM range(500)) "
            f"TO '{folder}/orders.parquet'"
        )
    (folder / "table.csv").write_text('a,b,c\n1,x,2.5\n2,"y,z",\n')
    (folder / "table.json").write_text('{"a": 1, "b": {"c": [true]}}\n{"a": null, "d": "x"}\n')
    return folder


def _sections(output: str) -> dict[str, str]:
    parts = (part.partition("\n") for part in output.split("== ")[1:])
    return {name: said for name, _, said in parts}


@pytest.fixture(scope="module")
def on_spark(folder: Path) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, PROGRAM.with_name("on_spark.py"), PROGRAM, folder],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "PYSPARK_PYTHON": sys.executable,
        },
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return _sections(done.stdout)


@pytest.fixture(scope="module")
def on_aflint(folder: Path, run_program: RunProgram) -> dict[str, str]:
    return _sections(run_program(PROGRAM, folder, timeout=600).stdout)


@pytest.mark.slow
def test_a_program_of_dataframes_prints_what_it_prints_on_spark(
    on_spark: dict[str, str], on_aflint: dict[str, str]
) -> None:
    assert len(on_spark) > 25
    wrong = {
        name: (said, on_aflint.get(name))
        for name, said in on_spark.items()
        if on_aflint.get(name) != said
    }
    assert not wrong


def test_a_program_that_only_reads_rows_starts_no_jvm(
    run_program: RunProgram, tmp_path: Path
) -> None:
    program = tmp_path / "rows.py"
    program.write_text(
        "from pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "rows = spark.createDataFrame([(1, 'a')], ['n', 't'])\n"
        "print(rows.rdd.map(lambda row: row.n).sum(), rows.collect(), spark.range(3).count())\n"
    )
    done = run_program(program, JAVA_HOME=str(tmp_path / "no-java"))
    assert done.stdout == "1 [Row(n=1, t='a')] 3\n"


def test_where_there_is_no_java_the_first_use_of_sql_says_so(
    run_program: RunProgram, tmp_path: Path
) -> None:
    program = tmp_path / "sql.py"
    program.write_text(
        "from pyspark.sql import SparkSession\nSparkSession.builder.getOrCreate().sql('select 1')\n"
    )
    done = run_program(program, check=False, JAVA_HOME=str(tmp_path / "no-java"))
    assert done.returncode == 1
    assert (
        done.stderr.strip().splitlines()[-1].startswith("aflint.errors.ConfigError: JAVA_HOME is")
    )


_FALLING = """
from pyspark.sql import SparkSession, functions as F
spark = SparkSession.builder.config("spark.aflint.fallback", "spark").getOrCreate()
orders = spark.read.parquet(FOLDER + "/orders.parquet")
cut = orders.select(F.sentences("status").alias("s"), "price")
for _ in range(2):
    print(cut.distinct().orderBy("price").take(2))
print(cut.groupBy("s").count().rdd.map(lambda row: row["count"]).sum())
spark.conf.set("spark.aflint.fallback", "none")
try:
    orders.select(F.sentences("status")).collect()
except Exception as error:
    print("refused:", "Sentences" in str(error))
spark.conf.set("spark.aflint.fallback", "spark")
try:
    rows = spark.sparkContext.parallelize([("a",)])
    spark.createDataFrame(rows, "t string").select(F.sentences("t")).collect()
except Exception as error:
    print("refused:", "are of Python's" in str(error))
"""


def test_what_aflint_refuses_runs_on_sparks_own_engine_where_asked(
    folder: Path, tmp_path: Path, run_program: RunProgram
) -> None:
    program = tmp_path / "falling.py"
    program.write_text(_FALLING.replace("FOLDER", repr(str(folder))))
    done = run_program(program, timeout=600)
    rows, again, count, *refused = done.stdout.splitlines()
    assert rows == again
    assert rows.startswith("[Row(s=")
    assert count == "500"
    assert refused == ["refused: True", "refused: True"]
    assert done.stderr.count("This runs on Spark's own engine") == 1  # of the three queries
