"""Commands that compute run on the engine, or are refused: Spark's own engine runs none unasked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pyspark.conftest import RunProgram

PROGRAM = Path(__file__).with_name("commands_program.py")
pytest.importorskip("duckdb", reason="needs aflint[sql]")
if int(pytest.importorskip("pyspark").__version__.split(".")[0]) < 4:
    pytest.skip("DataFrames need PySpark 4", allow_module_level=True)


@pytest.mark.slow
def test_commands_leave_the_tables_that_they_leave_on_spark(
    run_program: RunProgram, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("spark", "aflint")]
    for folder in folders:
        folder.mkdir()
    on_spark = subprocess.run(
        [sys.executable, PROGRAM.with_name("on_spark.py"), PROGRAM, folders[0]],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "PYSPARK_PYTHON": sys.executable,
        },
        timeout=300,
    )
    assert on_spark.returncode == 0, on_spark.stderr[-4000:]
    done = run_program(PROGRAM, folders[1], timeout=300)
    theirs = on_spark.stdout.replace(str(folders[0]), "FOLDER").split("== ")
    ours = done.stdout.replace(str(folders[1]), "FOLDER").split("== ")
    jobs = "jobs of Spark's own: 0\n"
    assert [part.removesuffix(jobs) for part in ours] == theirs
    assert jobs in done.stdout


_REFUSED = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.config("spark.sql.warehouse.dir", sys.argv[1]).getOrCreate()
spark.sql("create table t using parquet as select 1 as x")
jobs = lambda: spark._jsc.sc().dagScheduler().numTotalJobs()
for command in (
    "delete from t", "update t set x = 2", "begin select 1; end",
    "merge into t using t as s on t.x = s.x when matched then delete",
    "analyze table t compute statistics", "analyze table t compute statistics for columns x",
    "create table u using orc as select 1",
    "insert overwrite directory '/nowhere' using orc select 1",
    "create or replace table t using orc as select 1",
):
    try:
        spark.sql(command)
        print("runs", command)
    except Exception as error:
        print("does not run" in str(error) or str(error), command)
writer = spark.range(3).write.mode("overwrite").format("orc")
for write in (lambda: writer.saveAsTable("t"), lambda: writer.save("/nowhere")):
    try:
        write()
    except Exception as error:
        print("does not run" in str(error), "write")
print(jobs(), spark.table("t").collect(), spark.sql("explain insert into t select 2").count())
spark.conf.set("spark.aflint.fallback", "spark")
spark.sql("analyze table t compute statistics")
writer.saveAsTable("t")
print(jobs() > 0, spark.table("t").count())
"""


def test_commands_that_are_refused_change_nothing_unless_spark_is_asked(
    run_program: RunProgram, tmp_path: Path
) -> None:
    program = tmp_path / "refused.py"
    program.write_text(_REFUSED)
    done = run_program(program, tmp_path / "warehouse", timeout=300)
    *refused, kept, fallen = done.stdout.splitlines()
    assert [line for line in refused if not line.startswith("True")] == [
        "[UNSUPPORTED_FEATURE.TABLE_OPERATION] The feature is not supported: Table "
        "`spark_catalog`.`default`.`t` does not support REPLACE TABLE AS SELECT. Please check the "
        "current catalog and namespace to make sure the qualified table name is expected, and also "
        'check the catalog implementation which is configured by "spark.sql.catalog". SQLSTATE: '
        "0A000 create or replace table t using orc as select 1"
    ]
    assert len(refused) == 11
    assert kept == "0 [Row(x=1)] 1"
    assert fallen == "True 3"
    assert "This runs on Spark's own engine, in the driver: ANALYZE TABLE" in done.stderr
